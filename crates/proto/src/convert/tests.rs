use model::call::{Call, HttpMethod};
use model::catalogue::Class;
use model::diff::{AttributeChange, Change, ChangeKind, Direction, LinkChange, Obstacle};
use model::plan::{Action, CaState, Exclusion, Guard, Lockout, Options, Step};
use model::references::Chosen;
use model::{LinkKind, ObjectId, ObjectRef, ObjectType};
use serde_json::json;

use super::*;
use crate::v1;

fn object() -> ObjectRef {
    ObjectRef {
        object_type: ObjectType::Group,
        id: ObjectId::parse("00000000-0000-4000-8000-000000000001").expect("valid"),
        name: "G".to_owned(),
    }
}

fn attribute() -> AttributeChange {
    AttributeChange {
        path: "conditions.users.excludeUsers".to_owned(),
        before: Some(json!(["a", "b"])),
        after: None,
        added: vec![],
        removed: vec![json!("a"), json!({"n": 12_345_678_901_234_567_u64})],
        class: Class::Restorable,
    }
}

fn link() -> LinkChange {
    LinkChange {
        kind: LinkKind::GroupMembers,
        target: object().id,
        target_name: Some("U".to_owned()),
        direction: Direction::Removed,
    }
}

#[test]
fn changes_come_back_as_they_went() {
    for kind in [
        ChangeKind::Added,
        ChangeKind::Modified,
        ChangeKind::SoftDeleted,
        ChangeKind::HardDeleted,
        ChangeKind::Restored,
    ] {
        let original = Change {
            object: object(),
            kind,
            attributes: vec![attribute()],
            links: vec![link()],
            obstacles: [
                Obstacle::Secret,
                Obstacle::ReadOnly,
                Obstacle::TypeNotRestored,
                Obstacle::OwnAccess,
                Obstacle::LastAdministrator,
                Obstacle::PermissionMissing,
                Obstacle::LockoutRisk,
                Obstacle::ReportOnly,
                Obstacle::WholeObject,
                Obstacle::ChangedSince,
                Obstacle::NotJournalled,
                Obstacle::NotRecreatable,
                Obstacle::ByHand,
            ]
            .into(),
        };
        assert_eq!(model_change(&change(&original)), Ok(original));
    }
}

