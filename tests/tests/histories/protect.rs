//! A plan that guards a tenant, whose restorer is killed before and after each of its
//! writes: the outcome is as if it had been left alone, and at no moment is anybody asked
//! without end.

use std::sync::Arc;
use std::time::Duration;

use graph::Limits;
use model::ObjectId;
use parking_lot::Mutex;
use proto::v1::{Restore, RestoreState};
use serde_json::Value;
use simulator::{FaultMix, Population, Replication};

use crate::house::{House, TENANT};
use crate::mortal::{Death, Life};

/// How time passes.
const STEP: Duration = Duration::from_millis(150);
/// The writes of the whole plan.
const WRITES: u64 = 11;
/// How often something is begun that faults cut off.
const MOST_TRIES: usize = 12;
const RULE: &str = "device.extensionAttribute1 -eq \"PAW\"";

/// What of the tenant the plan is about, without what differs from run to run.
fn defence(dump: &Value) -> (Value, Value, Vec<Value>) {
    let policies = dump["objects"]["conditionalAccessPolicy"].as_object();
    let ours = policies.into_iter().flatten().map(|(_, policy)| policy);
    let ours = ours.filter(|policy| {
        let name = policy["displayName"].as_str();
        name.is_some_and(|name| name.starts_with("High-Security Ops ("))
    });
    let mut ours: Vec<Value> = ours
        .map(|policy| {
            serde_json::json!([
                policy["displayName"],
                policy["state"],
                policy["conditions"],
                policy["grantControls"]
            ])
        })
        .collect();
    ours.sort_by_key(Value::to_string);
    let contexts = &dump["authenticationContextClassReferences"];
    (dump["protectedActions"].clone(), contexts.clone(), ours)
}

fn asked_without_end(dump: &Value) -> bool {
    let policies = dump["objects"]["conditionalAccessPolicy"].as_object();
    let stands = |context: &Value| {
        policies.into_iter().flatten().any(|(_, policy)| {
            let named = &policy["conditions"]["applications"];
            let named = named["includeAuthenticationContextClassReferences"].as_array();
            policy["state"] == "enabled" && named.is_some_and(|named| named.contains(context))
        })
    };
    let actions = dump["protectedActions"].as_object();
    actions.into_iter().flatten().any(|(_, it)| !stands(it))
}

/// Guards a tenant, with a restorer that dies at a write; what the tenant is then, and
/// how the restore ended.
async fn guard(death: Option<Death>, trouble: bool) -> (Value, Restore, u64) {
    let mut house = House::new(7, Limits::Documented).await;
    house.tenant.populate(&Population {
        users: 12,
        groups: 4,
        seed: 7,
    });
    let dump = house.simulator.dump(TENANT);
    let users = dump["objects"]["user"].as_object().unwrap().iter();
    let mut enabled = users.filter(|(_, user)| user["accountEnabled"] == true);
    let (account, _) = enabled.next().unwrap();
    house.spare(vec![ObjectId::parse(account).unwrap()]).await;
    if trouble {
        house.simulator.set_fault_mix(Some(FaultMix::of(0.03, 7)));
        house.simulator.set_replication(Replication {
            max_lag: Duration::from_secs(3),
            seed: 7,
        });
    }
    let wrong = Arc::new(Mutex::new(0_u64));
    let count = Arc::clone(&wrong);
    house.simulator.on_request(Box::new(move |_, simulator| {
        *count.lock() += u64::from(asked_without_end(&simulator.dump(TENANT)));
    }));
    let mut restorer = house.restorer(Life::until(death)).await;
    let mut plan = None;
    for _ in 0..MOST_TRIES {
        match restorer.protect(RULE, house.request_id()).await {
            Ok(made) => {
                plan = Some(made);
                break;
            }
            Err(_) => testkit::time::wait(Duration::from_secs(2)).await,
        }
    }
    let plan = plan.expect("a plan");
    for _ in 0..MOST_TRIES {
        match restorer.apply(&plan).await {
            Some(Ok(restore)) => {
                house.simulator.clear_hook();
                let wrong = *wrong.lock();
                return (house.simulator.dump(TENANT), restore, wrong);
            }
            Some(Err(_)) => testkit::time::wait(Duration::from_secs(2)).await,
            None => {
                testkit::time::wait(Duration::from_secs(2)).await;
                restorer = house.restorer(Life::until(None)).await;
            }
        }
    }
    panic!("it never ended");
}

fn as_if_left_alone(trouble: bool) {
    let (alone, restore, wrong) = testkit::time::run(STEP, guard(None, trouble));
    assert_eq!(restore.state(), RestoreState::Succeeded, "{restore:#?}");
    assert_eq!(
        (u64::try_from(restore.applied).unwrap(), wrong),
        (WRITES, 0)
    );
    let expected = defence(&alone);
    assert_eq!(expected.2.len(), 2);
    for write in 0..WRITES {
        for death in [Death::Before(write), Death::After(write)] {
            let (dump, restore, wrong) = testkit::time::run(STEP, guard(Some(death), trouble));
            assert_eq!(defence(&dump), expected, "{death:?}");
            assert_eq!(
                restore.state(),
                RestoreState::Succeeded,
                "{death:?} {restore:#?}"
            );
            let ended = (u64::try_from(restore.applied).unwrap(), wrong);
            assert_eq!(ended, (WRITES, 0), "{death:?}");
        }
    }
}

#[test]
fn a_protection_killed_at_any_write_is_as_if_left_alone() {
    as_if_left_alone(false);
}

#[test]
fn the_same_of_a_tenant_whose_answers_lag_and_fail() {
    as_if_left_alone(true);
}
