//! Guarded changes from the request to the effect, by a clock that is set by hand.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use model::SnapshotId;
use model::error::reason;
use model::snapshot::{Completeness, Content, Kind, Method};
use proto::name;
use proto::v1::guarded_change_service_server::GuardedChangeService;
use proto::v1::lifecycle_service_server::LifecycleService;
use proto::v1::snapshot_service_server::SnapshotService;
use proto::v1::*;
use runtime::status::{Fault as _, parse};
use runtime::{Clock, ManualClock, SeededIds};
use store::object_store::ObjectStore;
use store::object_store::memory::InMemory;
use store::{Copies, Kek, Setting, TenantRecord, TenantState, TenantVault, Vault};
use testkit::store::{Fault, FaultStore, content, meta, moment, record, tenant};
use tonic::{Request, Status};

use super::propose::Asked;
use super::*;
use crate::rpc::Rpc;
use crate::{Deps, config, signals};

const WAIT: TimeDelta = config::GUARDED_WAIT;
const LONG: &str = "recent=30,days=0,weeks=0,months=0,floor-days=0,minimum=1";
const SHORT: &str = "recent=5,days=0,weeks=0,months=0,floor-days=0,minimum=1";

struct World {
    store: Arc<FaultStore>,
    clock: Arc<ManualClock>,
    context: Context,
    rpc: Rpc,
}

/// A request by somebody.
fn by<T>(caller: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let caller = caller.parse().expect("a header");
    request
        .metadata_mut()
        .insert(runtime::caller::HEADER, caller);
    request
}

fn told(status: &Status) -> String {
    parse(status).reason().to_owned()
}

impl World {
    /// Tenant 1 with a long retention and one daily snapshot.
    async fn new() -> Self {
        let store = Arc::new(FaultStore::new(Arc::new(InMemory::new())));
        let vault = Vault::new(
            Arc::clone(&store) as Arc<dyn ObjectStore>,
            Arc::new(Kek::from_bytes([1; 32])),
        );
        let registration = TenantRecord {
            retention: LONG.parse().expect("a policy"),
            ..record(&tenant(1))
        };
        vault.create_tenant(&registration).await.expect("new");
        let clock = Arc::new(ManualClock::new(moment(86_400)));
        let context = Context::new(Deps {
            vault,
            copies: None,
            differ: None,
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            ids: Arc::new(SeededIds::new(1)),
            connect: Arc::new(|_| Err(Error::Suspended)),
        });
        let world = Self {
            store,
            clock,
            rpc: Rpc::new(context.clone()),
            context,
        };
        let complete = |kind| Completeness::begun(kind, Method::SingleRead, moment(0));
        let whole = Content {
            completeness: Kind::all().into_iter().map(complete).collect(),
            ..content(30)
        };
        let meta = meta("20261120-daily", "a", 0);
        let vault = world.vault().await;
        vault
            .commit_content(&meta, &whole)
            .await
            .expect("committed");
        world
    }

    async fn vault(&self) -> TenantVault {
        let vault = self.context.deps.vault.tenant(&tenant(1)).await;
        vault.expect("there")
    }

    async fn record(&self) -> TenantRecord {
        let record = self.context.deps.vault.registered(&tenant(1)).await;
        record.expect("registered")
    }

    /// Writes a registration that somebody else changed meanwhile.
    async fn register(&self, change: impl FnOnce(&mut TenantRecord)) {
        let vault = &self.context.deps.vault;
        let found = vault.tenant_record(&tenant(1)).await.expect("read");
        let mut found = found.expect("there");
        change(&mut found.value);
        found.value.change = None;
        vault.update_tenant(&found).await.expect("updated");
    }

