//! Marks of restores that have the Conditional Access quota.

use chrono::TimeDelta;
use model::PlanId;
use store::TenantVault;
use testkit::store::moment;

use crate::{memory, opened};

fn restore(number: u32) -> PlanId {
    PlanId::parse(&format!("20261120t080000-{number}")).unwrap()
}

async fn holders(vault: &TenantVault, at: i64) -> Vec<PlanId> {
    vault.lane_holders(moment(at)).await.unwrap()
}

const TTL: TimeDelta = TimeDelta::seconds(60);

#[tokio::test]
async fn a_mark_counts_until_its_time_unless_it_is_renewed_or_ended() {
    let (_, vault) = opened(memory()).await;
    assert_eq!(holders(&vault, 0).await, []);
    let mark = async |number, at| {
        let restore = restore(number);
        let marked = vault.mark_lane(&restore, moment(0), moment(at), TTL);
        marked.await.unwrap()
    };
    mark(1, 0).await;
    assert_eq!(holders(&vault, 59).await, [restore(1)]);
    assert_eq!(holders(&vault, 61).await, [], "nobody renewed it");
    let renewed = mark(1, 40).await;
    assert_eq!(renewed.since, moment(0));
    assert_eq!(holders(&vault, 61).await, [restore(1)]);
    mark(2, 50).await;
    assert_eq!(holders(&vault, 61).await, [restore(1), restore(2)]);
    for _ in 0..2 {
        vault.unmark_lane(&restore(1), moment(55)).await.unwrap();
        assert_eq!(
            holders(&vault, 55).await,
            [restore(2)],
            "the older marks count no more"
        );
    }
    // A restore that goes on has it again.
    mark(1, 62).await;
    assert_eq!(holders(&vault, 105).await, [restore(1), restore(2)]);
    assert_eq!(holders(&vault, 130).await, []);
}
