//! The contract's calls, turned into use cases.

use std::collections::BTreeSet;

use model::{PlanId, TenantId, slot};
use proto::convert::{
    InvalidMessage, model_chosen, model_errand, model_options, model_parts, model_scope,
};
use proto::name;
use proto::v1::access_check_service_server::AccessCheckService;
use proto::v1::protection_service_server::ProtectionService;
use proto::v1::restore_service_server::RestoreService;
use proto::v1::{
    ApplyPlanRequest, ApplyPlanResponse, ApprovePlanRequest, ApprovePlanResponse,
    CancelRestoreRequest, CancelRestoreResponse, CheckAccessRequest, CheckAccessResponse,
    CreatePlanRequest, CreatePlanResponse, CreateUndoPlanRequest, CreateUndoPlanResponse,
    GetPlanRequest, GetPlanResponse, GetPostureRequest, GetPostureResponse, GetRestoreRequest,
    GetRestoreResponse, ListOutcomesRequest, ListOutcomesResponse, ListPlanExclusionsRequest,
    ListPlanExclusionsResponse, ListPlanStepsRequest, ListPlanStepsResponse, ListPosturesRequest,
    ListPosturesResponse, ListRestoresRequest, ListRestoresResponse, Outcome, Plan,
    PlanProtectionRequest, PlanProtectionResponse, Restore, WatchPlanRequest, WatchPlanResponse,
    WatchRestoreRequest, WatchRestoreResponse,
};
use runtime::jobs::Watch;
use runtime::page::{Order as Sorting, Window, paginate, paginate_by_key};
use runtime::status::status;
use store::{Area, StoreError};
use tonic::{Request, Response, Status};

use crate::documents::Documents;
use crate::make_plan::{self, Order, Origin};
use crate::{Context, Error, access, apply, approve, cancel, errand, protect, report, undo};

/// What earlier calls with a request id came to.
enum Before {
    /// The plan.
    Made(Box<Plan>),
    /// Files under these names, of attempts that were cut short.
    Left(Vec<String>),
}

/// The adapter.
#[derive(Debug, Clone)]
pub(crate) struct Rpc {
    context: Context,
}

impl Rpc {
    pub(crate) fn new(context: Context) -> Self {
        Self { context }
    }

    async fn documents(&self, tenant: &TenantId, id: PlanId) -> Result<Documents, Error> {
        Ok(Documents::new(
            self.context.deps.vault.tenant(tenant).await?,
            id,
        ))
    }

    /// The documents that a plan's or a restore's name points to.
    async fn of_plan(
        &self,
        field: &'static str,
        value: &str,
    ) -> Result<(TenantId, Documents), Error> {
        let (tenant, id) = name::parse_plan(field, value)?;
        let documents = self.documents(&tenant, id).await?;
        Ok((tenant, documents))
    }

    async fn of_restore(
        &self,
        field: &'static str,
        value: &str,
    ) -> Result<(TenantId, Documents), Error> {
        let (tenant, id) = name::parse_restore(field, value)?;
        let id = PlanId::parse(id.as_str()).expect("invariant: a restore's id is its plan's");
        let documents = self.documents(&tenant, id).await?;
        Ok((tenant, documents))
    }