    async fn shorten(&self, author: &str, request_id: &str) -> Result<GuardedChange, Status> {
        let before = Setting::Retention.of(&self.record().await);
        let request = ProposeChangeRequest {
            parent: name::tenant(&tenant(1)),
            settings: vec![GuardedSetting {
                field: "retention".to_owned(),
                before,
                after: SHORT.to_owned(),
            }],
            request_id: request_id.to_owned(),
        };
        let answer = self.rpc.propose_change(by(author, request)).await?;
        Ok(answer.into_inner().change.expect("a change"))
    }

    async fn approve(&self, caller: &str, change: &GuardedChange) -> Result<GuardedChange, Status> {
        let request = ApproveGuardedChangeRequest {
            name: change.name.clone(),
            change_hash: change.hash.clone(),
            request_id: String::new(),
        };
        let answer = self.rpc.approve_guarded_change(by(caller, request)).await?;
        Ok(answer.into_inner().change.expect("a change"))
    }

    async fn cancel(&self, caller: &str, change: &GuardedChange) -> Result<GuardedChange, Status> {
        let request = CancelGuardedChangeRequest {
            name: change.name.clone(),
            reason: "never mind".to_owned(),
            request_id: String::new(),
        };
        let answer = self.rpc.cancel_guarded_change(by(caller, request)).await?;
        Ok(answer.into_inner().change.expect("a change"))
    }

    async fn show(&self, change: &GuardedChange) -> GuardedChange {
        let request = GetGuardedChangeRequest {
            name: change.name.clone(),
        };
        let answer = self.rpc.get_guarded_change(by("ann", request)).await;
        answer
            .expect("shown")
            .into_inner()
            .change
            .expect("a change")
    }

    async fn state(&self, change: &GuardedChange) -> GuardedChangeState {
        self.show(change).await.state()
    }

    async fn round(&self) {
        round(&self.context).await.expect("a round");
    }

    /// Lets time pass, and a round come.
    async fn pass(&self, time: TimeDelta) {
        self.clock.advance(time);
        self.round().await;
    }

    async fn retention(&self) -> String {
        Setting::Retention.of(&self.record().await)
    }

    async fn versions(&self) -> u64 {
        let vault = &self.context.deps.vault;
        vault.registration_number(&tenant(1)).await.expect("listed")
    }

    /// The rules and severities of all signals, newest first.
    async fn raised(&self) -> Vec<(String, Severity)> {
        let request = ListSignalsRequest {
            parent: name::tenant(&tenant(1)),
            ..ListSignalsRequest::default()
        };
        let answer = signals::list(&self.context, request).await.expect("listed");
        let signals = answer.signals.iter();
        signals.map(|it| (it.rule.clone(), it.severity())).collect()
    }

    async fn marks(&self) -> usize {
        let vault = &self.context.deps.vault;
        vault.open_changes().await.expect("listed").len()
    }
}

fn at(time: Option<prost_types::Timestamp>) -> DateTime<Utc> {
    let time = time.as_ref().and_then(proto::convert::time);
    time.expect("a time")
}

#[tokio::test]
async fn a_change_takes_effect_when_another_has_agreed_and_the_time_has_come() {
    let world = World::new().await;
    let asked = world.shorten("ann", "r").await.expect("asked");
    assert_eq!(asked.name, format!("tenants/{}/changes/1", tenant(1)));
    assert_eq!(
        (asked.state(), asked.author.as_str(), asked.severity()),
        (GuardedChangeState::Pending, "ann", Severity::Critical)
    );
    assert_eq!(
        asked.effects,
        [format!(
            "changes which snapshots are kept, from \"{LONG}\" to \"{SHORT}\", which protects the tenant less"
        )]
    );
    // Without anybody else nothing ever happens.
    world.pass(TimeDelta::days(6)).await;
    assert_eq!(world.retention().await, LONG);

    let approved = world.approve("ben", &asked).await.expect("approved");
    assert_eq!(approved.state(), GuardedChangeState::Approved);
    assert_eq!(at(approved.effective_time), world.clock.now() + WAIT);
    world.pass(WAIT - TimeDelta::seconds(1)).await;
    assert_eq!(world.retention().await, LONG, "a second too early");
    world.pass(TimeDelta::seconds(1)).await;
    assert_eq!(world.retention().await, SHORT);
    let applied = world.show(&asked).await;
    assert_eq!(
        (
            applied.state(),
            applied.approver.as_str(),
            at(applied.end_time)
        ),
        (GuardedChangeState::Applied, "ben", world.clock.now())
    );
    assert_eq!((world.versions().await, world.marks().await), (2, 0));
    assert_eq!(
        world.raised().await,
        ["applied", "approved", "requested"]
            .map(|what| (format!("guarded-change-{what}"), Severity::Critical))
    );
    // What has taken effect is not done again, and cannot be called off.
    world
        .register(|it| it.retention = LONG.parse().expect("a policy"))
        .await;
    world.pass(TimeDelta::days(1)).await;
    assert_eq!(world.retention().await, LONG);
    let late = world.cancel("ann", &asked).await.expect_err("too late");
    assert_eq!(told(&late), reason::CHANGE_ENDED);
}

