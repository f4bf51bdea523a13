//! The contract's calls, turned into use cases.

use model::{SnapshotId, TenantId, slot};
use proto::name;
use proto::v1::access_check_service_server::AccessCheckService;
use proto::v1::key_service_server::KeyService;
use proto::v1::signal_service_server::SignalService;
use proto::v1::snapshot_service_server::SnapshotService;
use proto::v1::store_service_server::StoreService;
use proto::v1::{
    CheckAccessRequest, CheckAccessResponse, CheckStoreRequest, CheckStoreResponse,
    CopySnapshotsRequest, CopySnapshotsResponse, EraseKeysRequest, EraseKeysResponse,
    ExportKeysRequest, ExportKeysResponse, GetSignalRequest, GetSignalResponse,
    GetSnapshotObjectRequest, GetSnapshotObjectResponse, GetSnapshotRequest, GetSnapshotResponse,
    HoldSnapshotRequest, HoldSnapshotResponse, LiftHoldRequest, LiftHoldResponse,
    ListSignalsRequest, ListSignalsResponse, ListSnapshotsRequest, ListSnapshotsResponse,
    ReadSnapshotRequest, ReadSnapshotResponse, RedeliverSignalRequest, RedeliverSignalResponse,
    RepairSnapshotsRequest, RepairSnapshotsResponse, RewrapKeysRequest, RewrapKeysResponse,
    RotateKeyRequest, RotateKeyResponse, SearchSnapshotRequest, SearchSnapshotResponse, Snapshot,
    TakeSnapshotRequest, TakeSnapshotResponse, VerifySnapshotsRequest, VerifySnapshotsResponse,
    WatchSignalsRequest, WatchSignalsResponse, WatchSnapshotRequest, WatchSnapshotResponse,
};
use runtime::jobs::Watch;
use runtime::page::{Order, paginate_by_key};
use runtime::status::status;
use store::Trigger;
use tonic::{Request, Response, Status};

use crate::guarded::propose::{self, Asked};
use crate::guarded::rpc::asked;
use crate::{
    Context, Error, access, check_store, copy, keys, message, read, redeliver, search, show_object,
    signals, take, verify, watch_signals,
};

/// The longest reason of a hold, in characters.
const MAX_REASON: usize = 200;

/// The adapter.
#[derive(Debug, Clone)]
pub(crate) struct Rpc {
    context: Context,
}

impl Rpc {
    pub(crate) fn new(context: Context) -> Self {
        Self { context }
    }

    /// What every use case needs.
    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    async fn take(&self, request: TakeSnapshotRequest) -> Result<Snapshot, Error> {
        let tenant = name::parse_tenant("parent", &request.parent)?;
        let deps = &self.context.deps;
        let vault = deps.vault.tenant(&tenant).await?;
        let request_id = Some(request.request_id)
            .filter(|id| !id.is_empty())
            .unwrap_or_else(|| deps.ids.uuid().to_string());
        let mark = slot::request_mark(&request_id);
        if let Some(progress) = self
            .context
            .jobs
            .running_like(&name::tenant(&tenant), &mark)
        {
            return Ok(progress.snapshot.unwrap_or_default());
        }
        let (manifests, _) = vault.manifests().await?;
        if let Some(manifest) = manifests
            .iter()
            .find(|manifest| manifest.id().as_str().ends_with(&mark))
        {
            return Ok(message::snapshot(manifest));
        }
        let now = deps.clock.now();
        let id = SnapshotId::parse(&slot::on_demand(now, &request_id))
            .expect("invariant: a slot is a snapshot id");
        let progress = take::start(&self.context, &tenant, &id, Trigger::OnDemand);
        Ok(progress.snapshot.unwrap_or_default())
    }

    async fn get(&self, request: &str) -> Result<Snapshot, Error> {
        if let Some(progress) = self
            .context
            .jobs
            .get(request)
            .filter(|_| self.context.jobs.is_running(request))
        {
            return Ok(progress.snapshot.unwrap_or_default());
        }
        let (tenant, id) = name::parse_snapshot("name", request)?;
        let vault = self.context.deps.vault.tenant(&tenant).await?;
        Ok(message::snapshot(&vault.find(&id).await?))
    }

    async fn list(&self, request: ListSnapshotsRequest) -> Result<ListSnapshotsResponse, Error> {
        let tenant: TenantId = name::parse_tenant("parent", &request.parent)?;
        let vault = self.context.deps.vault.tenant(&tenant).await?;
        let (manifests, problems) = vault.manifests().await?;
        let snapshots: Vec<Snapshot> = manifests.iter().map(message::snapshot).collect();
        let page = paginate_by_key(
            snapshots,
            request.page_size,
            &request.page_token,
            Order::Descending,
            |snapshot| &snapshot.name,
        )?;
        Ok(ListSnapshotsResponse {
            snapshots: page.items,
            next_page_token: page.next_page_token,
            problems: problems
                .iter()
                .map(|problem| problem.error.to_string())
                .collect(),
        })
    }

