//! Four services in one process, on ports of their own, over a store in memory.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use futures::TryStreamExt;
use gateway::auth::{Tenants, Token, Tokens};
use graph::{Connections, Credential, Endpoint, GraphWriter};
use model::TenantId;
use proto::v1::diff_service_client::DiffServiceClient;
use proto::v1::protection_service_client::ProtectionServiceClient;
use proto::v1::restore_service_client::RestoreServiceClient;
use proto::v1::snapshot_service_client::SnapshotServiceClient;
use proto::v1::tenant_service_client::TenantServiceClient;
use proto::v1::*;
use runtime::config::{Settings, Source};
use runtime::{Clock, Ids, SystemClock, SystemIds};
use secrecy::SecretString;
use simulator::{ServerHandle, Simulator, TenantHandle, TenantSpec};
use store::object_store::ObjectStore;
use store::{Kek, Vault};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status};

/// A token that may do everything, for every tenant.
pub(crate) const TOKEN: &str = "a-token-of-the-tests-with-more-than-32-characters";
/// The token of somebody who may do everything for another tenant.
pub(crate) const STRANGER: &str = "another-token-of-the-tests-with-32-characters";
/// The token of somebody who may read and approve.
pub(crate) const APPROVER: &str = "a-third-token-of-the-tests-with-32-characters";
/// The practice tenant.
pub(crate) const TENANT: &str = "5a1d0000-0000-4000-8000-000000000001";

/// A tenant that is not registered.
const ELSEWHERE: &str = "5a1d0000-0000-4000-8000-00000000e15e";

/// Puts a token on each call.
#[derive(Clone)]
pub(crate) struct Bearer(&'static str);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let value = format!("Bearer {}", self.0)
            .parse()
            .expect("a token is plain text");
        request.metadata_mut().insert("authorization", value);
        Ok(request)
    }
}

type Door = InterceptedService<Channel, Bearer>;

/// Everything that a story needs.
pub(crate) struct Sandbox {
    pub(crate) simulator: Simulator,
    pub(crate) tenant: TenantHandle,
    pub(crate) graph: ServerHandle,
    /// Where the gateway is reached.
    pub(crate) gateway: String,
    pub(crate) door: Door,
    /// The same door for somebody of another tenant.
    pub(crate) strange: Door,
    /// The same door for a second person, called `approver`.
    pub(crate) second: Door,
    /// The restorer itself, past the gateway.
    pub(crate) restorer: Channel,
    /// The differ itself.
    pub(crate) differ: Channel,
    pub(crate) vault: Vault,
    /// The settings of all services.
    pub(crate) source: BTreeMap<String, String>,
    /// Below which `file:` credentials lie.
    pub(crate) credentials: tempfile::TempDir,
    ids: SystemIds,
    _stop: tokio_util::sync::DropGuard,
}

async fn listener() -> std::io::Result<TcpListener> {
    TcpListener::bind("127.0.0.1:0").await
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}

