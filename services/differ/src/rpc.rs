//! The contract's calls, turned into use cases.

use std::sync::Arc;

use chrono::TimeDelta;
use model::error::reason;
use model::{ReportId, slot};
use proto::convert::{InvalidMessage, model_errand, model_scope};
use proto::name;
use proto::v1::diff_service_server::DiffService;
use proto::v1::protection_service_server::ProtectionService;
use proto::v1::{
    CancelReportRequest, CancelReportResponse, CreateReportRequest, CreateReportResponse, Errand,
    Failure, GetPostureRequest, GetPostureResponse, GetReportRequest, GetReportResponse,
    ListChangesRequest, ListChangesResponse, ListDeletedObjectsRequest, ListDeletedObjectsResponse,
    ListPosturesRequest, ListPosturesResponse, ListReportsRequest, ListReportsResponse,
    PlanProtectionRequest, PlanProtectionResponse, Report, ReportState, WatchReportRequest,
    WatchReportResponse,
};
use runtime::jobs::Watch;
use runtime::page::{Order as Sorting, paginate_by_key, paginate_choice};
use runtime::status::status;
use store::{Area, Manifest, StoreError, TenantVault};
use tokio_stream::StreamExt;
use tonic::{Request, Response, Status};

use crate::create::{self, Order};
use crate::filter::Filter;
use crate::live::Freshness;
use crate::{Context, Error, deleted, posture, progress, reports};

/// The oldest live state that may be asked for.
const LONGEST_AGE: TimeDelta = TimeDelta::days(30);

/// What earlier calls with a request id came to.
enum Before {
    /// The report.
    Made(Box<Report>),
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

    async fn create(&self, request: CreateReportRequest) -> Result<Report, Error> {
        let deps = &self.context.deps;
        let tenant = name::parse_tenant("parent", &request.parent)?;
        let scope = model_scope(request.scope.as_ref())?;
        let errand = model_errand(&request.errand_note)?;
        let vault = deps.vault.tenant(&tenant).await?;
        let request_id = Some(request.request_id)
            .filter(|id| !id.is_empty())
            .unwrap_or_else(|| deps.ids.uuid().to_string());
        let left = match self.before(&vault, &request_id).await? {
            Before::Made(report) => return Ok(*report),
            Before::Left(left) => left,
        };
        let base = snapshot(&vault, "base", &request.base).await?;
        let target = match request.target.as_str() {
            "" | "live" => None,
            target => Some(snapshot(&vault, "target", target).await?),
        };
        let asked_at = deps.clock.now();
        let left = left.iter().map(String::as_str);
        let id = ReportId::parse(&slot::on_demand_after(left, asked_at, &request_id))
            .expect("invariant: a slot is a report id");
        let max_age = request.max_age.unwrap_or_default();
        let max_age = TimeDelta::new(max_age.seconds, 0)
            .filter(|age| *age >= TimeDelta::zero() && *age <= LONGEST_AGE)
            .ok_or_else(|| {
                InvalidMessage::new(
                    "max_age",
                    "a length of time from zero to 30 days is expected",
                )
            })?;
        let order = Order {
            tenant,
            id,
            base,
            target,
            scope,
            max_age,
            freshness: match (request.fresh_only, request.full) {
                (true, _) => Freshness::Full,
                (false, true) => Freshness::Whole,
                (false, false) => Freshness::AsFarAsPossible,
            },
            errand,
            asked_at,
        };
        if order.errand.is_some() {
            let running = order.report(ReportState::Running);
            reports::write_order(&vault, &order.id, order.snapshots(), &running).await?;
        }
        Ok(create::start(&self.context, vault, order)
            .report
            .unwrap_or_default())
    }