#[tokio::test]
async fn nobody_agrees_to_what_they_asked_for_or_did_not_read() {
    let world = World::new().await;
    let asked = world.shorten("ann", "r").await.expect("asked");
    for author in ["ann", "ANN"] {
        let own = world.approve(author, &asked).await.expect_err(author);
        assert_eq!(told(&own), reason::APPROVAL_OF_OWN_PLAN);
    }
    for hash in ["", "0", &asked.hash.to_uppercase()] {
        let other = GuardedChange {
            hash: hash.to_owned(),
            ..asked.clone()
        };
        let stale = world.approve("ben", &other).await.expect_err(hash);
        assert_eq!(told(&stale), reason::APPROVAL_STALE);
    }
    let nobody = world
        .rpc
        .approve_guarded_change(Request::new(ApproveGuardedChangeRequest {
            name: asked.name.clone(),
            change_hash: asked.hash.clone(),
            request_id: String::new(),
        }))
        .await;
    assert_eq!(
        told(&nobody.expect_err("no caller")),
        reason::PERMISSION_DENIED
    );
    let unknown = GuardedChange {
        name: format!("tenants/{}/changes/9", tenant(1)),
        ..asked.clone()
    };
    let unknown = world.approve("ben", &unknown).await.expect_err("none");
    assert_eq!(told(&unknown), reason::NOT_FOUND);
    assert_eq!(world.state(&asked).await, GuardedChangeState::Pending);
    world.pass(WAIT * 3).await;
    assert_eq!(world.retention().await, LONG);
}

#[tokio::test]
async fn an_approval_of_one_change_is_none_of_another() {
    let world = World::new().await;
    let first = world.shorten("ann", "r1").await.expect("asked");
    let suspension = world
        .rpc
        .suspend_tenant(by(
            "ann",
            SuspendTenantRequest {
                name: name::tenant(&tenant(1)),
                request_id: "r2".to_owned(),
            },
        ))
        .await
        .expect("asked")
        .into_inner()
        .change
        .expect("a change");
    assert_ne!(first.hash, suspension.hash);
    let crossed = GuardedChange {
        hash: first.hash.clone(),
        ..suspension.clone()
    };
    let refused = world.approve("ben", &crossed).await.expect_err("another");
    assert_eq!(told(&refused), reason::APPROVAL_STALE);
    world.approve("ben", &first).await.expect("approved");
    world.pass(WAIT).await;
    assert_eq!(world.record().await.state, TenantState::Active);
    assert_eq!(world.retention().await, SHORT);
}

