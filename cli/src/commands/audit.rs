//! `rewind audit …`: tells who called, and whether what tells it is whole.

use std::time::Duration;

use chrono::TimeDelta;
use proto::convert::timestamp;
use proto::json::to_json;
use proto::v1;
use runtime::clock::{Clock, SystemClock};
use runtime::exit;
use serde_json::Value;

use crate::args::{AuditCommand, AuditKind, Global, ListAudit, Outcome, VerifyAudit};
use crate::client::PAGE;
use crate::failure::Failure;
use crate::output::Output;
use crate::session::Session;
use crate::table::table;
use crate::text::{count, shorten, time, word};

/// Runs one of the commands.
pub(crate) async fn run(
    command: &AuditCommand,
    global: &Global,
    output: Output,
) -> Result<u8, Failure> {
    match command {
        AuditCommand::List(args) => list(args, global, output).await,
        AuditCommand::Verify(args) => verify(args, global, output).await,
    }
}

/// One page, and the token of the next.
struct Page {
    entries: Vec<v1::AuditEntry>,
    next_page_token: String,
    unreadable: i64,
}

async fn list(args: &ListAudit, global: &Global, output: Output) -> Result<u8, Failure> {
    let filter = filter(args)?;
    let session = Session::open(global, output).await?;
    let parent = match args.installation {
        true => None,
        false => Some(proto::name::tenant(&session.tenant(None).await?)),
    };
    let limit = args.limit as usize;
    let (mut entries, mut token, mut unreadable) = (Vec::new(), String::new(), 0);
    loop {
        let left = i32::try_from(limit - entries.len())
            .unwrap_or(PAGE)
            .min(PAGE);
        let page = page(&session, parent.as_deref(), &filter, left, token).await?;
        entries.extend(page.entries);
        unreadable += page.unreadable;
        token = page.next_page_token;
        if token.is_empty() || entries.len() >= limit {
            break;
        }
    }
    output.result(
        || Value::Array(entries.iter().map(|it| to_json("AuditEntry", it)).collect()),
        || {
            table(
                ["TIME", "KIND", "WHO", "FROM", "WHAT", "ABOUT", "OUTCOME"],
                entries.iter().map(row),
            )
        },
    )?;
    if !token.is_empty() {
        output.note("there may be more: --limit tells how many are listed");
    }
    if unreadable > 0 {
        let files = count(unreadable, "file was", "files were");
        output.warning(&format!(
            "{files} left out that cannot be read; `rewind audit verify` tells why"
        ));
        return Ok(exit::WARNINGS);
    }
    Ok(exit::DONE)
}

async fn page(
    session: &Session,
    parent: Option<&str>,
    filter: &v1::AuditFilter,
    page_size: i32,
    page_token: String,
) -> Result<Page, Failure> {
    let (client, filter) = (&session.client, Some(filter.clone()));
    Ok(match parent {
        Some(parent) => {
            let request = client.unary(v1::ListAuditEntriesRequest {
                parent: parent.to_owned(),
                page_size,
                page_token,
                filter,
            });
            let answer = client.audit().list_audit_entries(request).await?;
            let answer = answer.into_inner();
            Page {
                entries: answer.entries,
                next_page_token: answer.next_page_token,
                unreadable: answer.unreadable_count,
            }
        }
        None => {
            let request = client.unary(v1::ListInstallationAuditEntriesRequest {
                page_size,
                page_token,
                filter,
            });
            let mut audit = client.audit();
            let answer = audit.list_installation_audit_entries(request).await?;
            let answer = answer.into_inner();
            Page {
                entries: answer.entries,
                next_page_token: answer.next_page_token,
                unreadable: answer.unreadable_count,
            }
        }
    })
}

