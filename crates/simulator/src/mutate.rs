//! Random changes to a whole tenant, for tests that need a history.
//!
//! Each change is a request that the write side checks, applies and records as if it had come over
//! HTTP; nothing here touches the state by itself. What a request needs is picked from the state
//! without a scan, so a change costs the same in a small tenant and in one of a million users.

mod conditional;
mod links;
mod objects;
mod policies;
mod properties;
mod relations;
mod settings;

use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::catalog::Kind;
use crate::http::Call;
use crate::http::reply::Reply;
use crate::http::route;
use crate::ids::Ids;
use crate::odata;
use crate::state::State;
use crate::tenant::{Actor, App, Tenant, all_roles};

/// How far random changes go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reach {
    /// What happens in a tenant from day to day, of every sort.
    #[default]
    Daily,
    /// That, and every property and link that a caller may write at all.
    Everything,
    /// Only those of what a large tenant has much of: users, groups, applications, service
    /// principals and what ties them together, so that many changes take away a small part.
    Directory,
}

impl Reach {
    fn moves(self) -> Vec<(usize, Move)> {
        let (objects, relations) = (objects::MOVES, relations::MOVES);
        let daily = [
            &[objects, objects::RARE, links::MOVES][..],
            &[relations, relations::RARE],
            &[conditional::MOVES, settings::MOVES],
        ];
        let daily = daily.concat().concat();
        match self {
            Self::Directory => [objects, links::MOVES, relations].concat(),
            Self::Daily => daily,
            Self::Everything => [&daily, properties::MOVES, policies::MOVES].concat(),
        }
    }
}

/// One sort of change: says what it did, or nothing when it found nothing to do.
type Move = fn(&mut Mutator<'_>) -> Option<String>;

/// How many refused or impossible changes are put up with for each that is made.
const PATIENCE: usize = 50;

/// Whoever makes the changes.
struct Mutator<'a> {
    tenant: &'a Tenant,
    actor: Actor,
    ids: Ids,
}

/// Makes up to `changes` changes; fewer only where a tenant has next to nothing to change.
pub(crate) fn mutate(tenant: &Tenant, reach: Reach, seed: u64, changes: usize) -> Vec<String> {
    let mut mutator = Mutator {
        tenant,
        actor: Actor {
            app: Arc::new(App {
                client_id: "5e1f0a52-7c1d-4f7e-9a54-0d1f6b5ad0fe".to_owned(),
                secret: String::new(),
                display_name: "Daily Work".to_owned(),
                roles: all_roles(),
                acts_as: None,
            }),
        },
        ids: Ids::seeded(seed),
    };
    let moves = reach.moves();
    let total: usize = moves.iter().map(|(weight, _)| weight).sum();
    let mut made = Vec::with_capacity(changes);
    for _ in 0..changes.saturating_mul(PATIENCE) {
        if made.len() == changes {
            break;
        }
        let mut left = mutator.ids.below(total);
        let chosen = moves.iter().find(|(weight, _)| {
            let here = left < *weight;
            left = left.saturating_sub(*weight);
            here
        });
        if let Some((_, change)) = chosen {
            made.extend(change(&mut mutator));
        }
    }
    made
}

impl Mutator<'_> {
    /// Sends a request; `None` when it is refused.
    fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Option<Reply> {
        let call = Call {
            method: method.to_owned(),
            segments: odata::segments(path),
            path: path.to_owned(),
            query: String::new(),
            headers: axum::http::HeaderMap::new(),
            body: body.map_or_else(Bytes::new, |body| body.to_string().into()),
            base: "http://simulator".to_owned(),
        };
        route::single(self.tenant, &self.actor, &call, &self.tenant.clock).ok()
    }

    /// Sends a write and says so in a line.
    fn write(&self, method: &str, path: &str, body: Option<&Value>) -> Option<String> {
        self.send(method, path, body)?;
        Some(match body {
            Some(body) => format!("{method} {path} {body}"),
            None => format!("{method} {path}"),
        })
    }

    /// Creates something and says which id it got.
    fn create(&self, path: &str, body: &Value) -> Option<String> {
        let reply = self.send("POST", path, Some(body))?;
        let made: Value = serde_json::from_slice(&reply.body).ok()?;
        let id = made["id"].as_str().unwrap_or_default();
        Some(format!("POST {path} {body} made {id}"))
    }

    fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.tenant.state.read())
    }

    /// Some live object.
    fn any(&mut self, kind: Kind) -> Option<Uuid> {
        let from = self.ids.guid();
        self.read(|state| {
            let all = state.all(kind);
            let found = all.range(from..).next().or_else(|| all.first_key_value());
            found.map(|(id, _)| *id)
        })
    }

    /// Some deleted object.
    fn deleted(&mut self, kind: Kind) -> Option<Uuid> {
        let from = self.ids.guid();
        self.read(|state| {
            let bin = state.bin(kind);
            let found = bin.range(from..).next().or_else(|| bin.first_key_value());
            found.map(|(id, _)| *id)
        })
    }

    /// A property of a live object.
    fn value(&self, kind: Kind, id: Uuid, name: &str) -> Value {
        self.read(|state| {
            state
                .object(kind, id)
                .map(|object| object.value(name))
                .unwrap_or_default()
        })
    }

    /// A word that is unlikely to be taken.
    fn word(&mut self) -> String {
        format!("{:08x}", self.ids.number() & 0xffff_ffff)
    }
}

/// The path of an object.
fn path(kind: Kind, id: Uuid) -> String {
    format!("/{}/{id}", kind.collection())
}