    async fn create(&self, author: String, request: CreatePlanRequest) -> Result<Plan, Error> {
        let deps = &self.context.deps;
        let tenant = name::parse_tenant("parent", &request.parent)?;
        let scope = model_scope(request.scope.as_ref())?;
        let options = model_options(request.options.as_ref())?;
        let parts = model_parts(&request.properties, &request.links)?;
        let chosen = model_chosen(request.options.as_ref())?;
        let errand = model_errand(&request.errand_note)?;
        let vault = deps.vault.tenant(&tenant).await?;
        let request_id = self.request_id(request.request_id);
        let left = match self.before(&tenant, &request_id).await? {
            Before::Made(plan) => return Ok(*plan),
            Before::Left(left) => left,
        };
        self.context.served(&tenant).await?;
        let origin = match (request.report.as_str(), request.snapshot.as_str()) {
            ("", "") => {
                return Err(
                    InvalidMessage::new("snapshot", "a report or a snapshot is needed").into(),
                );
            }
            ("", snapshot) => {
                let id = name::parse_snapshot_in("snapshot", &tenant, snapshot)?;
                Origin::Snapshot(Box::new(vault.find(&id).await?))
            }
            (report, "") => {
                let id = name::parse_report_in("report", &tenant, report)?;
                let name = name::report(&tenant, &id);
                Origin::Report(Box::new(report::made(&deps.differ, &tenant, &name).await?))
            }
            _ => {
                return Err(InvalidMessage::new(
                    "snapshot",
                    "either a report or a snapshot is needed, not both",
                )
                .into());
            }
        };
        let asked_at = deps.clock.now();
        let id = make_plan::id(&left, asked_at, &request_id);
        let order = Order {
            tenant,
            id,
            origin,
            scope,
            options,
            parts,
            chosen,
            author,
            errand,
            asked_at,
        };
        if order.errand.is_some() {
            errand::mark(&vault, &order.id, &make_plan::running(&order)).await?;
        }
        Ok(make_plan::start(&self.context, vault, order)
            .plan
            .unwrap_or_default())
    }

    async fn create_undo(
        &self,
        author: String,
        request: CreateUndoPlanRequest,
    ) -> Result<Plan, Error> {
        let deps = &self.context.deps;
        let (tenant, restore) = name::parse_restore("restore", &request.restore)?;
        let restore =
            PlanId::parse(restore.as_str()).expect("invariant: a restore's id is its plan's");
        let vault = deps.vault.tenant(&tenant).await?;
        let request_id = self.request_id(request.request_id);
        let left = match self.before(&tenant, &request_id).await? {
            Before::Made(plan) => return Ok(*plan),
            Before::Left(left) => left,
        };
        self.context.served(&tenant).await?;
        let asked_at = deps.clock.now();
        let order = undo::Order {
            tenant,
            id: make_plan::id(&left, asked_at, &request_id),
            restore,
            author,
            asked_at,
        };
        let started = undo::start(&self.context, vault, order).await?;
        Ok(started.plan.unwrap_or_default())
    }

    async fn plan_protected(
        &self,
        author: String,
        request: PlanProtectionRequest,
    ) -> Result<Plan, Error> {
        let deps = &self.context.deps;
        let tenant = name::parse_tenant("parent", &request.parent)?;
        let choices = protect::choices(&request)?;
        let vault = deps.vault.tenant(&tenant).await?;
        let request_id = self.request_id(request.request_id);
        let left = match self.before(&tenant, &request_id).await? {
            Before::Made(plan) => return Ok(*plan),
            Before::Left(left) => left,
        };
        self.context.served(&tenant).await?;
        let asked_at = deps.clock.now();
        let order = protect::Order {
            id: make_plan::id(&left, asked_at, &request_id),
            tenant,
            choices,
            author,
            asked_at,
        };
        let started = protect::start(&self.context, vault, order);
        Ok(started.plan.unwrap_or_default())
    }

    fn request_id(&self, given: String) -> String {
        Some(given)
            .filter(|id| !id.is_empty())
            .unwrap_or_else(|| self.context.deps.ids.uuid().to_string())
    }

