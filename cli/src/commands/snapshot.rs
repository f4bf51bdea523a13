//! `rewind snapshot …`: takes and shows snapshots.
//!
//! Single objects are in `object`, exports in `export`, copies in `copy`, damage in
//! `verify`.

mod copy;
mod export;
mod object;
mod verify;

use proto::json::to_json;
use proto::v1::{self, SnapshotState};
use runtime::exit;
use serde_json::Value;

use crate::args::{Global, HoldSnapshot, ShowSnapshot, SnapshotCommand, TakeSnapshot};
use crate::client::{PAGE, all_pages, required};
use crate::commands::tenant::change;
use crate::failure::Failure;
use crate::output::Output;
use crate::progress::{Update, watch};
use crate::session::Session;
use crate::table::{fields, table};
use crate::text::{count, id_of, size, time, word};

/// Runs one of the commands.
pub(crate) async fn run(
    command: &SnapshotCommand,
    global: &Global,
    output: Output,
) -> Result<u8, Failure> {
    match command {
        SnapshotCommand::Take(args) => take(args, global, output).await,
        SnapshotCommand::List => list(global, output).await,
        SnapshotCommand::Show(args) => match &args.id {
            None => show(args, global, output).await,
            Some(id) => object::show(args, id, global, output).await,
        },
        SnapshotCommand::Search(args) => object::search(args, global, output).await,
        SnapshotCommand::Export(args) => export::export(args, global, output).await,
        SnapshotCommand::Hold(args) => hold(args, global, output).await,
        SnapshotCommand::Verify(args) => verify::verify(args, global, output).await,
        SnapshotCommand::Repair(args) => verify::repair(args, global, output).await,
        SnapshotCommand::Copy(args) => copy::copy(args, global, output).await,
    }
}

async fn take(args: &TakeSnapshot, global: &Global, output: Output) -> Result<u8, Failure> {
    let session = Session::open(global, output).await?;
    let parent = proto::name::tenant(&session.tenant(None).await?);
    let client = &session.client;
    let request = client.unary(v1::TakeSnapshotRequest {
        parent,
        request_id: client.request_id(),
    });
    let mut snapshot = required(client.snapshots().take_snapshot(request).await, |answer| {
        answer.snapshot
    })?;
    if !args.waiting.detach && snapshot.state() == SnapshotState::Running {
        snapshot = finished(&session, &snapshot.name).await?;
    }
    print(&snapshot, &output)?;
    for record in snapshot
        .kinds
        .iter()
        .filter(|record| !record.complete && snapshot.state() != SnapshotState::Running)
    {
        output.warning(&format!(
            "{} could not be read completely: {}",
            record.kind, record.problem
        ));
    }
    Ok(match snapshot.state() {
        SnapshotState::Complete | SnapshotState::Running => exit::DONE,
        SnapshotState::Incomplete => exit::WARNINGS,
        SnapshotState::Failed | SnapshotState::Unspecified => exit::FAILED,
    })
}

