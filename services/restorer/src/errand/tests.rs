use std::sync::Arc;

use model::call::{Call, HttpMethod};
use model::diff::{Direction, LinkChange};
use model::{LinkKind, ObjectId, ObjectType};
use runtime::jobs::Jobs;
use runtime::{ManualClock, SeededIds};
use store::object_store::memory::InMemory;
use store::{Kek, TenantState, Vault};
use testkit::store::{moment, record, tenant};

use super::*;
use crate::Deps;

fn id(n: usize) -> ObjectId {
    ObjectId::parse(&format!("00000000-0000-4000-8000-{n:012}")).expect("an id")
}

fn step(number: u32, action: Action, object: usize, links: usize) -> Step {
    let link = |n: usize| LinkChange {
        kind: LinkKind::GroupMembers,
        target: id(100 + n),
        target_name: None,
        direction: Direction::Added,
    };
    Step {
        number,
        action,
        object: ObjectRef {
            object_type: ObjectType::Group,
            id: id(object),
            name: "G".to_owned(),
        },
        reason: String::new(),
        attributes: Vec::new(),
        links: (0..links).map(link).collect(),
        guards: Vec::new(),
        call: Call {
            method: HttpMethod::Patch,
            path: "/groups/1".to_owned(),
            body: None,
        },
        after: Vec::new(),
        made_anew: Vec::new(),
    }
}

fn steps() -> Vec<Step> {
    vec![
        step(1, Action::RestoreDeleted, 1, 0),
        step(2, Action::Update, 1, 0),
        step(3, Action::Update, 2, 0),
        step(4, Action::AddLinks, 2, 20),
        step(5, Action::RemoveLink, 3, 1),
    ]
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).expect("in range")
}

#[test]
fn a_plan_counts_objects_and_links_and_waits_as_long_as_an_approval_counts() {
    let policy: Policy = "on,expires=2h".parse().expect("a policy");
    let errand = Errand {
        note: "mine".to_owned(),
        ..Errand::default()
    };
    let errand = planned(errand, &steps(), &policy, at(1000));
    assert_eq!((errand.object_count, errand.link_count), (2, 21));
    assert_eq!(errand.apply_until, Some(timestamp(at(1000 + 7200))));
    assert_eq!(errand.note, "mine");
}

#[test]
fn only_what_was_done_whole_counts_as_changed() {
    let outcomes = |states: &[OutcomeState]| -> BTreeMap<u32, Outcome> {
        let outcome = |state: &OutcomeState| Outcome {
            state: *state as i32,
            ..Outcome::default()
        };
        (1..).zip(states.iter().map(outcome)).collect()
    };
    use OutcomeState::{AlreadyDone, Applied, Conflict, Failed, Skipped};
    for (states, objects, links) in [
        (vec![Applied, Applied, Applied, Applied, Applied], 2, 21),
        (
            vec![AlreadyDone, Applied, Failed, Failed, AlreadyDone],
            1,
            1,
        ),
        (vec![Applied, Conflict, Applied, Applied, Skipped], 1, 20),
        (vec![Applied], 0, 0),
        (vec![], 0, 0),
    ] {
        let errand = ended(Errand::default(), &steps(), &outcomes(&states));
        assert_eq!(
            (errand.changed_objects, errand.changed_links),
            (objects, links),
            "{states:?}"
        );
    }
}

#[test]
fn what_was_not_begun_in_time_has_failed() {
    let errand = Errand {
        apply_until: Some(timestamp(at(100))),
        ..Errand::default()
    };
    assert_eq!(overdue(&errand, true, at(99)), None);
    assert_eq!(
        overdue(&Errand::default(), true, at(99)),
        None,
        "not planned yet"
    );
    let reason = |asks| overdue(&errand, asks, at(100)).expect("too late").reason;
    assert_eq!(reason(true), "APPROVAL_EXPIRED");
    assert_eq!(reason(false), "BACKEND_UNAVAILABLE");
}

/// A process over a store with one tenant, in which somebody waits for a plan.
struct World {
    clock: Arc<ManualClock>,
    context: Context,
    documents: Documents,
}

