//! `rewind tenant change …`, and how a guarded change reads wherever one is answered.
//!
//! Owns the words for a person who is asked to agree. It never agrees to anything that
//! was not shown or named by its hash.

use proto::json::to_json;
use proto::v1::{self, GuardedChangeState};
use runtime::exit;
use serde_json::Value;

use crate::args::{ApproveChange, CancelChange, ChangeCommand, Global, ListGuarded, OneChange};
use crate::client::{PAGE, all_pages, required};
use crate::failure::Failure;
use crate::output::Output;
use crate::session::Session;
use crate::table::{fields, table};
use crate::text::{id_of, tame, time, word};

/// Runs one of the commands.
pub(super) async fn run(
    command: &ChangeCommand,
    global: &Global,
    output: Output,
) -> Result<u8, Failure> {
    match command {
        ChangeCommand::List(args) => list(args, global, output).await,
        ChangeCommand::Show(args) => show(args, global, output).await,
        ChangeCommand::Approve(args) => approve(args, global, output).await,
        ChangeCommand::Cancel(args) => cancel(args, global, output).await,
    }
}

/// Says what was asked for and waits for somebody else; nothing has taken effect.
pub(crate) fn pending(change: &v1::GuardedChange, output: &Output) -> Result<u8, Failure> {
    output.result(|| to_json("GuardedChange", change), || shown(change))?;
    Ok(waits(change, output))
}

/// Says beside a result that a part of what was asked for waits.
pub(crate) fn waits(change: &v1::GuardedChange, output: &Output) -> u8 {
    for effect in &change.effects {
        output.warning(&format!("not in effect yet: it {effect}"));
    }
    let by = time(change.approve_by_time.as_ref());
    output.note(&format!(
        "somebody else has to agree until {by}: `rewind tenant change approve {}`",
        change.name
    ));
    exit::WARNINGS
}

async fn name_of(args: &OneChange, session: &Session) -> Result<String, Failure> {
    let tenant = session.tenant(args.change.tenant.as_ref()).await?;
    Ok(proto::name::guarded_change(&tenant, args.change.number))
}

async fn get(session: &Session, name: String) -> Result<v1::GuardedChange, Failure> {
    let request = session.client.unary(v1::GetGuardedChangeRequest { name });
    let answer = session.client.lifecycle().get_guarded_change(request).await;
    required(answer, |answer| answer.change)
}

async fn show(args: &OneChange, global: &Global, output: Output) -> Result<u8, Failure> {
    let session = Session::open(global, output).await?;
    let change = get(&session, name_of(args, &session).await?).await?;
    output.result(|| to_json("GuardedChange", &change), || shown(&change))?;
    Ok(exit::DONE)
}

async fn list(args: &ListGuarded, global: &Global, output: Output) -> Result<u8, Failure> {
    let session = Session::open(global, output).await?;
    let client = &session.client;
    let parent = &proto::name::tenant(&session.tenant(None).await?);
    let changes = all_pages(|page_token| async move {
        let request = client.unary(v1::ListGuardedChangesRequest {
            parent: parent.clone(),
            page_size: PAGE,
            page_token,
            open: args.open,
        });
        let answer = client.lifecycle().list_guarded_changes(request).await?;
        let answer = answer.into_inner();
        Ok((answer.changes, answer.next_page_token))
    })
    .await?;
    output.result(
        || {
            let all = changes.iter().map(|it| to_json("GuardedChange", it));
            Value::Array(all.collect())
        },
        || {
            let row = |change: &v1::GuardedChange| {
                [
                    id_of(&change.name).to_owned(),
                    state(change),
                    change.author.clone(),
                    change.approver.clone(),
                    time(change.effective_time.as_ref()),
                    change.effects.join("; "),
                ]
            };
            table(
                [
                    "CHANGE",
                    "STATE",
                    "ASKED BY",
                    "APPROVED BY",
                    "FROM",
                    "WHAT IT DOES",
                ],
                changes.iter().map(row),
            )
        },
    )?;
    Ok(exit::DONE)
}