impl Sandbox {
    /// Starts a simulator with an empty practice tenant, and the services.
    pub(crate) async fn start(store: Arc<dyn ObjectStore>) -> anyhow::Result<Self> {
        runtime::tls::install_provider();
        let simulator = Simulator::new();
        let tenant = simulator.add_tenant(TenantSpec::practice(TENANT));
        let graph = simulator.serve(listener().await?).await;

        let vault = Vault::new(store, Arc::new(Kek::from_bytes([7; 32])));
        let credentials = tempfile::tempdir()?;
        let credentials_dir = credentials.path().display().to_string();
        let source: BTreeMap<String, String> = [
            ("REWIND_STORE_URL", "memory:///"),
            ("REWIND_SCHEDULE", "off"),
            ("REWIND_GRAPH_LIMITS", "off"),
            ("REWIND_CUSTOM_CLOUDS", "allow"),
            ("REWIND_CALLER_RATE", "off"),
            ("REWIND_TENANT_RATE", "off"),
            ("REWIND_DIFFER_URL", "http://127.0.0.1:1"),
            ("REWIND_SNAPSHOTTER_URL", "http://127.0.0.1:1"),
            ("REWIND_RESTORER_URL", "http://127.0.0.1:1"),
            (
                "REWIND_CREDENTIAL_READER_PRACTICE",
                simulator::READER_SECRET,
            ),
            ("REWIND_CREDENTIAL_READER_WRONG", "this-is-not-the-secret"),
            ("REWIND_READER_CLIENT_ID", simulator::READER_CLIENT_ID),
            (
                "REWIND_READER_CREDENTIAL",
                "env:REWIND_CREDENTIAL_READER_PRACTICE",
            ),
            ("REWIND_WRITER_CLIENT_ID", simulator::WRITER_CLIENT_ID),
            (
                "REWIND_WRITER_CREDENTIAL",
                "env:REWIND_CREDENTIAL_WRITER_PRACTICE",
            ),
            ("REWIND_CREDENTIALS_DIR", credentials_dir.as_str()),
            (
                "REWIND_CREDENTIAL_WRITER_PRACTICE",
                simulator::WRITER_SECRET,
            ),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
        let shared: Arc<dyn Source> = Arc::new(source.clone());
        let settings = Settings::load(&source)?;
        let ids: Arc<dyn Ids> = Arc::new(SystemIds);
        let clock: Arc<SystemClock> = Arc::new(SystemClock);
        let stop = CancellationToken::new();

        let config = differ::Config::read(&settings)?;
        let connect = differ::config::connect(&config, Arc::clone(&shared), Arc::clone(&ids))?;
        let deps = differ::Deps {
            vault: vault.clone(),
            clock: clock.clone(),
            ids: Arc::clone(&ids),
            connect,
        };
        let app = differ::App::build(&config, deps, listener().await?)?;
        let differ = runtime::connect(&url(app.address()), None)?;
        tokio::spawn(app.run(stop.clone()));

        let config = snapshotter::Config::read(&settings)?;
        let connect = snapshotter::config::connect(&config, Arc::clone(&shared), Arc::clone(&ids))?;
        let deps = snapshotter::Deps {
            vault: vault.clone(),
            clock: clock.clone(),
            ids: Arc::clone(&ids),
            connect,
            copies: None,
            differ: Some(differ.clone().into()),
        };
        let app = snapshotter::App::build(&config, deps, listener().await?)?;
        let snapshotter = runtime::connect(&url(app.address()), None)?;
        tokio::spawn(app.run(stop.clone()));

        let config = restorer::Config::read(&settings)?;
        let connect = restorer::config::connect(&config, shared, Arc::clone(&ids))?;
        let deps = restorer::Deps {
            vault: vault.clone(),
            clock: clock.clone(),
            ids: Arc::clone(&ids),
            connect,
            differ: differ.clone().into(),
        };
        let app = restorer::App::build(&config, deps, listener().await?)?;
        let restorer = runtime::connect(&url(app.address()), None)?;
        tokio::spawn(app.run(stop.clone()));

        let config = gateway::Config::read(&settings)?;
        let all = [
            Role::Reader,
            Role::Administrator,
            Role::Approver,
            Role::Operator,
        ];
        let token = Token {
            token: SecretString::from(TOKEN),
            name: "tests".to_owned(),
            roles: all.into(),
            tenants: Tenants::All,
        };
        let stranger = Token {
            token: SecretString::from(STRANGER),
            name: "stranger".to_owned(),
            roles: all.into(),
            tenants: Tenants::Only([TenantId::parse(ELSEWHERE)?].into()),
        };
        let approver = Token {
            token: SecretString::from(APPROVER),
            name: "approver".to_owned(),
            roles: [Role::Reader, Role::Approver].into(),
            tenants: Tenants::All,
        };
        let deps = gateway::Deps {
            vault: vault.clone(),
            clock,
            ids,
            backends: gateway::Backends {
                snapshotter: snapshotter.into(),
                differ: differ.clone().into(),
                restorer: restorer.clone().into(),
            },
            tokens: Tokens::new(vec![token, stranger, approver])?,
        };
        let app = gateway::App::build(&config, deps, listener().await?)?;
        let gateway = url(app.address());
        let channel = runtime::connect(&gateway, None)?;
        let door = InterceptedService::new(channel.clone(), Bearer(TOKEN));
        let strange = InterceptedService::new(channel.clone(), Bearer(STRANGER));
        let second = InterceptedService::new(channel, Bearer(APPROVER));
        tokio::spawn(app.run(stop.clone()));
        Ok(Self {
            simulator,
            tenant,
            graph,
            gateway,
            door,
            strange,
            second,
            restorer,
            differ,
            vault,
            source,
            credentials,
            ids: SystemIds,
            _stop: stop.drop_guard(),
        })
    }

    pub(crate) fn request_id(&self) -> String {
        self.ids.uuid().to_string()
    }

    /// The registration that reaches the practice tenant.
    pub(crate) fn registration(&self) -> Tenant {
        let credential = |client_id: &str, secret_ref: &str| {
            Some(AppCredential {
                client_id: client_id.to_owned(),
                secret_ref: secret_ref.to_owned(),
                ..AppCredential::default()
            })
        };
        Tenant {
            id: TENANT.to_owned(),
            display_name: "Practice".to_owned(),
            cloud: "global".to_owned(),
            graph_url: format!("{}/v1.0", self.graph.url()),
            login_url: self.graph.url(),
            reader: credential(
                simulator::READER_CLIENT_ID,
                "env:REWIND_CREDENTIAL_READER_PRACTICE",
            ),
            writer: credential(
                simulator::WRITER_CLIENT_ID,
                "env:REWIND_CREDENTIAL_WRITER_PRACTICE",
            ),
            // So that a day's snapshot is taken whenever a test runs.
            schedule: "00:00-00:01".to_owned(),
            ..Tenant::default()
        }
    }

    pub(crate) async fn register(&self, tenant: Tenant) -> Result<Tenant, Status> {
        let request = CreateTenantRequest {
            tenant: Some(tenant),
            request_id: self.request_id(),
            validate_only: false,
        };
        let answer = TenantServiceClient::new(self.door.clone())
            .create_tenant(request)
            .await?;
        Ok(answer.into_inner().tenant.unwrap_or_default())
    }

    pub(crate) async fn check(&self) -> Result<CheckTenantResponse, Status> {
        let request = CheckTenantRequest { name: parent() };
        Ok(TenantServiceClient::new(self.door.clone())
            .check_tenant(request)
            .await?
            .into_inner())
    }

    pub(crate) fn snapshots(&self) -> SnapshotServiceClient<Door> {
        SnapshotServiceClient::new(self.door.clone())
    }

    pub(crate) fn diffs(&self) -> DiffServiceClient<Door> {
        DiffServiceClient::new(self.door.clone())
            .max_decoding_message_size(runtime::MAX_MESSAGE_SIZE)
    }

    pub(crate) fn restores(&self) -> RestoreServiceClient<Door> {
        RestoreServiceClient::new(self.door.clone())
            .max_decoding_message_size(runtime::MAX_MESSAGE_SIZE)
    }

    /// Takes a snapshot of the practice tenant and waits for it.
    pub(crate) async fn snapshot(&self) -> Result<Snapshot, Status> {
        self.snapshot_of(&parent()).await
    }

    /// Takes a snapshot and waits for it.
    pub(crate) async fn snapshot_of(&self, tenant: &str) -> Result<Snapshot, Status> {
        let request = TakeSnapshotRequest {
            parent: tenant.to_owned(),
            request_id: self.request_id(),
        };
        let started = self
            .snapshots()
            .take_snapshot(request)
            .await?
            .into_inner()
            .snapshot
            .unwrap_or_default();
        let watch = self
            .snapshots()
            .watch_snapshot(WatchSnapshotRequest { name: started.name })
            .await?
            .into_inner();
        let messages: Vec<WatchSnapshotResponse> = watch.try_collect().await?;
        Ok(messages
            .into_iter()
            .last()
            .and_then(|message| message.snapshot)
            .unwrap_or_default())
    }

    /// Makes a report against the live tenant and waits for it.
    pub(crate) async fn report(&self, base: &str) -> Result<(Report, Vec<Change>), Status> {
        let request = CreateReportRequest {
            parent: parent(),
            base: base.to_owned(),
            request_id: self.request_id(),
            ..CreateReportRequest::default()
        };
        self.report_of(request).await
    }

    pub(crate) async fn report_of(
        &self,
        request: CreateReportRequest,
    ) -> Result<(Report, Vec<Change>), Status> {
        let started = self
            .diffs()
            .create_report(request)
            .await?
            .into_inner()
            .report
            .unwrap_or_default();
        let watch = self
            .diffs()
            .watch_report(WatchReportRequest { name: started.name })
            .await?
            .into_inner();
        let messages: Vec<WatchReportResponse> = watch.try_collect().await?;
        let report = messages
            .into_iter()
            .last()
            .and_then(|message| message.report)
            .unwrap_or_default();
        let mut changes = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = ListChangesRequest {
                parent: report.name.clone(),
                page_size: 50,
                page_token,
                ..ListChangesRequest::default()
            };
            let page = self.diffs().list_changes(request).await?.into_inner();
            changes.extend(page.changes);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok((report, changes));
            }
        }
    }

    /// Makes a plan and waits for it.
    pub(crate) async fn plan(
        &self,
        request: CreatePlanRequest,
    ) -> Result<(Plan, Vec<PlanStep>, Vec<Exclusion>), Status> {
        let started = self
            .restores()
            .create_plan(request)
            .await?
            .into_inner()
            .plan
            .unwrap_or_default();
        self.made(started).await
    }

    /// Makes a plan that guards the tenant and waits for it.
    pub(crate) async fn protect(
        &self,
        device_filter: &str,
    ) -> Result<(Plan, Vec<PlanStep>, Vec<Exclusion>), Status> {
        let request = PlanProtectionRequest {
            parent: parent(),
            choices: Some(ProtectionChoices {
                device_filter: device_filter.to_owned(),
                ..ProtectionChoices::default()
            }),
            request_id: self.request_id(),
            ..PlanProtectionRequest::default()
        };
        self.protect_as(request).await
    }

    pub(crate) async fn protect_as(
        &self,
        request: PlanProtectionRequest,
    ) -> Result<(Plan, Vec<PlanStep>, Vec<Exclusion>), Status> {
        let mut client = ProtectionServiceClient::new(self.door.clone());
        let answer = client.plan_protection(request).await?;
        self.made(answer.into_inner().plan.unwrap_or_default())
            .await
    }

    /// Waits for a plan that was started.
    async fn made(&self, started: Plan) -> Result<(Plan, Vec<PlanStep>, Vec<Exclusion>), Status> {
        let watch = self
            .restores()
            .watch_plan(WatchPlanRequest { name: started.name })
            .await?
            .into_inner();
        let messages: Vec<WatchPlanResponse> = watch.try_collect().await?;
        let plan = messages
            .into_iter()
            .last()
            .and_then(|message| message.plan)
            .unwrap_or_default();
        let steps = self.steps_of(&plan.name).await?;
        let request = ListPlanExclusionsRequest {
            parent: plan.name.clone(),
            page_size: 1000,
            page_token: String::new(),
        };
        let exclusions = self
            .restores()
            .list_plan_exclusions(request)
            .await?
            .into_inner()
            .exclusions;
        Ok((plan, steps, exclusions))
    }

    /// The first thousand steps of a plan.
    pub(crate) async fn steps_of(&self, plan: &str) -> Result<Vec<PlanStep>, Status> {
        let request = ListPlanStepsRequest {
            parent: plan.to_owned(),
            page_size: 1000,
            page_token: String::new(),
        };
        let answer = self.restores().list_plan_steps(request).await?;
        Ok(answer.into_inner().steps)
    }

    /// A plan that goes back to a snapshot in everything.
    pub(crate) fn rollback(&self, snapshot: &str) -> CreatePlanRequest {
        let options = PlanOptions {
            added: AddedPolicy::SoftDelete as i32,
            relationships: RelationshipMode::Rollback as i32,
            ..PlanOptions::default()
        };
        CreatePlanRequest {
            parent: parent(),
            snapshot: snapshot.to_owned(),
            options: Some(options),
            request_id: self.request_id(),
            ..CreatePlanRequest::default()
        }
    }

    /// Applies a plan and waits for the end.
    pub(crate) async fn apply(&self, plan: &str) -> Result<Restore, Status> {
        let request = ApplyPlanRequest {
            name: plan.to_owned(),
            request_id: self.request_id(),
        };
        let started = self
            .restores()
            .apply_plan(request)
            .await?
            .into_inner()
            .restore
            .unwrap_or_default();
        let watch = self
            .restores()
            .watch_restore(WatchRestoreRequest { name: started.name })
            .await?
            .into_inner();
        let messages: Vec<WatchRestoreResponse> = watch.try_collect().await?;
        Ok(messages
            .into_iter()
            .last()
            .and_then(|message| message.restore)
            .unwrap_or_default())
    }

    /// Cancels a restore and waits for the end.
    pub(crate) async fn cancel(
        &self,
        mut restores: RestoreServiceClient<Door>,
        restore: &str,
    ) -> Result<Restore, Status> {
        let request = CancelRestoreRequest {
            name: restore.to_owned(),
            request_id: self.request_id(),
        };
        let answer = restores.cancel_restore(request).await?.into_inner();
        let name = answer.restore.unwrap_or_default().name;
        let watch = restores.watch_restore(WatchRestoreRequest { name }).await?;
        let messages: Vec<WatchRestoreResponse> = watch.into_inner().try_collect().await?;
        let last = messages.into_iter().last();
        Ok(last.and_then(|message| message.restore).unwrap_or_default())
    }

    /// Makes the plan that undoes a restore.
    pub(crate) async fn undo(
        &self,
        restore: &str,
    ) -> Result<(Plan, Vec<PlanStep>, Vec<Exclusion>), Status> {
        let request = CreateUndoPlanRequest {
            restore: restore.to_owned(),
            request_id: self.request_id(),
        };
        let answer = self.restores().create_undo_plan(request).await?;
        self.made(answer.into_inner().plan.unwrap_or_default())
            .await
    }

    /// Another replica of the restorer, which shares nothing with the first but the
    /// store.
    pub(crate) async fn another_restorer(
        &self,
    ) -> anyhow::Result<(RestoreServiceClient<Door>, tokio_util::sync::DropGuard)> {
        let shared: Arc<dyn Source> = Arc::new(self.source.clone());
        let ids: Arc<dyn Ids> = Arc::new(SystemIds);
        let config = restorer::Config::read(&Settings::load(&self.source)?)?;
        let deps = restorer::Deps {
            vault: self.vault.clone(),
            clock: Arc::new(SystemClock),
            connect: restorer::config::connect(&config, shared, Arc::clone(&ids))?,
            ids,
            differ: self.differ.clone().into(),
        };
        let app = restorer::App::build(&config, deps, listener().await?)?;
        let channel = runtime::connect(&url(app.address()), None)?;
        let stop = CancellationToken::new();
        tokio::spawn(app.run(stop.clone()));
        let door = InterceptedService::new(channel, Bearer(TOKEN));
        Ok((RestoreServiceClient::new(door), stop.drop_guard()))
    }

    pub(crate) async fn outcomes(&self, restore: &str) -> anyhow::Result<Vec<Outcome>> {
        let request = ListOutcomesRequest {
            parent: restore.to_owned(),
            page_size: 1000,
            ..ListOutcomesRequest::default()
        };
        let answer = self
            .restores()
            .list_outcomes(request)
            .await
            .context("the outcomes are listed")?;
        Ok(answer.into_inner().outcomes)
    }
}

