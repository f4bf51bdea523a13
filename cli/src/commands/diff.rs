//! `rewind diff …`: tells what changed since a snapshot.

mod export;

use proto::json::to_json;
use proto::v1::{self, AuditLogState, ReportState};
use runtime::exit;
use serde_json::{Value, json};

use crate::args::{
    Against, ChangeKind, CreateDiff, DiffCommand, Global, Named, OneReport, ShowDiff,
};
use crate::client::{PAGE, all_pages, required};
use crate::failure::Failure;
use crate::output::Output;
use crate::progress::{Update, watch};
use crate::render;
use crate::session::{Session, agreed, scope};
use crate::table::{fields, table};
use crate::text::{count, id_of, tame, time, word};

/// Runs one of the commands.
pub(crate) async fn run(
    command: &DiffCommand,
    global: &Global,
    output: Output,
) -> Result<u8, Failure> {
    match command {
        DiffCommand::Create(args) => create(args, global, output).await,
        DiffCommand::Show(args) => show(args, global, output).await,
        DiffCommand::Export(args) => export::export(args, global, output).await,
        DiffCommand::Cancel(args) => cancel(args, global, output).await,
        DiffCommand::List => list(global, output).await,
    }
}

async fn create(args: &CreateDiff, global: &Global, output: Output) -> Result<u8, Failure> {
    let scope = scope(&args.types, &args.ids)?;
    let target = match &args.against {
        Against::Live => None,
        Against::Snapshot(target) => Some(target),
    };
    let named = agreed(
        args.snapshot.tenant.as_ref(),
        target.and_then(|target| target.tenant.as_ref()),
    )?;
    let max_age = if args.full {
        Some(std::time::Duration::ZERO)
    } else {
        args.max_age
    };
    let max_age = max_age
        .map(prost_types::Duration::try_from)
        .transpose()
        .map_err(|_| Failure::usage("--max-age is too long"))?;

    let session = Session::open(global, output).await?;
    let tenant = session.tenant(named).await?;
    let client = &session.client;
    let request = client.unary(v1::CreateReportRequest {
        parent: proto::name::tenant(&tenant),
        base: snapshot_name(&tenant, &args.snapshot),
        target: target
            .map(|target| snapshot_name(&tenant, target))
            .unwrap_or_default(),
        scope,
        max_age,
        request_id: client.request_id(),
        // What a restore leaves to read is read later.
        fresh_only: false,
        full: args.full,
        // Whoever calls hears how it ends.
        errand_note: String::new(),
    });
    let mut report = required(client.diffs().create_report(request).await, |answer| {
        answer.report
    })?;
    if !args.waiting.detach && report.state() == ReportState::Running {
        report = finished(&session, &report.name).await?;
    }
    output.result(|| to_json("Report", &report), || head(&report))?;
    warn(&report, &output);
    Ok(match report.state() {
        ReportState::Failed | ReportState::Cancelled | ReportState::Unspecified => exit::FAILED,
        _ if !report.not_compared.is_empty() => exit::WARNINGS,
        ReportState::Succeeded | ReportState::Running => exit::DONE,
    })
}

/// What the contract takes for a snapshot: `latest` as it is, else a full name.
pub(super) fn snapshot_name(
    tenant: &model::TenantId,
    snapshot: &Named<model::SnapshotId>,
) -> String {
    if snapshot.id.as_str() == "latest" {
        snapshot.id.to_string()
    } else {
        proto::name::snapshot(tenant, &snapshot.id)
    }
}

/// Waits for a report.
///
/// # Errors
/// What ended it.
pub(crate) async fn finished(session: &Session, name: &str) -> Result<v1::Report, Failure> {
    let open = || async {
        let request = session.client.stream(v1::WatchReportRequest {
            name: name.to_owned(),
        });
        session.client.diffs().watch_report(request).await
    };
    watch(
        &session.output,
        name,
        open,
        |message: v1::WatchReportResponse| {
            let line = progress(&message);
            let resource = message.report?;
            let ended = !matches!(
                resource.state(),
                ReportState::Running | ReportState::Unspecified
            );
            Some(Update {
                resource,
                line,
                ended,
            })
        },
    )
    .await
}

