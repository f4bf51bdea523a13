//! A practice tenant and the services over it, in one process and one time: what restores
//! are tried and measured with.
//!
//! Each service has connections and quotas of its own, as a process has. It must never hide
//! what a service answered: calls return what was said.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use graph::{Connections, Credential, Endpoint, GraphReader, GraphWriter, Limits, Role, Settings};
use model::{ObjectId, SnapshotId, TenantId};
use proto::v1::protection_service_client::ProtectionServiceClient;
use proto::v1::restore_service_client::RestoreServiceClient;
use proto::v1::snapshot_service_client::SnapshotServiceClient;
use proto::v1::*;
use runtime::{Clock, Ids, SeededIds};
use simulator::{Clock as SimulatorClock, ServerHandle, Simulator, TenantHandle, TenantSpec};
use store::object_store::ObjectStore;
use store::object_store::memory::InMemory;
use store::{Kek, Manifest, TenantVault, Vault};
use testkit::store::{Storm, StormStore};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::Status;
use tonic::transport::Channel;

use crate::mortal::{Life, Mortal};

/// The tenant.
pub(crate) const TENANT: &str = "0a1b2c3d-0000-4000-8000-00000000beef";

/// The wall time: a day, from which it moves with tokio's.
#[derive(Debug)]
struct Wall {
    start: DateTime<Utc>,
    started: Instant,
}

impl Clock for Wall {
    fn now(&self) -> DateTime<Utc> {
        self.start + self.started.elapsed()
    }
}

/// Everything.
pub(crate) struct House {
    pub(crate) simulator: Simulator,
    pub(crate) tenant: TenantHandle,
    server: ServerHandle,
    storm: Storm,
    pub(crate) vault: TenantVault,
    vaults: Vault,
    wall: Arc<Wall>,
    ids: Arc<SeededIds>,
    limits: Limits,
    settings: BTreeMap<String, String>,
    differ: Channel,
    snapshotter: SnapshotServiceClient<Channel>,
    processes: u64,
    _stop: DropGuard,
}

/// A restorer of its own, which may be killed.
pub(crate) struct Restorer {
    client: RestoreServiceClient<Channel>,
    protection: ProtectionServiceClient<Channel>,
    /// Of it and of what it is asked to write.
    pub(crate) life: Arc<Life>,
    store: Arc<StormStore>,
    _stop: DropGuard,
}

fn tenant_id() -> TenantId {
    TenantId::parse(TENANT).expect("a tenant")
}

fn parent() -> String {
    proto::name::tenant(&tenant_id())
}

async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.expect("a port")
}

fn channel(address: std::net::SocketAddr) -> Channel {
    runtime::connect(&format!("http://{address}"), None).expect("an address")
}

impl House {
    /// A simulator with an empty tenant, which is registered, and the services that read.
    pub(crate) async fn new(seed: u64, limits: Limits) -> Self {
        let start = DateTime::from_timestamp(1_790_000_000, 0).expect("a date in range");
        let simulator = Simulator::with_clock(SimulatorClock::tokio(start));
        let tenant = simulator.add_tenant(TenantSpec::practice(TENANT));
        let server = simulator.serve(listener().await).await;
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let storm = Storm::new(Arc::clone(&store), seed);
        let vaults = Vault::new(store, Arc::new(Kek::from_bytes([7; 32])));
        let record = testkit::store::record(&tenant_id());
        vaults.create_tenant(&record).await.expect("room");
        let vault = vaults.tenant(&tenant_id()).await.expect("registered");
        let settings = [
            ("REWIND_STORE_URL", "memory:///"),
            ("REWIND_SCHEDULE", "off"),
            ("REWIND_DIFFER_URL", "http://127.0.0.1:1"),
        ];
        let settings: BTreeMap<String, String> = settings
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
        let wall = Arc::new(Wall {
            start,
            started: Instant::now(),
        });
        let ids = Arc::new(SeededIds::new(seed));
        let stop = CancellationToken::new();
        let read = runtime::config::Settings::load(&settings).expect("settings");

        let directory: Arc<dyn graph::Directory> =
            Arc::new(reader(&server, &wall, &ids, limits, Role::Differ));
        let deps = differ::Deps {
            vault: vaults.clone(),
            clock: Arc::clone(&wall) as Arc<dyn Clock>,
            ids: Arc::clone(&ids) as Arc<dyn Ids>,
            connect: Arc::new(move |_| Ok(Arc::clone(&directory))),
        };
        let config = differ::Config::read(&read).expect("settings");
        let app = differ::App::build(&config, deps, listener().await).expect("a differ");
        let differ = channel(app.address());
        tokio::spawn(app.run(stop.clone()));

        let directory: Arc<dyn graph::Directory> =
            Arc::new(reader(&server, &wall, &ids, limits, Role::Collector));
        let deps = snapshotter::Deps {
            copies: None,
            differ: None,
            vault: vaults.clone(),
            clock: Arc::clone(&wall) as Arc<dyn Clock>,
            ids: Arc::clone(&ids) as Arc<dyn Ids>,
            connect: Arc::new(move |_| Ok(Arc::clone(&directory))),
        };
        let config = snapshotter::Config::read(&read).expect("settings");
        let app = snapshotter::App::build(&config, deps, listener().await).expect("a snapshotter");
        let snapshotter = SnapshotServiceClient::new(channel(app.address()));
        tokio::spawn(app.run(stop.clone()));

        Self {
            simulator,
            tenant,
            server,
            storm,
            vault,
            vaults,
            wall,
            ids,
            limits,
            settings,
            differ,
            snapshotter,
            processes: 0,
            _stop: stop.drop_guard(),
        }
    }

