//! The console's pages of plans and restores.

use super::reporting::{name, object, path};
use super::stage::{Stage, stage};
use super::support::{A, OPERATOR};
use http::StatusCode;
use proto::v1::*;
use tonic::Status;

fn plan() -> Plan {
    Plan {
        name: name("plans", "p-1"),
        state: PlanState::Ready.into(),
        snapshot: name("snapshots", "20261122-daily"),
        step_count: 3,
        exclusion_count: 1,
        risks: vec!["Policies <b>lock out</b> people.".to_owned()],
        author: "somebody".to_owned(),
        hash: "the-hash".to_owned(),
        ..Plan::default()
    }
}

fn restore(state: RestoreState) -> Restore {
    Restore {
        name: name("restores", "p-1"),
        plan: name("plans", "p-1"),
        state: state.into(),
        step_count: 3,
        snapshot: name("snapshots", "20261122-daily"),
        ..Restore::default()
    }
}

/// A console where one plan is made, in the state that a test wants.
async fn planned(plan: Plan, restore: Restore) -> Stage {
    let stage = stage().await;
    stage.register(A, "Contoso").await;
    let script = &stage.script;
    let (watched, got) = (plan.clone(), plan);
    script.on("RestoreService/WatchPlan", move |_: WatchPlanRequest| {
        Ok(vec![WatchPlanResponse {
            plan: Some(watched.clone()),
            phase: "done".to_owned(),
        }])
    });
    script.on("RestoreService/GetPlan", move |_: GetPlanRequest| {
        Ok(vec![GetPlanResponse {
            plan: Some(got.clone()),
        }])
    });
    let (watched, got) = (restore.clone(), restore);
    script.on("RestoreService/GetRestore", move |_: GetRestoreRequest| {
        Ok(vec![GetRestoreResponse {
            restore: Some(got.clone()),
        }])
    });
    script.on(
        "RestoreService/WatchRestore",
        move |_: WatchRestoreRequest| {
            Ok(vec![WatchRestoreResponse {
                restore: Some(watched.clone()),
                phase: "applying".to_owned(),
            }])
        },
    );
    script.on(
        "RestoreService/ListPlanSteps",
        |request: ListPlanStepsRequest| {
            let step = PlanStep {
                number: 1,
                action: StepAction::Update.into(),
                object: object("u-1", "Ann"),
                attributes: vec![AttributeChange {
                    path: "jobTitle".to_owned(),
                    before_json: Some("\"Fool\"".to_owned()),
                    after_json: Some("\"Clerk\"".to_owned()),
                    ..AttributeChange::default()
                }],
                method: "PATCH".to_owned(),
                path: "/users/u-1".to_owned(),
                ..PlanStep::default()
            };
            Ok(vec![ListPlanStepsResponse {
                steps: vec![step],
                next_page_token: match request.page_token.as_str() {
                    "" => "25".to_owned(),
                    _ => String::new(),
                },
            }])
        },
    );
    script.on(
        "RestoreService/ListPlanExclusions",
        |_: ListPlanExclusionsRequest| {
            Ok(vec![ListPlanExclusionsResponse {
                exclusions: vec![Exclusion {
                    object: object("u-2", "Bob"),
                    obstacle: Obstacle::OnPremisesSynced.into(),
                    part: String::new(),
                    detail: "it comes from on-premises".to_owned(),
                }],
                ..ListPlanExclusionsResponse::default()
            }])
        },
    );
    script.on(
        "RestoreService/ListOutcomes",
        |request: ListOutcomesRequest| {
            let outcome = Outcome {
                step: 2,
                state: OutcomeState::Conflict.into(),
                detail: "it has changed since".to_owned(),
                object: object("u-3", "Cid"),
                ..Outcome::default()
            };
            let outcomes = match request.states.is_empty() {
                true => Vec::new(),
                false => vec![outcome],
            };
            Ok(vec![ListOutcomesResponse {
                outcomes,
                ..ListOutcomesResponse::default()
            }])
        },
    );
    script.on("RestoreService/ApplyPlan", |_: ApplyPlanRequest| {
        Ok(vec![ApplyPlanResponse::default()])
    });
    stage
}

#[tokio::test]
async fn a_plan_shows_what_it_would_write_what_not_and_what_may_go_wrong() {
    let stage = planned(plan(), restore(RestoreState::Planned)).await;
    let page = stage
        .browser(OPERATOR)
        .await
        .get(&path("/restores/p-1"))
        .await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    for expected in [
        "Fool",
        "Clerk",
        "PATCH /users/u-1",
        "it comes from on-premises",
        "Policies &#60;b&#62;lock out&#60;/b&#62; people.",
        "data-confirm=\"Contoso\"",
        "?steps=25#steps",
    ] {
        assert!(page.text.contains(expected), "{expected} in {}", page.text);
    }
    assert!(
        !page.text.contains("id=\"outcomes\""),
        "nothing went anyhow yet"
    );
}