#[tokio::test]
async fn whoever_asked_and_whoever_agreed_may_call_it_off_until_then() {
    for caller in ["ann", "ben", "eve"] {
        let world = World::new().await;
        let asked = world.shorten("ann", "r").await.expect("asked");
        world.approve("ben", &asked).await.expect("approved");
        world.clock.advance(WAIT - TimeDelta::seconds(1));
        for _ in 0..2 {
            let cancelled = world.cancel(caller, &asked).await.expect("called off");
            assert_eq!(
                (
                    cancelled.state(),
                    cancelled.cancelled_by.as_str(),
                    cancelled.detail.as_str()
                ),
                (GuardedChangeState::Cancelled, caller, "never mind")
            );
        }
        world.pass(TimeDelta::days(1)).await;
        assert_eq!(world.retention().await, LONG);
        assert_eq!(world.marks().await, 0);
        let late = world.approve("ben", &asked).await.expect_err("over");
        assert_eq!(told(&late), reason::CHANGE_ENDED);
        let (last, severity) = world.raised().await.remove(0);
        assert_eq!(
            (last.as_str(), severity),
            ("guarded-change-cancelled", Severity::Low)
        );
    }
}

#[tokio::test]
async fn what_nobody_agrees_to_or_carries_out_in_time_is_over() {
    let world = World::new().await;
    let asked = world.shorten("ann", "r").await.expect("asked");
    world.clock.advance(super::propose::TO_APPROVE);
    let late = world.approve("ben", &asked).await.expect_err("too late");
    assert_eq!(told(&late), reason::APPROVAL_EXPIRED);
    assert_eq!(world.state(&asked).await, GuardedChangeState::Expired);
    world.round().await;
    assert_eq!(
        (world.state(&asked).await, world.marks().await),
        (GuardedChangeState::Expired, 0)
    );

    let again = world.shorten("ann", "r2").await.expect("asked anew");
    assert_eq!(again.name, format!("tenants/{}/changes/2", tenant(1)));
    world.approve("ben", &again).await.expect("approved");
    // Nobody was there when its time came.
    world.pass(WAIT + super::decide::TO_APPLY).await;
    let over = world.show(&again).await;
    assert_eq!(
        (over.state(), over.detail.as_str()),
        (GuardedChangeState::Expired, "its time ran out")
    );
    assert_eq!(world.retention().await, LONG);
}

#[tokio::test]
async fn what_means_something_else_by_now_is_stale() {
    let world = World::new().await;
    let asked = world.shorten("ann", "r").await.expect("asked");
    world.approve("ben", &asked).await.expect("approved");
    // Another setting plays no part, this one does.
    world.register(|it| it.name = "Fabrikam".to_owned()).await;
    world.register(|it| it.retention.recent = 60).await;
    world.pass(WAIT).await;
    let stale = world.show(&asked).await;
    assert_eq!(
        (stale.state(), stale.detail.as_str()),
        (GuardedChangeState::Stale, "retention was changed meanwhile")
    );
    assert_eq!(world.record().await.retention.recent, 60);
    assert_eq!(world.marks().await, 0);
    let request = ProposeChangeRequest {
        parent: name::tenant(&tenant(1)),
        settings: vec![GuardedSetting {
            field: "retention".to_owned(),
            before: LONG.to_owned(),
            after: SHORT.to_owned(),
        }],
        request_id: String::new(),
    };
    let moved = world.rpc.propose_change(by("ann", request)).await;
    assert_eq!(told(&moved.expect_err("moved")), reason::CONFLICT);
}