    /// What earlier calls with the same request id came to.
    async fn before(&self, vault: &TenantVault, request_id: &str) -> Result<Before, Error> {
        let mark = slot::request_mark(request_id);
        let prefix = name::tenant(vault.id());
        if let Some(progress) = self.context.jobs.running_like(&prefix, &mark) {
            return Ok(Before::Made(Box::new(progress.report.unwrap_or_default())));
        }
        let mut ids = vault.list_ids(Area::Reports).await?;
        ids.retain(|id| id.ends_with(&mark));
        for id in &ids {
            let Ok(id) = ReportId::parse(id) else {
                continue;
            };
            match self.stored(vault, &id).await {
                Ok(report) => return Ok(Before::Made(Box::new(report))),
                Err(Error::Store(store::StoreError::NotFound { .. })) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Before::Left(ids))
    }

    async fn get(&self, full_name: &str) -> Result<Report, Error> {
        if let Some(progress) = self
            .context
            .jobs
            .get(full_name)
            .filter(|_| self.context.jobs.is_running(full_name))
        {
            return Ok(progress.report.unwrap_or_default());
        }
        let (tenant, id) = name::parse_report("name", full_name)?;
        self.stored(&self.context.deps.vault.tenant(&tenant).await?, &id)
            .await
    }

    /// A report as it is stored; of one that somebody waits for also that it is being
    /// made, or that its making was cut short.
    async fn stored(&self, vault: &TenantVault, id: &ReportId) -> Result<Report, Error> {
        let not_found = match reports::read(vault, id).await {
            Err(error @ Error::Store(StoreError::NotFound { .. })) => error,
            other => return other,
        };
        let Some(ordered) = reports::ordered(vault, id).await? else {
            return Err(not_found);
        };
        if self.context.jobs.is_running(&ordered.name) {
            return Ok(ordered);
        }
        // How it ended is stored before it stops running.
        match reports::read(vault, id).await {
            Err(Error::Store(StoreError::NotFound { .. })) => {}
            other => return other,
        }
        let failure = Failure {
            reason: reason::BACKEND_UNAVAILABLE.to_owned(),
            message: "the differ was stopped while it made the report; ask for it again".to_owned(),
            time: ordered.create_time,
        };
        Ok(Report {
            state: ReportState::Failed as i32,
            errand: ordered.errand.map(|errand| Errand {
                failure: Some(failure),
                ..errand
            }),
            ..ordered
        })
    }

    async fn watch(&self, full_name: &str) -> Result<Watch<WatchReportResponse>, Error> {
        let jobs = &self.context.jobs;
        if jobs.is_running(full_name)
            && let Some(watch) = jobs.watch(full_name)
        {
            return Ok(watch);
        }
        // What is stored counts, also where a job ended without having seen it stored.
        let report = match self.get(full_name).await {
            Ok(report) => report,
            Err(error) => return jobs.watch(full_name).ok_or(error),
        };
        let last = progress::ended(report);
        Ok(Box::pin(tokio_stream::once(Ok(last))))
    }

    async fn cancel(&self, full_name: &str) -> Result<Option<Report>, Status> {
        self.context.jobs.cancel(full_name);
        let mut watch = self.watch(full_name).await.map_err(refuse)?;
        let mut report = None;
        while let Some(message) = watch.try_next().await? {
            report = message.report;
        }
        Ok(report)
    }

    async fn list(&self, request: ListReportsRequest) -> Result<ListReportsResponse, Error> {
        let tenant = name::parse_tenant("parent", &request.parent)?;
        let vault = self.context.deps.vault.tenant(&tenant).await?;
        let mut reports = Vec::new();
        for id in reports::ids(&vault).await? {
            match self.stored(&vault, &id).await {
                Ok(report) => reports.push(report),
                // Not finished, or given up.
                Err(Error::Store(StoreError::NotFound { .. })) => {}
                Err(error) => return Err(error),
            }
        }
        let page = paginate_by_key(
            reports,
            request.page_size,
            &request.page_token,
            Sorting::Descending,
            |report| &report.name,
        )?;
        Ok(ListReportsResponse {
            reports: page.items,
            next_page_token: page.next_page_token,
        })
    }

    async fn changes(&self, request: ListChangesRequest) -> Result<ListChangesResponse, Error> {
        let (tenant, id) = name::parse_report("parent", &request.parent)?;
        let filter = Filter::read(&request)?;
        let vault = self.context.deps.vault.tenant(&tenant).await?;
        let load = async { Ok(Arc::new(reports::changes(&vault, &id).await?)) };
        let all = self
            .context
            .caches
            .changes(&tenant, id.as_str(), load)
            .await?;
        let page = paginate_choice(
            all.iter().filter(|change| filter.holds(change)).collect(),
            filter.choice(),
            request.page_size,
            &request.page_token,
        )?;
        Ok(ListChangesResponse {
            changes: page.items.into_iter().cloned().collect(),
            next_page_token: page.next_page_token,
        })
    }
}

/// A snapshot by name, id or `latest`.
async fn snapshot(
    vault: &TenantVault,
    field: &'static str,
    value: &str,
) -> Result<Manifest, Error> {
    let id = name::parse_snapshot_in(field, vault.id(), value)?;
    Ok(vault.find(&id).await?)
}

fn refuse(error: Error) -> Status {
    status(&error)
}

#[tonic::async_trait]
impl DiffService for Rpc {
    type WatchReportStream = Watch<WatchReportResponse>;

