//! `rewind tenant import`: registers the tenants of a CSV file, or tells what would be.
//!
//! Owns the columns. Each row is judged by the server, as `tenant add` is, and one that
//! cannot be registered keeps no other from it. To repeat an import does no harm: what is
//! registered with the same content stays as it is.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use model::{ProofKind, TenantId};
use proto::v1;
use runtime::exit;
use runtime::status::{Fault, Remote};
use serde_json::{Value, json};

use crate::args::value::reference;
use crate::args::{Global, ImportTenants};
use crate::commands::signals::severity_of;
use crate::failure::Failure;
use crate::output::Output;
use crate::session::Session;
use crate::table::table;

/// The columns that a file may have, in any order; `id` and `name` have to be there.
const COLUMNS: [&str; 23] = [
    "id",
    "name",
    "cloud",
    "graph_url",
    "login_url",
    "reader_client_id",
    "reader_secret",
    "reader_certificate",
    "reader_federated_token",
    "writer_client_id",
    "writer_secret",
    "writer_certificate",
    "writer_federated_token",
    "break_glass",
    "retention",
    "drift_watch",
    "audit_watch",
    "approval",
    "webhook",
    "webhook_secret",
    "webhook_severity",
    "groups",
    "schedule",
];
/// What begins the name of a column that is a label.
const LABEL: &str = "label.";

/// One row of the file.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    /// Its line.
    line: u64,
    /// The id as it stands there.
    id: String,
    name: String,
    /// The registration, or what is wrong with the row.
    tenant: Result<v1::Tenant, String>,
}

/// How a row ended.
#[derive(Debug)]
struct Outcome<'a> {
    row: &'a Row,
    result: &'static str,
    reason: String,
    detail: String,
}

/// Registers the tenants of the file that is named.
pub(super) async fn run(
    args: &ImportTenants,
    global: &Global,
    output: Output,
) -> Result<u8, Failure> {
    let rows = read(&args.file)?;
    let session = Session::open(global, output).await?;
    let mut outcomes = Vec::new();
    for row in &rows {
        let outcome = register(&session, row, args.dry_run).await?;
        if output.progress {
            output.note(&format!("line {}: {}", row.line, outcome.result));
        }
        outcomes.push(outcome);
    }
    output.result(
        || {
            let row = |it: &Outcome<'_>| {
                json!({
                    "line": it.row.line,
                    "id": it.row.id,
                    "displayName": it.row.name,
                    "result": it.result,
                    "reason": it.reason,
                    "detail": it.detail,
                })
            };
            Value::Array(outcomes.iter().map(row).collect())
        },
        || {
            let row = |it: &Outcome<'_>| {
                [
                    it.row.line.to_string(),
                    it.row.id.clone(),
                    it.row.name.clone(),
                    it.result.to_owned(),
                    it.detail.clone(),
                ]
            };
            table(
                ["LINE", "ID", "NAME", "RESULT", "DETAIL"],
                outcomes.iter().map(row),
            )
        },
    )?;
    let failed = outcomes.iter().filter(|it| it.result == FAILED).count();
    if args.dry_run {
        output.note("nothing was registered: leave out --dry-run to do so");
    }
    if failed > 0 {
        output.warning(&format!("{failed} of {} rows failed", rows.len()));
        return Ok(exit::WARNINGS);
    }
    Ok(exit::DONE)
}

const FAILED: &str = "failed";

async fn register<'a>(
    session: &Session,
    row: &'a Row,
    dry_run: bool,
) -> Result<Outcome<'a>, Failure> {
    let outcome = |result, reason: &str, detail: String| Outcome {
        row,
        result,
        reason: reason.to_owned(),
        detail,
    };
    let tenant = match &row.tenant {
        Ok(tenant) => tenant.clone(),
        Err(problem) => {
            let reason = model::error::reason::INVALID_ARGUMENT;
            return Ok(outcome(FAILED, reason, problem.clone()));
        }
    };
    let client = &session.client;
    let request = client.unary(v1::CreateTenantRequest {
        tenant: Some(tenant),
        request_id: client.request_id(),
        validate_only: dry_run,
    });
    match client.tenants().create_tenant(request).await {
        Ok(answer) if answer.get_ref().already_registered => {
            Ok(outcome("unchanged", "", String::new()))
        }
        Ok(_) if dry_run => Ok(outcome("new", "", String::new())),
        Ok(_) => Ok(outcome("registered", "", String::new())),
        Err(status) => {
            let remote = Remote::from(status);
            if remote.kind().is_retryable()
                || remote.reason() == model::error::reason::UNAUTHENTICATED
            {
                // The next row would fare no better.
                return Err(Failure::Call(Box::new(remote)));
            }
            Ok(outcome(FAILED, remote.reason(), remote.message.clone()))
        }
    }
}

