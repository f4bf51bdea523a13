//! `rewind protect …`: tells how well a tenant is guarded against hard deletion.

use proto::json::to_json;
use proto::v1;
use runtime::exit;

use crate::args::{Global, ProtectCommand};
use crate::client::required;
use crate::failure::Failure;
use crate::output::Output;
use crate::session::Session;
use crate::table::{fields, table};
use crate::text::{count, tame, time, word};

/// Runs one of the commands.
pub(crate) async fn run(
    command: &ProtectCommand,
    global: &Global,
    output: Output,
) -> Result<u8, Failure> {
    match command {
        ProtectCommand::Status => status(global, output).await,
    }
}

async fn status(global: &Global, output: Output) -> Result<u8, Failure> {
    let session = Session::open(global, output).await?;
    let parent = proto::name::tenant(&session.tenant(None).await?);
    let request = session.client.unary(v1::GetPostureRequest { parent });
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
    let head = fields([
        ("Tenant", posture.tenant.clone()),
        ("Read", time(posture.read_time.as_ref())),
        ("Score", score),
        ("Findings", count(number, "finding", "findings")),
    ]);
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
