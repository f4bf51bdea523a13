//! Writes a vault that the tests keep as an example of a format: a registered
//! tenant with a base, a change run, a rotated key and a document.
//!
//! It is run once for each version of the format, by hand:
//!
//! ```sh
//! cargo run -p rewind-store --example write_golden -- crates/store/tests/golden/format-1
//! ```
//!
//! It refuses a folder that exists, since what was written once must stay as it is.

#![expect(
    clippy::unwrap_used,
    reason = "a generator that ends by panicking has written nothing of use"
)]

use std::path::PathBuf;
use std::sync::Arc;

use chrono::TimeDelta;
use model::snapshot::{Change, ChangeToken, Completeness, Effort, Kind, Method};
use model::{Link, LinkKind, Object, ObjectId, ObjectState, ObjectType, PlanId, TenantId};
use serde_json::json;
use store::{Area, Draft, Kek, Manifest, Taken, TenantVault, Vault};
use testkit::store::{meta, moment, record};

const TENANT: &str = "11111111-0000-4000-8000-000000000000";

fn id(family: u32, n: u32) -> ObjectId {
    ObjectId::parse(&format!("{family:08x}-0000-4000-8000-{n:012x}")).unwrap()
}

fn user(n: u32, state: ObjectState, department: &str) -> Change {
    let body = json!({
        "@odata.context": "https://graph.example/$metadata#users/$entity",
        "id": id(1, n).as_str(),
        "displayName": format!("Zoë Müller {n}"),
        "userPrincipalName": format!("user{n}@contoso.example"),
        "accountEnabled": n.is_multiple_of(2),
        "jobTitle": null,
        "department": department,
        "businessPhones": ["+49 30 1234567"],
        "employeeOrgData": {"costCenter": "7", "division": "Köln 🦀"},
    });
    object(ObjectType::User, state, &body)
}

fn object(object_type: ObjectType, state: ObjectState, body: &serde_json::Value) -> Change {
    Change::Put(Object::from_json(object_type, state, &body.to_string()).unwrap())
}

fn link(kind: LinkKind, source: ObjectId, target: ObjectId) -> Link {
    Link {
        kind,
        source,
        target,
    }
}

/// The tenant as it is read for the first time.
fn first_day() -> Vec<Change> {
    let (live, deleted) = (ObjectState::Live, ObjectState::Deleted);
    let mut changes: Vec<Change> = (1..=12).map(|n| user(n, live, "Sales")).collect();
    changes.push(user(13, deleted, "Sales"));
    for n in 1..=2 {
        let body = json!({"id": id(2, n).as_str(), "displayName": format!("Group {n}")});
        changes.push(object(ObjectType::Group, live, &body));
    }
    let location = json!({
        "@odata.type": "#microsoft.graph.ipNamedLocation",
        "id": id(3, 1).as_str(),
        "displayName": "Office",
        "isTrusted": true,
    });
    changes.push(object(ObjectType::NamedLocation, live, &location));
    let policy = json!({
        "id": id(4, 1).as_str(),
        "displayName": "Require MFA",
        "state": "enabled",
        "conditions": {"users": {"includeUsers": ["All"], "excludeUsers": [id(1, 1).as_str()]}},
    });
    changes.push(object(ObjectType::ConditionalAccessPolicy, live, &policy));
    let members = (1..=13).map(|n| link(LinkKind::GroupMembers, id(2, 1), id(1, n)));
    changes.extend(members.map(Change::Linked));
    changes.extend(
        [
            link(LinkKind::GroupOwners, id(2, 1), id(1, 1)),
            link(LinkKind::UserManager, id(1, 2), id(1, 1)),
            link(LinkKind::UserManager, id(1, 3), id(1, 1)),
        ]
        .map(Change::Linked),
    );
    changes
}

/// What changed on the next day: too little for a new base.
fn second_day() -> Vec<Change> {
    vec![
        user(1, ObjectState::Live, "Taken over"),
        user(2, ObjectState::Deleted, "Sales"),
        Change::Gone(ObjectType::User, id(1, 12)),
        Change::Unlinked(link(LinkKind::GroupMembers, id(2, 1), id(1, 5))),
        Change::Linked(link(LinkKind::GroupMembers, id(2, 2), id(1, 1))),
    ]
}