#[tokio::test]
async fn the_same_request_and_the_same_wish_are_one_change() {
    let world = World::new().await;
    let first = world.shorten("ann", "r").await.expect("asked");
    for (author, request_id) in [("ann", "r"), ("ann", "r2"), ("eve", "r3")] {
        let again = world.shorten(author, request_id).await.expect("asked");
        assert_eq!(again, first, "{author} {request_id}");
    }
    world.cancel("ann", &first).await.expect("called off");
    let repeated = world.shorten("ann", "r").await.expect("asked");
    assert_eq!(
        repeated.state(),
        GuardedChangeState::Cancelled,
        "a repeated request"
    );
    let anew = world.shorten("ann", "r4").await.expect("asked");
    assert_ne!(anew.name, first.name);
    let request = ListGuardedChangesRequest {
        parent: name::tenant(&tenant(1)),
        page_size: 1,
        ..ListGuardedChangesRequest::default()
    };
    let page = world
        .rpc
        .list_guarded_changes(by("ann", request.clone()))
        .await;
    let page = page.expect("listed").into_inner();
    assert_eq!(page.changes, std::slice::from_ref(&anew));
    let next = ListGuardedChangesRequest {
        page_token: page.next_page_token,
        ..request
    };
    let page = world.rpc.list_guarded_changes(by("ann", next)).await;
    let page = page.expect("listed").into_inner();
    assert_eq!(
        (page.changes.len(), page.changes[0].name == first.name),
        (1, true)
    );
    assert_eq!(page.next_page_token, "");
    let open = ListGuardedChangesRequest {
        parent: name::tenant(&tenant(1)),
        open: true,
        ..ListGuardedChangesRequest::default()
    };
    let open = world.rpc.list_guarded_changes(by("ann", open)).await;
    assert_eq!(open.expect("listed").into_inner().changes, [anew]);
}

#[tokio::test]
async fn broken_off_anywhere_a_change_takes_effect_once() {
    let mut broken = 0;
    loop {
        let world = World::new().await;
        let asked = world.shorten("ann", "r").await.expect("asked");
        world.approve("ben", &asked).await.expect("approved");
        world.clock.advance(WAIT);
        let before = world.store.puts();
        world.store.break_after(broken);
        // What goes wrong is logged, and the next round goes on.
        let _ = round(&world.context).await;
        world.store.mend();
        let done = world.store.puts() - before;
        world.round().await;
        world.round().await;
        assert_eq!(world.retention().await, SHORT, "after {broken}");
        assert_eq!(world.versions().await, 2, "after {broken}: once");
        assert_eq!(
            world.state(&asked).await,
            GuardedChangeState::Applied,
            "after {broken}"
        );
        assert_eq!(world.marks().await, 0, "after {broken}");
        assert_eq!(world.raised().await.len(), 3, "after {broken}");
        if done < broken {
            break;
        }
        broken += 1;
    }
    assert!(
        broken > 6,
        "beginning, effect, end and signals are several changes: {broken}"
    );
}

#[tokio::test]
async fn of_two_rounds_at_once_one_writes() {
    for nth in 1..=3 {
        let world = World::new().await;
        let asked = world.shorten("ann", "r").await.expect("asked");
        world.approve("ben", &asked).await.expect("approved");
        world.clock.advance(WAIT);
        world.store.on_put(nth + 2, Fault::LoseAnswer);
        let (one, other) = futures::join!(round(&world.context), round(&world.context));
        one.and(other).expect("both end");
        world.round().await;
        assert_eq!(
            (world.retention().await.as_str(), world.versions().await),
            (SHORT, 2)
        );
        assert_eq!(world.state(&asked).await, GuardedChangeState::Applied);
    }
}

#[tokio::test]
async fn what_was_changed_between_beginning_and_effect_is_not_lost() {
    let world = World::new().await;
    let asked = world.shorten("ann", "r").await.expect("asked");
    world.approve("ben", &asked).await.expect("approved");
    world.clock.advance(WAIT);
    let version = store::layout::registration(&tenant(1), 2);
    let gate = world.store.gate(&version);
    let context = world.context.clone();
    let applying = tokio::spawn(async move { round(&context).await });
    gate.reached().await;
    // It has begun, so that nobody stops it any more.
    let late = world.cancel("ann", &asked).await.expect_err("begun");
    assert_eq!(told(&late), reason::CHANGE_ENDED);
    let other = world.context.deps.vault.tenant_record(&tenant(1)).await;
    let mut other = other.expect("read").expect("there");
    other.value.name = "Fabrikam".to_owned();
    world
        .context
        .deps
        .vault
        .update_tenant(&other)
        .await
        .expect("faster");
    gate.open();
    applying.await.expect("no panic").expect("it goes on");
    let record = world.record().await;
    assert_eq!(
        (
            record.name.as_str(),
            Setting::Retention.of(&record).as_str()
        ),
        ("Fabrikam", SHORT)
    );
    assert_eq!(world.versions().await, 3);
    assert_eq!(world.state(&asked).await, GuardedChangeState::Applied);
}

