use model::call::{Call, HttpMethod};
use model::catalogue::Class;
use model::diff::{AttributeChange, Change, ChangeKind, Direction, LinkChange, Obstacle};
use model::plan::{Action, Exclusion, Guard, Step};
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
                Obstacle::NotRecreatable,
            ]
            .into(),
        };
        assert_eq!(model_change(&change(&original)), Ok(original));
    }
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
