//! How long reports are kept: as long as their snapshots, and not at all where they
//! were never finished.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use futures::StreamExt;
use model::ReportId;
use store::object_store::ObjectStore;
use store::{Area, Pruned, StoreError, TenantVault, layout};
use testkit::store::{FaultStore, moment, tenant};

use crate::prune::{five, id, prune, slot, whole};
use crate::{memory, opened};

const DAY: i64 = 86_400;

fn report(n: usize) -> ReportId {
    ReportId::parse(&format!("20261120t080000-{n}")).unwrap()
}

/// Begins a report of snapshots, by their days, and writes a page of it.
async fn begin(vault: &TenantVault, n: usize, days: &[usize]) {
    let ids: Vec<_> = days.iter().map(|day| id(&slot(*day))).collect();
    vault.begin_report(&report(n), &ids).await.unwrap();
    let page = "changes/000001";
    vault
        .put(Area::Reports, report(n).as_str(), page, "a page".into())
        .await
        .unwrap();
}

async fn finish(vault: &TenantVault, n: usize) -> Result<(), StoreError> {
    vault
        .put(
            Area::Reports,
            report(n).as_str(),
            layout::REPORT,
            "a report".into(),
        )
        .await
}

async fn write(vault: &TenantVault, n: usize, days: &[usize]) {
    begin(vault, n, days).await;
    finish(vault, n).await.unwrap();
}

/// Which of the first reports are there, each with all of its files.
async fn visible(vault: &TenantVault, reports: usize) -> Vec<usize> {
    let mut visible = Vec::new();
    for n in 0..reports {
        match vault.report(&report(n)).await {
            Ok(content) => {
                assert_eq!(content, "a report");
                let names = vault.list_names(Area::Reports, report(n).as_str()).await;
                assert!(names.unwrap().contains(&"changes/000001".to_owned()));
                visible.push(n);
            }
            Err(StoreError::NotFound { .. }) => {}
            Err(error) => panic!("report {n}: {error}"),
        }
    }
    visible
}

/// How many files there are of reports.
async fn files(store: &dyn ObjectStore) -> usize {
    let folder = layout::area(&tenant(1), Area::Reports);
    store.list(Some(&folder)).count().await
}

/// A day after the last file of reports was written, as the store tells it.
async fn a_day_later(store: &dyn ObjectStore) -> DateTime<Utc> {
    let folder = layout::area(&tenant(1), Area::Reports);
    let times: BTreeSet<_> = store
        .list(Some(&folder))
        .map(|meta| meta.unwrap().last_modified)
        .collect()
        .await;
    *times.last().unwrap() + TimeDelta::hours(25)
}

#[tokio::test]
async fn a_report_goes_with_the_first_of_its_snapshots() {
    let store = memory();
    let (_, vault) = opened(store.clone()).await;
    for day in 0..7 {
        whole(&vault, day).await;
    }
    for (n, days) in [&[0][..], &[6, 0], &[6], &[1, 2], &[5, 6]]
        .iter()
        .enumerate()
    {
        write(&vault, n, days).await;
    }
    for name in ["plan", "journal/000001", "of/day-000"] {
        vault
            .put(Area::Restores, "of-day-000", name, "mine".into())
            .await
            .unwrap();
    }
    prune(&vault, &five(), 6).await.unwrap();
    assert_eq!(
        visible(&vault, 5).await,
        [0, 1, 2, 3, 4],
        "what is on its way out keeps its reports"
    );
    let done = prune(&vault, &five(), 7).await.unwrap();
    assert_eq!(done.removed.len(), 2);
    assert_eq!(done.reports, [report(0), report(1), report(3)]);
    assert_eq!(visible(&vault, 5).await, [2, 4]);
    assert_eq!(
        files(store.as_ref()).await,
        3 + 4,
        "nothing is left of the others"
    );
    let restores = vault
        .list_names(Area::Restores, "of-day-000")
        .await
        .unwrap();
    assert_eq!(restores, ["journal/000001", "of/day-000", "plan"]);
    assert_eq!(prune(&vault, &five(), 8).await.unwrap(), Pruned::default());
}