#[tokio::test]
async fn a_hold_is_lifted_by_two_and_only_the_one_that_was_meant() {
    let world = World::new().await;
    let vault = world.vault().await;
    let id = SnapshotId::parse("20261120-daily").expect("valid");
    vault
        .hold(&id, "case 7", world.clock.now())
        .await
        .expect("held");
    let lift = async |request_id: &str| {
        let request = LiftHoldRequest {
            name: name::snapshot(&tenant(1), &id),
            request_id: request_id.to_owned(),
        };
        let answer = SnapshotService::lift_hold(&world.rpc, by("ann", request)).await;
        answer.expect("asked").into_inner()
    };
    let asked = lift("r1").await;
    let held = asked.snapshot.expect("shown");
    assert_eq!(held.hold_reason, "case 7", "it stays held");
    let change = asked.pending_change.expect("a change");
    world.approve("ben", &change).await.expect("approved");
    world.pass(WAIT).await;
    assert_eq!(vault.hold_of(&id).await.expect("read"), None);
    assert_eq!(world.state(&change).await, GuardedChangeState::Applied);
    assert!(lift("r2").await.pending_change.is_none(), "nothing is held");

    // Held anew since: another hold, which nobody agreed to lift.
    vault
        .hold(&id, "case 8", world.clock.now())
        .await
        .expect("held");
    let change = lift("r3").await.pending_change.expect("a change");
    world.approve("ben", &change).await.expect("approved");
    vault.lift_hold(&id).await.expect("lifted otherwise");
    world.clock.advance(TimeDelta::hours(1));
    vault
        .hold(&id, "case 9", world.clock.now())
        .await
        .expect("held");
    world.pass(WAIT).await;
    assert_eq!(world.state(&change).await, GuardedChangeState::Stale);
    let (_, reason) = vault.hold_of(&id).await.expect("read").expect("held");
    assert_eq!(reason, "case 9");
}

#[tokio::test]
async fn a_tenant_is_suspended_by_two_and_resumed_by_one() {
    let world = World::new().await;
    let suspend = async || {
        let request = SuspendTenantRequest {
            name: name::tenant(&tenant(1)),
            request_id: String::new(),
        };
        let answer = world.rpc.suspend_tenant(by("ann", request)).await;
        answer.expect("asked").into_inner().change
    };
    let change = suspend().await.expect("a change");
    world.approve("ben", &change).await.expect("approved");
    world.pass(WAIT).await;
    assert_eq!(world.record().await.state, TenantState::Suspended);
    assert_eq!(suspend().await, None, "it is suspended already");
    let look = crate::schedule::look(&world.context, &tenant(1)).await;
    assert!(matches!(look, crate::schedule::Look::Later(_)), "{look:?}");
    for _ in 0..2 {
        let request = ResumeTenantRequest {
            name: name::tenant(&tenant(1)),
            request_id: String::new(),
        };
        world
            .rpc
            .resume_tenant(by("ann", request))
            .await
            .expect("resumed");
        assert_eq!(world.record().await.state, TenantState::Active);
    }
    assert_eq!(world.versions().await, 3);
}

impl World {
    async fn offboard(&self, confirm: &str, without_export: bool) -> Result<GuardedChange, Status> {
        let request = OffboardTenantRequest {
            name: name::tenant(&tenant(1)),
            confirm: confirm.to_owned(),
            without_export,
            request_id: String::new(),
        };
        let answer = self.rpc.offboard_tenant(by("ann", request)).await?;
        Ok(answer.into_inner().change.expect("a change"))
    }

