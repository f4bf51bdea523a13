//! Small tenants, registrations and snapshots that are the same in every run.

use chrono::{DateTime, Utc};
use model::drift::Watch;
use model::licence::Licence;
use model::retention::Policy;
use model::snapshot::{Completeness, Content, Kind, Method};
use model::{
    Application, Link, LinkKind, Object, ObjectId, ObjectState, ObjectType, Proof, ProofKind,
    SnapshotId, TenantId, approval,
};
use serde_json::json;
use store::{SnapshotMeta, TenantRecord, TenantState, Trigger};

/// A moment, in seconds after the tests' epoch.
///
/// # Panics
/// Beyond the range of dates.
#[must_use]
pub fn moment(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000 + seconds, 0).expect("a date in range")
}

/// The `n`th tenant of a test.
///
/// # Panics
/// Never.
#[must_use]
pub fn tenant(n: u32) -> TenantId {
    TenantId::parse(&format!("{n:08x}-0000-4000-8000-000000000000")).expect("a GUID")
}

/// A registration.
#[must_use]
pub fn record(id: &TenantId) -> TenantRecord {
    let credential = |name: &str| Application::Own {
        client_id: format!("client-{name}"),
        proof: Proof {
            kind: ProofKind::Secret,
            reference: format!("env:{name}"),
        },
    };
    TenantRecord {
        id: id.clone(),
        name: "Contoso".to_owned(),
        cloud: "global".to_owned(),
        graph_url: None,
        login_url: Some("https://login.example".to_owned()),
        reader: credential("READER"),
        writer: Some(credential("WRITER")),
        break_glass: vec![object_id(1, 0)],
        retention: Policy::default(),
        drift_watch: Watch::default(),
        audit_watch: model::watch::Watch::default(),
        approval: approval::Policy::default(),
        webhook: None,
        groups: Vec::new(),
        labels: std::collections::BTreeMap::new(),
        schedule: model::schedule::Window::default(),
        state: TenantState::Active,
        created_at: moment(0),
        change: None,
    }
}

/// The meta data of a snapshot that starts at [`moment`]`(start)`.
///
/// # Panics
/// Where `slot` is no snapshot id.
#[must_use]
pub fn meta(slot: &str, attempt: &str, start: i64) -> SnapshotMeta {
    SnapshotMeta {
        id: SnapshotId::parse(slot).expect("a slot"),
        attempt: attempt.to_owned(),
        trigger: Trigger::Scheduled,
        started: moment(start),
        finished: moment(start + 60),
        licence: Licence::P1,
    }
}

fn object_id(family: u32, n: usize) -> ObjectId {
    ObjectId::parse(&format!("{family:08x}-0000-4000-8000-{n:012x}")).expect("a GUID")
}

/// The content of a small tenant: `users` users, every tenth deleted, and one
/// group with all others as members.
///
/// # Panics
/// Never.
#[must_use]
pub fn content(users: usize) -> Content {
    let object = |object_type, state, body: serde_json::Value| {
        Object::from_json(object_type, state, &body.to_string()).expect("an object")
    };
    let group = object_id(2, 0);
    let mut content = Content::default();
    content.objects.push(object(
        ObjectType::Group,
        ObjectState::Live,
        json!({"id": group.as_str(), "displayName": "Everyone", "securityEnabled": true}),
    ));
    for n in 0..users {
        let id = object_id(1, n);
        let state = if n % 10 == 9 {
            ObjectState::Deleted
        } else {
            ObjectState::Live
        };
        let body = json!({
            "@odata.context": "https://graph.example/$metadata#users/$entity",
            "id": id.as_str(),
            "displayName": format!("Zoë Müller {n} 🦀"),
            "userPrincipalName": format!("user{n}@contoso.example"),
            "accountEnabled": n % 7 != 0,
            "jobTitle": null,
            "department": format!("Department {}", n % 50),
            "businessPhones": ["+49 30 1234567"],
            "employeeOrgData": {"costCenter": format!("{}", n % 100), "division": "Köln"},
            "proxyAddresses": [format!("SMTP:user{n}@contoso.example"), format!("smtp:u{n}@contoso.example")],
        });
        content.objects.push(object(ObjectType::User, state, body));
        if state == ObjectState::Live {
            content.links.push(Link {
                kind: LinkKind::GroupMembers,
                source: group.clone(),
                target: id,
            });
        }
    }
    let complete = |kind| Completeness {
        not_after: moment(30),
        ..Completeness::begun(kind, Method::Delta, moment(0))
    };
    content.completeness = vec![
        complete(Kind::Objects(ObjectType::User)),
        complete(Kind::Links(LinkKind::GroupMembers)),
        Completeness {
            problem: Some("Graph answered 403".to_owned()),
            ..complete(Kind::Objects(ObjectType::Application))
        },
    ];
    let counts = content.counts();
    for record in &mut content.completeness {
        record.count = counts.get(&record.kind).copied().unwrap_or_default();
    }
    content.sorted()
}