fn taken(incremental: u32) -> Taken {
    let complete = |kind, method| Completeness {
        not_after: moment(30),
        effort: Effort {
            pages: 1,
            requests: 2,
            units: 3,
            bytes: 4567,
            ..Effort::default()
        },
        ..Completeness::begun(kind, method, moment(0))
    };
    let (user, policy) = (ObjectType::User, ObjectType::ConditionalAccessPolicy);
    Taken {
        completeness: vec![
            complete(Kind::Objects(user), Method::Delta),
            complete(Kind::Deleted(user), Method::SingleRead),
            complete(Kind::Objects(policy), Method::StableReread),
            Completeness {
                note: "one page was read twice".to_owned(),
                ..complete(Kind::Links(LinkKind::GroupMembers), Method::Delta)
            },
            Completeness {
                problem: Some("Graph answered 403".to_owned()),
                ..complete(Kind::Objects(ObjectType::Application), Method::Delta)
            },
        ],
        tokens: vec![ChangeToken {
            object_type: user,
            selection: "id,displayName".to_owned(),
            link: "https://graph.example/v1.0/users/delta?$deltatoken=golden".to_owned(),
        }],
        unsettled: vec![(user, id(1, 3))],
        incremental,
        ..Taken::default()
    }
}

async fn commit(
    vault: &TenantVault,
    slot: &str,
    day: u32,
    changes: Vec<Change>,
    base: Option<&Manifest>,
) -> Manifest {
    let draft = Draft::default();
    changes.into_iter().for_each(|change| draft.apply(change));
    let meta = meta(slot, "attempt-1", i64::from(day) * 86_400);
    vault
        .commit(&meta, draft, taken(day), base, &|| meta.finished)
        .await
        .unwrap()
}

#[tokio::main]
async fn main() {
    let folder = PathBuf::from(std::env::args_os().nth(1).expect("a folder is named"));
    std::fs::create_dir(&folder).expect("the folder can be made and is new");
    let folder = folder.canonicalize().unwrap();
    let kek = Kek::load_or_create(&folder.join("key")).unwrap();
    let url = url::Url::from_directory_path(folder.join("store")).unwrap();
    let vault = Vault::open(url.as_str(), &|_| None, Arc::new(kek)).unwrap();
    let tenant = TenantId::parse(TENANT).unwrap();
    vault.create_tenant(&record(&tenant)).await.unwrap();
    let opened = vault.tenant(&tenant).await.unwrap();

    let first = commit(&opened, "20261120-daily", 0, first_day(), None).await;
    let claim = opened
        .claim(
            &model::SnapshotId::parse("20261121-daily").unwrap(),
            "snapshotter-1",
            moment(86_400),
            TimeDelta::minutes(10),
        )
        .await
        .unwrap();
    let second = commit(&opened, "20261121-daily", 1, second_day(), Some(&first)).await;
    opened.release(&claim).await.unwrap();
    opened
        .claim(
            &model::SnapshotId::parse("20261123-daily").unwrap(),
            "snapshotter-1",
            moment(3 * 86_400),
            TimeDelta::minutes(10),
        )
        .await
        .unwrap();
    let restore = PlanId::parse("golden").unwrap();
    opened
        .mark_lane(&restore, moment(0), moment(0), TimeDelta::minutes(2))
        .await
        .unwrap();
    opened.unmark_lane(&restore, moment(1)).await.unwrap();
    for (name, content) in [
        ("report", "sealed with key 1"),
        ("page-00001", "also a document"),
    ] {
        opened
            .put(Area::Reports, "golden", name, content.into())
            .await
            .unwrap();
    }

    vault.rotate_key(&tenant, "golden").await.unwrap();
    let opened = vault.tenant(&tenant).await.unwrap();
    let third = vec![user(4, ObjectState::Live, "Finance")];
    commit(&opened, "20261122-daily", 2, third, Some(&second)).await;
    opened
        .put(
            Area::Restores,
            "golden",
            "journal/000001",
            "sealed with key 2".into(),
        )
        .await
        .unwrap();
}
