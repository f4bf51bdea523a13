//! Days whose posture changes, beside a differ that answers from a script.

use std::sync::Arc;

use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use proto::v1::protection_service_server::{ProtectionService, ProtectionServiceServer};
use proto::v1::*;
use runtime::{ManualClock, SeededIds};
use store::object_store::ObjectStore;
use store::object_store::memory::InMemory;
use store::{Kek, Vault};
use testkit::store::{FaultStore, content, meta, moment, record, tenant};
use tonic::{Request, Response};

use super::*;
use crate::Deps;

const DAY: i64 = 86_400;

/// What the differ answers; nothing while it is away.
#[derive(Debug, Clone, Default)]
struct FakeDiffer(Arc<Mutex<Option<Posture>>>);

#[tonic::async_trait]
impl ProtectionService for FakeDiffer {
    async fn get_posture(
        &self,
        request: Request<GetPostureRequest>,
    ) -> Result<Response<GetPostureResponse>, Status> {
        assert_eq!(request.get_ref().snapshot, "");
        let posture = self.0.lock().clone();
        let posture = posture.ok_or_else(|| Status::unavailable("it is away"))?;
        Ok(Response::new(GetPostureResponse {
            posture: Some(posture),
        }))
    }

    async fn list_postures(
        &self,
        _: Request<ListPosturesRequest>,
    ) -> Result<Response<ListPosturesResponse>, Status> {
        Err(Status::unimplemented("nobody asks"))
    }

    async fn plan_protection(
        &self,
        _: Request<PlanProtectionRequest>,
    ) -> Result<Response<PlanProtectionResponse>, Status> {
        Err(Status::unimplemented("nobody asks"))
    }
}

/// A posture in which two checks ended so.
fn posture(checks: [PostureStatus; 2]) -> Posture {
    let ids = ["hard-delete-protected", "managed-device"];
    let check = |(id, status): (&str, PostureStatus)| PostureCheck {
        id: id.to_owned(),
        status: status as i32,
        sentence: format!("{id} is {}.", status.as_str_name()),
        ..PostureCheck::default()
    };
    Posture {
        tenant: name::tenant(&tenant(1)),
        read_time: Some(prost_types::Timestamp::default()),
        checks: ids.into_iter().zip(checks).map(check).collect(),
        ..Posture::default()
    }
}

struct World {
    store: Arc<FaultStore>,
    differ: FakeDiffer,
    clock: Arc<ManualClock>,
    context: Context,
    vault: TenantVault,
}

impl World {
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
            .add_service(ProtectionServiceServer::new(differ.clone()))
            .serve_with_incoming(tokio_stream::wrappers::TcpListenerStream::new(listener));
        tokio::spawn(server);
        let clock = Arc::new(ManualClock::new(moment(0)));
        let opened = vault.tenant(&tenant(1)).await.unwrap();
        Self {
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
        }
    }

    /// Takes the daily snapshot of a day, on which the differ answers so.
    async fn day(&self, day: i64, answer: Option<[PostureStatus; 2]>) {
        let meta = meta(&format!("202611{day}-daily"), "a", (day - 20) * DAY);
        self.vault.commit_content(&meta, &content(3)).await.unwrap();
        *self.differ.0.lock() = answer.map(posture);
        let now = moment((day - 20) * DAY + 100);
        self.clock.set(now);
    }

    async fn look(&self) {
        catch_up(&self.context, &tenant(1)).await;
    }

    async fn raised(&self) -> Vec<String> {
        self.vault.list_ids(Area::Signals).await.unwrap()
    }

    async fn kept(&self) -> Vec<String> {
        self.vault.list_ids(Area::Posture).await.unwrap()
    }

    fn failures(&self) -> Option<String> {
        let mut registry = Registry::default();
        self.context.metrics.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        let series = format!(
            "rewind_posture_watch_failures_total{{tenant=\"{}\"}}",
            tenant(1)
        );
        let mut lines = text.lines();
        lines.find_map(|line| Some(line.strip_prefix(&series)?.trim().to_owned()))
    }
}

