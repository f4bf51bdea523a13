//! `rewind signals …`: tells what in a tenant somebody should look at.

mod watch;

use std::time::Duration;

use proto::convert::timestamp;
use proto::json::to_json;
use proto::v1;
use runtime::clock::{Clock, SystemClock};
use runtime::exit;
use serde_json::Value;

use crate::args::{Global, ListSignals, RedeliverSignal, Severity, ShowSignal, SignalsCommand};
use crate::client::{PAGE, all_pages, required};
use crate::failure::Failure;
use crate::output::Output;
use crate::render;
use crate::session::Session;
use crate::table::{fields, table};
use crate::text::{id_of, shorten, time, word};

/// Runs one of the commands.
pub(crate) async fn run(
    command: &SignalsCommand,
    global: &Global,
    output: Output,
) -> Result<u8, Failure> {
    match command {
        SignalsCommand::List(args) => list(args, global, output).await,
        SignalsCommand::Show(args) => show(args, global, output).await,
        SignalsCommand::Watch(args) => watch::run(args, global, output).await,
        SignalsCommand::Redeliver(args) => redeliver(args, global, output).await,
    }
}

/// The time that lies as far back as a flag says.
fn from_time(since: Option<Duration>) -> Result<Option<prost_types::Timestamp>, Failure> {
    let from = since.map(|age| {
        let age = chrono::TimeDelta::from_std(age).ok();
        age.and_then(|age| SystemClock.now().checked_sub_signed(age))
            .ok_or_else(|| Failure::usage("--since is too long"))
    });
    Ok(from.transpose()?.map(timestamp))
}

/// A severity as the contract has it.
pub(crate) fn min_severity(severity: Option<Severity>) -> v1::Severity {
    match severity {
        None => v1::Severity::Unspecified,
        Some(Severity::Low) => v1::Severity::Low,
        Some(Severity::Medium) => v1::Severity::Medium,
        Some(Severity::High) => v1::Severity::High,
        Some(Severity::Critical) => v1::Severity::Critical,
    }
}

/// The severity of a word, as flags take it.
pub(crate) fn severity_of(word: &str) -> Option<v1::Severity> {
    let severity = <Severity as clap::ValueEnum>::from_str(word, true).ok()?;
    Some(min_severity(Some(severity)))
}

async fn list(args: &ListSignals, global: &Global, output: Output) -> Result<u8, Failure> {
    let from_time = from_time(args.since)?;
    let session = Session::open(global, output).await?;
    let wanted = &v1::ListSignalsRequest {
        parent: proto::name::tenant(&session.tenant(None).await?),
        page_size: PAGE,
        min_severity: min_severity(args.severity).into(),
        from_time,
        undelivered: args.undelivered,
        ..v1::ListSignalsRequest::default()
    };
    let client = &session.client;
    let signals = all_pages(|page_token| async move {
        let request = client.unary(v1::ListSignalsRequest {
            page_token,
            ..wanted.clone()
        });
        let answer = client.signals().list_signals(request).await?.into_inner();
        Ok((answer.signals, answer.next_page_token))
    })
    .await?;
    output.result(
        || {
            let signals = signals.iter();
            Value::Array(signals.map(|signal| to_json("Signal", signal)).collect())
        },
        || {
            let row = |signal: &v1::Signal| {
                [
                    id_of(&signal.name).to_owned(),
                    severity(signal),
                    time(signal.time.as_ref()),
                    signal.title.clone(),
                ]
            };
            let on_its_way = |signal: &v1::Signal| {
                let [id, severity, time, title] = row(signal);
                let line = signal.delivery.as_ref().map(delivery_line);
                [id, severity, time, title, line.unwrap_or_default()]
            };
            match args.undelivered {
                false => table(["ID", "SEVERITY", "TIME", "TITLE"], signals.iter().map(row)),
                true => table(
                    ["ID", "SEVERITY", "TIME", "TITLE", "DELIVERY"],
                    signals.iter().map(on_its_way),
                ),
            }
        },
    )?;
    Ok(exit::DONE)
}

async fn redeliver(args: &RedeliverSignal, global: &Global, output: Output) -> Result<u8, Failure> {
    let session = Session::open(global, output).await?;
    let tenant = session.tenant(args.signal.tenant.as_ref()).await?;
    let request = session.client.unary(v1::RedeliverSignalRequest {
        name: proto::name::signal(&tenant, &args.signal.id),
        request_id: session.client.request_id(),
    });
    let signal = required(
        session.client.signals().redeliver_signal(request).await,
        |answer| answer.signal,
    )?;
    output.result(|| to_json("Signal", &signal), || page(&signal))?;
    Ok(exit::DONE)
}