    async fn certificates(&self) -> Vec<ErasureCertificate> {
        let request = ListErasuresRequest {
            parent: name::tenant(&tenant(1)),
        };
        let answer = self.rpc.list_erasures(by("ann", request)).await;
        answer.expect("listed").into_inner().certificates
    }

    async fn is_erased(&self) -> bool {
        erase::is_erased(&self.context, &tenant(1))
            .await
            .expect("known")
    }

    /// Reads a snapshot out, as an export does.
    async fn export(&self) {
        let request = ReadSnapshotRequest {
            name: format!("tenants/{}/snapshots/20261120-daily", tenant(1)),
            types: Vec::new(),
        };
        let mut stream = self
            .rpc
            .read_snapshot(by("ann", request))
            .await
            .expect("read")
            .into_inner();
        while let Some(message) = stream.next().await {
            message.expect("no error");
        }
    }
}

#[tokio::test]
async fn a_tenant_is_offboarded_after_its_export_and_a_certificate_says_so() {
    let world = World::new().await;
    let wrong = world
        .offboard("Fabrikam", true)
        .await
        .expect_err("not confirmed");
    assert_eq!(told(&wrong), reason::INVALID_ARGUMENT);
    let first = world
        .offboard("Contoso", false)
        .await
        .expect_err("not exported");
    assert_eq!(told(&first), reason::EXPORT_REQUIRED);
    assert!(
        first.message().contains("rewind snapshot export"),
        "{first:?}"
    );
    world.export().await;
    let change = world.offboard("Contoso", false).await.expect("asked");
    assert_eq!(
        change.exported_snapshot,
        format!("tenants/{}/snapshots/20261120-daily", tenant(1))
    );
    world.approve("ben", &change).await.expect("approved");
    world.pass(WAIT - TimeDelta::seconds(1)).await;
    assert!(!world.is_erased().await);
    world.pass(TimeDelta::seconds(1)).await;
    assert!(world.is_erased().await);
    assert_eq!(world.record().await.state, TenantState::Offboarded);
    let certificates = world.certificates().await;
    let [certificate] = &certificates[..] else {
        panic!("{certificates:?}");
    };
    assert_eq!(
        (
            certificate.display_name.as_str(),
            certificate.author.as_str(),
            certificate.approver.as_str(),
            certificate.kind(),
            certificate.change_hash.as_str(),
            at(certificate.erase_time),
        ),
        (
            "Contoso",
            "ann",
            "ben",
            GuardedChangeKind::Offboard,
            change.hash.as_str(),
            world.clock.now()
        )
    );
    assert_eq!((certificate.keys.len(), certificate.keys[0].number), (1, 1));
    assert_eq!(certificate.keys[0].public_key_digest.len(), 64);
    assert!(certificate.remaining_file_count > 0 && certificate.remaining_bytes > 0);
    assert_eq!(
        (certificate.proof.as_str(), certificate.copy_proof.as_str()),
        ("ok", "")
    );
    assert_eq!(world.marks().await, 0);
    // Nothing goes on, and nothing brings it back but its keys.
    world.pass(TimeDelta::days(1)).await;
    assert_eq!(world.certificates().await, certificates);
    let request = ResumeTenantRequest {
        name: name::tenant(&tenant(1)),
        request_id: String::new(),
    };
    let gone = world.rpc.resume_tenant(by("ann", request)).await;
    assert_eq!(told(&gone.expect_err("erased")), reason::KEY_ERASED);
}