    /// What earlier calls with the same request id came to.
    async fn before(&self, tenant: &TenantId, request_id: &str) -> Result<Before, Error> {
        let mark = slot::request_mark(request_id);
        if let Some(progress) = self
            .context
            .plans
            .running_like(&name::tenant(tenant), &mark)
        {
            return Ok(Before::Made(Box::new(progress.plan.unwrap_or_default())));
        }
        let vault = self.context.deps.vault.tenant(tenant).await?;
        let mut ids = vault.list_ids(Area::Restores).await?;
        let marked = errand::marked(&vault).await?.into_iter();
        ids.extend(marked.map(|id| id.to_string()));
        ids.sort();
        ids.dedup();
        ids.retain(|id| id.ends_with(&mark));
        for id in &ids {
            let Ok(id) = PlanId::parse(id) else { continue };
            match self.plan(&name::plan(tenant, &id)).await {
                Ok(plan) => return Ok(Before::Made(Box::new(plan))),
                Err(Error::Store(StoreError::NotFound { .. })) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Before::Left(ids))
    }

    async fn plan(&self, full_name: &str) -> Result<Plan, Error> {
        if let Some(progress) = self
            .context
            .plans
            .get(full_name)
            .filter(|_| self.context.plans.is_running(full_name))
        {
            return Ok(progress.plan.unwrap_or_default());
        }
        let (tenant, documents) = self.of_plan("name", full_name).await?;
        let plan = match documents.plan().await {
            Err(error @ Error::Store(StoreError::NotFound { .. })) => {
                return errand::unmade(&documents).await?.ok_or(error);
            }
            other => other?,
        };
        approve::shown(&self.context, &documents, &tenant, plan).await
    }

    async fn approve(
        &self,
        caller: Option<String>,
        request: &ApprovePlanRequest,
    ) -> Result<Plan, Error> {
        let (tenant, documents) = self.of_plan("name", &request.name).await?;
        let plan = approve::approve(&self.context, &documents, &tenant, caller, request).await?;
        // Not a part of the call, which its client may break off.
        let (context, approved) = (self.context.clone(), plan.clone());
        tokio::spawn(async move {
            errand::begin(&context, &documents, &tenant, &approved).await;
        });
        Ok(plan)
    }

    async fn watch_plan(&self, full_name: &str) -> Result<Watch<WatchPlanResponse>, Error> {
        let plans = &self.context.plans;
        if plans.is_running(full_name)
            && let Some(watch) = plans.watch(full_name)
        {
            return Ok(watch);
        }
        // What is stored counts, also where a job ended without having seen it stored.
        let plan = match self.plan(full_name).await {
            Ok(plan) => plan,
            Err(error) => return plans.watch(full_name).ok_or(error),
        };
        let last = WatchPlanResponse {
            plan: Some(plan),
            phase: "done".to_owned(),
        };
        Ok(Box::pin(tokio_stream::once(Ok(last))))
    }

    async fn restore(&self, full_name: &str) -> Result<Restore, Error> {
        let (tenant, documents) = self.of_restore("name", full_name).await?;
        self.restore_of(&tenant, &documents).await
    }

    /// The restore that came of a plan, or would have.
    async fn restore_of(&self, tenant: &TenantId, documents: &Documents) -> Result<Restore, Error> {
        match documents.plan().await {
            Err(error @ Error::Store(StoreError::NotFound { .. })) => {
                let unmade = errand::unmade(documents).await?.ok_or(error)?;
                Ok(errand::restore_of(tenant, documents.id(), unmade))
            }
            plan => apply::shown(&self.context, documents, tenant, &plan?).await,
        }
    }

    async fn watch_restore(&self, full_name: &str) -> Result<Watch<WatchRestoreResponse>, Error> {
        let restores = &self.context.restores;
        if restores.is_running(full_name)
            && let Some(watch) = restores.watch(full_name)
        {
            return Ok(watch);
        }
        // A result that is stored counts, also where a job ended without having seen it
        // stored; short of one, why the job ended says more than that it did.
        let restore = self.restore(full_name).await;
        let has_ended = restore.as_ref().is_ok_and(|it| it.end_time.is_some());
        if !has_ended && let Some(watch) = restores.watch(full_name) {
            return Ok(watch);
        }
        let last = WatchRestoreResponse {
            restore: Some(restore?),
            phase: "done".to_owned(),
        };
        Ok(Box::pin(tokio_stream::once(Ok(last))))
    }

    async fn list(&self, request: ListRestoresRequest) -> Result<ListRestoresResponse, Error> {
        let tenant = name::parse_tenant("parent", &request.parent)?;
        let vault = self.context.deps.vault.tenant(&tenant).await?;
        let mut restores = Vec::new();
        let ids = vault.list_ids(Area::Restores).await?;
        let ids = ids.iter().filter_map(|id| PlanId::parse(id).ok());
        let ids: BTreeSet<PlanId> = ids.chain(errand::marked(&vault).await?).collect();
        for id in ids.into_iter().rev() {
            let documents = Documents::new(vault.clone(), id);
            match self.restore_of(&tenant, &documents).await {
                Ok(restore) => restores.push(restore),
                // Not finished, or given up.
                Err(Error::Store(StoreError::NotFound { .. })) => {}
                Err(error) => return Err(error),
            }
        }
        let page = paginate_by_key(
            restores,
            request.page_size,
            &request.page_token,
            Sorting::Descending,
            |restore| &restore.name,
        )?;
        Ok(ListRestoresResponse {
            restores: page.items,
            next_page_token: page.next_page_token,
        })
    }

    async fn outcomes(&self, request: ListOutcomesRequest) -> Result<ListOutcomesResponse, Error> {
        let (_, documents) = self.of_restore("parent", &request.parent).await?;
        documents.plan().await?;
        let outcomes = apply::outcomes(&documents.journal().await?);
        let wanted = |outcome: &Outcome| {
            request.states.is_empty() || request.states.contains(&outcome.state)
        };
        let page = paginate(
            outcomes.into_values().filter(wanted).collect(),
            request.page_size,
            &request.page_token,
        )?;
        Ok(ListOutcomesResponse {
            outcomes: page.items,
            next_page_token: page.next_page_token,
        })
    }

    async fn cancel(&self, full_name: &str, caller: String) -> Result<Restore, Error> {
        let (tenant, documents) = self.of_restore("name", full_name).await?;
        let vault = documents.vault().clone();
        cancel::start(&self.context, vault, &tenant, documents.id(), caller).await
    }

    async fn apply(&self, full_name: &str, caller: String) -> Result<Restore, Error> {
        let (tenant, id) = name::parse_plan("name", full_name)?;
        let vault = self.context.deps.vault.tenant(&tenant).await?;
        Ok(apply::start(&self.context, vault, &tenant, &id, caller)
            .await?
            .restore
            .unwrap_or_default())
    }
}

/// The id of a plan that a request makes, after what earlier attempts left.
fn refuse(error: Error) -> Status {
    status(&error)
}

#[tonic::async_trait]
impl RestoreService for Rpc {
    type WatchPlanStream = Watch<WatchPlanResponse>;
    type WatchRestoreStream = Watch<WatchRestoreResponse>;