async fn show(args: &ShowSignal, global: &Global, output: Output) -> Result<u8, Failure> {
    let session = Session::open(global, output).await?;
    let tenant = session.tenant(args.signal.tenant.as_ref()).await?;
    let name = proto::name::signal(&tenant, &args.signal.id);
    let request = session.client.unary(v1::GetSignalRequest { name });
    let signal = required(
        session.client.signals().get_signal(request).await,
        |answer| answer.signal,
    )?;
    output.result(|| to_json("Signal", &signal), || page(&signal))?;
    Ok(exit::DONE)
}

fn page(signal: &v1::Signal) -> String {
    let actor = signal.actor.as_ref();
    let raised = signal.raise_time.as_ref();
    let raised = raised.map(|at| ("Raised", time(Some(at))));
    let delivery = signal.delivery.as_ref();
    let delivery = delivery.map(|it| ("Delivery", delivery_line(it)));
    let rows = [
        ("Name", signal.name.clone()),
        ("Title", signal.title.clone()),
        ("Severity", severity(signal)),
        ("Time", time(signal.time.as_ref())),
        ("Rule", signal.rule.clone()),
        ("Description", signal.description.clone()),
        (
            "Who",
            actor
                .map(|by| render::initiator(Some(by)))
                .unwrap_or_default(),
        ),
        ("Audit ids", signal.audit_ids.join(", ")),
        ("Report", signal.report.clone()),
        ("Base", signal.base.clone()),
        ("Target", signal.target.clone()),
        ("Put back", signal.command.clone()),
    ];
    let told = rows.into_iter().filter(|(_, value)| !value.is_empty());
    let mut blocks = vec![fields(told.chain(raised).chain(delivery))];
    blocks.extend(signal.evidence.iter().map(evidence));
    let named = i64::try_from(signal.evidence.len()).unwrap_or(i64::MAX);
    let all: i64 = signal.counts.iter().map(|count| count.count).sum();
    if all > named {
        let place = if signal.report.is_empty() {
            ""
        } else {
            ", in the report"
        };
        blocks.push(format!("and {} more{place}", all - named));
    }
    let held: Vec<String> = signal.targets.iter().map(held).collect();
    if !held.is_empty() {
        blocks.push(held.join("\n"));
    }
    blocks.join("\n\n")
}

/// What the newest snapshot has of what a signal of the audit log is about.
fn held(target: &v1::SignalTarget) -> String {
    let object = render::object(target.object.as_ref());
    if target.in_snapshot {
        let name = shorten(&target.snapshot_display_name);
        format!("in the snapshot: {object} as {name}")
    } else {
        format!("not in the snapshot: {object}")
    }
}

fn evidence(one: &v1::SignalEvidence) -> String {
    let mut lines = vec![format!(
        "{}  {}",
        word(one.kind().as_str_name(), "CHANGE_KIND_"),
        render::object(one.object.as_ref())
    )];
    let activity = one.activity.as_ref();
    lines.extend(activity.map(|it| format!("    @ {}", render::activity(it))));
    lines.join("\n")
}

fn severity(signal: &v1::Signal) -> String {
    word(signal.severity().as_str_name(), "SEVERITY_")
}

/// What became of a signal on its way to the webhook, in a line.
fn delivery_line(delivery: &v1::SignalDelivery) -> String {
    let times = match delivery.attempts {
        1 => "once".to_owned(),
        n => format!("{n} times"),
    };
    let last = delivery.last_attempt.as_ref();
    let problem = last.map(|last| last.problem.as_str()).unwrap_or_default();
    let because = match problem {
        "" => String::new(),
        problem => format!(": {problem}"),
    };
    match delivery.state() {
        v1::DeliveryState::Unspecified => "unknown".to_owned(),
        v1::DeliveryState::Pending if delivery.attempts == 0 => "about to be sent".to_owned(),
        v1::DeliveryState::Pending => format!(
            "sent {times} in vain, again at {}{because}",
            time(delivery.next_time.as_ref())
        ),
        v1::DeliveryState::Delivered => {
            let end = last.and_then(|last| last.end_time.as_ref());
            format!("delivered at {}", time(end))
        }
        v1::DeliveryState::Dead => format!("sent {times} in vain, and not again{because}"),
        v1::DeliveryState::Passed => "not for the webhook".to_owned(),
    }
}