#[test]
fn changes_are_counted_as_a_whole_and_by_type() {
    let of = |object_type, kind, links: usize| Change {
        object: ObjectRef {
            object_type,
            ..object()
        },
        kind,
        attributes: Vec::new(),
        links: vec![link(); links],
        obstacles: Default::default(),
    };
    let changes = [
        of(ObjectType::User, ChangeKind::Modified, 0),
        of(ObjectType::User, ChangeKind::SoftDeleted, 1),
        of(ObjectType::Group, ChangeKind::Modified, 2),
    ];
    let users = v1::ChangeCounts {
        modified: 1,
        soft_deleted: 1,
        links: 1,
        ..v1::ChangeCounts::default()
    };
    let groups = v1::ChangeCounts {
        modified: 1,
        links: 2,
        ..v1::ChangeCounts::default()
    };
    let by_type = type_counts(&changes)
        .into_iter()
        .map(|it| (it.r#type, it.counts));
    let expected = [
        ("user".to_owned(), Some(users)),
        ("group".to_owned(), Some(groups)),
    ];
    assert_eq!(by_type.collect::<Vec<_>>(), expected);
    let all = v1::ChangeCounts {
        modified: 2,
        soft_deleted: 1,
        links: 3,
        ..v1::ChangeCounts::default()
    };
    assert_eq!(counts(&changes), all);
    assert!(type_counts(&[]).is_empty());
}

#[test]
fn steps_and_exclusions_come_back_as_they_went() {
    for action in [
        Action::RestoreDeleted,
        Action::DisableEntries,
        Action::Update,
        Action::AddLinks,
        Action::RemoveLink,
        Action::Untrust,
        Action::SoftDelete,
        Action::MakeAnew,
        Action::RemoveRelation,
        Action::RemoveCredential,
        Action::Recreate,
        Action::Create,
        Action::Protect,
    ] {
        let original = Step {
            number: 7,
            action,
            object: object(),
            reason: "r".to_owned(),
            attributes: vec![attribute()],
            links: vec![link()],
            guards: vec![Guard {
                property: "p".to_owned(),
                before: "x".to_owned(),
                after: String::new(),
            }],
            call: Call {
                method: HttpMethod::Patch,
                path: "/groups/1".to_owned(),
                body: Some(json!({"a": null})),
            },
            after: vec![1, 2],
            made_anew: vec![object().id],
        };
        assert_eq!(model_step(&step(&original)), Ok(original));
    }
    let original = Exclusion {
        object: object(),
        obstacle: Obstacle::LinkEndMissing,
        part: "x".to_owned(),
        detail: "y".to_owned(),
    };
    assert_eq!(model_exclusion(&exclusion(&original)), Ok(original));
}

#[test]
fn choices_and_parts_come_back_as_they_went() {
    let (old, new) = (
        "0a1b2c3d-0000-4000-8000-000000000001",
        "0a1b2c3d-0000-4000-8000-000000000002",
    );
    let dropped = "0a1b2c3d-0000-4000-8000-000000000003";
    let chosen = Chosen::new([(old, new)], [dropped]).expect("valid");
    let message = with_chosen(options(Options::default()), &chosen);
    assert_eq!(model_chosen(Some(&message)), Ok(chosen));
    assert_eq!(model_options(Some(&message)), Ok(Options::default()));
    let wrong = v1::PlanOptions {
        drop_references: vec!["All".to_owned()],
        ..v1::PlanOptions::default()
    };
    assert_eq!(
        model_chosen(Some(&wrong)).map_err(|error| error.field),
        Err("options.map_references".to_owned())
    );

    let (properties, links) = (["jobTitle".to_owned()], [format!("group/members:{old}")]);
    let parts = model_parts(&properties, &links).expect("known");
    assert_eq!(parts.link_texts(), links);
    for (properties, links, field) in [
        (vec!["shoeSize".to_owned()], vec![], "properties"),
        (vec![], vec!["friends:a".to_owned()], "links"),
    ] {
        assert_eq!(
            model_parts(&properties, &links).map_err(|error| error.field),
            Err(field.to_owned())
        );
    }
}

#[test]
fn the_writer_is_known_by_its_id_alone() {
    let entry = |by: serde_json::Value| {
        let entry = json!({
            "id": "Directory_1", "activityDateTime": "2026-01-02T03:04:05.5Z", "correlationId": "c",
            "activityDisplayName": "Update user", "result": "success", "initiatedBy": by,
            "targetResources": [{"id": "x", "modifiedProperties": [{"displayName": "JobTitle"}]}],
        });
        let entry = model::audit::Entry::from_value(&entry);
        entry.expect("well-formed").expect("a success")
    };
    let app = json!({"app": {"appId": "W", "displayName": "Rewind Writer"}});
    let told = activity(&entry(app.clone()), Some("w"));
    let expected = v1::Activity {
        initiated_by: Some(v1::Initiator {
            r#type: v1::InitiatorType::Application.into(),
            id: "w".to_owned(),
            display_name: "Rewind Writer".to_owned(),
            ip_address: String::new(),
            is_rewind: true,
        }),
        activity: "Update user".to_owned(),
        time: Some(prost_types::Timestamp {
            seconds: 1_767_323_045,
            nanos: 500_000_000,
        }),
        correlation_id: "c".to_owned(),
        properties: vec!["JobTitle".to_owned()],
    };
    assert_eq!(told, expected);
    let is_rewind = |by, rewind| {
        let told = activity(&entry(by), rewind);
        told.initiated_by.unwrap_or_default().is_rewind
    };
    assert!(!is_rewind(app.clone(), None) && !is_rewind(app, Some("v")));
    let user = json!({"user": {"id": "W", "userPrincipalName": "w@contoso.example"}});
    assert!(!is_rewind(user, Some("w")));
    assert!(!is_rewind(json!(null), Some("w")));
}

#[test]
fn what_does_not_fit_names_its_field() {
    let scope = v1::Scope {
        types: vec!["robot".to_owned()],
        ids: vec![],
    };
    assert_eq!(
        model_scope(Some(&scope)).map_err(|error| error.field),
        Err("scope.types".to_owned())
    );
    let many = v1::Scope {
        types: vec![],
        ids: vec!["a".to_owned(); 10_001],
    };
    assert_eq!(
        model_scope(Some(&many)).map_err(|error| error.field),
        Err("scope.ids".to_owned())
    );
    let broken = v1::Change {
        object: None,
        kind: 99,
        ..v1::Change::default()
    };
    assert_eq!(
        model_change(&broken).map_err(|error| error.field),
        Err("object".to_owned())
    );
    assert_eq!(model_scope(None), Ok(model::diff::Scope::default()));
}

#[test]
fn choices_come_back_as_they_went_and_what_is_not_set_is_the_default() {
    for ca_state in [CaState::Snapshot, CaState::ReportOnly] {
        for lockout in [Lockout::Refused, Lockout::Accepted] {
            let original = Options {
                ca_state,
                lockout,
                ..Options::default()
            };
            assert_eq!(model_options(Some(&options(original))), Ok(original));
        }
    }
    let unset = v1::PlanOptions::default();
    assert_eq!(model_options(Some(&unset)), Ok(Options::default()));
    for risk in [0, 7] {
        let unknown = v1::PlanOptions {
            accepted_risks: vec![risk],
            ..unset.clone()
        };
        let error = model_options(Some(&unknown)).expect_err("unknown");
        assert_eq!(error.field, "options.accepted_risks", "{risk}");
    }
    let unknown = v1::PlanOptions {
        ca_state: 9,
        ..unset
    };
    let error = model_options(Some(&unknown)).expect_err("unknown");
    assert_eq!(error.field, "options.ca_state");
}

#[test]
fn approvals_and_their_grounds_come_back_as_they_went() {
    let original = model::approval::Approval {
        approver: "ben".to_owned(),
        given_at: DateTime::UNIX_EPOCH,
        expires_at: DateTime::UNIX_EPOCH + chrono::TimeDelta::hours(24),
        plan_hash: "h".to_owned(),
    };
    assert_eq!(model_approval(&approval(&original)), Ok(original));
    let without_times = v1::Approval::default();
    let error = model_approval(&without_times).expect_err("no time");
    assert_eq!(error.field, "approval.create_time");

    let original = model::approval::Grounds {
        steps: 3,
        conditional_access: true,
        privileged: vec![object()],
        holders_unknown: true,
    };
    let policy = "on,changes=7".parse().expect("a policy");
    let message = grounds(&original, &policy);
    assert_eq!(model_grounds(&message, 3), Ok((original, policy)));
    let damaged = v1::ApprovalGrounds::default();
    assert!(model_grounds(&damaged, 3).is_err());
}