    /// Names the accounts that must always get in.
    pub(crate) async fn spare(&self, accounts: Vec<ObjectId>) {
        let record = self.vaults.tenant_record(&tenant_id()).await.expect("room");
        let mut record = record.expect("it is registered");
        record.value.break_glass = accounts;
        self.vaults.update_tenant(&record).await.expect("room");
    }

    /// The next restorer, as if on another machine.
    pub(crate) async fn restorer(&mut self, life: Life) -> Restorer {
        self.processes += 1;
        let store = self.storm.process(self.processes);
        let vault = Vault::new(
            Arc::clone(&store) as Arc<dyn ObjectStore>,
            Arc::new(Kek::from_bytes([7; 32])),
        );
        let life = Arc::new(life);
        let client_id = simulator::WRITER_CLIENT_ID;
        let settings = Settings {
            in_flight: 16,
            ..talk(&self.wall, &self.ids, self.limits, Role::Restorer)
        };
        let secret = Credential::secret(simulator::WRITER_SECRET.into());
        let writer = GraphWriter::new(&endpoint(&self.server, client_id), secret, settings);
        let directory = Arc::new(Mortal::new(writer, Arc::clone(&life)));
        let deps = restorer::Deps {
            vault,
            clock: Arc::clone(&self.wall) as Arc<dyn Clock>,
            ids: Arc::clone(&self.ids) as Arc<dyn Ids>,
            connect: Arc::new(move |_| {
                Ok(Arc::clone(&directory) as Arc<dyn graph::DirectoryWriter>)
            }),
            differ: self.differ.clone().into(),
        };
        let read = runtime::config::Settings::load(&self.settings).expect("settings");
        let config = restorer::Config::read(&read).expect("settings");
        let app = restorer::App::build(&config, deps, listener().await).expect("a restorer");
        let channel = channel(app.address());
        let stop = CancellationToken::new();
        tokio::spawn(app.run(stop.clone()));
        Restorer {
            protection: ProtectionServiceClient::new(channel.clone()),
            client: RestoreServiceClient::new(channel)
                .max_decoding_message_size(runtime::MAX_MESSAGE_SIZE),
            life,
            store,
            _stop: stop.drop_guard(),
        }
    }

    /// Takes a snapshot and waits for it.
    pub(crate) async fn snapshot(&self) -> Result<Manifest, Status> {
        let request = TakeSnapshotRequest {
            parent: parent(),
            request_id: self.ids.uuid().to_string(),
        };
        let mut client = self.snapshotter.clone();
        let started = client.take_snapshot(request).await?.into_inner();
        let name = started.snapshot.unwrap_or_default().name;
        let watch = WatchSnapshotRequest { name: name.clone() };
        let watch = client.watch_snapshot(watch).await?.into_inner();
        let _: Vec<_> = watch.try_collect().await?;
        let id = name.rsplit('/').next().unwrap_or_default();
        let id = SnapshotId::parse(id).expect("a snapshot has an id");
        Ok(self.vault.manifest(&id).await.expect("it was taken"))
    }

    /// A name for a request that is no repetition.
    pub(crate) fn request_id(&self) -> String {
        self.ids.uuid().to_string()
    }
}

fn endpoint(server: &ServerHandle, client_id: &str) -> Endpoint {
    let url = |path: &str| format!("{}{path}", server.url()).parse().expect("a url");
    Endpoint {
        graph_url: url("/v1.0"),
        login_url: url(""),
        tenant: tenant_id(),
        client_id: client_id.to_owned(),
    }
}

/// How a process of a role talks to Graph.
fn talk(wall: &Arc<Wall>, ids: &Arc<SeededIds>, limits: Limits, role: Role) -> Settings {
    let (clock, ids) = (Arc::clone(wall), Arc::clone(ids));
    let ids: graph::Ids = Arc::new(move || ids.uuid());
    let now: graph::Now = Arc::new(move || clock.now());
    let connections = Connections::new().expect("connections");
    Settings {
        role,
        limits,
        ..Settings::new(connections, ids, now)
    }
}