/// The product's own client with the rights of the intruder's application.
pub(crate) fn intruder(server: &ServerHandle) -> anyhow::Result<GraphWriter> {
    intruder_in(server, TENANT)
}

/// The same in another tenant.
pub(crate) fn intruder_in(server: &ServerHandle, tenant: &str) -> anyhow::Result<GraphWriter> {
    let (login, graph) = (server.url(), format!("{}/v1.0", server.url()));
    let hosts = (Some(graph.as_str()), Some(login.as_str()));
    let tenant = TenantId::parse(tenant)?;
    let endpoint = Endpoint::of(&tenant, "global", hosts, simulator::INTRUDER_CLIENT_ID)?;
    let (ids, now) = (
        Arc::new(|| SystemIds.uuid()),
        Arc::new(|| SystemClock.now()),
    );
    let settings = graph::Settings {
        limits: graph::Limits::Off,
        ..graph::Settings::new(Connections::new()?, ids, now)
    };
    let credential = Credential::secret(simulator::INTRUDER_SECRET.into());
    Ok(GraphWriter::new(&endpoint, credential, settings))
}

pub(crate) fn parent() -> String {
    format!("tenants/{TENANT}")
}

/// The reason word of a refusal.
pub(crate) fn reason(status: &Status) -> String {
    runtime::status::parse(status).reason.unwrap_or_default()
}
