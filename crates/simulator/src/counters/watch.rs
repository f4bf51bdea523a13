//! What each caller was told and did: waits that it owes, retries, and rules that it broke.
//!
//! It watches and notes; it never refuses anything.

use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};

use crate::counters::{Violation, ViolationKind, path_kind};
use crate::http::reply::Reply;
use crate::http::{Call, cost};
use crate::odata::{LARGEST_PAGE, top_level_parts};
use crate::simulator::Shared;
use crate::tenant::{Actor, Tenant};
use crate::throttle::Lane;

/// How much too early a request may come, and how long one that was on its way may still arrive.
const TOLERANCE_SECONDS: f64 = 0.05;

/// A wait that a caller was told.
#[derive(Clone, Copy, Debug)]
struct Wait {
    told: f64,
    until: f64,
}

/// What is remembered between requests.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// After a 429: the whole lane of an app in a tenant waits.
    lanes: HashMap<(String, String, Lane), Wait>,
    /// After a 429 or 503: this very request waits.
    requests: HashMap<u64, Wait>,
    /// Hashes of the `client-request-id`s that were used.
    seen: HashSet<u64>,
}

/// The name of a request's route.
pub(crate) fn route(call: &Call) -> String {
    format!("{} {}", call.method, path_kind(&call.segments))
}

/// Notes a request of a known caller when it arrives, before anything is decided about it.
pub(crate) fn arrived(shared: &Shared, tenant: &Tenant, actor: &Actor, call: &Call) {
    let now = shared.clock.seconds();
    let mut broken = broken_rules(call);
    let mut watch = shared.watch.lock();
    let retried = call
        .header("client-request-id")
        .is_some_and(|id| !watch.seen.insert(hash(id)));
    if !watch.lanes.is_empty() || !watch.requests.is_empty() {
        broken.extend(watch.early(now, tenant, actor, call));
    }
    drop(watch);
    if !retried && broken.is_empty() {
        return;
    }
    let mut counters = shared.counters.lock();
    counters.retried += u64::from(retried);
    drop(counters);
    for (kind, detail) in broken {
        note(shared, tenant, actor, call, kind, detail);
    }
}

/// Notes a broken rule.
pub(crate) fn note(
    shared: &Shared,
    tenant: &Tenant,
    actor: &Actor,
    call: &Call,
    kind: ViolationKind,
    detail: String,
) {
    shared.counters.lock().violate(Violation {
        kind,
        tenant: tenant.spec.id.clone(),
        app: actor.app.client_id.clone(),
        route: route(call),
        at: shared.clock.now_precise(),
        detail,
    });
}

/// Notes the wait that an answer tells its caller, and counts refusals by lane.
pub(crate) fn answered(
    shared: &Shared,
    tenant: &Tenant,
    actor: &Actor,
    call: &Call,
    reply: &Reply,
) {
    if !matches!(reply.status, 429 | 503) {
        return;
    }
    let lane = cost::lane(call);
    if reply.status == 429 {
        let mut counters = shared.counters.lock();
        *counters.throttled_lanes.entry(lane.name()).or_default() += 1;
    }
    let seconds = reply
        .headers
        .iter()
        .find(|(name, _)| *name == "Retry-After")
        .and_then(|(_, value)| value.parse::<f64>().ok());
    let Some(seconds) = seconds else { return };
    let told = shared.clock.seconds();
    let until = told + seconds;
    let mut watch = shared.watch.lock();
    watch
        .requests
        .insert(request(tenant, actor, call), Wait { told, until });
    if reply.status == 429 {
        let wait = watch
            .lanes
            .entry(lane_key(tenant, actor, lane))
            .or_insert(Wait { told, until });
        if wait.until < until {
            *wait = Wait { told, until };
        }
    }
}

