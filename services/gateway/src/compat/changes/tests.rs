use super::*;
use proto::v1::Obstacle;

fn object(kind: &str) -> Option<ObjectRef> {
    Some(ObjectRef {
        r#type: kind.to_owned(),
        id: "id-1".to_owned(),
        display_name: "Adele".to_owned(),
    })
}

fn attribute(path: &str, before: Option<&str>, after: Option<&str>) -> AttributeChange {
    AttributeChange {
        path: path.to_owned(),
        before_json: before.map(str::to_owned),
        after_json: after.map(str::to_owned),
        class: AttributeClass::Restorable as i32,
        ..AttributeChange::default()
    }
}

fn link(id: &str, direction: LinkDirection) -> LinkChange {
    LinkChange {
        relation: "group/members".to_owned(),
        target_id: id.to_owned(),
        target_name: format!("name of {id}"),
        direction: direction as i32,
    }
}

fn change(kind: ChangeKind, object_type: &str) -> Change {
    Change {
        object: object(object_type),
        kind: kind as i32,
        ..Change::default()
    }
}

#[test]
fn each_kind_has_its_action() {
    for (kind, action) in [
        (ChangeKind::Added, "softDelete"),
        (ChangeKind::Restored, "softDelete"),
        (ChangeKind::SoftDeleted, "restore"),
        (ChangeKind::Modified, "update"),
    ] {
        let row = reported(&change(kind, "user"), Members::First);
        assert_eq!(row["recoveryAction"], action);
        assert!(KINDS.contains(&kind));
        assert_eq!(
            row.keys().filter(|name| !name.starts_with('@')).count(),
            CHANGE.len()
        );
    }
    assert!(!KINDS.contains(&ChangeKind::HardDeleted));
}

#[test]
fn an_update_tells_both_sides_of_what_is_written() {
    let secret = AttributeChange {
        class: AttributeClass::Secret as i32,
        ..attribute("passwordCredentials", None, Some("[{\"hint\":\"abc\"}]"))
    };
    let change = Change {
        attributes: vec![
            attribute("jobTitle", Some("\"Engineer\""), Some("\"Boss\"")),
            attribute("conditions.users.excludeUsers", Some("[\"x\"]"), None),
            attribute("conditions.users.includeUsers", None, Some("[\"All\"]")),
            secret,
        ],
        links: vec![
            link("came", LinkDirection::Added),
            link("went", LinkDirection::Removed),
        ],
        obstacles: vec![Obstacle::Secret as i32],
        ..change(ChangeKind::Modified, "group")
    };
    let row = Value::Object(reported(&change, Members::First));
    assert_eq!(
        row["deltaFromCurrent"],
        json!({
            "@odata.type": "#microsoft.graph.group",
            "jobTitle": "Engineer",
            "conditions": { "users": { "excludeUsers": ["x"], "includeUsers": null } },
            "members@delta": [
                { "id": "came", "displayName": "name of came", "@removed": { "reason": "changed" } },
                { "id": "went", "displayName": "name of went" },
            ],
        })
    );
    assert_eq!(
        row["currentState"],
        json!({
            "@odata.type": "#microsoft.graph.group",
            "jobTitle": "Boss",
            "conditions": { "users": { "excludeUsers": null, "includeUsers": ["All"] } },
        })
    );
    assert_eq!(row["@rewind.notRecovered"], json!(["passwordCredentials"]));
    assert_eq!(row["@rewind.obstacles"], json!(["SECRET"]));
    assert!(
        !row.to_string().contains("abc"),
        "a secret's public part is not told either"
    );
}

#[test]
fn what_is_deleted_and_restored_says_so() {
    let gone = Change {
        attributes: vec![attribute("jobTitle", Some("\"Engineer\""), None)],
        ..change(ChangeKind::SoftDeleted, "user")
    };
    let row = reported(&gone, Members::First);
    let delta = json!({
        "@odata.type": "#microsoft.graph.user", "deletedDateTime": null, "jobTitle": "Engineer"
    });
    assert_eq!(row["deltaFromCurrent"], delta);
    let row = reported(&change(ChangeKind::Added, "organization"), Members::First);
    assert_eq!(row["entityTypeName"], "unknownFutureValue");
    assert_eq!(
        row["deltaFromCurrent"]["@removed"],
        json!({ "reason": "changed" })
    );
    assert_eq!(row["currentState"]["deletedDateTime"], Value::Null);
}

#[test]
fn a_failed_step_is_seen_from_the_restore() {
    let step = PlanStep {
        action: StepAction::Update as i32,
        object: object("user"),
        attributes: vec![attribute(
            "jobTitle",
            Some("\"Boss\""),
            Some("\"Engineer\""),
        )],
        links: vec![
            link("back", LinkDirection::Added),
            link("out", LinkDirection::Removed),
        ],
        ..PlanStep::default()
    };
    let outcome = Outcome {
        state: proto::v1::OutcomeState::Conflict as i32,
        detail: "somebody was quicker".to_owned(),
        ..Outcome::default()
    };
    let row = failed(&step, &why(&outcome), Members::First);
    assert_eq!(row["failureMessage"], "conflict: somebody was quicker");
    assert_eq!(row["deltaFromCurrent"]["jobTitle"], "Engineer");
    assert_eq!(row["currentState"]["jobTitle"], "Boss");
    let ends = &row["deltaFromCurrent"]["members@delta"];
    assert_eq!(ends[0].get("@removed"), None);
    assert_eq!(ends[1]["@removed"], json!({ "reason": "changed" }));
}