/// Reads a file.
fn read(path: &Path) -> Result<Vec<Row>, Failure> {
    let file = std::fs::File::open(path).map_err(|source| Failure::Local {
        context: format!("{} cannot be opened", path.display()),
        source,
    })?;
    rows(file).map_err(|problem| Failure::usage(format!("{}: {problem}", path.display())))
}

/// Reads the rows of a text.
fn rows(text: impl std::io::Read) -> Result<Vec<Row>, String> {
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(text);
    let heading = reader.headers().map_err(|error| error.to_string())?.clone();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for (n, column) in heading.iter().enumerate() {
        // Some programs begin a file with a mark of its encoding.
        let column = column.trim_start_matches('\u{feff}');
        if !COLUMNS.contains(&column) && !column.starts_with(LABEL) {
            return Err(format!("there is no column {column:?}"));
        }
        if places.insert(column, n).is_some() {
            return Err(format!("the column {column} is there twice"));
        }
    }
    for needed in ["id", "name"] {
        if !places.contains_key(needed) {
            return Err(format!("the column {needed} is missing"));
        }
    }
    let mut rows = Vec::new();
    let mut lines: BTreeMap<String, u64> = BTreeMap::new();
    for record in reader.records() {
        let record = record.map_err(|error| error.to_string())?;
        let line = record.position().map_or(0, csv::Position::line);
        let cell = |column: &str| {
            let place = places.get(column);
            place.and_then(|n| record.get(*n)).unwrap_or_default()
        };
        let id = cell("id").to_owned();
        let labels = places.iter().filter_map(|(column, n)| {
            let key = column.strip_prefix(LABEL)?;
            let value = record.get(*n).filter(|value| !value.is_empty())?;
            Some((key.to_owned(), value.to_owned()))
        });
        let mut tenant = tenant(&cell, labels.collect());
        match lines.insert(id.to_ascii_lowercase(), line) {
            Some(before) if tenant.is_ok() => {
                tenant = Err(format!("the same tenant is in line {before}"));
            }
            _ => {}
        }
        rows.push(Row {
            line,
            name: cell("name").to_owned(),
            id,
            tenant,
        });
    }
    Ok(rows)
}

/// A row as a registration.
fn tenant<'a>(
    cell: &impl Fn(&str) -> &'a str,
    labels: HashMap<String, String>,
) -> Result<v1::Tenant, String> {
    let text = |column: &str| cell(column).to_owned();
    let list = |column: &str| -> Vec<String> {
        let parts = cell(column).split([';', ' ']);
        parts
            .filter(|it| !it.is_empty())
            .map(str::to_owned)
            .collect()
    };
    TenantId::parse(cell("id")).map_err(|error| error.to_string())?;
    Ok(v1::Tenant {
        id: text("id"),
        display_name: text("name"),
        cloud: text("cloud"),
        graph_url: text("graph_url"),
        login_url: text("login_url"),
        reader: application(cell, "reader")?,
        writer: application(cell, "writer")?,
        break_glass_ids: list("break_glass"),
        retention: text("retention"),
        drift_watch: text("drift_watch"),
        audit_watch: text("audit_watch"),
        approval: text("approval"),
        webhook: webhook(cell)?,
        groups: list("groups"),
        labels,
        schedule: text("schedule"),
        ..v1::Tenant::default()
    })
}

/// An application of a row. What stands in the place of a reference is not repeated: it
/// may be a secret.
fn application<'a>(
    cell: &impl Fn(&str) -> &'a str,
    kind: &str,
) -> Result<Option<v1::AppCredential>, String> {
    let of = |part: &str| format!("{kind}_{part}");
    let checked = |part: &str, proof: ProofKind| {
        let column = of(part);
        match cell(&column) {
            "" => Ok(String::new()),
            text => reference("the column", proof, text).map_err(|_| {
                format!("{column} is no reference: env:NAME or file:PATH is expected")
            }),
        }
    };
    let app = v1::AppCredential {
        client_id: cell(&of("client_id")).to_owned(),
        secret_ref: checked("secret", ProofKind::Secret)?,
        certificate_ref: checked("certificate", ProofKind::Certificate)?,
        federated_token_ref: checked("federated_token", ProofKind::FederatedToken)?,
        ..v1::AppCredential::default()
    };
    Ok((app != v1::AppCredential::default()).then_some(app))
}

