//! In which state Conditional Access policies come back.

use super::*;
use crate::diff::{AttributeChange, Change, ChangeKind};

const REPORT: Options = Options {
    ca_state: CaState::ReportOnly,
    ..ROLLBACK
};

fn policy(n: u8, state: &str, description: &str) -> Object {
    let body = json!({
        "displayName": format!("Policy {n}"), "state": state, "description": description,
        "conditions": {"clientAppTypes": ["all"], "users": {"includeUsers": ["None"]}, "applications": {"includeApplications": ["All"]}},
        "grantControls": {"operator": "OR", "builtInControls": ["mfa"]}});
    object(
        ObjectType::ConditionalAccessPolicy,
        n,
        ObjectState::Live,
        body,
    )
}

fn plan_of(base: &Object, live: Object, options: Options) -> Plan {
    planned(
        &content(vec![base.clone()], vec![]),
        &content(vec![live], vec![]),
        options,
    )
}

fn bodies(plan: &Plan) -> Vec<(Action, Option<Value>)> {
    let steps = plan.steps.iter();
    steps
        .map(|step| (step.action, step.call.body.clone()))
        .collect()
}

fn report_only(plan: &Plan) -> Vec<&str> {
    let told = plan.exclusions.iter();
    let told = told.filter(|one| one.obstacle == Obstacle::ReportOnly);
    told.map(|one| one.part.as_str()).collect()
}

#[test]
fn what_was_enabled_comes_back_in_report_only_mode_where_that_is_chosen() {
    let enabled = policy(50, "enabled", "right");
    let reporting = json!({"state": "enabledForReportingButNotEnforced"});
    let with_text = json!({"state": "enabledForReportingButNotEnforced", "description": "right"});
    for (live, expected) in [
        (
            policy(50, "disabled", "right"),
            vec![(Action::Update, Some(reporting.clone()))],
        ),
        // Changed otherwise: no longer enforced either.
        (
            policy(50, "enabled", "wrong"),
            vec![(Action::Update, Some(with_text.clone()))],
        ),
        (
            policy(50, "enabledForReportingButNotEnforced", "wrong"),
            vec![(Action::Update, Some(json!({"description": "right"})))],
        ),
        (
            deleted(policy(50, "disabled", "wrong")),
            vec![
                (Action::RestoreDeleted, None),
                (Action::Update, Some(with_text)),
            ],
        ),
        (
            deleted(policy(50, "enabled", "right")),
            vec![
                (Action::RestoreDeleted, None),
                (Action::Update, Some(reporting)),
            ],
        ),
        // As it is to be already: nothing is written, and it is told.
        (
            policy(50, "enabledForReportingButNotEnforced", "right"),
            vec![],
        ),
    ] {
        let plan = plan_of(&enabled, live, REPORT);
        assert_eq!(bodies(&plan), expected);
        assert_eq!(report_only(&plan), ["state"]);
        let risks = &plan.risks;
        assert!(
            risks
                .iter()
                .any(|risk| risk.contains("until a person enables it"))
        );
        assert!(!risks.iter().any(|risk| risk.contains("will be enforced")));
    }
}

#[test]
fn what_was_not_enabled_and_what_is_not_written_stays() {
    for state in ["disabled", "enabledForReportingButNotEnforced"] {
        let plan = plan_of(
            &policy(50, state, "right"),
            policy(50, "enabled", "right"),
            REPORT,
        );
        assert_eq!(
            bodies(&plan),
            [(Action::Update, Some(json!({"state": state})))]
        );
        assert_eq!(report_only(&plan), Vec::<&str>::new());
    }
    let enabled = policy(50, "enabled", "right");
    assert_eq!(plan_of(&enabled, enabled.clone(), REPORT), Plan::default());
}

#[test]
fn what_is_made_anew_only_reports_too() {
    let options = Options {
        hard_deleted: HardDeleted::MakeAnew,
        ..REPORT
    };
    let base = content(vec![policy(50, "enabled", "right")], vec![]);
    let plan = planned(&base, &content(vec![], vec![]), options);
    let [(Action::Recreate, Some(body))] = &bodies(&plan)[..] else {
        panic!("{plan:?}");
    };
    assert_eq!(body["state"], "enabledForReportingButNotEnforced");
    assert_eq!(report_only(&plan), ["state"]);
}

#[test]
fn one_write_sets_content_and_state_so_that_nothing_is_enabled_before_it_is_right() {
    let enabled = policy(50, "enabled", "right");
    let both = json!({"state": "enabled", "description": "right"});
    let check = |live: Object, before: &[Action]| {
        let plan = plan_of(&enabled, live, ROLLBACK);
        let (last, first) = plan.steps.split_last().expect("steps");
        assert_eq!(last.call.body.as_ref(), Some(&both));
        let actions: Vec<Action> = first.iter().map(|step| step.action).collect();
        assert_eq!(actions, before);
        plan
    };
    check(policy(50, "disabled", "wrong"), &[]);
    let back = &[Action::RestoreDeleted];
    let plan = check(deleted(policy(50, "disabled", "wrong")), back);
    assert_eq!(plan.steps[1].after, [1], "it waits for the return");
    assert!(
        !plan
            .risks
            .iter()
            .any(|risk| risk.contains("as it was deleted"))
    );

    // In the bin nothing can be written: what it binds meanwhile is told.
    let plan = plan_of(&enabled, deleted(policy(50, "enabled", "wrong")), ROLLBACK);
    assert_eq!(plan.steps.len(), 2);
    assert!(
        plan.risks
            .iter()
            .any(|risk| risk.contains("comes back enforced as it was deleted")),
        "{:?}",
        plan.risks
    );
}

#[test]
fn a_verification_expects_report_only_and_nothing_else() {
    let plan = plan_of(
        &policy(50, "enabled", "right"),
        policy(50, "disabled", "right"),
        REPORT,
    );
    let left = |state: &str| Change {
        object: plan.steps[0].object.clone(),
        kind: ChangeKind::Modified,
        attributes: vec![AttributeChange {
            path: "state".to_owned(),
            before: Some(json!("enabled")),
            after: Some(json!(state)),
            added: vec![],
            removed: vec![],
            class: Class::Restorable,
        }],
        links: vec![],
        obstacles: BTreeSet::new(),
    };
    let planned = HashSet::from([id(50)]);
    let judged = |state: &str| judge(&[left(state)], &planned, &plan.exclusions);
    assert_eq!(judged("enabledForReportingButNotEnforced"), Left::default());
    assert_eq!(judged("disabled").unexpected.len(), 1);
}
