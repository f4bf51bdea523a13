//! A gateway that remembers what it was asked and answers from a script.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

use proto::v1::diff_service_server::DiffService;
use proto::v1::grant_service_server::GrantService;
use proto::v1::key_service_server::KeyService;
use proto::v1::lifecycle_service_server::LifecycleService;
use proto::v1::protection_service_server::ProtectionService;
use proto::v1::restore_service_server::RestoreService;
use proto::v1::signal_service_server::SignalService;
use proto::v1::snapshot_service_server::SnapshotService;
use proto::v1::store_service_server::StoreService;
use proto::v1::tenant_service_server::TenantService;
use proto::v1::*;
use serde_json::Value;
use tonic::{Request, Response, Status};

use crate::canned::{self, OTHER, TENANT, TOKEN};

/// The script; each field is what the gateway holds.
pub(crate) struct Fake {
    pub(crate) tenants: Vec<Tenant>,
    pub(crate) check: CheckTenantResponse,
    pub(crate) store: CheckStoreResponse,
    pub(crate) grants: Vec<Grant>,
    pub(crate) snapshot: Snapshot,
    pub(crate) objects: Vec<SnapshotObject>,
    pub(crate) report: Report,
    /// Whether the report is still being made where it is asked for.
    pub(crate) report_runs: bool,
    pub(crate) changes: Vec<Change>,
    /// At most how many changes are on a page.
    pub(crate) changes_on_page: usize,
    pub(crate) plan: Plan,
    pub(crate) restore: Restore,
    pub(crate) copies: Vec<SnapshotCopy>,
    pub(crate) signals: Vec<Signal>,
    /// What each stream of signals tells before it ends.
    pub(crate) watches: Mutex<VecDeque<Vec<Result<WatchSignalsResponse, Status>>>>,
    pub(crate) posture: Posture,
    pub(crate) audit: Vec<AuditEntry>,
    pub(crate) audit_unreadable: i64,
    pub(crate) verification: AuditVerification,
    /// What an update, a hold that is lifted or an erasure waits for.
    pub(crate) pending: Option<GuardedChange>,
    /// Whether tenants that are registered are so already.
    pub(crate) already_registered: bool,
    /// Errors by request message, such as `GetSnapshotRequest`.
    pub(crate) errors: BTreeMap<&'static str, Status>,
    /// A tenant whose keys cannot be had.
    pub(crate) keyless: Option<(&'static str, Status)>,
    /// How many Watch streams end before the work does.
    pub(crate) broken_streams: Mutex<u32>,
    /// What was asked: the request message's name and its JSON.
    pub(crate) asked: Mutex<Vec<(&'static str, Value)>>,
}

impl Default for Fake {
    fn default() -> Self {
        Self {
            tenants: vec![canned::tenant(TENANT, "Contoso")],
            check: CheckTenantResponse::default(),
            store: CheckStoreResponse::default(),
            grants: Vec::new(),
            snapshot: canned::snapshot("20261123t1", SnapshotState::Complete),
            objects: canned::objects().to_vec(),
            report: canned::report("r1", ReportState::Succeeded),
            report_runs: false,
            changes: canned::changes(),
            changes_on_page: 1,
            plan: canned::plan("p1", PlanState::Ready),
            restore: canned::restore("p1", RestoreState::Succeeded, true),
            copies: Vec::new(),
            signals: canned::signals(),
            watches: Mutex::default(),
            posture: canned::posture(),
            audit: crate::auditing::entries(),
            audit_unreadable: 0,
            verification: crate::auditing::verification(),
            pending: None,
            already_registered: false,
            errors: BTreeMap::new(),
            keyless: None,
            broken_streams: Mutex::new(0),
            asked: Mutex::default(),
        }
    }
}

impl Fake {
    pub(crate) fn two_tenants() -> Self {
        let tenants = vec![
            canned::tenant(TENANT, "Contoso"),
            canned::tenant(OTHER, "Fabrikam"),
        ];
        Self {
            tenants,
            ..Self::default()
        }
    }

    pub(crate) fn failing(request: &'static str, status: Status) -> Self {
        Self {
            errors: BTreeMap::from([(request, status)]),
            ..Self::default()
        }
    }

    /// The last request of one message type.
    pub(crate) fn last(&self, message: &str) -> Value {
        let asked = self.asked.lock().expect("no panic");
        asked
            .iter()
            .rev()
            .find(|(name, _)| *name == message)
            .map_or(Value::Null, |(_, request)| request.clone())
    }

    /// How many calls of one kind were made.
    pub(crate) fn heard(&self, message: &str) -> usize {
        self.asked
            .lock()
            .expect("no panic")
            .iter()
            .filter(|(name, _)| *name == message)
            .count()
    }

    /// How many calls were made.
    pub(crate) fn calls(&self) -> usize {
        self.asked.lock().expect("no panic").len()
    }

    pub(crate) fn hear<T: prost::Message>(
        &self,
        message: &'static str,
        request: &Request<T>,
    ) -> Result<(), Status> {
        let header = |name: &str| {
            request
                .metadata()
                .get(name)
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
                .to_owned()
        };
        assert_eq!(
            header("authorization"),
            format!("Bearer {TOKEN}"),
            "{message}"
        );
        assert_eq!(header("x-request-id").len(), 36, "{message}");
        assert_eq!(
            header("grpc-timeout").is_empty(),
            ["Watch", "Read", "Verify", "Repair", "Copy"]
                .iter()
                .any(|long| message.starts_with(long)),
            "{message}"
        );
        self.asked
            .lock()
            .expect("no panic")
            .push((message, proto::json::to_json(message, request.get_ref())));
        self.errors
            .get(message)
            .map_or(Ok(()), |status| Err(status.clone()))
    }

    fn refuse(&self, name: &str) -> Result<(), Status> {
        match &self.keyless {
            Some((tenant, status)) if name.ends_with(tenant) => Err(status.clone()),
            _ => Ok(()),
        }
    }

    /// A stream of a running and a finished state, or of the running one only.
    fn stream<M>(&self, running: M, finished: M) -> Response<Stream<M>> {
        let mut broken = self.broken_streams.lock().expect("no panic");
        let mut messages = vec![Ok(running)];
        if *broken > 0 {
            *broken -= 1;
        } else {
            messages.push(Ok(finished));
        }
        Response::new(tokio_stream::iter(messages))
    }
}

type Stream<M> = tokio_stream::Iter<std::vec::IntoIter<Result<M, Status>>>;

/// One item for each page, so that joining is seen.
pub(crate) fn page<T: Clone>(items: &[T], token: &str) -> (Vec<T>, String) {
    let index: usize = token.parse().unwrap_or(0);
    let next = if index + 1 < items.len() {
        (index + 1).to_string()
    } else {
        String::new()
    };
    (items.get(index).cloned().into_iter().collect(), next)
}

macro_rules! method {
    ($self:ident, $request:ident, $message:ident, $answer:expr) => {{
        $self.hear(stringify!($message), &$request)?;
        Ok(Response::new($answer))
    }};
}

#[tonic::async_trait]
impl TenantService for Fake {
    async fn create_tenant(
        &self,
        request: Request<CreateTenantRequest>,
    ) -> Result<Response<CreateTenantResponse>, Status> {
        let tenant = request.get_ref().tenant.clone().map(|tenant| Tenant {
            name: format!("tenants/{}", tenant.id),
            ..tenant
        });
        method!(
            self,
            request,
            CreateTenantRequest,
            CreateTenantResponse {
                tenant,
                already_registered: self.already_registered
            }
        )
    }
    async fn update_tenant(
        &self,
        request: Request<UpdateTenantRequest>,
    ) -> Result<Response<UpdateTenantResponse>, Status> {
        let tenant = self.tenants.first().map(|tenant| Tenant {
            drift_watch: request.get_ref().drift_watch().to_owned(),
            audit_watch: request.get_ref().audit_watch().to_owned(),
            approval: request.get_ref().approval().to_owned(),
            break_glass_ids: request
                .get_ref()
                .break_glass
                .clone()
                .unwrap_or_default()
                .ids,
            webhook: request.get_ref().webhook.clone(),
            ..tenant.clone()
        });
        method!(
            self,
            request,
            UpdateTenantRequest,
            UpdateTenantResponse {
                tenant,
                pending_change: self.pending.clone()
            }
        )
    }
    async fn get_tenant(
        &self,
        request: Request<GetTenantRequest>,
    ) -> Result<Response<GetTenantResponse>, Status> {
        let tenant = self
            .tenants
            .iter()
            .find(|tenant| tenant.name == request.get_ref().name)
            .cloned();
        method!(
            self,
            request,
            GetTenantRequest,
            GetTenantResponse { tenant }
        )
    }
    async fn list_tenants(
        &self,
        request: Request<ListTenantsRequest>,
    ) -> Result<Response<ListTenantsResponse>, Status> {
        let (tenants, next_page_token) = page(&self.tenants, &request.get_ref().page_token);
        method!(
            self,
            request,
            ListTenantsRequest,
            ListTenantsResponse {
                tenants,
                next_page_token
            }
        )
    }
    async fn check_tenant(
        &self,
        request: Request<CheckTenantRequest>,
    ) -> Result<Response<CheckTenantResponse>, Status> {
        method!(self, request, CheckTenantRequest, self.check.clone())
    }
    async fn list_tenant_overviews(
        &self,
        request: Request<ListTenantOverviewsRequest>,
    ) -> Result<Response<ListTenantOverviewsResponse>, Status> {
        let overviews = self.tenants.iter().map(canned::overview).collect();
        method!(
            self,
            request,
            ListTenantOverviewsRequest,
            ListTenantOverviewsResponse {
                overviews,
                totals: Some(OverviewTotals {
                    tenants: 1,
                    attention: 1,
                    ..OverviewTotals::default()
                }),
                refresh_time: canned::at(0),
                ..ListTenantOverviewsResponse::default()
            }
        )
    }
}

#[tonic::async_trait]
impl LifecycleService for Fake {
    async fn suspend_tenant(
        &self,
        request: Request<SuspendTenantRequest>,
    ) -> Result<Response<SuspendTenantResponse>, Status> {
        let change = Some(canned::change());
        let answer = SuspendTenantResponse { change };
        method!(self, request, SuspendTenantRequest, answer)
    }
    async fn resume_tenant(
        &self,
        request: Request<ResumeTenantRequest>,
    ) -> Result<Response<ResumeTenantResponse>, Status> {
        let name = request.get_ref().name.clone();
        let answer = ResumeTenantResponse { name };
        method!(self, request, ResumeTenantRequest, answer)
    }
    async fn offboard_tenant(
        &self,
        request: Request<OffboardTenantRequest>,
    ) -> Result<Response<OffboardTenantResponse>, Status> {
        let change = Some(canned::change());
        let answer = OffboardTenantResponse { change };
        method!(self, request, OffboardTenantRequest, answer)
    }
    async fn list_guarded_changes(
        &self,
        request: Request<ListGuardedChangesRequest>,
    ) -> Result<Response<ListGuardedChangesResponse>, Status> {
        let answer = ListGuardedChangesResponse {
            changes: vec![canned::change()],
            next_page_token: String::new(),
        };
        method!(self, request, ListGuardedChangesRequest, answer)
    }
    async fn get_guarded_change(
        &self,
        request: Request<GetGuardedChangeRequest>,
    ) -> Result<Response<GetGuardedChangeResponse>, Status> {
        let change = Some(canned::change());
        let answer = GetGuardedChangeResponse { change };
        method!(self, request, GetGuardedChangeRequest, answer)
    }
    async fn approve_guarded_change(
        &self,
        request: Request<ApproveGuardedChangeRequest>,
    ) -> Result<Response<ApproveGuardedChangeResponse>, Status> {
        let change = Some(GuardedChange {
            state: GuardedChangeState::Approved.into(),
            approver: "ben".to_owned(),
            approve_time: canned::at(60),
            effective_time: canned::at(120),
            ..canned::change()
        });
        let answer = ApproveGuardedChangeResponse { change };
        method!(self, request, ApproveGuardedChangeRequest, answer)
    }
    async fn cancel_guarded_change(
        &self,
        request: Request<CancelGuardedChangeRequest>,
    ) -> Result<Response<CancelGuardedChangeResponse>, Status> {
        let change = Some(GuardedChange {
            state: GuardedChangeState::Cancelled.into(),
            cancelled_by: "ben".to_owned(),
            detail: request.get_ref().reason.clone(),
            end_time: canned::at(60),
            ..canned::change()
        });
        let answer = CancelGuardedChangeResponse { change };
        method!(self, request, CancelGuardedChangeRequest, answer)
    }
    async fn list_erasures(
        &self,
        request: Request<ListErasuresRequest>,
    ) -> Result<Response<ListErasuresResponse>, Status> {
        let certificates = canned::certificates(&request.get_ref().parent);
        let answer = ListErasuresResponse { certificates };
        method!(self, request, ListErasuresRequest, answer)
    }
}

#[tonic::async_trait]
impl ProtectionService for Fake {
    async fn get_posture(
        &self,
        request: Request<GetPostureRequest>,
    ) -> Result<Response<GetPostureResponse>, Status> {
        let posture = Some(self.posture.clone());
        method!(
            self,
            request,
            GetPostureRequest,
            GetPostureResponse { posture }
        )
    }
    async fn list_postures(
        &self,
        request: Request<ListPosturesRequest>,
    ) -> Result<Response<ListPosturesResponse>, Status> {
        let answer = ListPosturesResponse {
            postures: vec![self.posture.clone()],
            next_page_token: String::new(),
        };
        method!(self, request, ListPosturesRequest, answer)
    }
    async fn plan_protection(
        &self,
        request: Request<PlanProtectionRequest>,
    ) -> Result<Response<PlanProtectionResponse>, Status> {
        let plan = Some(self.plan.clone());
        method!(
            self,
            request,
            PlanProtectionRequest,
            PlanProtectionResponse { plan }
        )
    }
}

#[tonic::async_trait]
impl SignalService for Fake {
    type WatchSignalsStream = Stream<WatchSignalsResponse>;

    async fn watch_signals(
        &self,
        request: Request<WatchSignalsRequest>,
    ) -> Result<Response<Self::WatchSignalsStream>, Status> {
        self.hear("WatchSignalsRequest", &request)?;
        let next = self.watches.lock().expect("no panic").pop_front();
        let enough = || Status::permission_denied("it has told all");
        Ok(Response::new(tokio_stream::iter(next.ok_or_else(enough)?)))
    }
    async fn redeliver_signal(
        &self,
        request: Request<RedeliverSignalRequest>,
    ) -> Result<Response<RedeliverSignalResponse>, Status> {
        let mut signals = self.signals.iter();
        let signal = signals
            .find(|signal| signal.name == request.get_ref().name)
            .cloned();
        method!(
            self,
            request,
            RedeliverSignalRequest,
            RedeliverSignalResponse { signal }
        )
    }
    async fn list_signals(
        &self,
        request: Request<ListSignalsRequest>,
    ) -> Result<Response<ListSignalsResponse>, Status> {
        let (signals, next_page_token) = page(&self.signals, &request.get_ref().page_token);
        method!(
            self,
            request,
            ListSignalsRequest,
            ListSignalsResponse {
                signals,
                next_page_token
            }
        )
    }
    async fn get_signal(
        &self,
        request: Request<GetSignalRequest>,
    ) -> Result<Response<GetSignalResponse>, Status> {
        let mut signals = self.signals.iter().cloned().chain([canned::audit_signal()]);
        let signal = signals.find(|signal| signal.name == request.get_ref().name);
        method!(
            self,
            request,
            GetSignalRequest,
            GetSignalResponse { signal }
        )
    }
}

#[tonic::async_trait]
impl GrantService for Fake {
    async fn list_grants(
        &self,
        request: Request<ListGrantsRequest>,
    ) -> Result<Response<ListGrantsResponse>, Status> {
        let grants = self.grants.clone();
        let answer = ListGrantsResponse {
            grants,
            next_page_token: String::new(),
        };
        method!(self, request, ListGrantsRequest, answer)
    }

    async fn create_grant(
        &self,
        request: Request<CreateGrantRequest>,
    ) -> Result<Response<CreateGrantResponse>, Status> {
        let asked = request.get_ref().grant.clone().unwrap_or_default();
        let grant = Some(Grant {
            name: "grants/1f0a52c45e7cb117".to_owned(),
            author: "anna@contoso.com#1f0a52c45e7cb117".to_owned(),
            ..asked
        });
        method!(
            self,
            request,
            CreateGrantRequest,
            CreateGrantResponse { grant }
        )
    }

    async fn delete_grant(
        &self,
        request: Request<DeleteGrantRequest>,
    ) -> Result<Response<DeleteGrantResponse>, Status> {
        method!(self, request, DeleteGrantRequest, DeleteGrantResponse {})
    }
}

#[tonic::async_trait]
impl StoreService for Fake {
    async fn check_store(
        &self,
        request: Request<CheckStoreRequest>,
    ) -> Result<Response<CheckStoreResponse>, Status> {
        method!(self, request, CheckStoreRequest, self.store.clone())
    }
}

#[tonic::async_trait]
impl SnapshotService for Fake {
    type WatchSnapshotStream = Stream<WatchSnapshotResponse>;
    type ReadSnapshotStream = Stream<ReadSnapshotResponse>;
    type CopySnapshotsStream = Stream<CopySnapshotsResponse>;

    async fn take_snapshot(
        &self,
        request: Request<TakeSnapshotRequest>,
    ) -> Result<Response<TakeSnapshotResponse>, Status> {
        let snapshot = Snapshot {
            state: SnapshotState::Running.into(),
            ..self.snapshot.clone()
        };
        method!(
            self,
            request,
            TakeSnapshotRequest,
            TakeSnapshotResponse {
                snapshot: Some(snapshot)
            }
        )
    }
    async fn watch_snapshot(
        &self,
        request: Request<WatchSnapshotRequest>,
    ) -> Result<Response<Self::WatchSnapshotStream>, Status> {
        self.hear("WatchSnapshotRequest", &request)?;
        let message = |snapshot| WatchSnapshotResponse {
            snapshot: Some(snapshot),
            phase: "reading".to_owned(),
            read_count: 3,
        };
        let running = Snapshot {
            state: SnapshotState::Running.into(),
            ..self.snapshot.clone()
        };
        Ok(self.stream(message(running), message(self.snapshot.clone())))
    }
    async fn get_snapshot(
        &self,
        request: Request<GetSnapshotRequest>,
    ) -> Result<Response<GetSnapshotResponse>, Status> {
        method!(
            self,
            request,
            GetSnapshotRequest,
            GetSnapshotResponse {
                snapshot: Some(self.snapshot.clone())
            }
        )
    }
    async fn hold_snapshot(
        &self,
        request: Request<HoldSnapshotRequest>,
    ) -> Result<Response<HoldSnapshotResponse>, Status> {
        let snapshot = Snapshot {
            held_since: self.snapshot.end_time,
            hold_reason: request.get_ref().reason.clone(),
            ..self.snapshot.clone()
        };
        method!(
            self,
            request,
            HoldSnapshotRequest,
            HoldSnapshotResponse {
                snapshot: Some(snapshot)
            }
        )
    }
    async fn lift_hold(
        &self,
        request: Request<LiftHoldRequest>,
    ) -> Result<Response<LiftHoldResponse>, Status> {
        method!(
            self,
            request,
            LiftHoldRequest,
            LiftHoldResponse {
                snapshot: Some(self.snapshot.clone()),
                pending_change: self.pending.clone()
            }
        )
    }
    async fn verify_snapshots(
        &self,
        request: Request<VerifySnapshotsRequest>,
    ) -> Result<Response<VerifySnapshotsResponse>, Status> {
        let depth = request.get_ref().depth();
        // Only a close look finds what is damaged.
        let damages = match depth {
            VerifyDepth::EveryByte => vec![canned::damage()],
            _ => Vec::new(),
        };
        method!(
            self,
            request,
            VerifySnapshotsRequest,
            VerifySnapshotsResponse {
                verification: Some(Verification {
                    name: format!("tenants/{TENANT}"),
                    depth: depth.into(),
                    damages,
                    snapshot_count: 5,
                    file_count: 31,
                    ..Verification::default()
                })
            }
        )
    }
    async fn repair_snapshots(
        &self,
        request: Request<RepairSnapshotsRequest>,
    ) -> Result<Response<RepairSnapshotsResponse>, Status> {
        let dropped = request.get_ref().drop.clone();
        let (put_back, left) = match dropped.is_empty() {
            true => (vec!["runs/whole".to_owned()], vec![canned::damage()]),
            false => (Vec::new(), Vec::new()),
        };
        method!(
            self,
            request,
            RepairSnapshotsRequest,
            RepairSnapshotsResponse {
                name: format!("tenants/{TENANT}"),
                put_back,
                dropped,
                left,
                ..RepairSnapshotsResponse::default()
            }
        )
    }
    async fn search_snapshot(
        &self,
        request: Request<SearchSnapshotRequest>,
    ) -> Result<Response<SearchSnapshotResponse>, Status> {
        let found = canned::objects().map(|object| SnapshotObject {
            json: String::new(),
            ..object
        });
        let (objects, next_page_token) = page(&found, &request.get_ref().page_token);
        method!(
            self,
            request,
            SearchSnapshotRequest,
            SearchSnapshotResponse {
                objects,
                next_page_token
            }
        )
    }
    async fn get_snapshot_object(
        &self,
        request: Request<GetSnapshotObjectRequest>,
    ) -> Result<Response<GetSnapshotObjectResponse>, Status> {
        let [_, _, group, ..] = canned::objects();
        method!(
            self,
            request,
            GetSnapshotObjectRequest,
            GetSnapshotObjectResponse {
                object: Some(group),
                links: canned::links().to_vec()
            }
        )
    }
    async fn read_snapshot(
        &self,
        request: Request<ReadSnapshotRequest>,
    ) -> Result<Response<Self::ReadSnapshotStream>, Status> {
        let mut messages = vec![Ok(ReadSnapshotResponse {
            snapshot: Some(self.snapshot.clone()),
            ..ReadSnapshotResponse::default()
        })];
        messages.extend(self.objects.iter().map(|object| {
            Ok(ReadSnapshotResponse {
                objects: vec![object.clone()],
                ..ReadSnapshotResponse::default()
            })
        }));
        messages.push(match *self.broken_streams.lock().expect("no panic") {
            0 => Ok(ReadSnapshotResponse {
                links: canned::links().to_vec(),
                ..ReadSnapshotResponse::default()
            }),
            _ => Err(Status::unavailable("the stream broke")),
        });
        self.hear("ReadSnapshotRequest", &request)?;
        Ok(Response::new(tokio_stream::iter(messages)))
    }
    async fn copy_snapshots(
        &self,
        request: Request<CopySnapshotsRequest>,
    ) -> Result<Response<Self::CopySnapshotsStream>, Status> {
        self.hear("CopySnapshotsRequest", &request)?;
        let message = |copy: &SnapshotCopy| {
            let copy = Some(copy.clone());
            Ok(CopySnapshotsResponse { copy })
        };
        let messages: Vec<_> = self.copies.iter().map(message).collect();
        Ok(Response::new(tokio_stream::iter(messages)))
    }
    async fn list_snapshots(
        &self,
        request: Request<ListSnapshotsRequest>,
    ) -> Result<Response<ListSnapshotsResponse>, Status> {
        let all = ["s3", "s2", "s1"].map(|id| canned::snapshot(id, SnapshotState::Complete));
        let (snapshots, next_page_token) = page(&all, &request.get_ref().page_token);
        method!(
            self,
            request,
            ListSnapshotsRequest,
            ListSnapshotsResponse {
                snapshots,
                next_page_token,
                problems: Vec::new()
            }
        )
    }
}

#[tonic::async_trait]
impl DiffService for Fake {
    type WatchReportStream = Stream<WatchReportResponse>;

    async fn create_report(
        &self,
        request: Request<CreateReportRequest>,
    ) -> Result<Response<CreateReportResponse>, Status> {
        let report = Report {
            state: ReportState::Running.into(),
            ..self.report.clone()
        };
        method!(
            self,
            request,
            CreateReportRequest,
            CreateReportResponse {
                report: Some(report)
            }
        )
    }
    async fn watch_report(
        &self,
        request: Request<WatchReportRequest>,
    ) -> Result<Response<Self::WatchReportStream>, Status> {
        self.hear("WatchReportRequest", &request)?;
        let message = |report| WatchReportResponse {
            report: Some(report),
            phase: "comparing".to_owned(),
            read_count: 3,
            ..WatchReportResponse::default()
        };
        let running = Report {
            state: ReportState::Running.into(),
            ..self.report.clone()
        };
        Ok(self.stream(message(running), message(self.report.clone())))
    }
    async fn cancel_report(
        &self,
        request: Request<CancelReportRequest>,
    ) -> Result<Response<CancelReportResponse>, Status> {
        let mut report = self.report.clone();
        if self.report_runs {
            report.set_state(ReportState::Cancelled);
        }
        method!(
            self,
            request,
            CancelReportRequest,
            CancelReportResponse {
                report: Some(report)
            }
        )
    }
    async fn get_report(
        &self,
        request: Request<GetReportRequest>,
    ) -> Result<Response<GetReportResponse>, Status> {
        let mut report = self.report.clone();
        if self.report_runs {
            report.set_state(ReportState::Running);
        }
        method!(
            self,
            request,
            GetReportRequest,
            GetReportResponse {
                report: Some(report)
            }
        )
    }
    async fn list_reports(
        &self,
        request: Request<ListReportsRequest>,
    ) -> Result<Response<ListReportsResponse>, Status> {
        let all = ["r2", "r1"].map(|id| canned::report(id, ReportState::Succeeded));
        let (reports, next_page_token) = page(&all, &request.get_ref().page_token);
        method!(
            self,
            request,
            ListReportsRequest,
            ListReportsResponse {
                reports,
                next_page_token
            }
        )
    }
    async fn list_deleted_objects(
        &self,
        request: Request<ListDeletedObjectsRequest>,
    ) -> Result<Response<ListDeletedObjectsResponse>, Status> {
        let (deleted_objects, next_page_token) =
            page(&canned::deleted(), &request.get_ref().page_token);
        method!(
            self,
            request,
            ListDeletedObjectsRequest,
            ListDeletedObjectsResponse {
                deleted_objects,
                next_page_token,
                not_read: vec!["deleted/group: denied".to_owned()],
                ..ListDeletedObjectsResponse::default()
            }
        )
    }
    async fn list_changes(
        &self,
        request: Request<ListChangesRequest>,
    ) -> Result<Response<ListChangesResponse>, Status> {
        let asked = request.get_ref();
        let first: usize = asked.page_token.parse().unwrap_or(0);
        let most = usize::try_from(asked.page_size).expect("a size");
        let last = first + most.min(self.changes_on_page);
        let last = last.min(self.changes.len());
        let changes = self.changes[first..last].to_vec();
        let next_page_token = if last < self.changes.len() {
            last.to_string()
        } else {
            String::new()
        };
        method!(
            self,
            request,
            ListChangesRequest,
            ListChangesResponse {
                changes,
                next_page_token
            }
        )
    }
}

#[tonic::async_trait]
impl RestoreService for Fake {
    type WatchPlanStream = Stream<WatchPlanResponse>;
    type WatchRestoreStream = Stream<WatchRestoreResponse>;

    async fn create_plan(
        &self,
        request: Request<CreatePlanRequest>,
    ) -> Result<Response<CreatePlanResponse>, Status> {
        let plan = Plan {
            state: PlanState::Running.into(),
            ..self.plan.clone()
        };
        method!(
            self,
            request,
            CreatePlanRequest,
            CreatePlanResponse { plan: Some(plan) }
        )
    }
    async fn watch_plan(
        &self,
        request: Request<WatchPlanRequest>,
    ) -> Result<Response<Self::WatchPlanStream>, Status> {
        self.hear("WatchPlanRequest", &request)?;
        let message = |plan| WatchPlanResponse {
            plan: Some(plan),
            phase: "planning".to_owned(),
        };
        let running = Plan {
            state: PlanState::Running.into(),
            ..self.plan.clone()
        };
        Ok(self.stream(message(running), message(self.plan.clone())))
    }
    async fn get_plan(
        &self,
        request: Request<GetPlanRequest>,
    ) -> Result<Response<GetPlanResponse>, Status> {
        method!(
            self,
            request,
            GetPlanRequest,
            GetPlanResponse {
                plan: Some(self.plan.clone())
            }
        )
    }
    async fn list_plan_steps(
        &self,
        request: Request<ListPlanStepsRequest>,
    ) -> Result<Response<ListPlanStepsResponse>, Status> {
        let (steps, next_page_token) = page(&canned::steps(), &request.get_ref().page_token);
        method!(
            self,
            request,
            ListPlanStepsRequest,
            ListPlanStepsResponse {
                steps,
                next_page_token
            }
        )
    }
    async fn list_plan_exclusions(
        &self,
        request: Request<ListPlanExclusionsRequest>,
    ) -> Result<Response<ListPlanExclusionsResponse>, Status> {
        let (exclusions, next_page_token) =
            page(&canned::exclusions(), &request.get_ref().page_token);
        method!(
            self,
            request,
            ListPlanExclusionsRequest,
            ListPlanExclusionsResponse {
                exclusions,
                next_page_token
            }
        )
    }
    async fn apply_plan(
        &self,
        request: Request<ApplyPlanRequest>,
    ) -> Result<Response<ApplyPlanResponse>, Status> {
        let restore = Restore {
            state: RestoreState::Running.into(),
            ..self.restore.clone()
        };
        method!(
            self,
            request,
            ApplyPlanRequest,
            ApplyPlanResponse {
                restore: Some(restore)
            }
        )
    }
    async fn watch_restore(
        &self,
        request: Request<WatchRestoreRequest>,
    ) -> Result<Response<Self::WatchRestoreStream>, Status> {
        self.hear("WatchRestoreRequest", &request)?;
        let message = |restore| WatchRestoreResponse {
            restore: Some(restore),
            phase: "applying".to_owned(),
        };
        let running = Restore {
            state: RestoreState::Running.into(),
            ..self.restore.clone()
        };
        Ok(self.stream(message(running), message(self.restore.clone())))
    }
    async fn get_restore(
        &self,
        request: Request<GetRestoreRequest>,
    ) -> Result<Response<GetRestoreResponse>, Status> {
        method!(
            self,
            request,
            GetRestoreRequest,
            GetRestoreResponse {
                restore: Some(self.restore.clone())
            }
        )
    }
    async fn cancel_restore(
        &self,
        request: Request<CancelRestoreRequest>,
    ) -> Result<Response<CancelRestoreResponse>, Status> {
        let restore = Restore {
            state: RestoreState::Running.into(),
            ..self.restore.clone()
        };
        method!(
            self,
            request,
            CancelRestoreRequest,
            CancelRestoreResponse {
                restore: Some(restore)
            }
        )
    }
    async fn create_undo_plan(
        &self,
        request: Request<CreateUndoPlanRequest>,
    ) -> Result<Response<CreateUndoPlanResponse>, Status> {
        let plan = Plan {
            state: PlanState::Running.into(),
            ..self.plan.clone()
        };
        method!(
            self,
            request,
            CreateUndoPlanRequest,
            CreateUndoPlanResponse { plan: Some(plan) }
        )
    }
    async fn approve_plan(
        &self,
        request: Request<ApprovePlanRequest>,
    ) -> Result<Response<ApprovePlanResponse>, Status> {
        let plan = canned::approved(self.plan.clone());
        method!(
            self,
            request,
            ApprovePlanRequest,
            ApprovePlanResponse { plan: Some(plan) }
        )
    }
    async fn list_restores(
        &self,
        request: Request<ListRestoresRequest>,
    ) -> Result<Response<ListRestoresResponse>, Status> {
        let all = [
            canned::restore("p2", RestoreState::Planned, false),
            self.restore.clone(),
        ];
        let (restores, next_page_token) = page(&all, &request.get_ref().page_token);
        method!(
            self,
            request,
            ListRestoresRequest,
            ListRestoresResponse {
                restores,
                next_page_token
            }
        )
    }
    async fn list_outcomes(
        &self,
        request: Request<ListOutcomesRequest>,
    ) -> Result<Response<ListOutcomesResponse>, Status> {
        let wanted = request.get_ref().states.clone();
        let all: Vec<Outcome> = canned::outcomes()
            .into_iter()
            .filter(|outcome| wanted.is_empty() || wanted.contains(&outcome.state))
            .collect();
        let (outcomes, next_page_token) = page(&all, &request.get_ref().page_token);
        method!(
            self,
            request,
            ListOutcomesRequest,
            ListOutcomesResponse {
                outcomes,
                next_page_token
            }
        )
    }
}

#[tonic::async_trait]
impl KeyService for Fake {
    async fn export_keys(
        &self,
        request: Request<ExportKeysRequest>,
    ) -> Result<Response<ExportKeysResponse>, Status> {
        self.refuse(&request.get_ref().name)?;
        method!(
            self,
            request,
            ExportKeysRequest,
            ExportKeysResponse {
                bundle: b"sealed".to_vec()
            }
        )
    }
    async fn rewrap_keys(
        &self,
        request: Request<RewrapKeysRequest>,
    ) -> Result<Response<RewrapKeysResponse>, Status> {
        let rewrapping = Rewrapping {
            name: request.get_ref().name.clone(),
            written_count: 1,
            deleted_count: 1,
        };
        self.refuse(&rewrapping.name)?;
        method!(
            self,
            request,
            RewrapKeysRequest,
            RewrapKeysResponse {
                rewrapping: Some(rewrapping)
            }
        )
    }
    async fn rotate_key(
        &self,
        request: Request<RotateKeyRequest>,
    ) -> Result<Response<RotateKeyResponse>, Status> {
        let name = request.get_ref().name.clone();
        method!(
            self,
            request,
            RotateKeyRequest,
            RotateKeyResponse { name, number: 2 }
        )
    }
    async fn erase_keys(
        &self,
        request: Request<EraseKeysRequest>,
    ) -> Result<Response<EraseKeysResponse>, Status> {
        let name = request.get_ref().name.clone();
        // The store of the other tenant's keys keeps versions.
        let outcome = if name.ends_with(OTHER) {
            StoreOutcome::Failed
        } else {
            StoreOutcome::Ok
        };
        let proof = StoreFinding {
            store: "keys".to_owned(),
            check: "erasure".to_owned(),
            outcome: outcome.into(),
            detail: "what was seen".to_owned(),
            needed: true,
        };
        method!(
            self,
            request,
            EraseKeysRequest,
            EraseKeysResponse {
                name,
                deleted_count: 1,
                proof: self.pending.is_none().then_some(proof),
                pending_change: self.pending.clone()
            }
        )
    }
}
