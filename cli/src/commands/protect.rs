//! `rewind protect …`: tells how well a tenant is guarded against hard deletion, and
//! guards it.
//!
//! A plan that guards is a plan like any other: how it reads, and how it is applied, is
//! [`crate::commands::restore`]'s.

use proto::json::to_json;
use proto::v1::{self, PlanState, Risk};
use runtime::exit;
use serde_json::Value;

use crate::args::{
    AcceptedRisk, ApplyProtection, Global, PlanProtection, ProtectCommand, ProtectionArgs,
    ShowPosture, Waiting,
};
use crate::client::{PAGE, all_pages, required};
use crate::commands::diff::snapshot_name;
use crate::commands::restore::{apply, plan};
use crate::failure::Failure;
use crate::output::Output;
use crate::session::Session;
use crate::table::{fields, table};
use crate::text::{count, id_of, tame, time, word};

/// Runs one of the commands.
pub(crate) async fn run(
    command: &ProtectCommand,
    global: &Global,
    output: Output,
) -> Result<u8, Failure> {
    match command {
        ProtectCommand::Status(args) => status(args, global, output).await,
        ProtectCommand::History => history(global, output).await,
        ProtectCommand::Plan(args) => make_plan(args, global, output).await,
        ProtectCommand::Apply(args) => apply_plan(args, global, output).await,
    }
}

async fn make_plan(args: &PlanProtection, global: &Global, output: Output) -> Result<u8, Failure> {
    let session = Session::open(global, output).await?;
    let made = planned(&session, &args.protection, args.waiting).await?;
    plan::print(&session, &made).await?;
    tell_next(&session, &made);
    Ok(match made.state() {
        PlanState::Ready | PlanState::Running => exit::DONE,
        PlanState::Failed | PlanState::Unspecified => exit::FAILED,
    })
}

/// Makes a plan and waits for it.
async fn planned(
    session: &Session,
    args: &ProtectionArgs,
    waiting: Waiting,
) -> Result<v1::Plan, Failure> {
    let client = &session.client;
    let risks = args.accepted_risks.iter().map(|risk| match risk {
        AcceptedRisk::Lockout => Risk::Lockout.into(),
    });
    let request = client.unary(v1::PlanProtectionRequest {
        parent: proto::name::tenant(&session.tenant(None).await?),
        choices: Some(v1::ProtectionChoices {
            device_filter: args.device_filter.clone().unwrap_or_default(),
            ..v1::ProtectionChoices::default()
        }),
        accepted_risks: risks.collect(),
        request_id: client.request_id(),
    });
    let made = required(
        client.protection().plan_protection(request).await,
        |answer| answer.plan,
    )?;
    if waiting.detach || made.state() != PlanState::Running {
        return Ok(made);
    }
    plan::finished(session, &made.name).await
}

fn tell_next(session: &Session, made: &v1::Plan) {
    let id = id_of(&made.name);
    if !made.approval_required.is_empty() && made.approval.is_none() {
        session.output.note(&format!(
            "before it is applied, somebody else has to approve it: `rewind restore approve {id}`"
        ));
    } else if made.step_count > 0 {
        session
            .output
            .note(&format!("`rewind protect apply {id}` applies it"));
    }
}

/// Applies a plan; without one a new plan, after a question.
async fn apply_plan(
    args: &ApplyProtection,
    global: &Global,
    output: Output,
) -> Result<u8, Failure> {
    if args.plan.is_none() && !args.yes && !output.interactive {
        return Err(Failure::usage(
            "without a plan `--yes` is needed where nobody can be asked",
        ));
    }
    let session = Session::open(global, output).await?;
    if let Some(named) = &args.plan {
        let tenant = session.tenant(named.tenant()).await?;
        return apply::carry_out(&session, named.plan_name(&tenant), args.waiting).await;
    }
    // What is not made yet can be neither shown nor applied.
    let mut to_the_end = args.waiting;
    to_the_end.detach = false;
    let made = planned(&session, &args.protection, to_the_end).await?;
    if made.step_count == 0 {
        plan::print(&session, &made).await?;
        return Ok(match made.exclusion_count {
            0 => exit::DONE,
            _ => exit::WARNINGS,
        });
    }
    // The result of the command is the restore; as JSON there is one result.
    if !output.is_json() {
        plan::print(&session, &made).await?;
    }
    if !args.yes && !is_yes(&output.ask("apply this plan? [yes/no] (no)")) {
        tell_next(&session, &made);
        return Ok(exit::DONE);
    }
    apply::carry_out(&session, made.name, args.waiting).await
}

fn is_yes(answer: &str) -> bool {
    matches!(answer, "yes" | "y")
}