    async fn hold(&self, request: HoldSnapshotRequest) -> Result<Snapshot, Error> {
        let reason = request.reason.trim();
        if !(1..=MAX_REASON).contains(&reason.chars().count()) {
            return Err(Error::NoHoldReason);
        }
        let (tenant, id) = name::parse_snapshot("name", &request.name)?;
        let deps = &self.context.deps;
        let vault = deps.vault.tenant(&tenant).await?;
        vault.hold(&id, reason, deps.clock.now()).await?;
        Ok(message::snapshot(&vault.manifest(&id).await?))
    }

    /// Asks that a hold be lifted; it stays until that is approved and its time has come.
    async fn lift_hold(&self, request: &str, asked: Asked) -> Result<LiftHoldResponse, Error> {
        let (tenant, id) = name::parse_snapshot("name", request)?;
        let vault = self.context.deps.vault.tenant(&tenant).await?;
        let pending_change = propose::lift_hold(&self.context, &vault, &id, asked).await?;
        Ok(LiftHoldResponse {
            snapshot: Some(message::snapshot(&vault.manifest(&id).await?)),
            pending_change,
        })
    }

    async fn watch(&self, name: &str) -> Result<Watch<WatchSnapshotResponse>, Error> {
        let jobs = &self.context.jobs;
        if jobs.is_running(name)
            && let Some(watch) = jobs.watch(name)
        {
            return Ok(watch);
        }
        // What is stored counts, also where a job ended without having seen it stored.
        let snapshot = match self.get(name).await {
            Ok(snapshot) => snapshot,
            Err(error) => return jobs.watch(name).ok_or(error),
        };
        let last = WatchSnapshotResponse {
            read_count: snapshot.object_count,
            snapshot: Some(snapshot),
            phase: "done".to_owned(),
        };
        Ok(Box::pin(tokio_stream::once(Ok(last))))
    }
}

fn refuse(error: Error) -> Status {
    status(&error)
}

#[tonic::async_trait]
impl SnapshotService for Rpc {
    type WatchSnapshotStream = Watch<WatchSnapshotResponse>;
    type ReadSnapshotStream = Watch<ReadSnapshotResponse>;
    type CopySnapshotsStream = Watch<CopySnapshotsResponse>;

    async fn take_snapshot(
        &self,
        request: Request<TakeSnapshotRequest>,
    ) -> Result<Response<TakeSnapshotResponse>, Status> {
        let snapshot = self.take(request.into_inner()).await.map_err(refuse)?;
        Ok(Response::new(TakeSnapshotResponse {
            snapshot: Some(snapshot),
        }))
    }

    async fn watch_snapshot(
        &self,
        request: Request<WatchSnapshotRequest>,
    ) -> Result<Response<Self::WatchSnapshotStream>, Status> {
        Ok(Response::new(
            self.watch(&request.into_inner().name)
                .await
                .map_err(refuse)?,
        ))
    }

    async fn get_snapshot(
        &self,
        request: Request<GetSnapshotRequest>,
    ) -> Result<Response<GetSnapshotResponse>, Status> {
        let snapshot = self.get(&request.into_inner().name).await.map_err(refuse)?;
        Ok(Response::new(GetSnapshotResponse {
            snapshot: Some(snapshot),
        }))
    }

    async fn hold_snapshot(
        &self,
        request: Request<HoldSnapshotRequest>,
    ) -> Result<Response<HoldSnapshotResponse>, Status> {
        let snapshot = self.hold(request.into_inner()).await.map_err(refuse)?;
        Ok(Response::new(HoldSnapshotResponse {
            snapshot: Some(snapshot),
        }))
    }

    async fn lift_hold(
        &self,
        request: Request<LiftHoldRequest>,
    ) -> Result<Response<LiftHoldResponse>, Status> {
        let asked = asked(&request, &request.get_ref().request_id);
        let answer = Self::lift_hold(self, &request.into_inner().name, asked).await;
        answer.map(Response::new).map_err(refuse)
    }

    async fn list_snapshots(
        &self,
        request: Request<ListSnapshotsRequest>,
    ) -> Result<Response<ListSnapshotsResponse>, Status> {
        Ok(Response::new(
            self.list(request.into_inner()).await.map_err(refuse)?,
        ))
    }

    async fn search_snapshot(
        &self,
        request: Request<SearchSnapshotRequest>,
    ) -> Result<Response<SearchSnapshotResponse>, Status> {
        let found = search::search(&self.context, request.into_inner()).await;
        found.map(Response::new).map_err(refuse)
    }

    async fn get_snapshot_object(
        &self,
        request: Request<GetSnapshotObjectRequest>,
    ) -> Result<Response<GetSnapshotObjectResponse>, Status> {
        let shown = show_object::show(&self.context, request.into_inner()).await;
        shown.map(Response::new).map_err(refuse)
    }

