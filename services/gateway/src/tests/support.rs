//! A gateway in this process, with a small service behind it.

use crate::{App, Backends, Caller, Config, Deps, Limits, Peers, Tenants, Token, Tokens};
use crate::{Applications, ConsoleConfig};
use bytes::{BufMut, Bytes, BytesMut};
use chrono::{TimeZone, Utc};
use http::Request;
use http_body_util::{BodyExt, Full};
use model::TenantId;
use proto::v1::access_check_service_server::{AccessCheckService, AccessCheckServiceServer};
use proto::v1::guarded_change_service_server::{GuardedChangeService, GuardedChangeServiceServer};
use proto::v1::snapshot_service_server::{SnapshotService, SnapshotServiceServer};
use proto::v1::*;
use runtime::config::{Common, GraphLimits};
use runtime::tls::Clients;
use runtime::{ManualClock, Replicas, SeededIds, Server};
use secrecy::SecretString;
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::{Kek, Vault};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::body::Body;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::service::Routes;
use tonic::transport::Channel;
use tonic::{Code, Response, Status};
use tonic_types::{ErrorDetails, StatusExt};
use tower::ServiceExt;

pub(super) const A: &str = "0a1b2c3d-0000-4000-8000-00000000000a";
pub(super) const B: &str = "0a1b2c3d-0000-4000-8000-00000000000b";
pub(super) const UNKNOWN: &str = "0a1b2c3d-0000-4000-8000-00000000000f";

/// May do everything everywhere.
pub(super) const OPERATOR: &str = "operator-0123456789";
/// Has every role, for tenant A alone.
pub(super) const OWNER_A: &str = "owner-a-0123456789";
/// Has every role, for tenant B alone.
pub(super) const OWNER_B: &str = "owner-b-0123456789";
/// May read of tenant A, and nothing else.
pub(super) const READER_A: &str = "reader-a-0123456789";
/// The certificate of a program that has every role, for tenant A alone.
const CERTIFICATE: &str = "uri:spiffe://contoso/a";
/// May read everything everywhere, and nothing else.
pub(super) const READER: &str = "reader-0123456789";
/// Has no role at all.
pub(super) const NOBODY: &str = "nobody-0123456789";

/// What the service behind saw and shall say.
#[derive(Debug, Default)]
pub(super) struct Fake {
    pub(super) seen: Mutex<Vec<MetadataMap>>,
    pub(super) checks: Mutex<VecDeque<Result<Vec<CheckItem>, Status>>>,
    /// The requests for snapshots that came through.
    pub(super) taken: Mutex<Vec<TakeSnapshotRequest>>,
    /// Who asked for what that protects less.
    pub(super) proposed: Mutex<Vec<(String, ProposeChangeRequest)>>,
    /// How often the restorer was connected to.
    pub(super) tried: AtomicUsize,
}

fn fault() -> Status {
    let details = ErrorDetails::with_error_info("PLAN_STALE", "rewind", HashMap::new());
    let mut metadata = MetadataMap::new();
    metadata.insert("x-trailer", MetadataValue::from_static("kept"));
    Status::with_error_details_and_metadata(
        Code::FailedPrecondition,
        "the plan is stale",
        details,
        metadata,
    )
}

#[derive(Clone)]
struct Service(Arc<Fake>);

#[tonic::async_trait]
impl SnapshotService for Service {
    async fn take_snapshot(
        &self,
        request: tonic::Request<TakeSnapshotRequest>,
    ) -> Result<Response<TakeSnapshotResponse>, Status> {
        let request = request.into_inner();
        let id = request.request_id.clone();
        self.0.taken.lock().expect("unpoisoned").push(request);
        match id.as_str() {
            "hangs" => std::future::pending::<()>().await,
            "fails" => return Err(fault()),
            _ => {}
        }
        Ok(Response::new(TakeSnapshotResponse::default()))
    }

    async fn get_snapshot(
        &self,
        request: tonic::Request<GetSnapshotRequest>,
    ) -> Result<Response<GetSnapshotResponse>, Status> {
        self.0
            .seen
            .lock()
            .expect("unpoisoned")
            .push(request.metadata().clone());
        let name = request.into_inner().name;
        if name.ends_with("/slow") {
            std::future::pending::<()>().await;
        }
        if name.ends_with("/fails") {
            return Err(fault());
        }
        let mut response = Response::new(GetSnapshotResponse {
            snapshot: Some(Snapshot {
                name,
                ..Snapshot::default()
            }),
        });
        response
            .metadata_mut()
            .insert("x-header", MetadataValue::from_static("kept"));
        Ok(response)
    }

