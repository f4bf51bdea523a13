//! `rewind restore plan`: makes a plan and shows it.
//!
//! Owns the question about added objects. A plan is shown whole: header, risks,
//! steps, exclusions. Nothing here writes to a tenant.

use proto::json::to_json;
use proto::v1::{self, AddedPolicy, Obstacle, PlanState, RelationshipMode, Risk};
use runtime::exit;
use serde_json::json;

use super::approve;
use crate::args::{AcceptedRisk, Added, ApplyPlan, CaState, Global, MakePlan, Relationships};
use crate::client::{PAGE, all_pages, required};
use crate::commands::diff::snapshot_name;
use crate::failure::Failure;
use crate::output::Output;
use crate::progress::{Update, watch};
use crate::render;
use crate::session::{Session, agreed, scope};
use crate::table::fields;
use crate::text::{count, id_of, shorten, tame, time, word};

/// Makes a plan and waits for it.
pub(super) async fn make(args: &MakePlan, global: &Global, output: Output) -> Result<u8, Failure> {
    let scope = scope(&args.types, &args.ids)?;
    let report_tenant = args
        .report
        .as_ref()
        .and_then(|report| report.tenant.as_ref());
    let snapshot_tenant = args
        .snapshot
        .as_ref()
        .and_then(|snapshot| snapshot.tenant.as_ref());
    let named = agreed(report_tenant, snapshot_tenant)?;

    let session = Session::open(global, output).await?;
    let tenant = session.tenant(named).await?;
    let added = match args.added {
        Some(added) => added,
        None if args.all && output.interactive => ask(&output)?,
        None => Added::Keep,
    };
    let client = &session.client;
    let request = client.unary(v1::CreatePlanRequest {
        parent: proto::name::tenant(&tenant),
        report: args
            .report
            .as_ref()
            .map(|report| proto::name::report(&tenant, &report.id))
            .unwrap_or_default(),
        snapshot: args
            .snapshot
            .as_ref()
            .map(|snapshot| snapshot_name(&tenant, snapshot))
            .unwrap_or_default(),
        scope,
        options: Some(options(args, added)),
        request_id: client.request_id(),
        properties: args.parts.properties.clone(),
        links: args.parts.links.clone(),
        // A person applies it.
        errand_note: String::new(),
    });
    let mut plan = required(client.restores().create_plan(request).await, |answer| {
        answer.plan
    })?;
    if !args.waiting.detach && plan.state() == PlanState::Running {
        plan = finished(&session, &plan.name).await?;
    }
    let kept = print(&session, &plan).await?;
    if kept > 0 && args.added.is_none() {
        let objects = count(
            i64::try_from(kept).unwrap_or(i64::MAX),
            "object added since stays",
            "objects added since stay",
        );
        output.note(&format!(
            "{objects}; a plan with `--added soft-delete` takes back what can be"
        ));
    }
    if !plan.approval_required.is_empty() && plan.approval.is_none() {
        output.note(&format!(
            "before it is applied, somebody else has to approve it: `rewind restore approve {}`",
            id_of(&plan.name)
        ));
    }
    Ok(match plan.state() {
        PlanState::Ready | PlanState::Running => exit::DONE,
        PlanState::Failed | PlanState::Unspecified => exit::FAILED,
    })
}

/// Plans the way back from a restore.
pub(super) async fn undo(args: &ApplyPlan, global: &Global, output: Output) -> Result<u8, Failure> {
    let session = Session::open(global, output).await?;
    let tenant = session.tenant(args.name.tenant()).await?;
    let client = &session.client;
    let request = client.unary(v1::CreateUndoPlanRequest {
        restore: args.name.restore_name(&tenant),
        request_id: client.request_id(),
    });
    let mut plan = required(
        client.restores().create_undo_plan(request).await,
        |answer| answer.plan,
    )?;
    if !args.waiting.detach && plan.state() == PlanState::Running {
        plan = finished(&session, &plan.name).await?;
    }
    print(&session, &plan).await?;
    Ok(match plan.state() {
        PlanState::Ready | PlanState::Running => exit::DONE,
        PlanState::Failed | PlanState::Unspecified => exit::FAILED,
    })
}

fn ask(output: &Output) -> Result<Added, Failure> {
    let answer = output.ask("objects added since the snapshot: keep them, or soft-delete those that can be? [keep/soft-delete] (keep)");
    match answer.as_str() {
        "" | "keep" => Ok(Added::Keep),
        "soft-delete" => Ok(Added::SoftDelete),
        _ => Err(Failure::usage(
            "the answer is neither `keep` nor `soft-delete`",
        )),
    }
}

