//! `rewind diff export`: writes a report as one document, for other programs or
//! for a person to mail.
//!
//! Owns the reading of a report page by page, so that one of any size takes the
//! memory of a page. It never overwrites a file, leaves none that is not whole,
//! and decides nothing about a change: what the report says is what is written.

mod sink;
mod summary;

use std::io::ErrorKind;

use proto::v1::{self, ReportState};
use runtime::exit;
use serde_json::json;
use show::document::{Document, Json, Lines, Page, Rows};
use tonic::{Code, Status};

use super::{finished, warn};
use crate::args::{ExportDiff, Global, ReportFormat};
use crate::client::required;
use crate::failure::Failure;
use crate::output::Output;
use crate::session::Session;
use crate::table::fields;
use sink::Sink;

/// How many changes a page asks for: as many as the server allows.
const LARGEST_PAGE: i32 = 1000;
/// By how much a page shrinks that is too large for one message.
const SHRINK: i32 = 8;

pub(super) async fn export(
    args: &ExportDiff,
    global: &Global,
    output: Output,
) -> Result<u8, Failure> {
    if let Some(path) = &args.to {
        sink::must_be_free(path)?;
    }
    let session = Session::open(global, output).await?;
    let tenant = session.tenant(args.report.tenant.as_ref()).await?;
    let name = proto::name::report(&tenant, &args.report.id);
    let report = made(&session, &name).await?;

    let mut sink = Sink::open(args.to.as_deref(), &output)?;
    let written = write(&session, args.format, &report, &mut sink).await;
    let written = written.and_then(|objects| sink.finish().map(|()| objects));
    let objects = match (written, &args.to) {
        // A reader that goes away early is no error.
        (Err(Failure::Output(error)), None) if error.kind() == ErrorKind::BrokenPipe => {
            return Ok(exit::DONE);
        }
        (written, to) => written.map_err(|failure| sink::named(failure, to.as_deref()))?,
    };
    if let Some(path) = &args.to {
        let path = path.display().to_string();
        output.result(
            || json!({"report": name, "file": path, "format": args.format.name(), "objects": objects}),
            || {
                fields([
                    ("Report", name.clone()),
                    ("File", path.clone()),
                    ("Objects", objects.to_string()),
                ])
            },
        )?;
    }
    warn(&report, &output);
    Ok(if report.not_compared.is_empty() {
        exit::DONE
    } else {
        exit::WARNINGS
    })
}

/// A report that is made; one that is being made is waited for.
async fn made(session: &Session, name: &str) -> Result<v1::Report, Failure> {
    let request = session.client.unary(v1::GetReportRequest {
        name: name.to_owned(),
    });
    let mut report = required(session.client.diffs().get_report(request).await, |answer| {
        answer.report
    })?;
    if report.state() == ReportState::Running {
        report = finished(session, name).await?;
    }
    match report.state() {
        ReportState::Succeeded => Ok(report),
        ReportState::Running
        | ReportState::Failed
        | ReportState::Cancelled
        | ReportState::Unspecified => Err(Failure::NotMade {
            name: name.to_owned(),
        }),
    }
}

/// Writes a document from its beginning to its end; how many objects it is about.
async fn write(
    session: &Session,
    format: ReportFormat,
    report: &v1::Report,
    sink: &mut Sink,
) -> Result<u64, Failure> {
    let mut document: Box<dyn Document + '_> = match format {
        ReportFormat::Json => Box::new(Json::begin(report, sink)?),
        ReportFormat::Csv => Box::new(Rows::begin(report, sink)?),
        ReportFormat::Html => {
            let summary = summary::ask(session, report).await?;
            Box::new(Page::begin(&summary, sink)?)
        }
        ReportFormat::Patch => Box::new(Lines::begin(sink)),
    };
    let objects = each_change(session, &report.name, |change| {
        document.change(change).map_err(Failure::from)
    })
    .await?;
    document.finish()?;
    Ok(objects)
}

/// Hands on each change of a report, in order; how many there were.
///
/// A page that is too large for one message is asked for in smaller parts.
///
/// # Errors
/// The first failure of a call or of `take`, or [`Failure::Answer`] where the
/// pages turn in a circle.
async fn each_change(
    session: &Session,
    report: &str,
    mut take: impl FnMut(&v1::Change) -> Result<(), Failure>,
) -> Result<u64, Failure> {
    let (mut token, mut size, mut count) = (String::new(), LARGEST_PAGE, 0);
    loop {
        let request = session.client.unary(v1::ListChangesRequest {
            parent: report.to_owned(),
            page_size: size,
            page_token: token.clone(),
            ..Default::default()
        });
        let page = match session.client.diffs().list_changes(request).await {
            Ok(page) => page.into_inner(),
            Err(status) if size > 1 && is_too_large(&status) => {
                size = (size / SHRINK).max(1);
                continue;
            }
            Err(status) => return Err(status.into()),
        };
        for change in &page.changes {
            take(change)?;
            count += 1;
        }
        if page.next_page_token.is_empty() {
            return Ok(count);
        }
        if page.next_page_token == token {
            return Err(Failure::Answer("a list never ends"));
        }
        token = page.next_page_token;
        size = (size * 2).min(LARGEST_PAGE);
    }
}

/// Whether this side refused a message for its size: a service's own verdict
/// carries a reason.
fn is_too_large(status: &Status) -> bool {
    status.code() == Code::OutOfRange && runtime::status::parse(status).reason.is_none()
}