fn reader(
    server: &ServerHandle,
    wall: &Arc<Wall>,
    ids: &Arc<SeededIds>,
    limits: Limits,
    role: Role,
) -> GraphReader {
    let secret = Credential::secret(simulator::READER_SECRET.into());
    let endpoint = endpoint(server, simulator::READER_CLIENT_ID);
    GraphReader::new(&endpoint, secret, talk(wall, ids, limits, role))
}

impl Restorer {
    /// Makes a plan that goes back to a snapshot in everything.
    pub(crate) async fn plan(&self, base: &Manifest, request_id: String) -> Result<Plan, Status> {
        let options = PlanOptions {
            added: AddedPolicy::SoftDelete as i32,
            relationships: RelationshipMode::Rollback as i32,
            ..PlanOptions::default()
        };
        let request = CreatePlanRequest {
            parent: parent(),
            snapshot: proto::name::snapshot(&tenant_id(), base.id()),
            options: Some(options),
            request_id,
            ..CreatePlanRequest::default()
        };
        let started = self.client.clone().create_plan(request).await?;
        self.made(started.into_inner().plan).await
    }

    /// Makes a plan that guards the tenant.
    pub(crate) async fn protect(&self, rule: &str, request_id: String) -> Result<Plan, Status> {
        let request = PlanProtectionRequest {
            parent: parent(),
            choices: Some(ProtectionChoices {
                device_filter: rule.to_owned(),
                ..ProtectionChoices::default()
            }),
            request_id,
            ..PlanProtectionRequest::default()
        };
        let started = self.protection.clone().plan_protection(request).await?;
        self.made(started.into_inner().plan).await
    }

    async fn made(&self, started: Option<Plan>) -> Result<Plan, Status> {
        let mut client = self.client.clone();
        let name = started.unwrap_or_default().name;
        let watch = client.watch_plan(WatchPlanRequest { name }).await?;
        let messages: Vec<_> = watch.into_inner().try_collect().await?;
        let last = messages.into_iter().next_back();
        Ok(last.and_then(|message| message.plan).unwrap_or_default())
    }

    /// What a plan does.
    pub(crate) async fn steps(&self, plan: &Plan) -> Result<Vec<PlanStep>, Status> {
        let (mut steps, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = ListPlanStepsRequest {
                parent: plan.name.clone(),
                page_size: 1000,
                page_token,
            };
            let page = self.client.clone().list_plan_steps(request).await?;
            let page = page.into_inner();
            steps.extend(page.steps);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(steps);
            }
        }
    }

    /// What it leaves out.
    pub(crate) async fn exclusions(&self, plan: &Plan) -> Result<Vec<Exclusion>, Status> {
        let (mut exclusions, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = ListPlanExclusionsRequest {
                parent: plan.name.clone(),
                page_size: 1000,
                page_token,
            };
            let page = self.client.clone().list_plan_exclusions(request).await?;
            let page = page.into_inner();
            exclusions.extend(page.exclusions);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(exclusions);
            }
        }
    }

    /// Applies a plan, or goes on with it, and waits for the end; `None` where the restorer
    /// is killed meanwhile.
    pub(crate) async fn apply(&self, plan: &Plan) -> Option<Result<Restore, Status>> {
        tokio::select! {
            outcome = self.applied(plan) => Some(outcome),
            () = self.life.ended() => {
                self.store.sever_after(0);
                None
            }
        }
    }

    async fn applied(&self, plan: &Plan) -> Result<Restore, Status> {
        let request = ApplyPlanRequest {
            name: plan.name.clone(),
            request_id: String::new(),
        };
        let mut client = self.client.clone();
        let started = client.apply_plan(request).await?.into_inner();
        let name = started.restore.unwrap_or_default().name;
        let watch = client.watch_restore(WatchRestoreRequest { name }).await?;
        let messages: Vec<_> = watch.into_inner().try_collect().await?;
        let last = messages.into_iter().next_back();
        Ok(last.and_then(|message| message.restore).unwrap_or_default())
    }

    /// How the steps of a restore ended that did not succeed.
    pub(crate) async fn troubles(&self, restore: &Restore) -> Result<Vec<Outcome>, Status> {
        let states = [
            OutcomeState::Conflict,
            OutcomeState::Failed,
            OutcomeState::Skipped,
        ];
        let request = ListOutcomesRequest {
            parent: restore.name.clone(),
            page_size: 1000,
            states: states.map(|state| state as i32).to_vec(),
            ..ListOutcomesRequest::default()
        };
        let answer = self.client.clone().list_outcomes(request).await?;
        Ok(answer.into_inner().outcomes)
    }
}
