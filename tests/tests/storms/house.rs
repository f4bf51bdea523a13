//! A tenant, a vault over a store in a storm, and processes that come and go.
//!
//! It must never hide what a process answered: calls return what was said.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Poll;

use chrono::{DateTime, TimeDelta, Utc};
use futures::TryStreamExt;
use graph::{Directory, DirectoryWriter};
use model::licence::AAD_PREMIUM;
use model::retention::Policy;
use model::snapshot::Content;
use model::{Object, ObjectState, ObjectType, TenantId};
use parking_lot::Mutex;
use proto::v1::diff_service_client::DiffServiceClient;
use proto::v1::restore_service_client::RestoreServiceClient;
use proto::v1::snapshot_service_client::SnapshotServiceClient;
use proto::v1::*;
use runtime::config::Settings;
use runtime::{Clock, Ids, SeededIds};
use serde_json::json;
use store::object_store::ObjectStore;
use store::object_store::memory::InMemory;
use store::{Kek, TenantRecord, TenantVault, Vault};
use testkit::directory::FakeDirectory;
use testkit::store::{Storm, StormStore, Weather, content, moment, record, tenant};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::transport::Channel;
use tonic::{Code, Status};

/// The wall time: tokio's, which the flows pause, from a day that they set.
#[derive(Debug)]
pub(crate) struct Wall {
    started: Instant,
    skipped: Mutex<TimeDelta>,
}

impl Wall {
    fn new() -> Self {
        Self {
            started: Instant::now(),
            skipped: Mutex::new(TimeDelta::zero()),
        }
    }

    /// Moves on to the beginning of the next day after a while of rest.
    pub(crate) fn next_day(&self) {
        let passed = self.now() - moment(0);
        let days = passed.num_days() + 1;
        *self.skipped.lock() += TimeDelta::days(days) + TimeDelta::hours(1) - passed;
    }
}

impl Clock for Wall {
    fn now(&self) -> DateTime<Utc> {
        moment(0) + *self.skipped.lock() + self.started.elapsed()
    }
}

/// Everything that a flow needs.
pub(crate) struct House {
    pub(crate) storm: Storm,
    pub(crate) store: Arc<dyn ObjectStore>,
    /// The vault as it is, without the storm.
    pub(crate) vault: TenantVault,
    pub(crate) directory: Arc<FakeDirectory>,
    pub(crate) clock: Arc<Wall>,
    pub(crate) ids: Arc<SeededIds>,
    settings: BTreeMap<String, String>,
    started: Mutex<u64>,
}

/// A process of a service: its door, and the store as it sees it.
pub(crate) struct Process<C> {
    pub(crate) client: C,
    pub(crate) store: Arc<StormStore>,
    channel: Channel,
    _stop: DropGuard,
}

pub(crate) type Snapshotter = Process<SnapshotServiceClient<Channel>>;
pub(crate) type Differ = Process<DiffServiceClient<Channel>>;
pub(crate) type Restorer = Process<RestoreServiceClient<Channel>>;

pub(crate) fn parent() -> String {
    proto::name::tenant(&tenant(1))
}

fn kek() -> Arc<Kek> {
    Arc::new(Kek::from_bytes([7; 32]))
}

/// A small tenant: a few users, a group with them, and a policy.
fn small() -> Content {
    let mut content = content(6);
    let policy = json!({
        "id": "00000004-0000-4000-8000-000000000000", "displayName": "Require MFA", "state": "enabled",
        "conditions": {"clientAppTypes": ["all"], "applications": {"includeApplications": ["All"]},
            "users": {"includeUsers": ["All"]}},
        "grantControls": {"operator": "OR", "builtInControls": ["mfa"]},
    });
    let policy = Object::from_json(
        ObjectType::ConditionalAccessPolicy,
        ObjectState::Live,
        &policy.to_string(),
    );
    content.objects.push(policy.unwrap());
    content.sorted()
}