#[tokio::test]
async fn nothing_is_applied_without_the_word_that_is_asked_for() {
    let stage = planned(plan(), restore(RestoreState::Planned)).await;
    let browser = stage.browser(OPERATOR).await;
    for typed in ["", "contoso", "3", "Contoso!"] {
        let page = browser
            .post(&path("/restores/p-1/apply"), &[("typed", typed)])
            .await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{typed}");
        assert!(page.text.contains("nothing was written"), "{}", page.text);
    }
    assert!(
        stage
            .script
            .asked::<ApplyPlanRequest>("ApplyPlan")
            .is_empty()
    );
    let page = browser
        .post(&path("/restores/p-1/apply"), &[("typed", " Contoso ")])
        .await;
    assert_eq!(page.location(), path("/restores/p-1"), "{}", page.text);
    let asked: Vec<ApplyPlanRequest> = stage.script.asked("ApplyPlan");
    assert_eq!(
        (asked.len(), asked[0].name.clone()),
        (1, name("plans", "p-1"))
    );
    assert!(!asked[0].request_id.is_empty());
}

#[tokio::test]
async fn going_on_needs_no_word_and_only_an_interrupted_restore_goes_on() {
    let stage = planned(plan(), restore(RestoreState::Planned)).await;
    let browser = stage.browser(OPERATOR).await;
    browser.post(&path("/restores/p-1/resume"), &[]).await;
    assert!(
        stage
            .script
            .asked::<ApplyPlanRequest>("ApplyPlan")
            .is_empty()
    );

    let stage = planned(plan(), restore(RestoreState::Interrupted)).await;
    stage
        .script
        .on("RestoreService/WatchRestore", |_: WatchRestoreRequest| {
            Err::<Vec<WatchRestoreResponse>, _>(Status::unavailable("Graph went away"))
        });
    let browser = stage.browser(OPERATOR).await;
    let page = browser.get(&path("/restores/p-1")).await.text;
    assert!(
        page.contains("Graph went away") && page.contains("Go on"),
        "{page}"
    );
    browser.post(&path("/restores/p-1/resume"), &[]).await;
    assert_eq!(stage.script.asked::<ApplyPlanRequest>("ApplyPlan").len(), 1);
}

#[tokio::test]
async fn a_plan_that_needs_a_second_person_is_not_offered_to_be_applied() {
    let needs = Plan {
        approval_required: vec!["it writes Conditional Access policies".to_owned()],
        ..plan()
    };
    let stage = planned(needs.clone(), restore(RestoreState::Planned)).await;
    stage
        .script
        .on("RestoreService/ApprovePlan", |_: ApprovePlanRequest| {
            Ok(vec![ApprovePlanResponse::default()])
        });
    let browser = stage.browser(OPERATOR).await;
    let page = browser.get(&path("/restores/p-1")).await.text;
    assert!(
        page.contains("it writes Conditional Access policies"),
        "{page}"
    );
    assert!(
        page.contains("Approve the plan") && !page.contains("data-confirm"),
        "{page}"
    );
    let hash = [("hash", "the-hash")];
    let sent = browser.post(&path("/restores/p-1/approve"), &hash).await;
    assert_eq!(sent.location(), path("/restores/p-1"));
    let asked: Vec<ApprovePlanRequest> = stage.script.asked("ApprovePlan");
    assert_eq!(asked[0].plan_hash, "the-hash", "as it was read");

    let own = Plan {
        author: "operator".to_owned(),
        ..needs
    };
    let stage = planned(own, restore(RestoreState::Planned)).await;
    let page = stage
        .browser(OPERATOR)
        .await
        .get(&path("/restores/p-1"))
        .await
        .text;
    assert!(page.contains("You made this plan"), "{page}");
    assert!(!page.contains("Approve the plan") && !page.contains("data-confirm"));
}

#[tokio::test]
async fn progress_is_shown_while_steps_are_written() {
    let running = Restore {
        applied: 1,
        ..restore(RestoreState::Running)
    };
    let stage = planned(plan(), running).await;
    stage
        .script
        .on("RestoreService/CancelRestore", |_: CancelRestoreRequest| {
            Ok(vec![CancelRestoreResponse::default()])
        });
    let browser = stage.browser(OPERATOR).await;
    let page = browser.get(&path("/restores/p-1")).await.text;
    assert!(
        page.contains("1 of 3 steps have ended") && page.contains("value=\"33\""),
        "{page}"
    );
    let part = browser.fragment(&path("/restores/p-1/progress")).await.text;
    assert!(
        part.contains("1 of 3 steps") && !part.contains("data-next"),
        "{part}"
    );
    browser.post(&path("/restores/p-1/cancel"), &[]).await;
    let asked: Vec<CancelRestoreRequest> = stage.script.asked("CancelRestore");
    assert_eq!(asked[0].name, name("restores", "p-1"));
}