#[tokio::test]
async fn an_erasure_may_be_cut_short_anywhere() {
    let mut broken = 0;
    loop {
        let world = World::new().await;
        let change = world.offboard("Contoso", true).await.expect("asked");
        world.approve("ben", &change).await.expect("approved");
        world.clock.advance(WAIT);
        world.store.break_after(broken);
        let _ = round(&world.context).await;
        world.store.mend();
        let done = world.is_erased().await && !world.certificates().await.is_empty();
        world.round().await;
        world.round().await;
        assert!(world.is_erased().await, "after {broken}");
        assert_eq!(
            world.record().await.state,
            TenantState::Offboarded,
            "after {broken}"
        );
        let certificates = world.certificates().await;
        assert_eq!(certificates.len(), 1, "after {broken}");
        assert_eq!(certificates[0].keys.len(), 1, "after {broken}");
        assert_eq!(world.marks().await, 0, "after {broken}");
        if done {
            break;
        }
        broken += 1;
    }
    assert!(broken > 4, "an erasure is several changes: {broken}");
}

#[tokio::test]
async fn a_held_snapshot_keeps_its_tenant_from_being_erased() {
    let world = World::new().await;
    let vault = world.vault().await;
    let id = SnapshotId::parse("20261120-daily").expect("valid");
    vault
        .hold(&id, "case 7", world.clock.now())
        .await
        .expect("held");
    let held = world.offboard("Contoso", true).await.expect_err("held");
    assert_eq!(told(&held), reason::SNAPSHOT_HELD);
    vault.lift_hold(&id).await.expect("lifted");
    let change = world.offboard("Contoso", true).await.expect("asked");
    world.approve("ben", &change).await.expect("approved");
    vault
        .hold(&id, "case 8", world.clock.now())
        .await
        .expect("held");
    world.pass(WAIT).await;
    assert_eq!(world.state(&change).await, GuardedChangeState::Stale);
    assert!(!world.is_erased().await);
}

#[tokio::test]
async fn the_keys_beside_the_copies_are_erased_too() {
    let mut world = World::new().await;
    let copies = Copies::new(&world.context.deps.vault, Arc::new(InMemory::new()));
    copies
        .begin(&world.context.deps.vault, &tenant(1))
        .await
        .expect("copied");
    world.context.deps.copies = Some(copies.clone());
    let asked = Asked {
        author: Some("ann".to_owned()),
        request_id: String::new(),
    };
    let vault = world.vault().await;
    let kind = GuardedChangeKind::EraseKeys;
    let change = propose::erase(&world.context, &vault, asked, kind, String::new()).await;
    world
        .approve("ben", &change.expect("asked"))
        .await
        .expect("approved");
    world.pass(WAIT).await;
    assert!(world.is_erased().await);
    let gone = copies
        .vault()
        .public_keys(&tenant(1))
        .await
        .expect_err("erased");
    assert_eq!(Error::from(gone).reason(), reason::KEY_ERASED);
    let certificates = world.certificates().await;
    assert_eq!(certificates[0].copy_proof, "ok");
    assert_eq!(
        world.record().await.state,
        TenantState::Active,
        "only the keys were meant"
    );
}

#[tokio::test]
async fn a_change_that_was_tampered_with_is_not_carried_out() {
    let world = World::new().await;
    let asked = world.shorten("ann", "r").await.expect("asked");
    world.approve("ben", &asked).await.expect("approved");
    // Another change under its number, sealed as it should be.
    let vault = world.vault().await;
    let path = store::layout::document(&tenant(1), store::Area::Changes, "000001", "change");
    let path = path.expect("a path");
    let other = GuardedChange {
        author: "eve".to_owned(),
        ..journal::load(&vault, 1).await.expect("read").change
    };
    store::object_store::ObjectStoreExt::delete(world.store.as_ref(), &path)
        .await
        .expect("deleted");
    assert!(journal::store(&vault, 1, &other).await.expect("stored"));
    world.pass(WAIT).await;
    assert_eq!(world.retention().await, LONG);
    let damaged = world.approve("ben", &asked).await.expect_err("damaged");
    assert_eq!(told(&damaged), reason::STORE_CORRUPT);
}