impl House {
    /// A registered tenant, in a storm.
    pub(crate) async fn new(seed: u64, weather: Weather, retention: Policy) -> Self {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let vaults = Vault::new(Arc::clone(&store), kek());
        let registration = TenantRecord {
            retention,
            ..record(&tenant(1))
        };
        vaults.create_tenant(&registration).await.unwrap();
        let skus = json!({"skuPartNumber": "AAD_PREMIUM", "capabilityStatus": "Enabled",
            "servicePlans": [{"servicePlanId": AAD_PREMIUM, "provisioningStatus": "Success"}]});
        let settings = [
            ("REWIND_STORE_URL", "memory:///"),
            ("REWIND_SCHEDULE", "off"),
            ("REWIND_DIFFER_URL", "http://127.0.0.1:1"),
        ];
        let settings = settings.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let storm = Storm::new(Arc::clone(&store), seed);
        storm.break_out(weather);
        Self {
            storm,
            vault: vaults.tenant(&tenant(1)).await.unwrap(),
            store,
            directory: Arc::new(FakeDirectory::new(small()).with_skus(vec![skus])),
            clock: Arc::new(Wall::new()),
            ids: Arc::new(SeededIds::new(seed)),
            settings: settings.into(),
            started: Mutex::new(0),
        }
    }

    pub(crate) fn tenant(&self) -> &TenantId {
        self.vault.id()
    }

    /// The store and the vault as the next process sees them.
    pub(crate) fn next_process(&self) -> (Arc<StormStore>, Vault) {
        let mut started = self.started.lock();
        *started += 1;
        let store = self.storm.process(*started);
        (Arc::clone(&store), Vault::new(store, kek()))
    }

    fn clock_and_ids(&self) -> (Arc<dyn Clock>, Arc<dyn Ids>) {
        let (clock, ids) = (Arc::clone(&self.clock), Arc::clone(&self.ids));
        (clock as Arc<dyn Clock>, ids as Arc<dyn Ids>)
    }

    pub(crate) async fn snapshotter(&self) -> Snapshotter {
        let (store, vault) = self.next_process();
        let (clock, ids) = self.clock_and_ids();
        let directory = Arc::clone(&self.directory) as Arc<dyn Directory>;
        let deps = snapshotter::Deps {
            copies: None,
            differ: None,
            vault,
            clock,
            ids,
            connect: Arc::new(move |_| Ok(Arc::clone(&directory))),
        };
        let config = snapshotter::Config::read(&Settings::load(&self.settings).unwrap()).unwrap();
        let app = snapshotter::App::build(&config, deps, listener().await).unwrap();
        let (channel, stop) = (channel(app.address()), CancellationToken::new());
        tokio::spawn(app.run(stop.clone()));
        Process {
            client: SnapshotServiceClient::new(channel.clone()),
            store,
            channel,
            _stop: stop.drop_guard(),
        }
    }

    pub(crate) async fn differ(&self) -> Differ {
        let (store, vault) = self.next_process();
        let (clock, ids) = self.clock_and_ids();
        let directory = Arc::clone(&self.directory) as Arc<dyn Directory>;
        let deps = differ::Deps {
            vault,
            clock,
            ids,
            connect: Arc::new(move |_| Ok(Arc::clone(&directory))),
        };
        let config = differ::Config::read(&Settings::load(&self.settings).unwrap()).unwrap();
        let app = differ::App::build(&config, deps, listener().await).unwrap();
        let (channel, stop) = (channel(app.address()), CancellationToken::new());
        tokio::spawn(app.run(stop.clone()));
        Process {
            client: DiffServiceClient::new(channel.clone()),
            store,
            channel,
            _stop: stop.drop_guard(),
        }
    }

    pub(crate) async fn restorer(&self, differ: &Differ) -> Restorer {
        let (store, vault) = self.next_process();
        let (clock, ids) = self.clock_and_ids();
        let directory = Arc::clone(&self.directory) as Arc<dyn DirectoryWriter>;
        let deps = restorer::Deps {
            vault,
            clock,
            ids,
            connect: Arc::new(move |_| Ok(Arc::clone(&directory))),
            differ: differ.channel.clone().into(),
        };
        let config = restorer::Config::read(&Settings::load(&self.settings).unwrap()).unwrap();
        let app = restorer::App::build(&config, deps, listener().await).unwrap();
        let (channel, stop) = (channel(app.address()), CancellationToken::new());
        tokio::spawn(app.run(stop.clone()));
        Process {
            client: RestoreServiceClient::new(channel.clone()),
            store,
            channel,
            _stop: stop.drop_guard(),
        }
    }
}

async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

fn channel(address: std::net::SocketAddr) -> Channel {
    runtime::connect(&format!("http://{address}"), None).unwrap()
}