#[tokio::test]
async fn the_end_says_what_is_left_and_leads_back() {
    let ended = Restore {
        conflicts: 1,
        applied: 2,
        verification_report: name("reports", "v-1"),
        unexpected: vec!["user u-3 (Cid): jobTitle".to_owned()],
        ..restore(RestoreState::SucceededWithWarnings)
    };
    let stage = planned(plan(), ended).await;
    stage.script.on(
        "RestoreService/CreateUndoPlan",
        |_: CreateUndoPlanRequest| {
            Ok(vec![CreateUndoPlanResponse {
                plan: Some(Plan {
                    name: name("plans", "p-2"),
                    ..Plan::default()
                }),
            }])
        },
    );
    let browser = stage.browser(OPERATOR).await;
    let page = browser.get(&path("/restores/p-1")).await.text;
    for expected in [
        "1 step did not succeed",
        "it has changed since",
        "user u-3 (Cid): jobTitle",
        "Plan the way back",
    ] {
        assert!(page.contains(expected), "{expected} in {page}");
    }
    assert!(page.contains(&format!("href=\"{}\"", path("/reports/v-1"))));
    let all = browser.get(&path("/restores/p-1?outcomes=all")).await.text;
    assert!(all.contains("No step has ended yet."), "{all}");
    let part = browser.fragment(&path("/restores/p-1/progress")).await.text;
    assert!(
        part.contains(&format!("data-next=\"{}\"", path("/restores/p-1"))),
        "{part}"
    );
    let sent = browser.post(&path("/restores/p-1/undo"), &[]).await;
    assert_eq!(sent.location(), path("/restores/p-2"));
}

#[tokio::test]
async fn a_plan_is_made_with_what_the_form_says_and_never_of_nothing() {
    let stage = planned(plan(), restore(RestoreState::Planned)).await;
    stage
        .script
        .on("RestoreService/CreatePlan", |_: CreatePlanRequest| {
            Ok(vec![CreatePlanResponse { plan: Some(plan()) }])
        });
    stage.script.on(
        "SnapshotService/ListSnapshots",
        |_: ListSnapshotsRequest| Ok(vec![ListSnapshotsResponse::default()]),
    );
    let browser = stage.browser(OPERATOR).await;
    let form = browser
        .get(&path("/restores/new?report=r-1&id=u-1&id=u-2"))
        .await
        .text;
    assert!(
        form.contains("name=\"report\" value=\"r-1\"") && form.contains("u-1\nu-2"),
        "{form}"
    );
    for fields in [
        &[("scope", "ids"), ("ids", " ")][..],
        &[("scope", "types")],
        &[("scope", "")],
        &[("scope", "ids"), ("ids", "a"), ("map-references", "a")],
    ] {
        let page = browser.post(&path("/restores"), fields).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{fields:?}");
    }
    let fields = [
        ("report", "r-1"),
        ("snapshot", "latest"),
        ("scope", "ids"),
        ("ids", "u-1\nu-2"),
        ("type", "user"),
        ("added", "soft-delete"),
        ("relationships", "merge"),
        ("ca-state", "report-only"),
        ("recreate", "1"),
        ("accept-lockout", "1"),
        ("map-references", "a=b"),
    ];
    let sent = browser.post(&path("/restores"), &fields).await;
    assert_eq!(sent.location(), path("/restores/p-1"), "{}", sent.text);
    let asked: Vec<CreatePlanRequest> = stage.script.asked("CreatePlan");
    assert_eq!(asked.len(), 1);
    let request = &asked[0];
    assert_eq!(
        (request.report.as_str(), request.snapshot.as_str()),
        ("r-1", "")
    );
    let scope = request.scope.clone().expect("a scope");
    assert_eq!(scope.ids, ["u-1", "u-2"]);
    assert!(scope.types.is_empty(), "types were not what was chosen");
    let options = request.options.clone().expect("options");
    assert_eq!(options.added(), AddedPolicy::SoftDelete);
    assert_eq!(options.relationships(), RelationshipMode::Merge);
    assert_eq!(options.ca_state(), CaState::ReportOnly);
    assert_eq!(options.accepted_risks, [i32::from(Risk::Lockout)]);
    assert!(options.recreate_hard_deleted);
    assert_eq!(options.map_references[0].new, "b");
}

#[tokio::test]
async fn the_list_tells_how_each_restore_stands() {
    let stage = planned(plan(), restore(RestoreState::Planned)).await;
    stage
        .script
        .on("RestoreService/ListRestores", |_: ListRestoresRequest| {
            let failed = Restore {
                failed: 2,
                undo_of: name("restores", "p-0"),
                ..restore(RestoreState::SucceededWithWarnings)
            };
            Ok(vec![ListRestoresResponse {
                restores: vec![failed, restore(RestoreState::Planned)],
                ..ListRestoresResponse::default()
            }])
        });
    let page = stage
        .browser(OPERATOR)
        .await
        .get(&path("/restores"))
        .await
        .text;
    for expected in ["With warnings", "Planned", "restore p-0", "#outcomes"] {
        assert!(page.contains(expected), "{expected} in {page}");
    }
}