    async fn create_plan(
        &self,
        request: Request<CreatePlanRequest>,
    ) -> Result<Response<CreatePlanResponse>, Status> {
        let author = runtime::caller::of(&request).unwrap_or_default();
        let plan = self.create(author, request.into_inner()).await;
        let plan = plan.map_err(refuse)?;
        Ok(Response::new(CreatePlanResponse { plan: Some(plan) }))
    }

    async fn watch_plan(
        &self,
        request: Request<WatchPlanRequest>,
    ) -> Result<Response<Self::WatchPlanStream>, Status> {
        Ok(Response::new(
            self.watch_plan(&request.into_inner().name)
                .await
                .map_err(refuse)?,
        ))
    }

    async fn get_plan(
        &self,
        request: Request<GetPlanRequest>,
    ) -> Result<Response<GetPlanResponse>, Status> {
        let plan = self
            .plan(&request.into_inner().name)
            .await
            .map_err(refuse)?;
        Ok(Response::new(GetPlanResponse { plan: Some(plan) }))
    }

    async fn list_plan_steps(
        &self,
        request: Request<ListPlanStepsRequest>,
    ) -> Result<Response<ListPlanStepsResponse>, Status> {
        let request = request.into_inner();
        let read = async {
            let (_, documents) = self.of_plan("parent", &request.parent).await?;
            let window = Window::read(request.page_size, &request.page_token)?;
            let total = usize::try_from(documents.plan().await?.step_count).unwrap_or_default();
            Ok(ListPlanStepsResponse {
                steps: documents.steps_in(window, total).await?,
                next_page_token: window.next_page_token(total),
            })
        };
        Ok(Response::new(read.await.map_err(refuse)?))
    }

    async fn list_plan_exclusions(
        &self,
        request: Request<ListPlanExclusionsRequest>,
    ) -> Result<Response<ListPlanExclusionsResponse>, Status> {
        let request = request.into_inner();
        let read = async {
            let (_, documents) = self.of_plan("parent", &request.parent).await?;
            let window = Window::read(request.page_size, &request.page_token)?;
            let plan = documents.plan().await?;
            let total = usize::try_from(plan.exclusion_count).unwrap_or_default();
            Ok(ListPlanExclusionsResponse {
                exclusions: documents.exclusions_in(window, total).await?,
                next_page_token: window.next_page_token(total),
            })
        };
        Ok(Response::new(read.await.map_err(refuse)?))
    }