use PostureStatus::{Finding, Good, NotKnown};

#[tokio::test]
async fn what_was_good_and_is_a_finding_is_told_once() {
    let world = World::new().await;
    world.day(20, Some([Good, Good])).await;
    world.look().await;
    world.day(21, Some([NotKnown, Finding])).await;
    world.look().await;
    // What is kept is kept, whatever the tenant is by now.
    *world.differ.0.lock() = Some(posture([Finding, Finding]));
    world.look().await;
    assert_eq!(
        world.raised().await,
        ["20261121-daily-protection-weakened-managed-device"]
    );
    // What was not known for a day is compared with the day before.
    world.day(22, Some([Finding, Finding])).await;
    world.look().await;
    world.look().await;
    let first = "20261122-daily-protection-weakened-hard-delete-protected";
    let second = "20261121-daily-protection-weakened-managed-device";
    assert_eq!(world.raised().await, [second, first]);
    assert_eq!(
        world.kept().await,
        ["20261120-daily", "20261121-daily", "20261122-daily"]
    );
    assert_eq!(world.failures(), None);

    let full_name = format!("tenants/{}/signals/{first}", tenant(1));
    let signal = signals::get(&world.context, &full_name).await.unwrap();
    let parent = name::tenant(&tenant(1));
    assert_eq!(signal.rule, "protection-weakened");
    assert_eq!(signal.severity(), Severity::Critical);
    assert_eq!(signal.source(), SignalSource::Posture);
    assert_eq!(
        (signal.base, signal.target),
        (
            format!("{parent}/snapshots/20261120-daily"),
            format!("{parent}/snapshots/20261122-daily")
        )
    );
    assert!(
        signal.title.ends_with(": hard-delete-protected"),
        "{}",
        signal.title
    );
    let said = "Before: hard-delete-protected is POSTURE_STATUS_GOOD. Now: hard-delete-protected is POSTURE_STATUS_FINDING. To do: ";
    assert!(signal.description.contains(said), "{}", signal.description);
}

#[tokio::test]
async fn broken_off_anywhere_each_weakening_is_told_once() {
    // The posture, two signals and the mark are four puts.
    for broken in 0..4 {
        let world = World::new().await;
        world.day(20, Some([Good, Good])).await;
        world.look().await;
        world.day(21, Some([Finding, Finding])).await;
        world.store.break_after(broken);
        world.look().await;
        assert_eq!(world.failures().as_deref(), Some("1"), "after {broken}");
        world.store.mend();
        let raised = broken.saturating_sub(1).min(2);
        assert_eq!(world.raised().await.len(), raised, "after {broken}");
        // The next daily snapshot tells it, whatever it finds itself.
        world.day(22, Some([Finding, Finding])).await;
        world.look().await;
        let raised = world.raised().await;
        assert_eq!(raised.len(), 2, "after {broken}");
        let day = if broken == 0 { "20261122" } else { "20261121" };
        assert!(raised.iter().all(|id| id.starts_with(day)), "{raised:?}");
        world.look().await;
        assert_eq!(world.raised().await.len(), 2);
    }
}

#[tokio::test]
async fn a_differ_that_is_away_costs_a_day_and_no_signal() {
    let world = World::new().await;
    world.day(20, Some([Good, Good])).await;
    world.look().await;
    world.day(21, None).await;
    world.look().await;
    assert_eq!(world.failures().as_deref(), Some("1"));
    assert_eq!(world.kept().await, ["20261120-daily"]);
    world.day(22, Some([Good, Finding])).await;
    world.look().await;
    assert_eq!(
        world.raised().await,
        ["20261122-daily-protection-weakened-managed-device"]
    );
    // Nobody takes the posture of a snapshot that is old.
    world.day(23, None).await;
    world.look().await;
    world.clock.advance(TimeDelta::days(2));
    *world.differ.0.lock() = Some(posture([Good, Good]));
    world.look().await;
    assert_eq!(world.kept().await.len(), 2);
}