fn options(args: &MakePlan, added: Added) -> v1::PlanOptions {
    let mapped = args.parts.map_references.iter();
    let mapped = mapped.map(|(old, new)| v1::MappedReference {
        old: old.clone(),
        new: new.clone(),
    });
    let added = match added {
        Added::Keep => AddedPolicy::Keep,
        Added::SoftDelete => AddedPolicy::SoftDelete,
    };
    let relationships = match args.relationships {
        Relationships::Rollback => RelationshipMode::Rollback,
        Relationships::Merge => RelationshipMode::Merge,
        Relationships::Skip => RelationshipMode::Skip,
    };
    let ca_state = match args.ca_state {
        CaState::Snapshot => v1::CaState::Snapshot,
        CaState::ReportOnly => v1::CaState::ReportOnly,
    };
    let risks = args.accepted_risks.iter().map(|risk| match risk {
        AcceptedRisk::Lockout => Risk::Lockout.into(),
    });
    v1::PlanOptions {
        added: added.into(),
        relationships: relationships.into(),
        ca_state: ca_state.into(),
        accepted_risks: risks.collect(),
        recreate_hard_deleted: args.recreate_hard_deleted,
        map_references: mapped.collect(),
        drop_references: args.parts.drop_references.clone(),
    }
}

/// Waits for a plan.
///
/// # Errors
/// What ended it.
pub(crate) async fn finished(session: &Session, name: &str) -> Result<v1::Plan, Failure> {
    let open = || async {
        let request = session.client.stream(v1::WatchPlanRequest {
            name: name.to_owned(),
        });
        session.client.restores().watch_plan(request).await
    };
    watch(
        &session.output,
        name,
        open,
        |message: v1::WatchPlanResponse| {
            let resource = message.plan?;
            let ended = !matches!(
                resource.state(),
                PlanState::Running | PlanState::Unspecified
            );
            Some(Update {
                resource,
                line: message.phase,
                ended,
            })
        },
    )
    .await
}

/// Prints a plan with its steps and exclusions as the result, and answers how
/// many added objects it keeps.
///
/// # Errors
/// The first failure of a call.
pub(crate) async fn print(session: &Session, plan: &v1::Plan) -> Result<usize, Failure> {
    let (steps, exclusions) = if plan.state() == PlanState::Ready {
        (
            steps(session, &plan.name).await?,
            exclusions(session, &plan.name).await?,
        )
    } else {
        session
            .output
            .note("the plan holds no steps, since it is not made");
        (Vec::new(), Vec::new())
    };
    session.output.result(
        || {
            json!({
                "plan": to_json("Plan", plan),
                "steps": steps.iter().map(|step| to_json("PlanStep", step)).collect::<Vec<_>>(),
                "exclusions": exclusions.iter().map(|exclusion| to_json("Exclusion", exclusion)).collect::<Vec<_>>(),
            })
        },
        || text(plan, &steps, &exclusions),
    )?;
    for drift in &plan.drift {
        session
            .output
            .warning(&format!("changed since the report: {drift}"));
    }
    Ok(exclusions
        .iter()
        .filter(|exclusion| {
            exclusion.obstacle() == Obstacle::AddedKept && exclusion.part.is_empty()
        })
        .count())
}

/// All steps of a plan, in order.
///
/// # Errors
/// The first failure of a call.
pub(crate) async fn steps(session: &Session, plan: &str) -> Result<Vec<v1::PlanStep>, Failure> {
    let client = &session.client;
    all_pages(|page_token| async move {
        let request = client.unary(v1::ListPlanStepsRequest {
            parent: plan.to_owned(),
            page_size: PAGE,
            page_token,
        });
        let answer = client
            .restores()
            .list_plan_steps(request)
            .await?
            .into_inner();
        Ok((answer.steps, answer.next_page_token))
    })
    .await
}

/// All that a plan does not do.
///
/// # Errors
/// The first failure of a call.
pub(crate) async fn exclusions(
    session: &Session,
    plan: &str,
) -> Result<Vec<v1::Exclusion>, Failure> {
    let client = &session.client;
    all_pages(|page_token| async move {
        let request = client.unary(v1::ListPlanExclusionsRequest {
            parent: plan.to_owned(),
            page_size: PAGE,
            page_token,
        });
        let answer = client
            .restores()
            .list_plan_exclusions(request)
            .await?
            .into_inner();
        Ok((answer.exclusions, answer.next_page_token))
    })
    .await
}