/// How far the making of a report is, in a line.
fn progress(message: &v1::WatchReportResponse) -> String {
    let read = count(message.read_count, "object or link", "objects and links");
    let mut line = format!("{}: {read}", message.phase);
    if message.expected_count > 0 {
        line += &format!(" of about {}", message.expected_count);
    }
    if let Some(left) = &message.remaining_time {
        let (minutes, seconds) = (left.seconds / 60, left.seconds % 60);
        line += &format!(", about {minutes}:{seconds:02} left");
    }
    line
}

fn warn(report: &v1::Report, output: &Output) {
    for kind in &report.not_compared {
        output.warning(&format!("not compared: {kind}"));
    }
    for kind in &report.older {
        output.warning(&format!("not read anew: {kind}"));
    }
    // That it does not reach back further is how the directory is; it stands in the
    // report.
    let log = report.audit_log.as_ref();
    let log = log.filter(|log| {
        !matches!(
            log.state(),
            AuditLogState::Unspecified | AuditLogState::Read
        )
    });
    if let Some(log) = log {
        output.warning(&format!("audit log {}: {}", log_state(log), log.detail));
    }
}

/// How far the audit log was read, in words.
fn log_state(log: &v1::AuditLog) -> &'static str {
    match log.state() {
        AuditLogState::Unspecified => "not read",
        AuditLogState::Read => "read",
        AuditLogState::Partial => "read in part",
        AuditLogState::Denied => "denied",
        AuditLogState::Unavailable => "unavailable",
    }
}

/// The request for the changes that the flags choose.
fn filters(name: &str, args: &ShowDiff) -> v1::ListChangesRequest {
    let kind = |kind: &ChangeKind| match kind {
        ChangeKind::Added => v1::ChangeKind::Added.into(),
        ChangeKind::Modified => v1::ChangeKind::Modified.into(),
        ChangeKind::SoftDeleted => v1::ChangeKind::SoftDeleted.into(),
        ChangeKind::HardDeleted => v1::ChangeKind::HardDeleted.into(),
        ChangeKind::Restored => v1::ChangeKind::Restored.into(),
    };
    v1::ListChangesRequest {
        parent: name.to_owned(),
        types: args.types.clone(),
        kinds: args.kinds.iter().map(kind).collect(),
        attributes: args.attributes.clone(),
        actor: args.actor.clone().unwrap_or_default(),
        text: args.text.clone().unwrap_or_default(),
        ..v1::ListChangesRequest::default()
    }
}

async fn show(args: &ShowDiff, global: &Global, output: Output) -> Result<u8, Failure> {
    let session = Session::open(global, output).await?;
    let tenant = session.tenant(args.report.tenant.as_ref()).await?;
    let client = &session.client;
    let name = &proto::name::report(&tenant, &args.report.id);
    let request = client.unary(v1::GetReportRequest { name: name.clone() });
    let report = required(client.diffs().get_report(request).await, |answer| {
        answer.report
    })?;
    let mut changes = Vec::new();
    if report.state() == ReportState::Succeeded {
        changes = chosen(&session, &filters(name, args)).await?;
    } else {
        output.note("the report holds no changes, since it is not made");
    }
    output.result(
        || json!({"report": to_json("Report", &report), "changes": changes.iter().map(|change| to_json("Change", change)).collect::<Vec<_>>()}),
        || {
            let blocks: Vec<String> = std::iter::once(head(&report)).chain(changes.iter().map(render::change)).collect();
            blocks.join("\n\n")
        },
    )?;
    warn(&report, &output);
    Ok(exit::DONE)
}

async fn cancel(args: &OneReport, global: &Global, output: Output) -> Result<u8, Failure> {
    let session = Session::open(global, output).await?;
    let tenant = session.tenant(args.report.tenant.as_ref()).await?;
    let client = &session.client;
    let request = client.unary(v1::CancelReportRequest {
        name: proto::name::report(&tenant, &args.report.id),
        request_id: client.request_id(),
    });
    let report = required(client.diffs().cancel_report(request).await, |answer| {
        answer.report
    })?;
    if report.state() != ReportState::Cancelled {
        output.note("the report had ended before");
    }
    output.result(|| to_json("Report", &report), || head(&report))?;
    Ok(exit::DONE)
}

/// All changes of a report.
///
/// # Errors
/// The first failure of a call.
pub(crate) async fn changes_of(session: &Session, name: &str) -> Result<Vec<v1::Change>, Failure> {
    let all = v1::ListChangesRequest {
        parent: name.to_owned(),
        ..v1::ListChangesRequest::default()
    };
    chosen(session, &all).await
}

