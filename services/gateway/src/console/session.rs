//! Who is signed in.
//!
//! Owns what the cookie of a session holds, how long a session lasts, and the clients
//! through which a page asks. A session holds the caller's token and no rights: the token
//! is checked again on each request, by any replica, so that a token that is no longer
//! known ends the session.

use super::error::PageError;
use super::frame::{Frame, Section, TenantHead};
use super::seal::word;
use super::{Console, Shared, login};
use crate::auth::Caller;
use crate::error::GatewayError;
use crate::inside::Inside;
use crate::proxy::Proxy;
use axum::extract::{FromRequestParts, RawPathParams};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, TimeDelta, Utc};
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use model::TenantId;
use proto::v1;
use proto::v1::Role;
use proto::v1::diff_service_client::DiffServiceClient;
use proto::v1::lifecycle_service_client::LifecycleServiceClient;
use proto::v1::protection_service_client::ProtectionServiceClient;
use proto::v1::restore_service_client::RestoreServiceClient;
use proto::v1::signal_service_client::SignalServiceClient;
use proto::v1::snapshot_service_client::SnapshotServiceClient;
use proto::v1::tenant_service_client::TenantServiceClient;
use runtime::{Clock, Ids};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, OnceLock};
use tonic::Status;

/// A session ends this long after signing in,
pub(super) const LONGEST: TimeDelta = TimeDelta::hours(12);
/// or this long after the last page.
pub(super) const IDLE: TimeDelta = TimeDelta::minutes(60);
/// How old the mark of the last page gets before it is renewed.
const RENEWED: TimeDelta = TimeDelta::minutes(1);
/// What cookies of sessions are sealed for.
const PURPOSE: &str = "session";

/// What the cookie holds, sealed.
#[derive(Serialize, Deserialize)]
struct Held {
    token: String,
    csrf: String,
    begun: i64,
    seen: i64,
}

/// Somebody who is signed in, and the door for them.
#[derive(Clone)]
pub(crate) struct Session {
    /// Who it is.
    pub(crate) caller: Arc<Caller>,
    /// What every form of the session has to carry.
    pub(crate) csrf: String,
    door: Arc<Proxy>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("caller", &self.caller.name)
            .finish_non_exhaustive()
    }
}