    async fn approve_plan(
        &self,
        request: Request<ApprovePlanRequest>,
    ) -> Result<Response<ApprovePlanResponse>, Status> {
        let caller = runtime::caller::of(&request);
        let plan = self.approve(caller, request.get_ref()).await;
        Ok(Response::new(ApprovePlanResponse {
            plan: Some(plan.map_err(refuse)?),
        }))
    }

    async fn apply_plan(
        &self,
        request: Request<ApplyPlanRequest>,
    ) -> Result<Response<ApplyPlanResponse>, Status> {
        let caller = runtime::caller::of(&request).unwrap_or_default();
        let restore = self
            .apply(&request.into_inner().name, caller)
            .await
            .map_err(refuse)?;
        Ok(Response::new(ApplyPlanResponse {
            restore: Some(restore),
        }))
    }

    async fn cancel_restore(
        &self,
        request: Request<CancelRestoreRequest>,
    ) -> Result<Response<CancelRestoreResponse>, Status> {
        let caller = runtime::caller::of(&request).unwrap_or_default();
        let restore = self
            .cancel(&request.into_inner().name, caller)
            .await
            .map_err(refuse)?;
        Ok(Response::new(CancelRestoreResponse {
            restore: Some(restore),
        }))
    }

    async fn create_undo_plan(
        &self,
        request: Request<CreateUndoPlanRequest>,
    ) -> Result<Response<CreateUndoPlanResponse>, Status> {
        let author = runtime::caller::of(&request).unwrap_or_default();
        let plan = self
            .create_undo(author, request.into_inner())
            .await
            .map_err(refuse)?;
        Ok(Response::new(CreateUndoPlanResponse { plan: Some(plan) }))
    }

    async fn watch_restore(
        &self,
        request: Request<WatchRestoreRequest>,
    ) -> Result<Response<Self::WatchRestoreStream>, Status> {
        Ok(Response::new(
            self.watch_restore(&request.into_inner().name)
                .await
                .map_err(refuse)?,
        ))
    }

    async fn get_restore(
        &self,
        request: Request<GetRestoreRequest>,
    ) -> Result<Response<GetRestoreResponse>, Status> {
        let restore = self
            .restore(&request.into_inner().name)
            .await
            .map_err(refuse)?;
        Ok(Response::new(GetRestoreResponse {
            restore: Some(restore),
        }))
    }

    async fn list_restores(
        &self,
        request: Request<ListRestoresRequest>,
    ) -> Result<Response<ListRestoresResponse>, Status> {
        Ok(Response::new(
            self.list(request.into_inner()).await.map_err(refuse)?,
        ))
    }

    async fn list_outcomes(
        &self,
        request: Request<ListOutcomesRequest>,
    ) -> Result<Response<ListOutcomesResponse>, Status> {
        Ok(Response::new(
            self.outcomes(request.into_inner()).await.map_err(refuse)?,
        ))
    }
}

#[tonic::async_trait]
impl ProtectionService for Rpc {
    async fn plan_protection(
        &self,
        request: Request<PlanProtectionRequest>,
    ) -> Result<Response<PlanProtectionResponse>, Status> {
        let author = runtime::caller::of(&request).unwrap_or_default();
        let plan = self.plan_protected(author, request.into_inner()).await;
        Ok(Response::new(PlanProtectionResponse {
            plan: Some(plan.map_err(refuse)?),
        }))
    }

    async fn get_posture(
        &self,
        _: Request<GetPostureRequest>,
    ) -> Result<Response<GetPostureResponse>, Status> {
        Err(Status::unimplemented("postures are read by the differ"))
    }

    async fn list_postures(
        &self,
        _: Request<ListPosturesRequest>,
    ) -> Result<Response<ListPosturesResponse>, Status> {
        Err(Status::unimplemented("postures are read by the differ"))
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
