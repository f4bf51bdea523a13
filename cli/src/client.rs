//! The connection to the gateway.
//!
//! Owns what every call carries: bearer token, request id, deadline, message
//! limits. It never retries a call that changes something.

use std::path::Path;
use std::time::Duration;

use proto::v1::audit_service_client::AuditServiceClient;
use proto::v1::diff_service_client::DiffServiceClient;
use proto::v1::grant_service_client::GrantServiceClient;
use proto::v1::key_service_client::KeyServiceClient;
use proto::v1::lifecycle_service_client::LifecycleServiceClient;
use proto::v1::protection_service_client::ProtectionServiceClient;
use proto::v1::restore_service_client::RestoreServiceClient;
use proto::v1::signal_service_client::SignalServiceClient;
use proto::v1::snapshot_service_client::SnapshotServiceClient;
use proto::v1::store_service_client::StoreServiceClient;
use proto::v1::tenant_service_client::TenantServiceClient;
use runtime::ids::{Ids, SystemIds};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};

use crate::args::Global;
use crate::failure::Failure;

/// How long a unary call may take.
const DEADLINE: Duration = Duration::from_secs(60);
/// How long a connection may take to stand.
const CONNECT: Duration = Duration::from_secs(10);
/// The largest message accepted; what every service accepts.
const LARGEST: usize = runtime::MAX_MESSAGE_SIZE;
/// How many items a page asks for; below what the server allows, so that a page
/// of large objects stays a message of moderate size.
pub(crate) const PAGE: i32 = 500;

/// A connection to one gateway as one caller.
pub(crate) struct Client {
    channel: Channel,
    authorization: MetadataValue<Ascii>,
    ids: SystemIds,
}

impl Client {
    /// Reads the token and connects.
    ///
    /// # Errors
    /// [`Failure`] where there is no usable token or no gateway.
    pub(crate) async fn connect(global: &Global) -> Result<Self, Failure> {
        if global.gateway.starts_with("https:") {
            return Err(Failure::Usage {
                message: "this version calls gateways over http:// only".to_owned(),
                hint: Some(
                    "forward a port, so that the token does not cross a network in the clear",
                ),
            });
        }
        let Some(path) = &global.token_file else {
            return Err(Failure::Usage {
                message: "no token file is named".to_owned(),
                hint: Some(
                    "pass --token-file or set REWIND_TOKEN_FILE; `rewind up` writes one to DIR/operator.token",
                ),
            });
        };
        let authorization = bearer(path)?;
        let unreachable = |error: &tonic::transport::Error| Failure::Unreachable {
            gateway: global.gateway.clone(),
            cause: innermost(error),
        };
        let endpoint = Endpoint::from_shared(global.gateway.clone())
            .map_err(|error| unreachable(&error))?
            .user_agent(concat!("rewind/", env!("CARGO_PKG_VERSION")))
            .map_err(|error| unreachable(&error))?
            .connect_timeout(CONNECT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(Duration::from_secs(30))
            .keep_alive_timeout(Duration::from_secs(20));
        let channel = endpoint
            .connect()
            .await
            .map_err(|error| unreachable(&error))?;
        Ok(Self {
            channel,
            authorization,
            ids: SystemIds,
        })
    }

    /// A fresh id that makes a repeated call harmless.
    pub(crate) fn request_id(&self) -> String {
        self.ids.uuid().to_string()
    }

    /// A request that must be answered within the usual deadline.
    pub(crate) fn unary<T>(&self, message: T) -> Request<T> {
        let mut request = self.stream(message);
        request.set_timeout(DEADLINE);
        request
    }

    /// A request whose answer goes on until the work ends.
    pub(crate) fn stream<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let metadata = request.metadata_mut();
        metadata.insert("authorization", self.authorization.clone());
        let id = self
            .request_id()
            .parse()
            .expect("invariant: a GUID is plain ASCII");
        metadata.insert("x-request-id", id);
        request
    }

    /// The tenants.
    pub(crate) fn tenants(&self) -> TenantServiceClient<Channel> {
        TenantServiceClient::new(self.channel.clone()).max_decoding_message_size(LARGEST)
    }