    async fn create_report(
        &self,
        request: Request<CreateReportRequest>,
    ) -> Result<Response<CreateReportResponse>, Status> {
        let report = self.create(request.into_inner()).await.map_err(refuse)?;
        Ok(Response::new(CreateReportResponse {
            report: Some(report),
        }))
    }

    async fn watch_report(
        &self,
        request: Request<WatchReportRequest>,
    ) -> Result<Response<Self::WatchReportStream>, Status> {
        Ok(Response::new(
            self.watch(&request.into_inner().name)
                .await
                .map_err(refuse)?,
        ))
    }

    async fn cancel_report(
        &self,
        request: Request<CancelReportRequest>,
    ) -> Result<Response<CancelReportResponse>, Status> {
        let report = self.cancel(&request.into_inner().name).await?;
        Ok(Response::new(CancelReportResponse { report }))
    }

    async fn get_report(
        &self,
        request: Request<GetReportRequest>,
    ) -> Result<Response<GetReportResponse>, Status> {
        let report = self.get(&request.into_inner().name).await.map_err(refuse)?;
        Ok(Response::new(GetReportResponse {
            report: Some(report),
        }))
    }

    async fn list_reports(
        &self,
        request: Request<ListReportsRequest>,
    ) -> Result<Response<ListReportsResponse>, Status> {
        Ok(Response::new(
            self.list(request.into_inner()).await.map_err(refuse)?,
        ))
    }

    async fn list_deleted_objects(
        &self,
        request: Request<ListDeletedObjectsRequest>,
    ) -> Result<Response<ListDeletedObjectsResponse>, Status> {
        Ok(Response::new(
            deleted::list(&self.context, request.into_inner())
                .await
                .map_err(refuse)?,
        ))
    }

    async fn list_changes(
        &self,
        request: Request<ListChangesRequest>,
    ) -> Result<Response<ListChangesResponse>, Status> {
        Ok(Response::new(
            self.changes(request.into_inner()).await.map_err(refuse)?,
        ))
    }
}

#[tonic::async_trait]
impl ProtectionService for Rpc {
    async fn get_posture(
        &self,
        request: Request<GetPostureRequest>,
    ) -> Result<Response<GetPostureResponse>, Status> {
        let posture = posture::get(&self.context, request.get_ref())
            .await
            .map_err(refuse)?;
        Ok(Response::new(GetPostureResponse {
            posture: Some(posture),
        }))
    }

    async fn list_postures(
        &self,
        request: Request<ListPosturesRequest>,
    ) -> Result<Response<ListPosturesResponse>, Status> {
        let found = posture::list(&self.context, request.get_ref()).await;
        Ok(Response::new(found.map_err(refuse)?))
    }

    async fn plan_protection(
        &self,
        _: Request<PlanProtectionRequest>,
    ) -> Result<Response<PlanProtectionResponse>, Status> {
        Err(Status::unimplemented("plans are made by the restorer"))
    }
}