async fn approve(args: &ApproveChange, global: &Global, output: Output) -> Result<u8, Failure> {
    if args.hash.is_none() && !output.interactive {
        return Err(Failure::usage(
            "--hash must name the change that was read, since nobody can be asked",
        ));
    }
    let session = Session::open(global, output).await?;
    let name = name_of(&args.change, &session).await?;
    let change_hash = match &args.hash {
        Some(hash) => hash.clone(),
        None => {
            let change = get(&session, name.clone()).await?;
            output.note(&shown(&change));
            let answer = output.ask("do you agree? type yes:");
            if !answer.eq_ignore_ascii_case("yes") {
                return Err(Failure::usage("nothing was approved"));
            }
            change.hash
        }
    };
    let client = &session.client;
    let request = client.unary(v1::ApproveGuardedChangeRequest {
        name,
        change_hash,
        request_id: client.request_id(),
    });
    let answer = client.lifecycle().approve_guarded_change(request).await;
    let change = required(answer, |answer| answer.change)?;
    output.result(|| to_json("GuardedChange", &change), || shown(&change))?;
    output.note(&format!(
        "it takes effect from {} on; `rewind tenant change cancel {}` calls it off until then",
        time(change.effective_time.as_ref()),
        change.name
    ));
    Ok(exit::DONE)
}

async fn cancel(args: &CancelChange, global: &Global, output: Output) -> Result<u8, Failure> {
    let session = Session::open(global, output).await?;
    let name = name_of(&args.change, &session).await?;
    let client = &session.client;
    let request = client.unary(v1::CancelGuardedChangeRequest {
        name,
        reason: args.reason.clone(),
        request_id: client.request_id(),
    });
    let answer = client.lifecycle().cancel_guarded_change(request).await;
    let change = required(answer, |answer| answer.change)?;
    output.result(|| to_json("GuardedChange", &change), || shown(&change))?;
    Ok(exit::DONE)
}

fn state(change: &v1::GuardedChange) -> String {
    match change.state() {
        GuardedChangeState::Pending => "waits for approval".to_owned(),
        GuardedChangeState::Approved => "waits for its time".to_owned(),
        other => word(other.as_str_name(), "GUARDED_CHANGE_STATE_"),
    }
}

/// A change for a person.
fn shown(change: &v1::GuardedChange) -> String {
    let by = |who: &str, when: Option<&prost_types::Timestamp>| match who.is_empty() {
        true => "-".to_owned(),
        false => format!("{who}, {}", time(when)),
    };
    let mut rows = vec![
        ("Name", change.name.clone()),
        ("State", state(change)),
        (
            "Severity",
            word(change.severity().as_str_name(), "SEVERITY_"),
        ),
        ("Asked by", by(&change.author, change.create_time.as_ref())),
        (
            "Approved by",
            by(&change.approver, change.approve_time.as_ref()),
        ),
    ];
    if change.state() == GuardedChangeState::Pending {
        rows.push(("Approve until", time(change.approve_by_time.as_ref())));
    }
    if change.effective_time.is_some() {
        rows.push(("In effect from", time(change.effective_time.as_ref())));
    }
    if change.end_time.is_some() {
        rows.push(("Ended", time(change.end_time.as_ref())));
    }
    if !change.cancelled_by.is_empty() {
        rows.push(("Cancelled by", change.cancelled_by.clone()));
    }
    if !change.detail.is_empty() {
        rows.push(("Detail", change.detail.clone()));
    }
    rows.push(("Hash", change.hash.clone()));
    let effects = change.effects.iter();
    let effects: Vec<String> = effects.map(|it| format!("  It {}.", tame(it))).collect();
    format!("{}\n\n{}", fields(rows), effects.join("\n"))
}