#[tokio::test]
async fn a_held_snapshot_keeps_its_reports() {
    let (_, vault) = opened(memory()).await;
    for day in 0..8 {
        whole(&vault, day).await;
    }
    for (n, days) in [&[0][..], &[0, 1], &[1]].iter().enumerate() {
        write(&vault, n, days).await;
    }
    vault
        .hold(&id("day-000"), "case 7", moment(0))
        .await
        .unwrap();
    prune(&vault, &five(), 8).await.unwrap();
    let done = prune(&vault, &five(), 10).await.unwrap();
    assert_eq!(done.reports, [report(2)]);
    assert_eq!(
        visible(&vault, 3).await,
        [0, 1],
        "also the one whose other snapshot is gone"
    );
    vault.lift_hold(&id("day-000")).await.unwrap();
    let done = prune(&vault, &five(), 11).await.unwrap();
    assert_eq!(done.reports, [report(1)]);
    let done = prune(&vault, &five(), 13).await.unwrap();
    assert_eq!(done.reports, [report(0)]);
}

#[tokio::test]
async fn what_was_never_finished_goes_after_a_while_and_cannot_be_finished_then() {
    let store = memory();
    let (_, vault) = opened(store.clone()).await;
    whole(&vault, 0).await;
    begin(&vault, 0, &[0]).await;
    begin(&vault, 1, &[0]).await;
    let later = a_day_later(store.as_ref()).await;
    let early = later - TimeDelta::hours(2);
    let day = TimeDelta::days(1);
    let done = vault.prune(&five(), day, early).await.unwrap();
    assert_eq!(done, Pruned::default(), "somebody may be at it");
    finish(&vault, 0).await.unwrap();

    let done = vault.prune(&five(), day, later).await.unwrap();
    assert_eq!((done.reports, done.files), (vec![report(1)], 2));
    let late = finish(&vault, 1).await;
    assert!(matches!(late, Err(StoreError::Exists { .. })), "{late:?}");
    assert_eq!(visible(&vault, 2).await, [0]);
    let done = vault.prune(&five(), day, later + day).await.unwrap();
    assert_eq!(done, Pruned::default(), "that it was given up stays");
    assert_eq!(files(store.as_ref()).await, 3 + 1);
}

#[tokio::test]
async fn a_report_that_names_no_snapshot_stays() {
    let (_, vault) = opened(memory()).await;
    for day in 0..7 {
        whole(&vault, day).await;
    }
    write(&vault, 0, &[]).await;
    prune(&vault, &five(), 6).await.unwrap();
    prune(&vault, &five(), 9).await.unwrap();
    assert_eq!(visible(&vault, 1).await, [0]);
}

#[tokio::test]
async fn broken_off_anywhere_no_report_is_seen_in_part() {
    let mut broken_off = 0;
    for broken_after in 0..40 {
        let faults = Arc::new(FaultStore::new(memory()));
        let (_, vault) = opened(faults.clone()).await;
        for day in 0..7 {
            whole(&vault, day).await;
        }
        write(&vault, 0, &[0, 6]).await;
        write(&vault, 1, &[6]).await;
        prune(&vault, &five(), 6).await.unwrap();
        begin(&vault, 2, &[6]).await;
        let day = TimeDelta::days(1);
        // Files have the time of the store, snapshots that of the test.
        let later = a_day_later(faults.as_ref()).await.max(moment(8 * DAY));
        faults.break_after(broken_after);
        let broken = vault.prune(&five(), day, later).await.is_err();
        faults.mend();
        let seen = visible(&vault, 3).await;
        assert!(
            seen.ends_with(&[1]),
            "broken off after {broken_after}: {seen:?}"
        );
        for n in [1, 2] {
            let done = vault.prune(&five(), day, later + day * n).await;
            done.unwrap();
        }
        assert_eq!(
            visible(&vault, 3).await,
            [1],
            "broken off after {broken_after}"
        );
        if !broken {
            break;
        }
        broken_off += 1;
    }
    assert!(broken_off > 8, "{broken_off}");
    assert!(broken_off < 40, "it was never left alone");
}
