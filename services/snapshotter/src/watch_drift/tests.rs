//! Days that drift, beside a differ that answers from a script.

use std::sync::Arc;

use chrono::TimeDelta;
use model::error::reason;
use model::snapshot::{Completeness, Content, Kind, Method};
use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use proto::v1::diff_service_server::{DiffService, DiffServiceServer};
use proto::v1::*;
use runtime::status::Fault as _;
use runtime::{ManualClock, SeededIds};
use store::object_store::ObjectStore;
use store::object_store::memory::InMemory;
use store::{Kek, Vault};
use testkit::store::{Fault, FaultStore, content, meta, moment, record, tenant};
use tonic::{Request, Response, Status};

use super::*;
use crate::Deps;

const DAY: i64 = 86_400;

/// The script: whether the differ answers, and what it was asked for.
#[derive(Debug, Default)]
struct Script {
    away: bool,
    /// What somebody made of the first report.
    spoilt: Option<Report>,
    reports: Vec<CreateReportRequest>,
}

#[derive(Debug, Clone, Default)]
struct FakeDiffer(Arc<Mutex<Script>>);

fn object(object_type: &str, id: &str) -> Option<ObjectRef> {
    Some(ObjectRef {
        r#type: object_type.to_owned(),
        id: id.to_owned(),
        display_name: format!("The {id}"),
    })
}

/// Four users that were disabled, one with a title, and a policy that was added.
fn changes() -> Vec<Change> {
    let user = |n: u32, path: &str, after: &str| Change {
        object: object("user", &format!("user-{n}")),
        kind: ChangeKind::Modified as i32,
        attributes: vec![AttributeChange {
            path: path.to_owned(),
            after_json: Some(after.to_owned()),
            class: AttributeClass::Restorable as i32,
            ..AttributeChange::default()
        }],
        activities: vec![Activity {
            activity: "Update user".to_owned(),
            ..Activity::default()
        }],
        ..Change::default()
    };
    let mut changes: Vec<Change> = (1..=4)
        .map(|n| user(n, "accountEnabled", "false"))
        .collect();
    changes.push(user(5, "jobTitle", "\"Clerk\""));
    changes.push(Change {
        object: object("conditionalAccessPolicy", "policy-1"),
        kind: ChangeKind::Added as i32,
        ..Change::default()
    });
    changes
}

fn report(request: &CreateReportRequest, state: ReportState) -> Report {
    Report {
        name: format!("{}/reports/{}", request.parent, request.request_id),
        state: state as i32,
        base: request.base.clone(),
        target: request.target.clone(),
        scope: Some(Scope::default()),
        ..Report::default()
    }
}

#[tonic::async_trait]
impl DiffService for FakeDiffer {
    type WatchReportStream =
        tokio_stream::Iter<std::vec::IntoIter<Result<WatchReportResponse, Status>>>;

    async fn create_report(
        &self,
        request: Request<CreateReportRequest>,
    ) -> Result<Response<CreateReportResponse>, Status> {
        let mut script = self.0.lock();
        if script.away {
            return Err(Status::unavailable("it is away"));
        }
        let request = request.into_inner();
        let again = script.reports.contains(&request);
        let state = if again {
            ReportState::Succeeded
        } else {
            ReportState::Running
        };
        let report = report(&request, state);
        script.reports.push(request);
        let report = Some(script.spoilt.take().unwrap_or(report));
        Ok(Response::new(CreateReportResponse { report }))
    }

    async fn watch_report(
        &self,
        request: Request<WatchReportRequest>,
    ) -> Result<Response<Self::WatchReportStream>, Status> {
        let name = request.into_inner().name;
        let script = self.0.lock();
        let asked = script.reports.iter();
        let asked = asked.rev().find(|it| name.ends_with(&it.request_id));
        let states = match asked {
            Some(_) => vec![ReportState::Running, ReportState::Succeeded],
            None => vec![ReportState::Cancelled],
        };
        let message = |state| {
            let report = match asked {
                Some(asked) => report(asked, state),
                None => report(&CreateReportRequest::default(), state),
            };
            Ok(WatchReportResponse {
                report: Some(report),
                ..WatchReportResponse::default()
            })
        };
        let told: Vec<_> = states.into_iter().map(message).collect();
        Ok(Response::new(tokio_stream::iter(told)))
    }

    async fn get_report(
        &self,
        _: Request<GetReportRequest>,
    ) -> Result<Response<GetReportResponse>, Status> {
        Err(Status::unimplemented("nobody asks"))
    }

    async fn cancel_report(
        &self,
        _: Request<CancelReportRequest>,
    ) -> Result<Response<CancelReportResponse>, Status> {
        Err(Status::unimplemented("nobody asks"))
    }