    async fn hold_snapshot(
        &self,
        _: tonic::Request<HoldSnapshotRequest>,
    ) -> Result<Response<HoldSnapshotResponse>, Status> {
        Ok(Response::new(HoldSnapshotResponse::default()))
    }

    async fn lift_hold(
        &self,
        _: tonic::Request<LiftHoldRequest>,
    ) -> Result<Response<LiftHoldResponse>, Status> {
        Ok(Response::new(LiftHoldResponse::default()))
    }

    async fn verify_snapshots(
        &self,
        _: tonic::Request<VerifySnapshotsRequest>,
    ) -> Result<Response<VerifySnapshotsResponse>, Status> {
        Ok(Response::new(VerifySnapshotsResponse::default()))
    }

    async fn repair_snapshots(
        &self,
        _: tonic::Request<RepairSnapshotsRequest>,
    ) -> Result<Response<RepairSnapshotsResponse>, Status> {
        Ok(Response::new(RepairSnapshotsResponse::default()))
    }

    type WatchSnapshotStream =
        Pin<Box<dyn futures::Stream<Item = Result<WatchSnapshotResponse, Status>> + Send>>;

    async fn watch_snapshot(
        &self,
        request: tonic::Request<WatchSnapshotRequest>,
    ) -> Result<Response<Self::WatchSnapshotStream>, Status> {
        let fails = request.into_inner().name.ends_with("/fails");
        let value = |n| {
            Ok(WatchSnapshotResponse {
                read_count: n,
                ..WatchSnapshotResponse::default()
            })
        };
        let mut items = vec![value(1), value(2), value(3)];
        items.extend(fails.then(|| Err(fault())));
        Ok(Response::new(Box::pin(futures::stream::iter(items))))
    }

    async fn search_snapshot(
        &self,
        _: tonic::Request<SearchSnapshotRequest>,
    ) -> Result<Response<SearchSnapshotResponse>, Status> {
        Ok(Response::new(SearchSnapshotResponse::default()))
    }

    async fn get_snapshot_object(
        &self,
        _: tonic::Request<GetSnapshotObjectRequest>,
    ) -> Result<Response<GetSnapshotObjectResponse>, Status> {
        Ok(Response::new(GetSnapshotObjectResponse::default()))
    }

    type ReadSnapshotStream =
        Pin<Box<dyn futures::Stream<Item = Result<ReadSnapshotResponse, Status>> + Send>>;

    async fn read_snapshot(
        &self,
        _: tonic::Request<ReadSnapshotRequest>,
    ) -> Result<Response<Self::ReadSnapshotStream>, Status> {
        Ok(Response::new(Box::pin(futures::stream::empty())))
    }

    type CopySnapshotsStream =
        Pin<Box<dyn futures::Stream<Item = Result<CopySnapshotsResponse, Status>> + Send>>;

    async fn copy_snapshots(
        &self,
        _: tonic::Request<CopySnapshotsRequest>,
    ) -> Result<Response<Self::CopySnapshotsStream>, Status> {
        Ok(Response::new(Box::pin(futures::stream::empty())))
    }

    async fn list_snapshots(
        &self,
        _: tonic::Request<ListSnapshotsRequest>,
    ) -> Result<Response<ListSnapshotsResponse>, Status> {
        // More than tonic's usual limit, to show that the gateway has none.
        let snapshot = Snapshot {
            trigger: "x".repeat(6 * 1024 * 1024),
            ..Snapshot::default()
        };
        Ok(Response::new(ListSnapshotsResponse {
            snapshots: vec![snapshot],
            ..ListSnapshotsResponse::default()
        }))
    }
}

#[tonic::async_trait]
impl AccessCheckService for Service {
    async fn check_access(
        &self,
        request: tonic::Request<CheckAccessRequest>,
    ) -> Result<Response<CheckAccessResponse>, Status> {
        self.0
            .seen
            .lock()
            .expect("unpoisoned")
            .push(request.metadata().clone());
        let next = self.0.checks.lock().expect("unpoisoned").pop_front();
        next.expect("a scripted answer")
            .map(|items| Response::new(CheckAccessResponse { items }))
    }
}

