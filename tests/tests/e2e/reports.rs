//! What becomes of reports: cancelled ones.

use futures::TryStreamExt;
use proto::v1::*;
use runtime::{Clock, SystemClock};

use crate::lanes::{mark, scene, vault};
use crate::sandbox::{Sandbox, parent};

async fn cancel(sandbox: &Sandbox, name: &str) -> anyhow::Result<Report> {
    let request = CancelReportRequest {
        name: name.to_owned(),
        request_id: sandbox.request_id(),
    };
    let answer = sandbox.diffs().cancel_report(request).await?;
    Ok(answer.into_inner().report.unwrap_or_default())
}

#[tokio::test]
async fn a_report_that_is_cancelled_ends_at_once_and_stays_so() -> anyhow::Result<()> {
    let (sandbox, _, _) = scene().await?;
    let snapshot = sandbox.snapshot().await?;
    let vault = vault(&sandbox).await?;
    // Such a report waits as long as the restore runs.
    let mark = mark(&vault).await?;
    let request = CreateReportRequest {
        parent: parent(),
        base: snapshot.name.clone(),
        request_id: sandbox.request_id(),
        fresh_only: true,
        ..CreateReportRequest::default()
    };
    let started = sandbox.diffs().create_report(request.clone()).await?;
    let started = started.into_inner().report.unwrap_or_default();
    assert_eq!(started.state(), ReportState::Running);
    let name = started.name.clone();
    let mut watch = sandbox
        .diffs()
        .watch_report(WatchReportRequest { name: name.clone() })
        .await?
        .into_inner();
    assert!(watch.try_next().await?.is_some());

    let cancelled = cancel(&sandbox, &name).await?;
    let expected = Report {
        state: ReportState::Cancelled.into(),
        ..started
    };
    assert_eq!(cancelled, expected);
    let seen: Vec<WatchReportResponse> = watch.try_collect().await?;
    let last = seen.into_iter().last().unwrap_or_default();
    assert_eq!(
        (last.report, last.phase),
        (Some(expected.clone()), "done".to_owned())
    );
    assert_eq!(cancel(&sandbox, &name).await?, expected, "once more");
    let again = sandbox.diffs().create_report(request).await?;
    assert_eq!(again.into_inner().report, Some(expected.clone()));
    let request = GetReportRequest { name: name.clone() };
    let shown = sandbox.diffs().get_report(request).await?.into_inner();
    assert_eq!(shown.report, Some(expected));
    let changes = ListChangesRequest {
        parent: name,
        ..ListChangesRequest::default()
    };
    let changes = sandbox.diffs().list_changes(changes).await?.into_inner();
    assert_eq!(changes, ListChangesResponse::default());

    vault.unmark_lane(&mark.restore, SystemClock.now()).await?;
    let (made, _) = sandbox.report(&snapshot.name).await?;
    assert_eq!(made.state(), ReportState::Succeeded);
    assert_eq!(
        cancel(&sandbox, &made.name).await?,
        made,
        "it had ended before"
    );
    let nobody = cancel(&sandbox, &format!("{}/reports/none", parent())).await;
    let status: tonic::Status = nobody.expect_err("there is none").downcast()?;
    assert_eq!(status.code(), tonic::Code::NotFound);
    Ok(())
}