    async fn read_snapshot(
        &self,
        request: Request<ReadSnapshotRequest>,
    ) -> Result<Response<Self::ReadSnapshotStream>, Status> {
        let stream = read::read(&self.context, request.into_inner()).await;
        stream.map(Response::new).map_err(refuse)
    }

    async fn verify_snapshots(
        &self,
        request: Request<VerifySnapshotsRequest>,
    ) -> Result<Response<VerifySnapshotsResponse>, Status> {
        let verification = verify::verify(&self.context, request.into_inner())
            .await
            .map_err(refuse)?;
        Ok(Response::new(VerifySnapshotsResponse {
            verification: Some(verification),
        }))
    }

    async fn repair_snapshots(
        &self,
        request: Request<RepairSnapshotsRequest>,
    ) -> Result<Response<RepairSnapshotsResponse>, Status> {
        let answer = verify::repair(&self.context, request.into_inner()).await;
        answer.map(Response::new).map_err(refuse)
    }

    async fn copy_snapshots(
        &self,
        request: Request<CopySnapshotsRequest>,
    ) -> Result<Response<Self::CopySnapshotsStream>, Status> {
        let stream = copy::copy(&self.context, request.into_inner()).await;
        stream.map(Response::new).map_err(refuse)
    }
}

#[tonic::async_trait]
impl AccessCheckService for Rpc {
    async fn check_access(
        &self,
        request: Request<CheckAccessRequest>,
    ) -> Result<Response<CheckAccessResponse>, Status> {
        let tenant = name::parse_tenant("name", &request.into_inner().name)
            .map_err(|error| refuse(error.into()))?;
        let items = access::check(&self.context, &tenant)
            .await
            .map_err(refuse)?;
        Ok(Response::new(CheckAccessResponse { items }))
    }
}

#[tonic::async_trait]
impl KeyService for Rpc {
    async fn export_keys(
        &self,
        request: Request<ExportKeysRequest>,
    ) -> Result<Response<ExportKeysResponse>, Status> {
        let answer = keys::export(&self.context, request.into_inner()).await;
        answer.map(Response::new).map_err(refuse)
    }

    async fn rewrap_keys(
        &self,
        request: Request<RewrapKeysRequest>,
    ) -> Result<Response<RewrapKeysResponse>, Status> {
        let rewrapping = keys::rewrap(&self.context, &request.into_inner().name)
            .await
            .map_err(refuse)?;
        Ok(Response::new(RewrapKeysResponse {
            rewrapping: Some(rewrapping),
        }))
    }

    async fn rotate_key(
        &self,
        request: Request<RotateKeyRequest>,
    ) -> Result<Response<RotateKeyResponse>, Status> {
        let answer = keys::rotate(&self.context, request.into_inner()).await;
        answer.map(Response::new).map_err(refuse)
    }

    async fn erase_keys(
        &self,
        request: Request<EraseKeysRequest>,
    ) -> Result<Response<EraseKeysResponse>, Status> {
        let asked = asked(&request, &request.get_ref().request_id);
        let answer = keys::erase(&self.context, request.into_inner(), asked).await;
        answer.map(Response::new).map_err(refuse)
    }
}

#[tonic::async_trait]
impl StoreService for Rpc {
    async fn check_store(
        &self,
        _: Request<CheckStoreRequest>,
    ) -> Result<Response<CheckStoreResponse>, Status> {
        let answer = check_store::check(&self.context).await.map_err(refuse)?;
        Ok(Response::new(answer))
    }
}

#[tonic::async_trait]
impl SignalService for Rpc {
    type WatchSignalsStream = Watch<WatchSignalsResponse>;

    async fn watch_signals(
        &self,
        request: Request<WatchSignalsRequest>,
    ) -> Result<Response<Self::WatchSignalsStream>, Status> {
        let stream = watch_signals::watch(&self.context, request.into_inner()).await;
        stream.map(Response::new).map_err(refuse)
    }

    async fn redeliver_signal(
        &self,
        request: Request<RedeliverSignalRequest>,
    ) -> Result<Response<RedeliverSignalResponse>, Status> {
        let signal = redeliver::redeliver(&self.context, request.into_inner())
            .await
            .map_err(refuse)?;
        Ok(Response::new(RedeliverSignalResponse {
            signal: Some(signal),
        }))
    }

    async fn list_signals(
        &self,
        request: Request<ListSignalsRequest>,
    ) -> Result<Response<ListSignalsResponse>, Status> {
        let answer = signals::list(&self.context, request.into_inner()).await;
        answer.map(Response::new).map_err(refuse)
    }

    async fn get_signal(
        &self,
        request: Request<GetSignalRequest>,
    ) -> Result<Response<GetSignalResponse>, Status> {
        let signal = signals::get(&self.context, &request.into_inner().name)
            .await
            .map_err(refuse)?;
        Ok(Response::new(GetSignalResponse {
            signal: Some(signal),
        }))
    }
}
