//! What becomes known of a call on its way through the door.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body as Incoming;
use http::{Extensions, HeaderValue};
use http_body_util::{BodyExt, Limited};
use model::TenantId;
use prost_reflect::DynamicMessage;
use proto::convert::timestamp;
use proto::v1::{AuditEntry, AuditKind, AuditOutcome, AuditResult};
use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo};
use tonic::{Code, Status};

use super::keeper::{Keeper, Place};
use super::queue::Haste;
use super::summary;
use crate::access::Method;
use crate::auth::Caller;
use crate::request;

/// Methods that change nothing and give away what nobody gets back: as mutations they
/// are written before they are carried out.
const GIVES_AWAY: [&str; 1] = ["rewind.v1.KeyService/ExportKeys"];
/// Methods after which a tenant's chain may not be readable any more, now or in some
/// days: the installation's tells of them, and the tenant's too as long as it is read.
const ENDS_THE_CHAIN: [&str; 4] = [
    "rewind.v1.KeyService/EraseKeys",
    "rewind.v1.LifecycleService/OffboardTenant",
    "rewind.v1.LifecycleService/ApproveGuardedChange",
    "rewind.v1.LifecycleService/CancelGuardedChange",
];

/// How much is read of a call that is refused for its role, to see what it was about,
/// and for how long.
const READ_OF_REFUSED: usize = 8 * 1024;
const READING_OF_REFUSED: Duration = Duration::from_secs(1);

tokio::task_local! {
    /// Where the request came from that is being answered.
    pub(super) static PEER: Option<IpAddr>;
}

/// How far a call has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nobody knows who calls.
    Arrived,
    /// The caller is known; whether the call passes is not.
    Known,
    /// It passed, and changes nothing.
    Read,
    /// It passed if what it is about to do could be written.
    Asked,
    /// Its outcome was told, or there is none to tell.
    Told,
}

/// A call on its way.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(super) keeper: Arc<Keeper>,
    pub(super) entry: AuditEntry,
    pub(super) stage: Stage,
    /// The chain that tells of it.
    pub(super) place: Place,
    /// The tenant whose chain tells of it, too.
    pub(super) copied_to: Option<TenantId>,
    /// Whether the answer goes on and on.
    pub(super) streams: bool,
    /// Whether it is to be written before it is carried out.
    pub(super) lasting: bool,
    may: Option<Arc<Caller>>,
}

impl Attempt {
    pub(super) fn new(keeper: Arc<Keeper>, from: &Extensions, request_id: &HeaderValue) -> Self {
        // What pages and compatible APIs call for a caller has no connection of its own.
        let source = source(from).or_else(answered);
        let entry = AuditEntry {
            time: Some(timestamp(keeper.now())),
            kind: AuditKind::Read.into(),
            source: source.map(|source| source.to_string()).unwrap_or_default(),
            request_id: request_id.to_str().unwrap_or_default().to_owned(),
            count: 1,
            ..AuditEntry::default()
        };
        Self {
            keeper,
            entry,
            stage: Stage::Arrived,
            place: None,
            copied_to: None,
            streams: false,
            lasting: false,
            may: None,
        }
    }

    /// Who calls, and what for; `method` is `None` where there is no such one.
    pub(crate) fn by(&mut self, caller: &Arc<Caller>, path: &str, method: Option<&Method>) {
        self.stage = Stage::Known;
        self.entry.caller = summary::shortened(&caller.name);
        self.may = Some(Arc::clone(caller));
        let name = path.trim_start_matches('/');
        match method {
            Some(method) => {
                name.clone_into(&mut self.entry.method);
                self.streams = method.streams;
                self.lasting = method.mutation || GIVES_AWAY.contains(&name);
            }
            None => self.entry.resource = summary::shortened(path),
        }
    }

