//! What was made anew in place of what.

use model::lineage::{Entry, Lineage};
use model::{ObjectId, ObjectType, PlanId};
use testkit::store::{moment, tenant};

use crate::{memory, opened};

fn entry(object_type: ObjectType, n: u8) -> Entry {
    let id = |kind: char| {
        let text = format!("00000000-0000-4000-8000-00000000{kind}0{n:02x}");
        ObjectId::parse(&text).unwrap()
    };
    Entry {
        object_type,
        old: id('a'),
        new: id('b'),
        app_ids: (object_type == ObjectType::Application).then(|| (id('c'), id('d'))),
        made: moment(i64::from(n)),
        restore: PlanId::parse("20261120t080000-1").unwrap(),
    }
}

#[tokio::test]
async fn what_was_told_is_read_again_in_order() {
    let (vaults, vault) = opened(memory()).await;
    assert!(vault.lineage().await.unwrap().is_empty());
    let first = entry(ObjectType::User, 1);
    let more = [
        first.clone(),
        entry(ObjectType::Application, 2),
        entry(ObjectType::Group, 3),
    ];
    let known = vault.lineage().await.unwrap();
    let told = std::slice::from_ref(&first);
    assert_eq!(vault.add_lineage(&known, told).await.unwrap(), told);
    let known = vault.lineage().await.unwrap();
    assert_eq!(vault.add_lineage(&known, &more).await.unwrap(), more[1..]);
    let known = vault.lineage().await.unwrap();
    assert_eq!(vault.add_lineage(&known, &more).await.unwrap(), []);
    assert_eq!(vault.lineage().await.unwrap().entries(), more);
    let other = vaults.tenant(&tenant(2)).await.unwrap();
    assert!(
        other.lineage().await.unwrap().is_empty(),
        "another tenant knows nothing of it"
    );
}

#[tokio::test]
async fn of_many_who_tell_at_once_nobody_is_lost() {
    let (_, vault) = opened(memory()).await;
    let tellers = (1..=8).map(|n| {
        let vault = vault.clone();
        async move {
            vault
                .add_lineage(&Lineage::default(), &[entry(ObjectType::User, n)])
                .await
        }
    });
    for told in futures::future::join_all(tellers).await {
        told.unwrap();
    }
    assert_eq!(vault.lineage().await.unwrap().entries().len(), 8);
}