    async fn list_reports(
        &self,
        _: Request<ListReportsRequest>,
    ) -> Result<Response<ListReportsResponse>, Status> {
        Err(Status::unimplemented("nobody asks"))
    }

    async fn list_deleted_objects(
        &self,
        _: Request<ListDeletedObjectsRequest>,
    ) -> Result<Response<ListDeletedObjectsResponse>, Status> {
        Err(Status::unimplemented("nobody asks"))
    }

    /// Two changes on each page.
    async fn list_changes(
        &self,
        request: Request<ListChangesRequest>,
    ) -> Result<Response<ListChangesResponse>, Status> {
        let request = request.into_inner();
        let wanted = |change: &Change| {
            let object = change.object.as_ref();
            object.is_some_and(|object| request.types.contains(&object.r#type))
        };
        let all: Vec<Change> = changes().into_iter().filter(wanted).collect();
        let from: usize = request.page_token.parse().unwrap_or_default();
        let more = from + 2 < all.len();
        Ok(Response::new(ListChangesResponse {
            changes: all.into_iter().skip(from).take(2).collect(),
            next_page_token: if more {
                (from + 2).to_string()
            } else {
                String::new()
            },
        }))
    }
}

struct World {
    store: Arc<FaultStore>,
    differ: FakeDiffer,
    clock: Arc<ManualClock>,
    context: Context,
    vault: TenantVault,
}

/// What a tenant of thirty users holds, read as a whole.
fn whole() -> Content {
    let complete = |kind| Completeness::begun(kind, Method::SingleRead, moment(0));
    Content {
        completeness: Kind::all().into_iter().map(complete).collect(),
        ..content(30)
    }
}

impl World {
    /// Tenant 1 with daily snapshots of two days.
    async fn new() -> Self {
        let store = Arc::new(FaultStore::new(Arc::new(InMemory::new())));
        let vault = Vault::new(
            Arc::clone(&store) as Arc<dyn ObjectStore>,
            Arc::new(Kek::from_bytes([1; 32])),
        );
        vault.create_tenant(&record(&tenant(1))).await.unwrap();
        let differ = FakeDiffer::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = tonic::transport::Server::builder()
            .add_service(DiffServiceServer::new(differ.clone()))
            .serve_with_incoming(tokio_stream::wrappers::TcpListenerStream::new(listener));
        tokio::spawn(server);
        let clock = Arc::new(ManualClock::new(moment(DAY + 100)));
        let opened = vault.tenant(&tenant(1)).await.unwrap();
        let world = Self {
            store,
            differ,
            clock: Arc::clone(&clock),
            vault: opened,
            context: Context::new(Deps {
                vault,
                copies: None,
                differ: Some(runtime::connect(&url, None).unwrap().into()),
                clock,
                ids: Arc::new(SeededIds::new(1)),
                connect: Arc::new(|_| Err(Error::Suspended)),
            }),
        };
        world.take(20, &whole()).await;
        world.take(21, &whole()).await;
        world
    }

    /// Commits the daily snapshot of a day.
    async fn take(&self, day: i64, content: &Content) {
        let meta = meta(&format!("202611{day}-daily"), "a", (day - 20) * DAY);
        self.vault.commit_content(&meta, content).await.unwrap();
    }

    async fn look(&self) {
        catch_up(&self.context, &tenant(1)).await;
    }

    async fn list(&self, request: ListSignalsRequest) -> ListSignalsResponse {
        let request = ListSignalsRequest {
            parent: name::tenant(&tenant(1)),
            ..request
        };
        signals::list(&self.context, request).await.unwrap()
    }

    /// The ids of all signals, newest first.
    async fn raised(&self) -> Vec<String> {
        ids(&self.list(ListSignalsRequest::default()).await)
    }

    /// The value of a metric with these labels.
    fn metric(&self, series: &str) -> Option<String> {
        let mut registry = Registry::default();
        self.context.metrics.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        let mut lines = text.lines();
        lines.find_map(|line| Some(line.strip_prefix(series)?.trim().to_owned()))
    }

    fn failures(&self) -> Option<String> {
        let tenant = tenant(1);
        self.metric(&format!(
            "rewind_drift_watch_failures_total{{tenant=\"{tenant}\"}}"
        ))
    }

    fn of(&self, rule: &str) -> Option<String> {
        self.metric(&format!(
            "rewind_signals_total{{rule=\"{rule}\",severity=\"high\"}}"
        ))
    }

    fn asked(&self) -> usize {
        self.differ.0.lock().reports.len()
    }
}

fn ids(answer: &ListSignalsResponse) -> Vec<String> {
    let names = answer.signals.iter().map(|signal| &signal.name);
    names
        .map(|name| name.rsplit('/').next().unwrap().to_owned())
        .collect()
}

const BOTH: [&str; 2] = [
    "20261121-daily-mass-disable",
    "20261121-daily-conditional-access",
];

#[tokio::test]
async fn drift_raises_its_signals_once() {
    let world = World::new().await;
    world.look().await;
    assert_eq!(world.raised().await, BOTH);
    world.look().await;
    assert_eq!(world.raised().await, BOTH);
    assert_eq!(world.asked(), 1, "what was watched is not looked at again");
    assert_eq!(world.of("mass-disable").as_deref(), Some("1"));
    assert_eq!(world.of("conditional-access").as_deref(), Some("1"));
    assert_eq!(world.failures(), None);

    let full_name = format!("tenants/{}/signals/{}", tenant(1), BOTH[0]);
    let signal = signals::get(&world.context, &full_name).await.unwrap();
    let parent = name::tenant(&tenant(1));
    let evidence = (1..=4).map(|n| SignalEvidence {
        object: object("user", &format!("user-{n}")),
        kind: ChangeKind::Modified as i32,
        activity: Some(Activity {
            activity: "Update user".to_owned(),
            ..Activity::default()
        }),
    });
    let expected = Signal {
        name: full_name,
        time: Some(timestamp(moment(DAY))),
        rule: "mass-disable".to_owned(),
        severity: Severity::High as i32,
        title: "Many users were disabled (user: 4 of 27)".to_owned(),
        description: "The rule counts users that were disabled; its limit is more than 5% of a type's objects, and at least 3.".to_owned(),
        evidence: evidence.collect(),
        counts: vec![SignalCount { r#type: "user".to_owned(), count: 4, total: 27 }],
        source: SignalSource::Drift as i32,
        raise_time: Some(timestamp(moment(DAY + 100))),
        report: format!("{parent}/reports/drift-20261120-daily-20261121-daily"),
        base: format!("{parent}/snapshots/20261120-daily"),
        target: format!("{parent}/snapshots/20261121-daily"),
        ..Signal::default()
    };
    assert_eq!(signal, expected);

    let unknown = format!("{parent}/signals/20261121-daily-hard-deletion");
    let error = signals::get(&world.context, &unknown).await.unwrap_err();
    assert_eq!(error.reason(), reason::NOT_FOUND);
}

#[tokio::test]
async fn broken_off_anywhere_each_signal_is_raised_once() {
    // Two signals, how much changed, and the cursor are four puts.
    for broken in 0..4 {
        let world = World::new().await;
        world.store.break_after(broken);
        world.look().await;
        assert_eq!(world.failures().as_deref(), Some("1"), "after {broken}");
        world.store.mend();
        assert_eq!(world.raised().await.len(), broken.min(2), "after {broken}");
        world.look().await;
        assert_eq!(world.raised().await, BOTH, "after {broken}");
        for rule in ["mass-disable", "conditional-access"] {
            assert_eq!(
                world.of(rule).as_deref(),
                Some("1"),
                "{rule} after {broken}"
            );
        }
        let reports = world.differ.0.lock().reports.clone();
        assert_eq!(reports.len(), 2);
        assert_eq!(reports[0], reports[1], "the same report is asked for");
        world.look().await;
        assert_eq!(world.asked(), 2);
    }
}

#[tokio::test]
async fn a_report_that_somebody_spoilt_is_made_once_more() {
    let meant = CreateReportRequest::default();
    let foreign = Report {
        base: "tenants/t/snapshots/20261120-daily".to_owned(),
        ..report(&meant, ReportState::Succeeded)
    };
    let cancelled = report(&meant, ReportState::Cancelled);
    for spoilt in [foreign, cancelled] {
        let world = World::new().await;
        world.differ.0.lock().spoilt = Some(spoilt);
        world.look().await;
        assert_eq!(world.raised().await, BOTH);
        assert_eq!(world.asked(), 2);
        assert_eq!(world.failures(), None);
    }
}

#[tokio::test]
async fn a_signal_whose_answer_was_lost_is_there_once() {
    let world = World::new().await;
    world.store.on_put(1, Fault::LoseAnswer);
    world.look().await;
    world.look().await;
    assert_eq!(world.raised().await, BOTH);
}

#[tokio::test]
async fn a_differ_that_is_away_costs_a_day_and_no_signal() {
    let world = World::new().await;
    world.differ.0.lock().away = true;
    world.look().await;
    assert_eq!(world.failures().as_deref(), Some("1"));
    assert_eq!(world.raised().await, [""; 0]);

    world.differ.0.lock().away = false;
    world.take(22, &whole()).await;
    world.clock.advance(TimeDelta::days(1));
    world.look().await;
    let second = BOTH.map(|id| id.replace("21", "22"));
    assert_eq!(
        world.raised().await,
        [&second[..], &BOTH.map(str::to_owned)].concat()
    );
    assert_eq!(world.failures().as_deref(), Some("1"));
}

#[tokio::test]
async fn only_complete_daily_snapshots_of_the_last_days_are_compared() {
    let world = World::new().await;
    // On this day not all could be read, so that the next one is compared with the
    // day before it.
    world.take(22, &content(30)).await;
    world.take(23, &whole()).await;
    let mut asked = meta("20261123T120000-0123456789abcdef", "a", 3 * DAY + 60);
    asked.trigger = Trigger::OnDemand;
    world.vault.commit_content(&asked, &whole()).await.unwrap();
    world.clock.advance(TimeDelta::days(8));
    world.look().await;
    let reports = world.differ.0.lock().reports.clone();
    let pairs: Vec<_> = reports.iter().map(|it| it.request_id.as_str()).collect();
    // The first two days are too long ago.
    assert_eq!(pairs, ["drift-20261121-daily-20261123-daily"]);
}

#[tokio::test]
async fn a_tenant_that_does_not_watch_is_not_compared() {
    let mut world = World::new().await;
    let vault = &world.context.deps.vault;
    let mut record = vault.tenant_record(&tenant(1)).await.unwrap().unwrap();
    record.value.drift_watch = "off".parse().unwrap();
    vault.update_tenant(&record).await.unwrap();
    world.look().await;
    assert_eq!((world.asked(), world.failures()), (0, None));

    let mut record = vault_record(&world).await;
    record.value.drift_watch = "on,mass-disable=4,conditional-access=off".parse().unwrap();
    world
        .context
        .deps
        .vault
        .update_tenant(&record)
        .await
        .unwrap();
    let differ = world.context.deps.differ.take();
    world.look().await;
    assert_eq!((world.asked(), world.failures()), (0, None));
    world.context.deps.differ = differ;
    world.look().await;
    assert_eq!(world.raised().await, BOTH[..1]);
}

async fn vault_record(world: &World) -> store::Versioned<TenantRecord> {
    let found = world.context.deps.vault.tenant_record(&tenant(1)).await;
    found.unwrap().unwrap()
}

#[tokio::test]
async fn signals_are_listed_by_page_severity_and_time() {
    let world = World::new().await;
    for day in 22..25 {
        world.take(day, &whole()).await;
    }
    world.clock.advance(TimeDelta::days(3));
    world.look().await;
    let all = world.raised().await;
    assert_eq!(all.len(), 8);
    assert!(all.is_sorted_by(|a, b| a > b), "{all:?}");

    let (mut page_token, mut joined) = (String::new(), Vec::new());
    loop {
        let request = ListSignalsRequest {
            page_size: 3,
            page_token,
            ..ListSignalsRequest::default()
        };
        let page = world.list(request).await;
        joined.extend(ids(&page));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(joined, all);

    let count = async |request| world.list(request).await.signals.len();
    let severe = |severity: Severity| ListSignalsRequest {
        min_severity: severity as i32,
        ..ListSignalsRequest::default()
    };
    assert_eq!(count(severe(Severity::High)).await, 8);
    assert_eq!(count(severe(Severity::Critical)).await, 0);
    let time = |from: Option<i64>, until: Option<i64>| ListSignalsRequest {
        from_time: from.map(|day| timestamp(moment(day * DAY))),
        until_time: until.map(|day| timestamp(moment(day * DAY))),
        ..ListSignalsRequest::default()
    };
    assert_eq!(count(time(Some(4), None)).await, 2);
    assert_eq!(count(time(None, Some(2))).await, 2);
    assert_eq!(count(time(Some(2), Some(4))).await, 4);
    assert_eq!(count(time(Some(5), None)).await, 0);

    let refused = |request: ListSignalsRequest| {
        let parent = name::tenant(&tenant(1));
        signals::list(&world.context, ListSignalsRequest { parent, ..request })
    };
    let bad = [
        ListSignalsRequest {
            page_size: -1,
            ..ListSignalsRequest::default()
        },
        ListSignalsRequest {
            page_token: "x".to_owned(),
            ..ListSignalsRequest::default()
        },
        ListSignalsRequest {
            from_time: Some(prost_types::Timestamp {
                seconds: i64::MAX,
                nanos: 0,
            }),
            ..ListSignalsRequest::default()
        },
    ];
    for request in bad {
        let error = refused(request).await.unwrap_err();
        assert_eq!(error.reason(), reason::INVALID_ARGUMENT);
    }
}
