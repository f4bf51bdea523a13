//! A report as a document to keep or to mail.
//!
//! Owns the way of a document to the browser: page by page, so that one of any size takes
//! the memory of a page. One that cannot be written to its end breaks off, so that nobody
//! takes it for whole.

use super::super::error::PageError;
use super::super::frame::Answer;
use super::super::session::{Session, Visit};
use super::view::not_understood;
use super::{name_of, now};
use axum::body::Body;
use axum::extract::Path;
use axum::response::IntoResponse;
use bytes::Bytes;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use proto::v1::{self, ReportState};
use show::document::{Document, Error, Json, Lines, Page, Rows, Summary, Tally};
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

/// How many changes are read at a time; one of a group may hold thousands of links.
const PAGE: i32 = 200;

/// What a document can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    Csv,
    Html,
    Patch,
}

impl Format {
    fn of(name: &str) -> Option<(Self, &'static str)> {
        Some(match name {
            "json" => (Self::Json, "application/json"),
            "csv" => (Self::Csv, "text/csv; charset=utf-8"),
            "html" => (Self::Html, "text/html; charset=utf-8"),
            "jsonl" => (Self::Patch, "application/x-ndjson"),
            _ => return None,
        })
    }
}

/// What was written and is not sent yet.
#[derive(Debug, Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Buffer {
    fn take(&self) -> Bytes {
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *written).into()
    }
}

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        written.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A document on its way.
struct Export {
    session: Session,
    report: String,
    /// Nothing once it is whole.
    document: Option<Box<dyn Document + Send>>,
    buffer: Buffer,
    page_token: String,
}

pub(super) async fn download(
    at: Visit,
    Path((_, report, format)): Path<(String, String, String)>,
) -> Answer {
    let Some((kind, media_type)) = Format::of(&format) else {
        return Err(PageError::no_such_page());
    };
    let name = name_of(&at, &report);
    let report = now(&at, &report).await?.report.unwrap_or_default();
    if report.state() != ReportState::Succeeded {
        return Err(PageError::invalid(
            "report",
            "only a report that is made can be written as a document",
        ));
    }
    let buffer = Buffer::default();
    let document = begin(&at, kind, &report, &buffer).await?;
    let export = Export {
        session: at.session.clone(),
        report: name,
        document: Some(document),
        buffer,
        page_token: String::new(),
    };
    let parts = futures::stream::try_unfold(export, |mut export| async move {
        if export.document.is_none() {
            return Ok(None);
        }
        let part = export.next().await?;
        Ok::<_, std::io::Error>(Some((part, export)))
    });
    let file = format!(
        "attachment; filename=\"{}.{format}\"",
        file_name(&report.name)
    );
    let headers = [
        (CONTENT_TYPE, media_type.to_owned()),
        (CONTENT_DISPOSITION, file),
    ];
    Ok((headers, Body::from_stream(parts)).into_response())
}

/// The report's id, of letters that are fit for the name of a file.
fn file_name(report: &str) -> String {
    let id = show::text::id_of(report).chars();
    let fits = |c: &char| c.is_ascii_alphanumeric() || *c == '-' || *c == '_';
    format!("rewind-report-{}", id.filter(fits).collect::<String>())
}

async fn begin(
    at: &Visit,
    format: Format,
    report: &v1::Report,
    buffer: &Buffer,
) -> Result<Box<dyn Document + Send>, PageError> {
    let out = buffer.clone();
    let document: Result<Box<dyn Document + Send>, Error> = match format {
        Format::Json => Json::begin(report, out).map(|it| Box::new(it) as _),
        Format::Csv => Rows::begin(report, out).map(|it| Box::new(it) as _),
        Format::Patch => Ok(Box::new(Lines::begin(out))),
        Format::Html => {
            let summary = summary(at, report).await?;
            Page::begin(&summary, out).map(|it| Box::new(it) as _)
        }
    };
    document.map_err(not_understood)
}

/// What a page says before the first change: how many there are takes a reading of its
/// own.
async fn summary(at: &Visit, report: &v1::Report) -> Result<Summary, PageError> {
    let request = v1::GetSnapshotRequest {
        name: report.base.clone(),
    };
    // A snapshot that is gone since has no time to tell.
    let base = at.session.snapshots().get_snapshot(request).await.ok();
    let mut tally = Tally::default();
    let mut page_token = String::new();
    loop {
        let page = changes(&at.session, &report.name, page_token).await?;
        page.changes.iter().for_each(|change| tally.add(change));
        if page.next_page_token.is_empty() {
            break;
        }
        page_token = page.next_page_token;
    }
    Ok(Summary {
        report: report.clone(),
        tenant: Some(at.tenant.clone()),
        base: base.and_then(|answer| answer.into_inner().snapshot),
        tally,
    })
}

async fn changes(
    session: &Session,
    report: &str,
    page_token: String,
) -> Result<v1::ListChangesResponse, tonic::Status> {
    let request = v1::ListChangesRequest {
        parent: report.to_owned(),
        page_size: PAGE,
        page_token,
        ..v1::ListChangesRequest::default()
    };
    Ok(session.diffs().list_changes(request).await?.into_inner())
}

impl Export {
    /// Writes another page of changes, and after the last one the end.
    async fn next(&mut self) -> std::io::Result<Bytes> {
        let token = std::mem::take(&mut self.page_token);
        let page = changes(&self.session, &self.report, token).await;
        let page = page.map_err(std::io::Error::other)?;
        let Some(mut document) = self.document.take() else {
            return Ok(Bytes::new());
        };
        for change in &page.changes {
            document.change(change).map_err(std::io::Error::other)?;
        }
        if page.next_page_token.is_empty() {
            document.finish().map_err(std::io::Error::other)?;
        } else {
            self.page_token = page.next_page_token;
            self.document = Some(document);
        }
        Ok(self.buffer.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_file_holds_no_surprises() {
        assert_eq!(
            file_name("tenants/t/reports/20261128T01-ab_c"),
            "rewind-report-20261128T01-ab_c"
        );
        assert_eq!(
            file_name("tenants/t/reports/a\"b\r\nc"),
            "rewind-report-abc"
        );
    }
}