async fn history(global: &Global, output: Output) -> Result<u8, Failure> {
    let session = Session::open(global, output).await?;
    let parent = &proto::name::tenant(&session.tenant(None).await?);
    let client = &session.client;
    let postures = all_pages(|page_token| async move {
        let request = client.unary(v1::ListPosturesRequest {
            parent: parent.clone(),
            page_size: PAGE,
            page_token,
        });
        let answer = client.protection().list_postures(request).await?;
        let answer = answer.into_inner();
        Ok((answer.postures, answer.next_page_token))
    })
    .await?;
    let row = |posture: &v1::Posture| {
        let with = |status: v1::PostureStatus| {
            let checks = posture.checks.iter();
            let checks = checks.filter(|check| check.status() == status);
            let ids: Vec<String> = checks.map(|check| check.id.clone()).collect();
            ids.join(", ")
        };
        [
            id_of(&posture.snapshot).to_owned(),
            time(posture.read_time.as_ref()),
            posture.score.to_string(),
            posture.unknown_points.to_string(),
            with(v1::PostureStatus::Finding),
        ]
    };
    output.result(
        || Value::Array(postures.iter().map(|it| to_json("Posture", it)).collect()),
        || {
            let heading = ["SNAPSHOT", "READ", "SCORE", "NOT KNOWN", "FINDINGS"];
            table(heading, postures.iter().map(row))
        },
    )?;
    Ok(exit::DONE)
}

async fn status(args: &ShowPosture, global: &Global, output: Output) -> Result<u8, Failure> {
    let session = Session::open(global, output).await?;
    let named = args.snapshot.as_ref().and_then(|it| it.tenant.as_ref());
    let tenant = session.tenant(named).await?;
    let snapshot = args.snapshot.as_ref();
    let request = session.client.unary(v1::GetPostureRequest {
        parent: proto::name::tenant(&tenant),
        snapshot: snapshot
            .map(|snapshot| snapshot_name(&tenant, snapshot))
            .unwrap_or_default(),
    });
    let posture = required(
        session.client.protection().get_posture(request).await,
        |answer| answer.posture,
    )?;
    output.result(|| to_json("Posture", &posture), || page(&posture))?;
    let good = posture.checks.iter().all(|check| {
        matches!(
            check.status(),
            v1::PostureStatus::Good | v1::PostureStatus::NotReached
        )
    });
    Ok(if good { exit::DONE } else { exit::WARNINGS })
}

fn page(posture: &v1::Posture) -> String {
    let with = |status| {
        let checks = posture.checks.iter();
        checks.filter(move |check| check.status() == status)
    };
    let findings = with(v1::PostureStatus::Finding);
    let unknown = with(v1::PostureStatus::NotKnown);
    let score = match posture.unknown_points {
        0 => format!("{} of 100", posture.score),
        points => format!("{} of 100; {points} more are not known", posture.score),
    };
    let number = i64::try_from(findings.clone().count()).unwrap_or(i64::MAX);
    let after = Some(("After", posture.snapshot.clone()));
    let lines = [
        Some(("Tenant", posture.tenant.clone())),
        after.filter(|(_, snapshot)| !snapshot.is_empty()),
        Some(("Read", time(posture.read_time.as_ref()))),
        Some(("Score", score)),
        Some(("Findings", count(number, "finding", "findings"))),
    ];
    let head = fields(lines.into_iter().flatten());
    let row = |check: &v1::PostureCheck| {
        [
            check.id.clone(),
            word(check.layer().as_str_name(), "POSTURE_LAYER_"),
            word(check.status().as_str_name(), "POSTURE_STATUS_"),
            check.sentence.clone(),
        ]
    };
    let checks = table(
        ["CHECK", "LAYER", "STATUS", "ANSWER"],
        posture.checks.iter().map(row),
    );
    let mut blocks = vec![head, checks];
    blocks.extend(findings.chain(unknown).map(block));
    blocks.join("\n\n")
}

/// A check that is not good, with what it rests on and what to do.
fn block(check: &v1::PostureCheck) -> String {
    let how = match check.status() {
        v1::PostureStatus::Finding => word(check.severity().as_str_name(), "SEVERITY_"),
        status => word(status.as_str_name(), "POSTURE_STATUS_"),
    };
    let mut lines = vec![format!("{}  {how}", tame(&check.id))];
    lines.push(format!("    {}", tame(&check.sentence)));
    lines.extend(
        check
            .evidence
            .iter()
            .map(|it| format!("    - {}", tame(it))),
    );
    if !check.remedy.is_empty() {
        lines.push(format!("    To do: {}", tame(&check.remedy)));
    }
    lines.join("\n")
}