macro_rules! clients {
    ($($(#[$doc:meta])* $name:ident: $client:ident;)*) => {
        impl Session {
            $($(#[$doc])* pub(crate) fn $name(&self) -> $client<Inside> {
                let inside = Inside::new(Arc::clone(&self.door), Arc::clone(&self.caller));
                $client::new(inside).max_decoding_message_size(usize::MAX)
            })*
        }
    };
}

clients! {
    /// Tenants, as the caller may see and change them.
    tenants: TenantServiceClient;
    /// Snapshots, likewise.
    snapshots: SnapshotServiceClient;
    /// Difference reports, likewise.
    diffs: DiffServiceClient;
    /// Plans and restores, likewise.
    restores: RestoreServiceClient;
    /// Hard-delete protection, likewise.
    protection: ProtectionServiceClient;
    /// Signals, likewise.
    signals: SignalServiceClient;
    /// What ends or weakens a tenant's protection, likewise.
    lifecycle: LifecycleServiceClient;
}

impl Session {
    /// Whether the caller has the role, to leave out what would be refused anyway.
    pub(crate) fn may(&self, role: Role) -> bool {
        self.caller.roles.contains(&role)
    }

    /// The time now.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// An id that was never used, for a form that may be sent twice.
    pub(crate) fn fresh_id(&self) -> String {
        self.ids.uuid().to_string()
    }

    /// What a page outside any tenant stands in.
    pub(crate) fn frame(&self, section: Section, title: impl Into<String>) -> Frame {
        Frame::new(title.into(), Some(self.clone()), None, section)
    }
}

/// A session that a request came with, and its cookie again where that is due.
#[derive(Debug, Clone)]
pub(super) struct Arrived {
    pub(super) session: Session,
    pub(super) renewed: Option<String>,
}

/// Who a token belongs to; the one place that asks. Nobody where it is not known.
///
/// # Errors
/// Where that cannot be told now, which is no reason to sign anybody out.
async fn bearer(console: &Console, token: &str) -> Result<Option<Arc<Caller>>, PageError> {
    let Ok(value) = HeaderValue::from_str(&format!("Bearer {token}")) else {
        return Ok(None);
    };
    let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
    match console.door.authenticate(&headers).await {
        Ok(caller) => Ok(Some(caller)),
        Err(GatewayError::Unauthenticated) => Ok(None),
        Err(error) => Err(Status::from(error).into()),
    }
}

/// Begins a session; answers what the cookie is to hold, `None` where the token is not
/// known.
///
/// # Errors
/// Where that cannot be told now.
pub(super) async fn begin(console: &Console, token: &str) -> Result<Option<String>, PageError> {
    let known = bearer(console, token).await?;
    let now = console.clock.now();
    Ok(known.map(|_| sealed(console, token, &word(), now, now)))
}

/// The session that a cookie holds; `None` where it holds none, or one that has ended.
///
/// # Errors
/// Where it cannot be told now whose it is.
pub(super) async fn resume(console: &Console, cookie: &str) -> Result<Option<Arrived>, PageError> {
    let now = console.clock.now();
    let Some((held, begun)) = living(console, cookie, now) else {
        return Ok(None);
    };
    let Some(caller) = bearer(console, &held.token).await? else {
        return Ok(None);
    };
    let seen = held.seen;
    let is_due = now.timestamp() >= seen + RENEWED.num_seconds();
    let renewed = is_due.then(|| sealed(console, &held.token, &held.csrf, begun, now));
    let session = Session {
        caller,
        csrf: held.csrf,
        door: Arc::clone(&console.door),
        clock: Arc::clone(&console.clock),
        ids: Arc::clone(&console.ids),
    };
    Ok(Some(Arrived { session, renewed }))
}

/// What a cookie holds and when that began; nothing where it is no cookie of a session,
/// or of one that has ended.
fn living(console: &Console, cookie: &str, now: DateTime<Utc>) -> Option<(Held, DateTime<Utc>)> {
    let bytes = console.seal.open(PURPOSE, cookie)?;
    let held: Held = serde_json::from_slice(&bytes).ok()?;
    let begun = DateTime::from_timestamp(held.begun, 0)?;
    let seen = DateTime::from_timestamp(held.seen, 0)?;
    (now < begun + LONGEST && now < seen + IDLE).then_some((held, begun))
}

fn sealed(
    console: &Console,
    token: &str,
    csrf: &str,
    begun: DateTime<Utc>,
    seen: DateTime<Utc>,
) -> String {
    let held = Held {
        token: token.to_owned(),
        csrf: csrf.to_owned(),
        begun: begun.timestamp(),
        seen: seen.timestamp(),
    };
    let bytes = serde_json::to_vec(&held).expect("invariant: text and numbers are JSON");
    console.seal.seal(PURPOSE, &bytes)
}

impl FromRequestParts<Shared> for Session {
    type Rejection = Response;

    /// # Errors
    /// Whoever is not signed in is sent to the page where one signs in.
    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, Response> {
        match parts.extensions.get::<Session>() {
            Some(session) => Ok(session.clone()),
            None => Err(login::first(&parts.uri, &parts.method, &parts.headers)),
        }
    }
}

/// The tenant whose page is asked for, once it is known that the caller may see it; so
/// that an error is told among the tenant's pages.
#[derive(Debug, Clone, Default)]
pub(super) struct Place(Arc<OnceLock<TenantHead>>);

impl Place {
    pub(super) fn tenant(&self) -> Option<TenantHead> {
        self.0.get().cloned()
    }
}

/// Somebody who is signed in, at the pages of a tenant that they may see.
#[derive(Debug, Clone)]
pub(crate) struct Visit {
    /// Who.
    pub(crate) session: Session,
    /// The tenant's id.
    pub(crate) id: TenantId,
    /// The tenant.
    pub(crate) tenant: v1::Tenant,
}

impl Visit {
    /// The tenant's resource name, `tenants/{tenant}`.
    pub(crate) fn name(&self) -> String {
        proto::name::tenant(&self.id)
    }

    /// The path of one of the tenant's pages: `at.path("/reports")`.
    pub(crate) fn path(&self, rest: &str) -> String {
        format!("/tenants/{}{rest}", self.id)
    }

    /// What a page of the tenant stands in.
    pub(crate) fn frame(&self, section: Section, title: impl Into<String>) -> Frame {
        let tenant = Some(TenantHead::of(&self.id, &self.tenant));
        Frame::new(title.into(), Some(self.session.clone()), tenant, section)
    }
}

impl FromRequestParts<Shared> for Visit {
    type Rejection = Response;

    /// # Errors
    /// Whoever may not see the tenant gets the door's refusal, as for one that does not
    /// exist.
    async fn from_request_parts(parts: &mut Parts, console: &Shared) -> Result<Self, Response> {
        let session = Session::from_request_parts(parts, console).await?;
        let params = RawPathParams::from_request_parts(parts, console)
            .await
            .map_err(IntoResponse::into_response)?;
        let text = params
            .iter()
            .find_map(|(name, value)| (name == "tenant").then_some(value))
            .unwrap_or_default();
        let visit = visit(session, text)
            .await
            .map_err(IntoResponse::into_response)?;
        if let Some(place) = parts.extensions.get::<Place>() {
            // A request is at one place: a second visit finds the same.
            let _ = place.0.set(TenantHead::of(&visit.id, &visit.tenant));
        }
        Ok(visit)
    }
}

async fn visit(session: Session, text: &str) -> Result<Visit, PageError> {
    let id = TenantId::parse(text).map_err(|_| PageError::no_such_page())?;
    let request = v1::GetTenantRequest {
        name: proto::name::tenant(&id),
    };
    let answer = session.tenants().get_tenant(request).await?.into_inner();
    Ok(Visit {
        tenant: answer.tenant.unwrap_or_default(),
        session,
        id,
    })
}