fn webhook<'a>(cell: &impl Fn(&str) -> &'a str) -> Result<Option<v1::Webhook>, String> {
    let (url, secret) = (cell("webhook"), cell("webhook_secret"));
    if url.is_empty() && secret.is_empty() {
        return Ok(None);
    }
    let secret_ref = reference("the column", ProofKind::Secret, secret).map_err(|_| {
        "webhook_secret is no reference: env:NAME or file:PATH is expected".to_owned()
    })?;
    let min_severity = match cell("webhook_severity") {
        "" => v1::Severity::Low,
        word => severity_of(word).ok_or_else(|| {
            "webhook_severity: low, medium, high or critical is expected".to_owned()
        })?,
    };
    Ok(Some(v1::Webhook {
        url: url.to_owned(),
        secret_ref,
        min_severity: min_severity.into(),
        since_time: None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "0a1b2c3d-0000-4000-8000-000000000001";
    const B: &str = "0a1b2c3d-0000-4000-8000-000000000002";

    #[test]
    fn a_row_is_a_registration() {
        let text = format!(
            "\u{feff}name,id,groups,label.owner,reader_client_id,reader_secret,break_glass,retention,webhook,webhook_secret,webhook_severity\n\
             Contoso,{A},gold; emea,Ann B.,c1,env:REWIND_CREDENTIAL_READER_A,u1;u2,\"recent=9,weeks=4\",https://h.example/,file:hook,high\n\
             \"Fabrikam, Inc.\",{B},,,,,,,,,\n"
        );
        let rows = rows(text.as_bytes()).expect("rows");
        let first = v1::Tenant {
            id: A.to_owned(),
            display_name: "Contoso".to_owned(),
            groups: vec!["gold".to_owned(), "emea".to_owned()],
            labels: [("owner".to_owned(), "Ann B.".to_owned())].into(),
            reader: Some(v1::AppCredential {
                client_id: "c1".to_owned(),
                secret_ref: "env:REWIND_CREDENTIAL_READER_A".to_owned(),
                ..v1::AppCredential::default()
            }),
            break_glass_ids: vec!["u1".to_owned(), "u2".to_owned()],
            retention: "recent=9,weeks=4".to_owned(),
            webhook: Some(v1::Webhook {
                url: "https://h.example/".to_owned(),
                secret_ref: "file:hook".to_owned(),
                min_severity: v1::Severity::High.into(),
                since_time: None,
            }),
            ..v1::Tenant::default()
        };
        assert_eq!(rows[0].tenant, Ok(first));
        assert_eq!((rows[0].line, rows[1].line), (2, 3));
        let second = v1::Tenant {
            id: B.to_owned(),
            display_name: "Fabrikam, Inc.".to_owned(),
            ..v1::Tenant::default()
        };
        assert_eq!(rows[1].tenant, Ok(second));
    }

    #[test]
    fn a_row_that_is_wrong_keeps_no_other_and_shows_no_secret() {
        let text = format!(
            "id,name,reader_client_id,reader_secret\n\
             x,One,,\n\
             {A},Two,c,hunter2\n\
             {B},Three,,\n\
             {},Four,,\n",
            B.to_uppercase()
        );
        let rows = rows(text.as_bytes()).expect("rows");
        let problem = |n: usize| rows[n].tenant.clone().expect_err("a problem");
        assert!(problem(0).contains("GUID"), "{}", problem(0));
        assert_eq!(
            problem(1),
            "reader_secret is no reference: env:NAME or file:PATH is expected"
        );
        assert!(rows[2].tenant.is_ok());
        assert_eq!(problem(3), "the same tenant is in line 4");
    }

    #[test]
    fn a_file_with_other_columns_is_refused_as_a_whole() {
        for (text, problem) in [
            ("id,nome\n", "there is no column \"nome\""),
            ("id\n", "the column name is missing"),
            ("name,label.a\n", "the column id is missing"),
            ("id,name,id\n", "the column id is there twice"),
        ] {
            assert_eq!(rows(text.as_bytes()), Err(problem.to_owned()), "{text}");
        }
        assert!(
            rows("id,name\nx\n".as_bytes()).is_err(),
            "a cell is missing"
        );
    }
}