/// Nothing is damaged in these flows, so whoever says so is wrong.
pub(crate) fn honest(status: Status) -> Status {
    let reason = runtime::status::parse(&status).reason.unwrap_or_default();
    assert!(
        status.code() != Code::DataLoss && reason != "INTERNAL",
        "{reason}: {status:?}"
    );
    status
}

impl Snapshotter {
    /// Takes a snapshot and waits for it.
    pub(crate) async fn take(&self, request_id: &str) -> Result<Snapshot, Status> {
        let request = TakeSnapshotRequest {
            parent: parent(),
            request_id: request_id.to_owned(),
        };
        let mut client = self.client.clone();
        let started = client.take_snapshot(request).await.map_err(honest)?;
        let name = started.into_inner().snapshot.unwrap_or_default().name;
        let watch = client
            .watch_snapshot(WatchSnapshotRequest { name })
            .await
            .map_err(honest)?;
        let messages: Vec<_> = watch.into_inner().try_collect().await.map_err(honest)?;
        let last = messages.into_iter().next_back();
        Ok(last
            .and_then(|message| message.snapshot)
            .unwrap_or_default())
    }
}

impl Differ {
    /// Makes a report, or finds the one that was made, and reads all of it.
    pub(crate) async fn report(
        &self,
        base: &str,
        target: &str,
        request_id: &str,
    ) -> Result<(Report, Vec<Change>), Status> {
        let request = CreateReportRequest {
            parent: parent(),
            base: base.to_owned(),
            target: target.to_owned(),
            request_id: request_id.to_owned(),
            ..CreateReportRequest::default()
        };
        let mut client = self.client.clone();
        let started = client.create_report(request).await.map_err(honest)?;
        let name = started.into_inner().report.unwrap_or_default().name;
        let watch = client
            .watch_report(WatchReportRequest { name })
            .await
            .map_err(honest)?;
        let messages: Vec<_> = watch.into_inner().try_collect().await.map_err(honest)?;
        let last = messages.into_iter().next_back();
        let report = last.and_then(|message| message.report).unwrap_or_default();
        let request = ListChangesRequest {
            parent: report.name.clone(),
            page_size: 1000,
            ..ListChangesRequest::default()
        };
        let page = client.list_changes(request).await.map_err(honest)?;
        Ok((report, page.into_inner().changes))
    }
}

impl Restorer {
    /// Makes a plan that goes back to a snapshot in everything, or finds it.
    pub(crate) async fn plan(&self, snapshot: &str, request_id: &str) -> Result<Plan, Status> {
        let options = PlanOptions {
            added: AddedPolicy::SoftDelete as i32,
            relationships: RelationshipMode::Rollback as i32,
            ..PlanOptions::default()
        };
        let request = CreatePlanRequest {
            parent: parent(),
            snapshot: snapshot.to_owned(),
            options: Some(options),
            request_id: request_id.to_owned(),
            ..CreatePlanRequest::default()
        };
        let mut client = self.client.clone();
        let started = client.create_plan(request).await.map_err(honest)?;
        let name = started.into_inner().plan.unwrap_or_default().name;
        let watch = client
            .watch_plan(WatchPlanRequest { name })
            .await
            .map_err(honest)?;
        let messages: Vec<_> = watch.into_inner().try_collect().await.map_err(honest)?;
        let last = messages.into_iter().next_back();
        Ok(last.and_then(|message| message.plan).unwrap_or_default())
    }

    /// Applies a plan, or goes on with it, and waits for the end.
    pub(crate) async fn apply(&self, plan: &str) -> Result<Restore, Status> {
        let request = ApplyPlanRequest {
            name: plan.to_owned(),
            request_id: String::new(),
        };
        let mut client = self.client.clone();
        let started = client.apply_plan(request).await.map_err(honest)?;
        let name = started.into_inner().restore.unwrap_or_default().name;
        let watch = client
            .watch_restore(WatchRestoreRequest { name })
            .await
            .map_err(honest)?;
        let messages: Vec<_> = watch.into_inner().try_collect().await.map_err(honest)?;
        let last = messages.into_iter().next_back();
        Ok(last.and_then(|message| message.restore).unwrap_or_default())
    }
}

/// Works on a future for so many turns at most, then drops it, as a process that is
/// killed does.
pub(crate) async fn killed_after<T>(turns: u64, work: impl Future<Output = T>) -> Option<T> {
    let mut work = std::pin::pin!(work);
    let mut left = turns;
    std::future::poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        work.as_mut().poll(context).map(Some)
    })
    .await
}
