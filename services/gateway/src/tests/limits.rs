//! How much callers may ask, and what becomes of a service that does not answer.

use super::support::{A, B, OWNER_A, OWNER_B, Sandbox, sandbox_configured, with};
use crate::Limit;
use proto::v1::snapshot_service_client::SnapshotServiceClient;
use proto::v1::{GetSnapshotRequest, WatchSnapshotRequest};
use std::num::NonZeroU32;
use std::time::Duration;
use tonic::{Code, Status};

async fn get(sandbox: &Sandbox, token: &str, tenant: &str, last: &str) -> Result<(), Status> {
    let name = format!("tenants/{tenant}/snapshots/{last}");
    let mut client = SnapshotServiceClient::new(sandbox.channel.clone());
    let answer = client.get_snapshot(with(token, GetSnapshotRequest { name }));
    answer.await.map(drop)
}

fn is_limit(status: &Status) {
    let remote = runtime::status::parse(status);
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    assert_eq!(remote.reason.as_deref(), Some("LIMIT_EXCEEDED"));
    let after = remote.retry_after.expect("when to try again");
    assert!(after > Duration::ZERO && after <= Duration::from_secs(60), "{after:?}");
}

#[tokio::test]
async fn who_asks_too_often_is_told_when_to_come_back_and_others_are_not() {
    let sandbox = sandbox_configured(|config| {
        config.limits.caller = Limit {
            rate: NonZeroU32::new(1),
            calls: 10,
        };
    })
    .await;
    let mut refused = None;
    for _ in 0..3 {
        refused = get(&sandbox, OWNER_A, A, "one").await.err();
    }
    is_limit(&refused.expect("two at once are allowed"));
    // Both owners bear the same name in these tests, as one person with two tokens.
    is_limit(&get(&sandbox, OWNER_B, B, "one").await.expect_err("the same person"));
    get(&sandbox, super::support::OPERATOR, A, "one")
        .await
        .expect("somebody else");
}

#[tokio::test]
async fn a_tenant_has_so_many_calls_by_whomever() {
    let sandbox = sandbox_configured(|config| {
        config.limits.tenant = Limit {
            rate: NonZeroU32::new(1),
            calls: 10,
        };
    })
    .await;
    for _ in 0..2 {
        get(&sandbox, OWNER_A, A, "one").await.expect("allowed");
    }
    let operator = super::support::OPERATOR;
    is_limit(&get(&sandbox, operator, A, "one").await.expect_err("too many"));
    get(&sandbox, OWNER_B, B, "one").await.expect("another tenant");
}

#[tokio::test]
async fn a_stream_is_under_way_until_it_ends() {
    let sandbox = sandbox_configured(|config| {
        config.limits.caller = Limit {
            rate: None,
            calls: 1,
        };
    })
    .await;
    let mut client = SnapshotServiceClient::new(sandbox.channel.clone());
    let name = format!("tenants/{A}/snapshots/one");
    let stream = client.watch_snapshot(with(OWNER_A, WatchSnapshotRequest { name }));
    let mut stream = stream.await.expect("answered").into_inner();
    while stream.message().await.expect("a message").is_some() {}
    drop(stream);
    get(&sandbox, OWNER_A, A, "one").await.expect("it has ended");

    let sandbox = &sandbox;
    let slow = get(sandbox, OWNER_A, A, "slow");
    let second = async {
        // The slow call has reached the service once it was seen there.
        while sandbox.fake.seen.lock().expect("unpoisoned").len() < 2 {
            tokio::task::yield_now().await;
        }
        get(sandbox, OWNER_A, A, "one").await
    };
    tokio::select! {
        _ = slow => panic!("it never ends"),
        second = second => is_limit(&second.expect_err("one at a time")),
    }
}

#[tokio::test]
async fn nobody_waits_longer_than_the_server_allows() {
    let sandbox = sandbox_configured(|config| {
        config.limits.deadline = Duration::from_millis(100);
    })
    .await;
    let told = get(&sandbox, OWNER_A, A, "slow").await.expect_err("late");
    assert_eq!(told.code(), Code::DeadlineExceeded, "{told:?}");
}