/// The changes that a request chooses, of all pages.
async fn chosen(
    session: &Session,
    wanted: &v1::ListChangesRequest,
) -> Result<Vec<v1::Change>, Failure> {
    let client = &session.client;
    all_pages(|page_token| async move {
        let message = v1::ListChangesRequest {
            page_size: PAGE,
            page_token,
            ..wanted.clone()
        };
        let answer = client
            .diffs()
            .list_changes(client.unary(message))
            .await?
            .into_inner();
        Ok((answer.changes, answer.next_page_token))
    })
    .await
}

fn head(report: &v1::Report) -> String {
    let counts = report.counts.unwrap_or_default();
    let method = if report.method.is_empty() {
        String::new()
    } else {
        format!(" ({})", report.method.replace('_', " "))
    };
    fields([
        ("Name", report.name.clone()),
        ("State", state(report)),
        ("Base", report.base.clone()),
        (
            "Target",
            format!(
                "{} as of {}{method}",
                report.target,
                time(report.target_time.as_ref())
            ),
        ),
        ("Created", time(report.create_time.as_ref())),
        ("Scope", render::scope(report.scope.as_ref())),
        ("Added", counts.added.to_string()),
        ("Modified", counts.modified.to_string()),
        ("Soft deleted", counts.soft_deleted.to_string()),
        ("Hard deleted", counts.hard_deleted.to_string()),
        ("Restored", counts.restored.to_string()),
        ("Links", counts.links.to_string()),
        ("Audit log", audit_log(report.audit_log.as_ref())),
    ])
}

fn audit_log(log: Option<&v1::AuditLog>) -> String {
    let Some(log) = log else {
        return "-".to_owned();
    };
    let mut told = log_state(log).to_owned();
    if log.from_time.is_some() {
        let (from, read) = (time(log.from_time.as_ref()), time(log.read_time.as_ref()));
        told = format!(
            "{told}: {} from {from}, as of {read}",
            count(log.entry_count, "entry", "entries")
        );
    }
    if !log.detail.is_empty() {
        told = format!("{told}; {}", tame(&log.detail));
    }
    told
}

fn state(report: &v1::Report) -> String {
    word(report.state().as_str_name(), "REPORT_STATE_")
}

async fn list(global: &Global, output: Output) -> Result<u8, Failure> {
    let session = Session::open(global, output).await?;
    let parent = &proto::name::tenant(&session.tenant(None).await?);
    let client = &session.client;
    let reports = all_pages(|page_token| async move {
        let request = client.unary(v1::ListReportsRequest {
            parent: parent.clone(),
            page_size: PAGE,
            page_token,
        });
        let answer = client.diffs().list_reports(request).await?.into_inner();
        Ok((answer.reports, answer.next_page_token))
    })
    .await?;
    output.result(
        || {
            Value::Array(
                reports
                    .iter()
                    .map(|report| to_json("Report", report))
                    .collect(),
            )
        },
        || {
            let heading = [
                "ID", "STATE", "BASE", "TARGET", "CREATED", "ADDED", "MODIFIED", "DELETED",
                "RESTORED", "LINKS",
            ];
            table(heading, reports.iter().map(row))
        },
    )?;
    Ok(exit::DONE)
}

fn row(report: &v1::Report) -> [String; 10] {
    let counts = report.counts.unwrap_or_default();
    [
        id_of(&report.name).to_owned(),
        state(report),
        id_of(&report.base).to_owned(),
        id_of(&report.target).to_owned(),
        time(report.create_time.as_ref()),
        counts.added.to_string(),
        counts.modified.to_string(),
        (counts.soft_deleted + counts.hard_deleted).to_string(),
        counts.restored.to_string(),
        counts.links.to_string(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_tells_what_is_known() {
        let mut message = v1::WatchReportResponse {
            phase: "reading tenant".to_owned(),
            read_count: 1_200,
            ..v1::WatchReportResponse::default()
        };
        assert_eq!(progress(&message), "reading tenant: 1200 objects and links");
        message.expected_count = 9_000;
        message.remaining_time = Some(prost_types::Duration {
            seconds: 125,
            nanos: 0,
        });
        assert_eq!(
            progress(&message),
            "reading tenant: 1200 objects and links of about 9000, about 2:05 left"
        );
    }
}
