//! What this API asks Rewind's services, in a caller's name.
//!
//! Every call goes through the door as one from outside, which checks role and tenant.
//! Nothing is remembered here between two requests.

use model::{TenantId, slot};
use proto::name;
use proto::v1::diff_service_client::DiffServiceClient;
use proto::v1::restore_service_client::RestoreServiceClient;
use proto::v1::snapshot_service_client::SnapshotServiceClient;
use proto::v1::{
    AddedPolicy, CancelReportRequest, CancelRestoreRequest, Change, CreatePlanRequest,
    CreateReportRequest, GetReportRequest, GetRestoreRequest, ListChangesRequest,
    ListOutcomesRequest, ListPlanStepsRequest, ListReportsRequest, ListRestoresRequest,
    ListSnapshotsRequest, Outcome, OutcomeState, PlanOptions, PlanStep, RelationshipMode, Report,
    ReportState, Restore, RestoreState, Snapshot, WatchReportRequest,
};
use runtime::MAX_MESSAGE_SIZE;
use std::time::Duration;
use tonic::metadata::MetadataValue;
use tonic::{Request, Status};

use super::changes::KINDS;
use super::criteria::{Criteria, Note, all_types};
use super::errors::Refusal;
use super::ids::{self, Kind};
use super::resources::{self, Job};
use crate::inside::Inside;

/// The largest page of Rewind's own lists.
const PAGE: i32 = 1000;
/// How long one call may take.
const LONGEST: Duration = Duration::from_secs(60);

/// The states of steps that did not succeed.
const UNSUCCESSFUL: [OutcomeState; 3] = [
    OutcomeState::Conflict,
    OutcomeState::Failed,
    OutcomeState::Skipped,
];

/// A caller at work on a tenant.
#[derive(Debug, Clone)]
pub(super) struct Calls {
    pub(super) inside: Inside,
    pub(super) tenant: TenantId,
    /// Under which the services log what they do for the request.
    pub(super) request_id: String,
}

impl Calls {
    fn snapshots(&self) -> SnapshotServiceClient<Inside> {
        SnapshotServiceClient::new(self.inside.clone()).max_decoding_message_size(MAX_MESSAGE_SIZE)
    }

    fn diffs(&self) -> DiffServiceClient<Inside> {
        DiffServiceClient::new(self.inside.clone()).max_decoding_message_size(MAX_MESSAGE_SIZE)
    }

    fn restores(&self) -> RestoreServiceClient<Inside> {
        RestoreServiceClient::new(self.inside.clone()).max_decoding_message_size(MAX_MESSAGE_SIZE)
    }

    fn parent(&self) -> String {
        name::tenant(&self.tenant)
    }