/// Waits for a snapshot.
///
/// # Errors
/// What ended it.
pub(crate) async fn finished(session: &Session, name: &str) -> Result<v1::Snapshot, Failure> {
    let open = || async {
        let request = session.client.stream(v1::WatchSnapshotRequest {
            name: name.to_owned(),
        });
        session.client.snapshots().watch_snapshot(request).await
    };
    watch(
        &session.output,
        name,
        open,
        |message: v1::WatchSnapshotResponse| {
            let line = format!(
                "{}: {}",
                message.phase,
                count(message.read_count, "object or link", "objects and links")
            );
            let resource = message.snapshot?;
            let ended = !matches!(
                resource.state(),
                SnapshotState::Running | SnapshotState::Unspecified
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

async fn list(global: &Global, output: Output) -> Result<u8, Failure> {
    let session = Session::open(global, output).await?;
    let parent = &proto::name::tenant(&session.tenant(None).await?);
    let client = &session.client;
    let problems = &std::cell::RefCell::new(Vec::new());
    let snapshots = all_pages(|page_token| async move {
        let request = client.unary(v1::ListSnapshotsRequest {
            parent: parent.clone(),
            page_size: PAGE,
            page_token,
        });
        let answer = client
            .snapshots()
            .list_snapshots(request)
            .await?
            .into_inner();
        problems.borrow_mut().extend(answer.problems);
        Ok((answer.snapshots, answer.next_page_token))
    })
    .await?;
    output.result(
        || {
            Value::Array(
                snapshots
                    .iter()
                    .map(|snapshot| to_json("Snapshot", snapshot))
                    .collect(),
            )
        },
        || {
            table(
                [
                    "ID",
                    "STATE",
                    "STARTED",
                    "TRIGGER",
                    "OBJECTS",
                    "LINKS",
                    "STORED",
                    "RETENTION",
                ],
                snapshots.iter().map(row),
            )
        },
    )?;
    let mut problems = problems.take();
    problems.sort();
    problems.dedup();
    for problem in &problems {
        output.warning(problem);
    }
    Ok(if problems.is_empty() {
        exit::DONE
    } else {
        exit::WARNINGS
    })
}

fn row(snapshot: &v1::Snapshot) -> [String; 8] {
    [
        id_of(&snapshot.name).to_owned(),
        state(snapshot),
        time(snapshot.start_time.as_ref()),
        snapshot.trigger.clone(),
        snapshot.object_count.to_string(),
        snapshot.link_count.to_string(),
        size(snapshot.stored_bytes),
        fate(snapshot),
    ]
}

fn state(snapshot: &v1::Snapshot) -> String {
    word(snapshot.state().as_str_name(), "SNAPSHOT_STATE_")
}

async fn show(args: &ShowSnapshot, global: &Global, output: Output) -> Result<u8, Failure> {
    let session = Session::open(global, output).await?;
    let tenant = session.tenant(args.snapshot.tenant.as_ref()).await?;
    let name = proto::name::snapshot(&tenant, &args.snapshot.id);
    let request = session.client.unary(v1::GetSnapshotRequest { name });
    let snapshot = required(
        session.client.snapshots().get_snapshot(request).await,
        |answer| answer.snapshot,
    )?;
    print(&snapshot, &output)?;
    Ok(exit::DONE)
}

async fn hold(args: &HoldSnapshot, global: &Global, output: Output) -> Result<u8, Failure> {
    let session = Session::open(global, output).await?;
    let tenant = session.tenant(args.snapshot.tenant.as_ref()).await?;
    let name = proto::name::snapshot(&tenant, &args.snapshot.id);
    let client = &session.client;
    let request_id = client.request_id();
    let snapshot = match &args.reason {
        Some(reason) => {
            let request = client.unary(v1::HoldSnapshotRequest {
                name,
                reason: reason.clone(),
                request_id,
            });
            required(client.snapshots().hold_snapshot(request).await, |answer| {
                answer.snapshot
            })?
        }
        None => {
            let request = client.unary(v1::LiftHoldRequest { name, request_id });
            let answer = client.snapshots().lift_hold(request).await?.into_inner();
            if let Some(pending) = &answer.pending_change {
                return change::pending(pending, &output);
            }
            let held = answer.snapshot;
            held.ok_or(Failure::Answer("it names no resource"))?
        }
    };
    print(&snapshot, &output)?;
    Ok(exit::DONE)
}

/// What becomes of a snapshot, in words.
fn fate(snapshot: &v1::Snapshot) -> String {
    match (&snapshot.held_since, &snapshot.expiring_since) {
        (Some(since), _) => format!("held since {}: {}", time(Some(since)), snapshot.hold_reason),
        (None, Some(since)) => format!("expiring since {}", time(Some(since))),
        (None, None) => "kept".to_owned(),
    }
}

fn print(snapshot: &v1::Snapshot, output: &Output) -> Result<(), Failure> {
    output.result(
        || to_json("Snapshot", snapshot),
        || {
            let head = fields([
                ("Name", snapshot.name.clone()),
                ("State", state(snapshot)),
                ("Started", time(snapshot.start_time.as_ref())),
                ("Ended", time(snapshot.end_time.as_ref())),
                ("Trigger", snapshot.trigger.clone()),
                ("Licence", snapshot.licence.clone()),
                ("Objects", snapshot.object_count.to_string()),
                ("Links", snapshot.link_count.to_string()),
                ("Stored", size(snapshot.stored_bytes)),
                ("Retention", fate(snapshot)),
            ]);
            if snapshot.kinds.is_empty() {
                return head;
            }
            let kinds = snapshot.kinds.iter().map(|record| {
                [
                    record.kind.clone(),
                    record.count.to_string(),
                    if record.complete {
                        "complete".to_owned()
                    } else {
                        format!("incomplete: {}", record.problem)
                    },
                    record.method.clone(),
                    time(record.not_before.as_ref()),
                    time(record.not_after.as_ref()),
                ]
            });
            format!(
                "{head}\n\n{}",
                table(
                    ["KIND", "COUNT", "READ", "METHOD", "NOT BEFORE", "NOT AFTER"],
                    kinds
                )
            )
        },
    )
}