#[tonic::async_trait]
impl GuardedChangeService for Service {
    async fn propose_change(
        &self,
        request: tonic::Request<ProposeChangeRequest>,
    ) -> Result<Response<ProposeChangeResponse>, Status> {
        let author = runtime::caller::of(&request).unwrap_or_default();
        let request = request.into_inner();
        let change = GuardedChange {
            name: format!("{}/changes/1", request.parent),
            author: author.clone(),
            settings: request.settings.clone(),
            ..GuardedChange::default()
        };
        let mut proposed = self.0.proposed.lock().expect("unpoisoned");
        proposed.push((author, request));
        Ok(Response::new(ProposeChangeResponse {
            change: Some(change),
        }))
    }
}

/// A gateway that serves until this is dropped. The restorer behind it is out of
/// reach, and so is the differ unless there is one.
pub(super) struct Sandbox {
    pub(super) vault: Vault,
    pub(super) fake: Arc<Fake>,
    pub(super) channel: Channel,
    pub(super) address: SocketAddr,
    stop: DropGuard,
    running: JoinHandle<()>,
}

impl Sandbox {
    /// Stops the gateway, and waits until it has stopped.
    pub(super) async fn end(self) {
        drop(self.stop);
        self.running.await.expect("it ends by itself");
    }
}

/// Refuses custom hosts.
pub(super) async fn sandbox() -> Sandbox {
    sandbox_with(false).await
}

pub(super) async fn sandbox_with(custom_clouds: bool) -> Sandbox {
    sandbox_of(custom_clouds, Applications::default()).await
}

/// With applications of the installation.
pub(super) async fn sandbox_of(custom_clouds: bool, installed: Applications) -> Sandbox {
    sandbox_before(nowhere().into(), custom_clouds, installed).await
}

/// With a differ behind it.
pub(super) async fn sandbox_before_differ(differ: Replicas) -> Sandbox {
    sandbox_before(differ, false, Applications::default()).await
}

fn nowhere() -> Channel {
    runtime::connect("http://127.0.0.1:1", None).expect("lazy")
}

/// With other settings.
pub(super) async fn sandbox_configured(change: impl FnOnce(&mut Config)) -> Sandbox {
    let mut config = config(false, Applications::default());
    change(&mut config);
    sandbox_by(nowhere().into(), &config).await
}

async fn sandbox_before(differ: Replicas, custom_clouds: bool, installed: Applications) -> Sandbox {
    sandbox_by(differ, &config(custom_clouds, installed)).await
}

async fn sandbox_by(differ: Replicas, config: &Config) -> Sandbox {
    let vault =
        Vault::open("memory:///", &|_| None, Arc::new(Kek::from_bytes([7; 32]))).expect("memory");
    sandbox_over(vault, 1, differ, config).await
}

/// Over a vault that others may use too; the seed is what they differ by.
pub(super) async fn sandbox_on(vault: Vault, seed: u64) -> Sandbox {
    let config = config(false, Applications::default());
    sandbox_over(vault, seed, nowhere().into(), &config).await
}

async fn sandbox_over(vault: Vault, seed: u64, differ: Replicas, config: &Config) -> Sandbox {
    let stop = CancellationToken::new();
    let fake = Arc::new(Fake::default());
    let behind = behind(&fake, &stop).await;
    let backends = Backends {
        snapshotter: behind.into(),
        differ,
        restorer: hanging_up(&fake).await.into(),
    };
    let deps = Deps {
        vault: vault.clone(),
        clock: Arc::new(ManualClock::new(
            Utc.with_ymd_and_hms(2026, 11, 23, 8, 0, 0).unwrap(),
        )),
        ids: Arc::new(SeededIds::new(seed)),
        backends,
        tokens: tokens(),
    };
    let (listener, _) = listener().await;
    let app = App::build(config, deps, listener).expect("built");
    let address = app.address();
    let channel = runtime::connect(&format!("http://{address}"), None).expect("an address");
    let serving = app.run(stop.clone());
    let running = tokio::spawn(async move { serving.await.expect("it serves") });
    Sandbox {
        vault,
        fake,
        channel,
        address,
        stop: stop.drop_guard(),
        running,
    }
}

/// A service that closes every connection without a word.
async fn hanging_up(fake: &Arc<Fake>) -> Channel {
    let (listener, address) = listener().await;
    let fake = Arc::clone(fake);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            fake.tried.fetch_add(1, Ordering::SeqCst);
            drop(stream);
        }
    });
    runtime::connect(&format!("http://{address}"), None).expect("an address")
}

async fn behind(fake: &Arc<Fake>, stop: &CancellationToken) -> Channel {
    let (listener, address) = listener().await;
    let service = Service(Arc::clone(fake));
    let routes = Routes::new(SnapshotServiceServer::new(service.clone()))
        .add_service(GuardedChangeServiceServer::new(service.clone()))
        .add_service(AccessCheckServiceServer::new(service));
    tokio::spawn(
        Server::new(routes, &[])
            .grace(Duration::ZERO)
            .run(listener, stop.clone()),
    );
    runtime::connect(&format!("http://{address}"), None).expect("an address")
}