    fn with<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Ok(id) = MetadataValue::try_from(self.request_id.as_str()) {
            request.metadata_mut().insert("x-request-id", id);
        }
        request.set_timeout(LONGEST);
        request
    }

    /// Whether the caller may look at the tenant at all.
    pub(super) async fn look(&self) -> Result<(), Status> {
        let request = ListSnapshotsRequest {
            parent: self.parent(),
            page_size: 1,
            ..ListSnapshotsRequest::default()
        };
        self.snapshots().list_snapshots(self.with(request)).await?;
        Ok(())
    }

    /// All snapshots, newest first.
    pub(super) async fn all_snapshots(&self) -> Result<Vec<Snapshot>, Status> {
        let (mut all, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = ListSnapshotsRequest {
                parent: self.parent(),
                page_size: PAGE,
                page_token,
            };
            let page = self.snapshots().list_snapshots(self.with(request)).await?;
            let page = page.into_inner();
            all.extend(page.snapshots);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(all);
            }
        }
    }

    /// The name and the time of a snapshot.
    pub(super) async fn snapshot(&self, id: &str) -> Result<(Snapshot, String), Refusal> {
        let all = self.all_snapshots().await?;
        let found = all.into_iter().find_map(|snapshot| {
            let row = resources::snapshot(&snapshot)?;
            let time = row["createdDateTime"].as_str()?.to_owned();
            (row["id"] == id).then_some((snapshot, time))
        });
        found.ok_or_else(|| Refusal::not_found(format!("there is no snapshot {id:?}")))
    }

    /// All jobs, the latest first.
    pub(super) async fn jobs(&self) -> Result<Vec<Job>, Status> {
        let mut jobs = Vec::new();
        for report in self.all_reports().await? {
            let phase = self.phase(&report).await;
            jobs.extend(resources::preview(&report, &phase));
        }
        let restores = self.all_restores().await?;
        jobs.extend(restores.iter().filter_map(resources::recovery));
        // Their GUIDs begin with the time.
        jobs.sort_by(|a, b| b.id.cmp(&a.id));
        Ok(jobs)
    }

    async fn all_reports(&self) -> Result<Vec<Report>, Status> {
        let (mut all, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = ListReportsRequest {
                parent: self.parent(),
                page_size: PAGE,
                page_token,
            };
            let page = self.diffs().list_reports(self.with(request)).await?;
            let page = page.into_inner();
            all.extend(page.reports);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(all);
            }
        }
    }

    async fn all_restores(&self) -> Result<Vec<Restore>, Status> {
        let (mut all, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = ListRestoresRequest {
                parent: self.parent(),
                page_size: PAGE,
                page_token,
            };
            let page = self.restores().list_restores(self.with(request)).await?;
            let page = page.into_inner();
            all.extend(page.restores);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(all);
            }
        }
    }

    /// What the differ does for a report right now; empty where that is not known, so
    /// that a report is told although its progress cannot be.
    async fn phase(&self, report: &Report) -> String {
        let of_ours = report.errand.is_some() && report.state() == ReportState::Running;
        if !of_ours {
            return String::new();
        }
        let request = self.with(WatchReportRequest {
            name: report.name.clone(),
        });
        let first = async {
            let mut watch = self.diffs().watch_report(request).await?.into_inner();
            watch.message().await
        };
        let first = first.await.ok().flatten();
        first.map(|message| message.phase).unwrap_or_default()
    }

    /// A job by its GUID.
    pub(super) async fn job(&self, guid: &str) -> Result<Job, Refusal> {
        let nothing = || Refusal::not_found(format!("there is no job {guid:?}"));
        let (kind, id) = ids::of_job(guid).ok_or_else(nothing)?;
        let job = match kind {
            Kind::Preview => {
                let name = format!("{}/reports/{id}", self.parent());
                let report = self.report(name).await?;
                let phase = self.phase(&report).await;
                resources::preview(&report, &phase)
            }
            Kind::Recovery => {
                let request = GetRestoreRequest {
                    name: format!("{}/restores/{id}", self.parent()),
                };
                let restore = self.restores().get_restore(self.with(request)).await?;
                let restore = restore.into_inner().restore.unwrap_or_default();
                resources::recovery(&restore)
            }
        };
        job.ok_or_else(nothing)
    }

    async fn report(&self, name: String) -> Result<Report, Status> {
        let request = self.with(GetReportRequest { name });
        let report = self.diffs().get_report(request).await?.into_inner();
        Ok(report.report.unwrap_or_default())
    }

    /// Makes a job. The same request made again leads to the same job.
    pub(super) async fn make(
        &self,
        kind: Kind,
        snapshot: &str,
        criteria: Criteria,
        client_request: &str,
    ) -> Result<Job, Refusal> {
        let (snapshot, target) = self.snapshot(snapshot).await?;
        let note = Note {
            target,
            criteria: criteria.told,
        };
        let request_id = format!("graph-{}-{client_request}", kind.collection());
        let job = match kind {
            Kind::Preview => {
                let request = CreateReportRequest {
                    parent: self.parent(),
                    base: snapshot.name,
                    scope: Some(criteria.scope),
                    request_id,
                    errand_note: note.text(),
                    ..CreateReportRequest::default()
                };
                let answer = self.diffs().create_report(self.with(request)).await?;
                resources::preview(&answer.into_inner().report.unwrap_or_default(), "")
            }
            Kind::Recovery => {
                self.refuse_beside_another(&request_id).await?;
                let options = PlanOptions {
                    added: AddedPolicy::SoftDelete as i32,
                    relationships: RelationshipMode::Rollback as i32,
                    ..PlanOptions::default()
                };
                let request = CreatePlanRequest {
                    parent: self.parent(),
                    snapshot: snapshot.name,
                    scope: Some(criteria.scope),
                    options: Some(options),
                    request_id,
                    errand_note: note.text(),
                    ..CreatePlanRequest::default()
                };
                let answer = self.restores().create_plan(self.with(request)).await?;
                let plan = answer.into_inner().plan.unwrap_or_default();
                let restore = Restore {
                    name: plan.name.replace("/plans/", "/restores/"),
                    state: RestoreState::Planned as i32,
                    create_time: plan.create_time,
                    errand: plan.errand,
                    ..Restore::default()
                };
                resources::recovery(&restore)
            }
        };
        job.ok_or_else(|| Status::internal("a job was made and is none").into())
    }

    /// Refuses a recovery while another restore has the tenant, unless that is the one
    /// that is asked for.
    async fn refuse_beside_another(&self, request_id: &str) -> Result<(), Refusal> {
        let mark = slot::request_mark(request_id);
        let restores = self.all_restores().await?;
        if restores.iter().any(|restore| restore.name.ends_with(&mark)) {
            return Ok(());
        }
        let at_work = |restore: &&Restore| {
            matches!(
                restore.state(),
                RestoreState::Running | RestoreState::Interrupted
            )
        };
        match restores.iter().find(at_work) {
            None => Ok(()),
            Some(other) => Err(Refusal::conflict(format!(
                "{} has not ended; one recovery at a time has a tenant",
                other.name
            ))),
        }
    }

    /// Cancels a job that has not ended.
    pub(super) async fn cancel(&self, job: &Job) -> Result<(), Status> {
        match job.kind {
            Kind::Preview => {
                let request = CancelReportRequest {
                    name: job.name.clone(),
                    ..CancelReportRequest::default()
                };
                self.diffs().cancel_report(self.with(request)).await?;
            }
            Kind::Recovery => {
                let request = CancelRestoreRequest {
                    name: job.name.clone(),
                    ..CancelRestoreRequest::default()
                };
                self.restores().cancel_restore(self.with(request)).await?;
            }
        }
        Ok(())
    }

    /// A page of the changes of a preview, but for those that nothing brings back.
    pub(super) async fn changes(
        &self,
        job: &Job,
        size: usize,
        token: &str,
    ) -> Result<(Vec<Change>, String), Status> {
        let request = ListChangesRequest {
            parent: job.name.clone(),
            page_size: page_size(size),
            page_token: token.to_owned(),
            types: all_types(),
            kinds: KINDS.map(|kind| kind as i32).to_vec(),
            ..ListChangesRequest::default()
        };
        let page = self.diffs().list_changes(self.with(request)).await?;
        let page = page.into_inner();
        Ok((page.changes, page.next_page_token))
    }

    /// A page of the steps of a recovery that did not succeed, with how they ended.
    pub(super) async fn failures(
        &self,
        job: &Job,
        size: usize,
        token: &str,
    ) -> Result<(Vec<(PlanStep, Outcome)>, String), Status> {
        let request = ListOutcomesRequest {
            parent: job.name.clone(),
            page_size: page_size(size),
            page_token: token.to_owned(),
            states: UNSUCCESSFUL.map(|state| state as i32).to_vec(),
        };
        let page = self.restores().list_outcomes(self.with(request)).await?;
        let page = page.into_inner();
        let mut steps = Vec::with_capacity(page.outcomes.len());
        let (mut known, mut next) = (Vec::new(), Some(String::new()));
        for outcome in page.outcomes {
            let step = loop {
                let mut steps = known.iter();
                let step = steps.find(|step: &&PlanStep| step.number == outcome.step);
                if let Some(step) = step {
                    break Some(step.clone());
                }
                let Some(token) = next.take() else { break None };
                (known, next) = self.steps(job, PAGE, token).await?;
            };
            let step = step.unwrap_or_else(|| PlanStep {
                object: outcome.object.clone(),
                action: outcome.action,
                ..PlanStep::default()
            });
            steps.push((step, outcome));
        }
        Ok((steps, page.next_page_token))
    }

    /// A page of the steps of a recovery, and where the next one begins.
    pub(super) async fn steps(
        &self,
        job: &Job,
        size: i32,
        token: String,
    ) -> Result<(Vec<PlanStep>, Option<String>), Status> {
        let request = ListPlanStepsRequest {
            parent: job.name.replace("/restores/", "/plans/"),
            page_size: size,
            page_token: token,
        };
        let page = self.restores().list_plan_steps(self.with(request)).await?;
        let page = page.into_inner();
        let next = Some(page.next_page_token).filter(|token| !token.is_empty());
        Ok((page.steps, next))
    }
}

pub(super) fn page_size(size: usize) -> i32 {
    i32::try_from(size).unwrap_or(PAGE).min(PAGE)
}
