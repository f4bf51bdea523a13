//! What stands on the pages of plans and restores.

use super::*;
use proto::v1::{Approval, Plan, Restore, Tenant};

fn restore(state: RestoreState) -> Restore {
    Restore {
        name: "tenants/t/restores/p-1".to_owned(),
        state: state.into(),
        step_count: 10,
        applied: 4,
        ..Restore::default()
    }
}

#[test]
fn a_restore_is_good_only_once_it_is_verified() {
    let verified = Restore {
        verified: true,
        ..restore(RestoreState::Succeeded)
    };
    let left = Restore {
        unexpected: vec!["x".to_owned()],
        ..restore(RestoreState::SucceededWithWarnings)
    };
    let failed = Restore {
        failed: 2,
        ..restore(RestoreState::SucceededWithWarnings)
    };
    for (restore, tone, said) in [
        (verified, Tone::Good, "found everything as planned"),
        (
            restore(RestoreState::Succeeded),
            Tone::Warn,
            "could not be compared",
        ),
        (left, Tone::Warn, "differences that should not be"),
        (failed, Tone::Warn, "2 steps did not succeed"),
        (
            restore(RestoreState::Cancelled),
            Tone::Warn,
            "4 of 10 steps are applied and stay",
        ),
        (
            restore(RestoreState::Interrupted),
            Tone::Warn,
            "nobody is at it",
        ),
        (restore(RestoreState::Running), Tone::Busy, "being applied"),
    ] {
        let course = Course::of(&restore);
        assert_eq!(course.verdict.0, tone, "{restore:?}");
        assert!(course.verdict.1.contains(said), "{}", course.verdict.1);
    }
}

#[test]
fn only_an_end_for_good_is_an_end() {
    let ended = |state| Course::of(&restore(state)).has_ended();
    assert!(ended(RestoreState::Succeeded) && ended(RestoreState::Cancelled));
    assert!(ended(RestoreState::SucceededWithWarnings));
    assert!(!ended(RestoreState::Planned) && !ended(RestoreState::Running));
    assert!(!ended(RestoreState::Interrupted));
}

#[test]
fn tiles_tell_what_there_is_and_always_what_was_applied() {
    let mut restore = restore(RestoreState::Running);
    restore.applied = 0;
    restore.conflicts = 3;
    let labels: Vec<_> = tiles(&restore).iter().map(|it| (it.0, it.1)).collect();
    assert_eq!(labels, [("Applied", 0), ("Stopped as a conflict", 3)]);
    let course = Course::of(&restore);
    assert_eq!((course.done, course.percent), (3, 30));
    assert_eq!(
        applying("verifying", &course),
        "Comparing the tenant with what was planned; 3 of 10 steps have ended"
    );
}

#[test]
fn whose_turn_it_is_follows_from_who_made_the_plan() {
    let approval = |hash: &str| Approval {
        approver: "bob".to_owned(),
        plan_hash: hash.to_owned(),
        ..Approval::default()
    };
    let plan = Plan {
        author: "ann".to_owned(),
        hash: "h".to_owned(),
        approval_required: vec!["it touches policies".to_owned()],
        ..Plan::default()
    };
    let whose = |caller, may| match Consent::of(&plan, caller, may) {
        Consent::Needed { whose, .. } => Some(whose),
        _ => None,
    };
    assert_eq!(whose("ann", true), Some(Whose::NotMine));
    assert_eq!(whose("Ann", true), Some(Whose::NotMine), "in any case");
    assert_eq!(whose("bob", true), Some(Whose::Mine));
    assert_eq!(whose("bob", false), Some(Whose::Theirs));
    assert!(!Consent::of(&plan, "bob", true).lets_through());

    let tagged = Plan {
        author: "ann@contoso.example#01".to_owned(),
        ..plan.clone()
    };
    let renamed = Consent::of(&tagged, "anna@contoso.example#01", true);
    assert!(
        matches!(
            renamed,
            Consent::Needed {
                whose: Whose::NotMine,
                ..
            }
        ),
        "the same person under another name"
    );
    let by = facts(&tagged).pop().map(|fact| fact.text);
    assert_eq!(
        by.as_deref(),
        Some("ann@contoso.example"),
        "people read no tags"
    );

    let given = Plan {
        approval: Some(approval("h")),
        ..plan.clone()
    };
    assert!(Consent::of(&given, "ann", false).lets_through());
    let of_another = Plan {
        approval: Some(approval("other")),
        ..plan.clone()
    };
    assert!(!Consent::of(&of_another, "ann", false).lets_through());
    let free = Plan {
        approval_required: Vec::new(),
        ..plan
    };
    assert_eq!(Consent::of(&free, "ann", false), Consent::NotNeeded);
}