pub(super) async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    (listener, address)
}

pub(super) fn config(custom_clouds: bool, installed: Applications) -> Config {
    let common = Common {
        health_listen: None,
        listen: ([127, 0, 0, 1], 0).into(),
        store_url: "memory:///".to_owned(),
        keys_url: None,
        key_file: None,
        old_key_file: None,
        key_vault_key: None,
        old_key_vault_key: None,
        caller_key_file: None,
        tls: None,
        custom_clouds,
        graph_limits: GraphLimits::Documented,
        replicas: 1,
        credentials_dir: None,
        grace: Duration::ZERO,
    };
    let peers = Peers {
        snapshotter: String::new(),
        differ: String::new(),
        restorer: String::new(),
        tls: None,
    };
    Config {
        common,
        peers,
        installed,
        development_token_file: None,
        tokens_file: None,
        issuer: None,
        roles_file: None,
        clients: Clients::Certified,
        limits: Limits::default(),
        metrics: None,
        console: ConsoleConfig::default(),
    }
}

pub(super) fn tokens() -> Tokens {
    let all = [
        Role::Reader,
        Role::Administrator,
        Role::Approver,
        Role::Operator,
    ];
    let only = |id| Tenants::Only([TenantId::parse(id).expect("valid")].into());
    let ci = Caller::new("ci".to_owned(), all.into(), only(A));
    let token = |text: &str, roles: &[Role], tenants| Token {
        token: SecretString::from(text),
        name: text.split('-').next().unwrap_or_default().to_owned(),
        roles: roles.iter().copied().collect(),
        tenants,
    };
    Tokens::new(vec![
        token(OPERATOR, &all, Tenants::All),
        token(OWNER_A, &all, only(A)),
        token(OWNER_B, &all, only(B)),
        token(READER_A, &[Role::Reader], only(A)),
        token(READER, &[Role::Reader], Tenants::All),
        token(NOBODY, &[], Tenants::All),
    ])
    .and_then(|tokens| tokens.and(&Tokens::by_certificate(CERTIFICATE.to_owned(), ci)?))
    .expect("fit")
}

/// A request of generated code with a token.
pub(super) fn with<T>(token: &str, message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.metadata_mut().insert(
        "authorization",
        format!("Bearer {token}").parse().expect("fit"),
    );
    request
}

/// A message as it travels.
pub(super) fn framed(message: &[u8]) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_u8(0);
    bytes.put_u32(u32::try_from(message.len()).expect("small"));
    bytes.put_slice(message);
    bytes.freeze()
}

/// A call without generated code: the body as given, and all that comes back.
pub(super) async fn call(
    sandbox: &Sandbox,
    path: &str,
    token: Option<&str>,
    body: Bytes,
) -> Answer {
    let mut request = Request::post(path)
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let request = request.body(Body::new(Full::new(body))).expect("valid");
    let response = sandbox
        .channel
        .clone()
        .oneshot(request)
        .await
        .expect("answered");
    let (parts, body) = response.into_parts();
    let collected = body.collect().await.expect("whole");
    let trailers = collected.trailers().cloned().unwrap_or_default();
    let status =
        Status::from_header_map(&parts.headers).or_else(|| Status::from_header_map(&trailers));
    Answer {
        status: status.expect("a status"),
        body: collected.to_bytes(),
    }
}

pub(super) struct Answer {
    pub(super) status: Status,
    pub(super) body: Bytes,
}

/// A registration that fits.
pub(super) fn tenant(id: &str) -> Tenant {
    Tenant {
        id: id.to_owned(),
        display_name: "Contoso".to_owned(),
        cloud: "global".to_owned(),
        reader: Some(AppCredential {
            client_id: "0a1b2c3d-0000-4000-8000-0000000000c1".to_owned(),
            secret_ref: "env:REWIND_CREDENTIAL_READER_CONTOSO".to_owned(),
            ..Default::default()
        }),
        writer: Some(AppCredential {
            client_id: "0a1b2c3d-0000-4000-8000-0000000000c2".to_owned(),
            secret_ref: "file:contoso/writer".to_owned(),
            ..Default::default()
        }),
        break_glass_ids: vec!["0a1b2c3d-0000-4000-8000-0000000000e1".to_owned()],
        ..Tenant::default()
    }
}
