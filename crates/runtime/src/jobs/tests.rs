//! Jobs as their watchers see them.

use super::*;
use futures::StreamExt;
use tonic::Code;

fn begin(jobs: &Jobs<u32>, key: &str, initial: u32) -> JobHandle<u32> {
    match jobs.start(key, initial) {
        Start::New(handle) => handle,
        Start::Running(value) => panic!("{key} runs already at {value}"),
    }
}

#[tokio::test]
async fn a_watcher_sees_the_value_the_newest_and_the_end() {
    let jobs = Jobs::new();
    let handle = begin(&jobs, "a", 0);
    let mut watch = jobs.watch("a").expect("known");
    assert_eq!(watch.next().await.expect("a value").expect("ok"), 0);
    handle.update(1);
    handle.progress().modify(|value| *value += 1);
    assert_eq!(
        watch.next().await.expect("a value").expect("ok"),
        2,
        "steps in between may be skipped"
    );
    handle.finish(Ok(9));
    assert_eq!(watch.next().await.expect("a value").expect("ok"), 9);
    assert!(watch.next().await.is_none());
    let late: Vec<_> = jobs
        .watch("a")
        .expect("kept")
        .map(|item| item.expect("ok"))
        .collect()
        .await;
    assert_eq!(late, [9]);
    assert!(jobs.watch("b").is_none());
}

#[tokio::test]
async fn a_running_job_is_joined_and_an_ended_one_replaced() {
    let jobs = Jobs::new();
    let handle = begin(&jobs, "a", 3);
    assert!(matches!(jobs.start("a", 0), Start::Running(3)));
    assert!(jobs.is_running("a"));
    let progress = handle.progress();
    handle.finish(Err(Status::aborted("stopped")));
    progress.update(7);
    assert!(!jobs.is_running("a"));
    assert_eq!(jobs.get("a"), None, "a failed job has no value");
    let end = jobs
        .watch("a")
        .expect("kept")
        .next()
        .await
        .expect("the end")
        .expect_err("failed");
    assert_eq!((end.code(), end.message()), (Code::Aborted, "stopped"));
    let again = begin(&jobs, "a", 4);
    assert_eq!((jobs.get("a"), jobs.running()), (Some(4), 1));
    again.finish(Ok(5));
}

#[tokio::test]
async fn a_dropped_handle_is_an_internal_error() {
    let jobs = Jobs::new();
    let handle = begin(&jobs, "a", 0);
    let mut watch = jobs.watch("a").expect("known");
    assert!(watch.next().await.expect("a value").is_ok());
    drop(handle);
    let end = watch.next().await.expect("the end").expect_err("failed");
    assert_eq!(
        (end.code(), end.message()),
        (Code::Internal, "the job ended without a result")
    );
    assert!(watch.next().await.is_none());
    assert_eq!(jobs.running(), 0);
}

#[tokio::test]
async fn a_job_is_asked_to_end_and_says_how() {
    let jobs = Jobs::new();
    let (first, other) = (begin(&jobs, "a", 0), begin(&jobs, "b", 0));
    jobs.cancel("a");
    jobs.cancel("nobody");
    first.cancelled().await;
    assert!(futures::poll!(Box::pin(other.cancelled())).is_pending());
    assert!(jobs.is_running("a"), "it ends when it says so");
    first.finish(Ok(7));
    assert_eq!(jobs.get("a"), Some(7));
    jobs.cancel("a");
    let again = begin(&jobs, "a", 1);
    assert!(futures::poll!(Box::pin(again.cancelled())).is_pending());
}

#[tokio::test(start_paused = true)]
async fn ended_jobs_are_forgotten_and_running_ones_never() {
    let jobs = Jobs::new();
    let running = begin(&jobs, "running", 0);
    for n in 0..KEEP_COUNT + 5 {
        begin(&jobs, &format!("job-{n}"), 0).finish(Ok(1));
        tokio::time::advance(Duration::from_millis(1)).await;
    }
    assert!(jobs.watch("job-4").is_none(), "the oldest go first");
    assert!(jobs.watch("job-5").is_some());
    tokio::time::advance(KEEP_FOR).await;
    assert!(jobs.watch(&format!("job-{}", KEEP_COUNT + 4)).is_none());
    assert!(jobs.watch("running").is_some());
    running.finish(Ok(1));
}