    /// What the request says. One that cannot be read says nothing.
    pub(crate) fn about(&mut self, method: &Method, message: &[u8]) {
        self.entry.request_digest = blake3::hash(message).to_hex().to_string();
        let Ok(request) = DynamicMessage::decode(method.request.clone(), message) else {
            return;
        };
        if self.lasting {
            self.entry.fields = summary::fields(&request);
        }
        if method.tenant_field.is_empty() {
            return;
        }
        let text = method.tenant_text(&request);
        if let Some(tenant) = proto::name::tenant_of(&text) {
            self.entry.resource = summary::shortened(&text);
            self.entry.tenant = tenant.to_string();
            self.place = self.place_of(tenant);
            if ENDS_THE_CHAIN.contains(&self.entry.method.as_str()) {
                self.copied_to = self.place.take();
            }
        }
    }

    /// The same of a request that nobody has read yet; a large one says nothing.
    pub(crate) async fn about_unread(&mut self, method: &Method, body: Incoming) {
        let reading = Limited::new(body, READ_OF_REFUSED).collect();
        if let Ok(Ok(read)) = tokio::time::timeout(READING_OF_REFUSED, reading).await
            && let Ok(message) = request::message(&read.to_bytes())
        {
            self.about(method, message);
        }
    }

    /// The chain of a tenant where the caller belongs to it; of another tenant nobody
    /// learns by the time it takes whether there is such a one.
    fn place_of(&self, tenant: TenantId) -> Place {
        let caller = self.may.as_ref()?;
        let belongs = caller.may_see(&tenant) && !caller.roles.is_empty();
        belongs.then_some(tenant)
    }

    /// Tells the tenant's chain, too, what the installation's was told.
    pub(super) fn copy(&self, entry: &AuditEntry) {
        if let Some(tenant) = &self.copied_to {
            self.keeper.copy(tenant.clone(), entry.clone());
        }
    }

    /// How it ended, now.
    pub(super) fn outcome(&self, status: &Status) -> AuditOutcome {
        outcome(status, self.keeper.now())
    }

    /// The entry that tells the outcome of a mutation.
    pub(super) fn end(&self, outcome: AuditOutcome) -> AuditEntry {
        AuditEntry {
            time: outcome.time,
            kind: AuditKind::Outcome.into(),
            call: self.entry.call,
            count: 1,
            outcome: Some(outcome),
            ..AuditEntry::default()
        }
    }
}

/// A call that ends here was given up by the caller, or by the end of the process.
impl Drop for Attempt {
    fn drop(&mut self) {
        let gone = Status::cancelled("the call was given up before it was answered");
        let outcome = AuditOutcome {
            result: AuditResult::Unknown.into(),
            ..self.outcome(&gone)
        };
        match self.stage {
            Stage::Told | Stage::Arrived => {}
            Stage::Known | Stage::Read => {
                let mut entry = std::mem::take(&mut self.entry);
                entry.outcome = Some(outcome);
                self.keeper.note(self.place.take(), entry, Haste::Lazy);
            }
            Stage::Asked => {
                let entry = self.end(outcome);
                self.copy(&entry);
                self.keeper.note(self.place.take(), entry, Haste::Urgent);
            }
        }
    }
}

/// A status as an outcome.
pub(super) fn outcome(status: &Status, now: chrono::DateTime<chrono::Utc>) -> AuditOutcome {
    let result = match status.code() {
        Code::Ok => AuditResult::Succeeded,
        Code::PermissionDenied | Code::Unauthenticated => AuditResult::Denied,
        _ => AuditResult::Failed,
    };
    AuditOutcome {
        result: result.into(),
        code: code(status.code()).to_owned(),
        reason: match status.code() {
            Code::Ok => String::new(),
            _ => runtime::status::parse(status).reason.unwrap_or_default(),
        },
        time: Some(timestamp(now)),
    }
}

/// The name of a code, as the specification of gRPC has it.
pub(super) fn code(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// The address that the request came from that is being answered.
pub(super) fn answered() -> Option<IpAddr> {
    PEER.try_with(|peer| *peer).ok().flatten()
}

/// The address of the other end of the connection, where it is one.
pub(super) fn source(from: &Extensions) -> Option<IpAddr> {
    let plain = from.get::<TcpConnectInfo>();
    let tls = from.get::<TlsConnectInfo<TcpConnectInfo>>();
    let address = plain
        .or_else(|| tls.map(TlsConnectInfo::get_ref))
        .and_then(TcpConnectInfo::remote_addr)?;
    Some(address.ip().to_canonical())
}