fn filter(args: &ListAudit) -> Result<v1::AuditFilter, Failure> {
    let now = SystemClock.now();
    let ago = |flag: &str, age: Option<Duration>| {
        let ago = age.map(|age| {
            let age = TimeDelta::from_std(age).ok();
            age.and_then(|age| now.checked_sub_signed(age))
                .ok_or_else(|| Failure::usage(format!("{flag} is too long")))
        });
        Ok::<_, Failure>(ago.transpose()?.map(timestamp))
    };
    let result = match args.outcome {
        None => v1::AuditResult::Unspecified,
        Some(Outcome::Succeeded) => v1::AuditResult::Succeeded,
        Some(Outcome::Failed) => v1::AuditResult::Failed,
        Some(Outcome::Denied) => v1::AuditResult::Denied,
        Some(Outcome::Unknown) => v1::AuditResult::Unknown,
    };
    let kind = |kind: &AuditKind| match kind {
        AuditKind::Read => v1::AuditKind::Read,
        AuditKind::Mutation => v1::AuditKind::Mutation,
        AuditKind::Denial => v1::AuditKind::Denial,
        AuditKind::Start => v1::AuditKind::Start,
        AuditKind::Checkpoint => v1::AuditKind::Checkpoint,
        AuditKind::Lost => v1::AuditKind::Lost,
    };
    Ok(v1::AuditFilter {
        from_time: ago("--since", args.since)?,
        until_time: ago("--until", args.until)?,
        caller: args.caller.clone().unwrap_or_default(),
        method: args.method.clone().unwrap_or_default(),
        result: result.into(),
        kinds: args.kinds.iter().map(|it| kind(it).into()).collect(),
    })
}

fn row(entry: &v1::AuditEntry) -> [String; 7] {
    let method = entry.method.rsplit('/').next().unwrap_or_default();
    let what = match entry.kind() {
        v1::AuditKind::Lost => count(entry.count, "entry", "entries"),
        _ if entry.count > 1 => count(entry.count, "call", "calls"),
        v1::AuditKind::Start => {
            let start = entry.start.as_ref();
            let version = start.map(|start| start.program_version.as_str());
            format!("version {}", version.unwrap_or_default())
        }
        _ => method.to_owned(),
    };
    let about = match entry.resource.is_empty() {
        true => &entry.tenant,
        false => &entry.resource,
    };
    [
        time(entry.time.as_ref()),
        word(entry.kind().as_str_name(), "AUDIT_KIND_"),
        shorten(&entry.caller),
        entry.source.clone(),
        what,
        shorten(about),
        entry.outcome.as_ref().map(outcome).unwrap_or_default(),
    ]
}

fn outcome(outcome: &v1::AuditOutcome) -> String {
    let result = word(outcome.result().as_str_name(), "AUDIT_RESULT_");
    let why = match outcome.reason.as_str() {
        "" => outcome.code.as_str(),
        reason => reason,
    };
    match why {
        "" | "OK" => result,
        why => format!("{result}: {why}"),
    }
}

async fn verify(args: &VerifyAudit, global: &Global, output: Output) -> Result<u8, Failure> {
    let session = Session::open(global, output).await?;
    let client = &session.client;
    // As long as it takes: every file is read.
    let found = match args.installation {
        true => {
            let request = client.stream(v1::VerifyInstallationAuditRequest {});
            let answer = client.audit().verify_installation_audit(request).await?;
            answer.into_inner().verification
        }
        false => {
            let request = client.stream(v1::VerifyAuditRequest {
                parent: proto::name::tenant(&session.tenant(None).await?),
            });
            let answer = client.audit().verify_audit(request).await?;
            answer.into_inner().verification
        }
    };
    let found = found.ok_or(Failure::Answer("it holds no verification"))?;
    output.result(|| to_json("AuditVerification", &found), || page_of(&found))?;
    if !found.witnesses_complete {
        output
            .warning("the installation's chains, which vouch for the others, cannot be read whole");
    }
    for flaw in &found.flaws {
        output.warning(&flaw_line(flaw));
    }
    Ok(match found.flaws.is_empty() && found.witnesses_complete {
        true => exit::DONE,
        false => exit::FAILED,
    })
}

fn page_of(found: &v1::AuditVerification) -> String {
    let row = |chain: &v1::AuditChain| {
        [
            chain.writer.clone(),
            chain.program_version.clone(),
            time(chain.start_time.as_ref()),
            time(chain.last_time.as_ref()),
            chain.last_number.to_string(),
            chain.witnessed_number.to_string(),
            chain.entry_count.to_string(),
            match chain.closed {
                true => "yes".to_owned(),
                false => "no".to_owned(),
            },
        ]
    };
    table(
        [
            "WRITER",
            "VERSION",
            "BEGAN",
            "LAST",
            "FILES",
            "VOUCHED FOR",
            "ENTRIES",
            "ENDED",
        ],
        found.chains.iter().map(row),
    )
}

fn flaw_line(flaw: &v1::AuditFlaw) -> String {
    let kind = word(flaw.kind().as_str_name(), "AUDIT_FLAW_KIND_");
    match flaw.writer.as_str() {
        "" => format!("{kind}: {}", flaw.detail),
        writer => format!("{kind}: {writer}: {}", flaw.detail),
    }
}