impl Watch {
    /// The wait that a request does not keep.
    fn early(
        &mut self,
        now: f64,
        tenant: &Tenant,
        actor: &Actor,
        call: &Call,
    ) -> Option<(ViolationKind, String)> {
        let owed = |wait: &Wait| now < wait.until - TOLERANCE_SECONDS;
        self.requests.retain(|_, wait| owed(wait));
        self.lanes.retain(|_, wait| owed(wait));
        let early = |wait: &Wait, what: &str| {
            let left = wait.until - now;
            let detail = format!("{what} {left:.3} s too early");
            (ViolationKind::RetryAfterIgnored, detail)
        };
        if let Some(wait) = self.requests.get(&request(tenant, actor, call)) {
            return Some(early(wait, "the same request"));
        }
        let lane = lane_key(tenant, actor, cost::lane(call));
        self.lanes
            .get(&lane)
            // What was sent before the answer reached its caller may still arrive.
            .filter(|wait| now > wait.told + TOLERANCE_SECONDS)
            .map(|wait| early(wait, "a request of the same app and lane"))
    }
}

fn lane_key(tenant: &Tenant, actor: &Actor, lane: Lane) -> (String, String, Lane) {
    (tenant.spec.id.clone(), actor.app.client_id.clone(), lane)
}

fn request(tenant: &Tenant, actor: &Actor, call: &Call) -> u64 {
    hash(&(
        &tenant.spec.id,
        &actor.app.client_id,
        &call.method,
        &call.path,
        &call.query,
        &call.body,
    ))
}

fn hash(value: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Rules that a request breaks by what it says.
fn broken_rules(call: &Call) -> Vec<(ViolationKind, String)> {
    let mut broken = Vec::new();
    if call.method == "DELETE" {
        broken.extend(broken_delete(&call.segments));
    }
    let query = call.query.to_lowercase();
    if !["top=", "expand=", "token="]
        .iter()
        .any(|option| query.contains(option))
    {
        return broken;
    }
    let options: Vec<(String, String)> = url::form_urlencoded::parse(call.query.as_bytes())
        .map(|(name, value)| {
            let name = name.trim_start_matches('$').to_lowercase();
            (name, value.into_owned())
        })
        .collect();
    let option = |wanted: &str| options.iter().find(|(name, _)| name == wanted);
    if let Some((_, top)) = option("top")
        && top.parse::<usize>().is_ok_and(|top| top > LARGEST_PAGE)
    {
        broken.push((ViolationKind::TopTooLarge, format!("$top={top}")));
    }
    if let Some((_, expand)) = option("expand")
        && top_level_parts(expand) > 1
    {
        broken.push((ViolationKind::ManyExpanded, format!("$expand={expand}")));
    }
    let is_delta = call.segments.last().is_some_and(|last| last == "delta");
    let token = option("skiptoken").or_else(|| option("deltatoken"));
    let started = token.is_some_and(|(_, token)| !token.is_empty() && token != "latest");
    if is_delta && started && options.len() > 1 {
        let added: Vec<&str> = options
            .iter()
            .map(|(name, _)| name.as_str())
            .filter(|name| !matches!(*name, "skiptoken" | "deltatoken"))
            .collect();
        broken.push((ViolationKind::DeltaLinkChanged, added.join(",")));
    }
    broken
}

fn broken_delete(segments: &[String]) -> Option<(ViolationKind, String)> {
    let lower: Vec<String> = segments.iter().map(|part| part.to_lowercase()).collect();
    let path: Vec<&str> = lower.iter().map(String::as_str).collect();
    match path[..] {
        ["directory", "deleteditems", ..]
        | ["identity", "conditionalaccess", "deleteditems", ..] => {
            Some((ViolationKind::Purge, format!("/{}", segments.join("/"))))
        }
        [.., "members" | "owners" | "sponsors", last] | [.., last @ "manager"]
            if last != "$ref" =>
        {
            Some((
                ViolationKind::LinkWithoutRef,
                format!("/{}", segments.join("/")),
            ))
        }
        _ => None,
    }
}