fn text(plan: &v1::Plan, steps: &[v1::PlanStep], exclusions: &[v1::Exclusion]) -> String {
    let mut blocks = vec![head(plan)];
    if !plan.risks.is_empty() {
        let lines: Vec<String> = plan
            .risks
            .iter()
            .map(|risk| format!("    ! {}", tame(risk)))
            .collect();
        blocks.push(format!("Risks\n{}", lines.join("\n")));
    }
    if plan.state() == PlanState::Ready {
        blocks.push(format!("Steps ({})", steps.len()));
        blocks.extend(steps.iter().map(render::step));
        let not_done = match plan.protection {
            Some(_) => "Not done",
            None => "Not restored",
        };
        blocks.push(format!("{not_done} ({})", exclusions.len()));
        blocks.extend((!exclusions.is_empty()).then(|| {
            exclusions
                .iter()
                .map(exclusion)
                .collect::<Vec<_>>()
                .join("\n")
        }));
    }
    blocks.join("\n\n")
}

/// A plan's own fields.
pub(super) fn head(plan: &v1::Plan) -> String {
    let options = plan.options.clone().unwrap_or_default();
    let added = match options.added() {
        AddedPolicy::SoftDelete => "soft-delete",
        AddedPolicy::Keep | AddedPolicy::Unspecified => "keep",
    };
    let relationships = match options.relationships() {
        RelationshipMode::Merge => "merge",
        RelationshipMode::Skip => "skip",
        RelationshipMode::Rollback | RelationshipMode::Unspecified => "rollback",
    };
    let ca_state = match options.ca_state() {
        v1::CaState::ReportOnly => "report-only",
        v1::CaState::Snapshot | v1::CaState::Unspecified => "snapshot",
    };
    let estimate =
        std::time::Duration::from_secs(u64::try_from(plan.estimate_seconds).unwrap_or(0));
    let or_dash = |text: &str| {
        if text.is_empty() {
            "-".to_owned()
        } else {
            text.to_owned()
        }
    };
    let mut lines = vec![
        ("Name", plan.name.clone()),
        ("State", word(plan.state().as_str_name(), "PLAN_STATE_")),
    ];
    // Of a plan that protects, none of these was chosen.
    if plan.protection.is_none() {
        lines.extend([
            ("Snapshot", or_dash(&plan.snapshot)),
            ("Report", or_dash(&plan.report)),
            ("Scope", render::scope(plan.scope.as_ref())),
            ("Added objects", added.to_owned()),
            ("Relationships", relationships.to_owned()),
            ("Policy state", ca_state.to_owned()),
        ]);
    }
    lines.extend([
        ("Accepted", accepted(&options)),
        ("Made", time(plan.create_time.as_ref())),
        ("Author", or_dash(&plan.author)),
        ("Hash", or_dash(&plan.hash)),
        ("Approval", approve::told(plan)),
        ("Steps", plan.step_count.to_string()),
        ("Exclusions", plan.exclusion_count.to_string()),
        ("Estimate", humantime::format_duration(estimate).to_string()),
    ]);
    let hard_deleted = match options.recreate_hard_deleted {
        true => "made anew",
        false => "",
    };
    let mapped = options.map_references.iter();
    let mapped: Vec<String> = mapped
        .map(|one| format!("{}={}", one.old, one.new))
        .collect();
    let protection = plan.protection.as_ref();
    let further = [
        ("Undoes", plan.undo_of.clone()),
        (
            "Protects",
            protection
                .map(|_| "hard deletion".to_owned())
                .unwrap_or_default(),
        ),
        (
            "Device filter",
            protection
                .map(|it| it.device_filter.clone())
                .unwrap_or_default(),
        ),
        ("Properties", plan.properties.join(", ")),
        ("Links", plan.links.join(", ")),
        ("References mapped", mapped.join(", ")),
        ("References dropped", options.drop_references.join(", ")),
        ("Hard-deleted", hard_deleted.to_owned()),
    ];
    let told = further.into_iter().filter(|(_, text)| !text.is_empty());
    fields(lines.into_iter().chain(told))
}

fn or_dash(text: &str) -> String {
    if text.is_empty() {
        "-".to_owned()
    } else {
        text.to_owned()
    }
}

fn accepted(options: &v1::PlanOptions) -> String {
    let risks = options.accepted_risks();
    let names: Vec<String> = risks
        .map(|risk| word(risk.as_str_name(), "RISK_"))
        .collect();
    or_dash(&names.join(", "))
}

/// One exclusion, for people.
pub(crate) fn exclusion(exclusion: &v1::Exclusion) -> String {
    let part = if exclusion.part.is_empty() {
        String::new()
    } else {
        format!("  {}", shorten(&exclusion.part))
    };
    let reason = render::obstacle(exclusion.obstacle());
    let detail = if exclusion.detail.is_empty() {
        String::new()
    } else {
        format!(": {}", tame(&exclusion.detail))
    };
    format!(
        "    {}{part}  {reason}{detail}",
        render::object(exclusion.object.as_ref())
    )
}