    /// The life of tenants, and what is guarded of it.
    pub(crate) fn lifecycle(&self) -> LifecycleServiceClient<Channel> {
        LifecycleServiceClient::new(self.channel.clone()).max_decoding_message_size(LARGEST)
    }

    /// The snapshots.
    pub(crate) fn snapshots(&self) -> SnapshotServiceClient<Channel> {
        SnapshotServiceClient::new(self.channel.clone()).max_decoding_message_size(LARGEST)
    }

    /// The object store.
    pub(crate) fn store(&self) -> StoreServiceClient<Channel> {
        StoreServiceClient::new(self.channel.clone()).max_decoding_message_size(LARGEST)
    }

    /// The grants.
    pub(crate) fn grants(&self) -> GrantServiceClient<Channel> {
        GrantServiceClient::new(self.channel.clone()).max_decoding_message_size(LARGEST)
    }

    /// The reports.
    pub(crate) fn diffs(&self) -> DiffServiceClient<Channel> {
        DiffServiceClient::new(self.channel.clone()).max_decoding_message_size(LARGEST)
    }

    /// The keys.
    pub(crate) fn keys(&self) -> KeyServiceClient<Channel> {
        KeyServiceClient::new(self.channel.clone()).max_decoding_message_size(LARGEST)
    }

    /// The signals.
    pub(crate) fn signals(&self) -> SignalServiceClient<Channel> {
        SignalServiceClient::new(self.channel.clone()).max_decoding_message_size(LARGEST)
    }

    /// The audit.
    pub(crate) fn audit(&self) -> AuditServiceClient<Channel> {
        AuditServiceClient::new(self.channel.clone()).max_decoding_message_size(LARGEST)
    }

    /// The protection against hard deletion.
    pub(crate) fn protection(&self) -> ProtectionServiceClient<Channel> {
        ProtectionServiceClient::new(self.channel.clone()).max_decoding_message_size(LARGEST)
    }

    /// The plans and restores.
    pub(crate) fn restores(&self) -> RestoreServiceClient<Channel> {
        RestoreServiceClient::new(self.channel.clone()).max_decoding_message_size(LARGEST)
    }
}

/// Reads every page of a list and joins them.
///
/// `fetch` takes a page token and answers the items and the next token.
///
/// # Errors
/// The first failure of `fetch`, or [`Failure::Answer`] where the pages turn in
/// a circle.
pub(crate) async fn all_pages<T, F, Page>(mut fetch: F) -> Result<Vec<T>, Failure>
where
    F: FnMut(String) -> Page,
    Page: Future<Output = Result<(Vec<T>, String), Failure>>,
{
    let mut all = Vec::new();
    let mut token = String::new();
    loop {
        let (items, next) = fetch(token.clone()).await?;
        all.extend(items);
        if next.is_empty() {
            return Ok(all);
        }
        if next == token {
            return Err(Failure::Answer("a list never ends"));
        }
        token = next;
    }
}

/// The message of an answer, whose one field must be there.
///
/// # Errors
/// The call's failure, or [`Failure::Answer`] where the field is absent.
pub(crate) fn required<R, T>(
    answer: Result<Response<R>, Status>,
    field: impl FnOnce(R) -> Option<T>,
) -> Result<T, Failure> {
    field(answer?.into_inner()).ok_or(Failure::Answer("it names no resource"))
}

fn bearer(path: &Path) -> Result<MetadataValue<Ascii>, Failure> {
    let unusable = |cause: String| Failure::Token {
        path: path.display().to_string(),
        cause,
    };
    let token = std::fs::read_to_string(path).map_err(|error| unusable(error.to_string()))?;
    let token = token.trim();
    if token.is_empty() {
        return Err(unusable("it is empty".to_owned()));
    }
    let mut value: MetadataValue<Ascii> = format!("Bearer {token}")
        .parse()
        .map_err(|_| unusable("it holds something other than a token".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The cause at the bottom, which says what the operating system said.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}