#[test]
fn a_name_that_cannot_be_typed_is_not_asked_for() {
    let long = "x".repeat(41);
    for (name, expected) in [
        ("Contoso", "Contoso"),
        (" Zoë & Söhne (AG) ", "Zoë & Söhne (AG)"),
        ("", "12"),
        ("a\u{202e}b", "12"),
        ("<script>", "12"),
        ("two  spaces", "12"),
        (long.as_str(), "12"),
    ] {
        let tenant = Tenant {
            display_name: name.to_owned(),
            ..Tenant::default()
        };
        assert_eq!(phrase(&tenant, 12), expected, "{name:?}");
    }
}

#[test]
fn a_plan_tells_what_it_is_for() {
    let text = |plan: &Plan| {
        let fact = facts(plan).remove(0);
        (format!("{} {}", fact.label, fact.text), fact.href)
    };
    let back = Plan {
        snapshot: "tenants/t/snapshots/s-1".to_owned(),
        ..Plan::default()
    };
    let expected = (
        "Back to snapshot s-1".to_owned(),
        "/tenants/t/snapshots/s-1".to_owned(),
    );
    assert_eq!(text(&back), expected);
    let undo = Plan {
        undo_of: "tenants/t/restores/p-0".to_owned(),
        ..Plan::default()
    };
    assert_eq!(text(&undo).1, "/tenants/t/restores/p-0");
    let protects = Plan {
        protection: Some(v1::ProtectionChoices::default()),
        ..Plan::default()
    };
    assert_eq!(text(&protects).0, "For protection against hard deletion");
    assert!(
        choices(&protects).is_empty(),
        "nothing of a restore was chosen"
    );
}

#[test]
fn choices_stand_in_words() {
    let plan = Plan {
        options: Some(v1::PlanOptions {
            added: AddedPolicy::SoftDelete.into(),
            relationships: RelationshipMode::Merge.into(),
            ca_state: v1::CaState::ReportOnly.into(),
            accepted_risks: vec![Risk::Lockout.into()],
            recreate_hard_deleted: true,
            map_references: vec![v1::MappedReference {
                old: "a".to_owned(),
                new: "b".to_owned(),
            }],
            drop_references: vec!["c".to_owned()],
        }),
        properties: vec!["jobTitle".to_owned()],
        ..Plan::default()
    };
    let told: Vec<String> = choices(&plan).into_iter().map(|it| it.text).collect();
    assert_eq!(
        told,
        [
            "go to the recycle bin, where their type has one",
            "missing ones are added, none is removed",
            "written in report-only mode",
            "are made anew, under other ids",
            "lockout",
            "jobTitle",
            "a → b",
            "c"
        ]
    );
}

#[test]
fn a_step_tells_what_it_waits_for() {
    let step = |after: &[i32]| {
        Step::of(&v1::PlanStep {
            number: 3,
            action: StepAction::SoftDelete.into(),
            method: "DELETE".to_owned(),
            path: "/users/u-1".to_owned(),
            after: after.to_vec(),
            ..v1::PlanStep::default()
        })
        .expect("understood")
    };
    assert_eq!(step(&[]).after, "");
    assert_eq!(step(&[1]).after, "step 1");
    assert_eq!(step(&[1, 2]).after, "steps 1, 2");
    assert_eq!(
        (step(&[]).action, step(&[]).call.as_str()),
        ("Move to the recycle bin", "DELETE /users/u-1")
    );
}

#[test]
fn an_exclusion_without_a_sentence_tells_what_its_reason_means() {
    let mut one = v1::Exclusion {
        obstacle: v1::Obstacle::HardDeleted.into(),
        ..v1::Exclusion::default()
    };
    assert!(Exclusion::of(&one).why.contains("hard-deleted"));
    one.detail = "it is gone".to_owned();
    assert_eq!(Exclusion::of(&one).why, "it is gone");
}