impl World {
    async fn new() -> Self {
        let vault = Vault::new(
            Arc::new(InMemory::new()),
            Arc::new(Kek::from_bytes([1; 32])),
        );
        vault
            .create_tenant(&record(&tenant(1)))
            .await
            .expect("it is new");
        let of_tenant = vault.tenant(&tenant(1)).await.expect("it is there");
        let plan = PlanId::parse("20261120T000000-0123456789abcdef").expect("an id");
        let clock = Arc::new(ManualClock::new(moment(0)));
        let differ = runtime::connect("http://127.0.0.1:1", None).expect("a URL");
        let context = Context {
            deps: Deps {
                vault,
                clock: clock.clone(),
                ids: Arc::new(SeededIds::new(1)),
                connect: Arc::new(|_| Err(Error::NoWriter)),
                differ: differ.into(),
            },
            reader_client_id: None,
            plans: Jobs::new(),
            restores: Jobs::new(),
        };
        let waited_for = Plan {
            name: proto::name::plan(&tenant(1), &plan),
            state: PlanState::Running as i32,
            snapshot: format!("tenants/{}/snapshots/20261120-daily", tenant(1)),
            errand: Some(Errand::default()),
            ..Plan::default()
        };
        mark(&of_tenant, &plan, &waited_for).await.expect("marked");
        Self {
            clock,
            context,
            documents: Documents::new(of_tenant, plan),
        }
    }

    /// Another process over the same store.
    fn another(&self) -> Context {
        Context {
            plans: Jobs::new(),
            restores: Jobs::new(),
            ..self.context.clone()
        }
    }

    /// Whether a round of another process finds that nothing comes of it any more.
    async fn is_over(&self) -> bool {
        let resumed = resume_one(&self.another(), &tenant(1), &self.documents).await;
        resumed.expect("the store answers")
    }

    /// Why nothing comes of it, in a word; empty while something may.
    async fn failure(&self) -> String {
        let unmade = unmade(&self.documents).await.expect("the store answers");
        let errand = unmade.expect("it is waited for").errand;
        let failure = errand.and_then(|errand| errand.failure);
        failure.map(|failure| failure.reason).unwrap_or_default()
    }

    /// A process that is killed while it makes the plan, long enough ago.
    async fn killed(&self) {
        let begun = tokio::sync::Notify::new();
        let making = async {
            begun.notify_one();
            std::future::pending::<Result<(), Error>>().await
        };
        tokio::select! {
            ended = lease::hold(&self.context, &self.documents, making) => {
                panic!("it holds the errand: {ended:?}");
            }
            () = begun.notified() => {}
        }
        self.clock.advance(TimeDelta::minutes(6));
    }
}

#[tokio::test]
async fn a_plan_that_another_process_makes_is_left_alone_until_its_lease_is_over() {
    let world = World::new().await;
    let (other, documents) = (world.another(), &world.documents);
    let making = async {
        assert!(!world.is_over().await);
        assert_eq!(world.failure().await, "");
        let second = lease::hold(&other, documents, async { Ok(()) }).await;
        assert!(matches!(second, Err(Error::AppliedElsewhere { .. })));
        world.clock.advance(TimeDelta::minutes(6));
        // Taken for dead, and the plan made anew: of a snapshot that is not there.
        assert!(world.is_over().await);
        assert_eq!(world.failure().await, "NOT_FOUND");
        Ok(())
    };
    Box::pin(lease::hold(&world.context, documents, making))
        .await
        .expect("held");
    let next = lease::hold(&other, documents, async { Ok(()) }).await;
    next.expect("what has ended is given back at once");
}

#[tokio::test]
async fn a_plan_that_stops_whoever_makes_it_is_given_up() {
    let world = World::new().await;
    for _ in 0..MOST_ATTEMPTS {
        assert_eq!(world.failure().await, "");
        world.killed().await;
    }
    assert!(world.is_over().await);
    assert_eq!(world.failure().await, "BACKEND_UNAVAILABLE");
}

#[tokio::test]
async fn the_errands_of_a_suspended_tenant_wait() {
    let world = World::new().await;
    let vault = &world.context.deps.vault;
    let mut over = BTreeSet::new();
    let found = vault.tenant_record(&tenant(1)).await.expect("read");
    let mut registration = found.expect("registered");
    registration.value.state = TenantState::Suspended;
    vault.update_tenant(&registration).await.expect("updated");
    let resumed = resume(&world.context, &tenant(1), &mut over).await;
    assert!(matches!(resumed, Err(Error::Suspended)), "{resumed:?}");
    assert_eq!(world.failure().await, "", "nobody has looked at it");
    let found = vault.tenant_record(&tenant(1)).await.expect("read");
    let mut registration = found.expect("registered");
    registration.value.state = TenantState::Active;
    vault.update_tenant(&registration).await.expect("updated");
    let resumed = resume(&world.context, &tenant(1), &mut over).await;
    resumed.expect("it is served again");
    assert_eq!(
        (over.len(), world.failure().await.as_str()),
        (1, "NOT_FOUND")
    );
}
