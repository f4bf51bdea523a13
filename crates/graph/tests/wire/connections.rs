//! Which connection a request uses.

use graph::Directory;

use crate::raw::{Bytes, Raw, cut, whole};

fn good() -> Bytes {
    whole("200 OK", "", r#"{"value":[]}"#)
}

/// The connections of one read that fails twice and of one that succeeds at once.
async fn check(failure: Bytes, expected: [usize; 4]) {
    let answer = move |number| match number {
        1 | 2 => failure.clone(),
        _ => good(),
    };
    let server = Raw::start(answer).await;
    let reader = server.reader();
    reader.subscribed_skus().await.unwrap();
    reader.subscribed_skus().await.unwrap();
    assert_eq!(server.connections(), expected);
}

#[tokio::test]
async fn a_server_that_fails_is_not_asked_again_over_its_connection() {
    // The login and the first request share the first connection, which stays
    // open for those who have no reason to leave it.
    for status in ["500 Oops", "503 Busy", "504 Late"] {
        check(whole(status, "", ""), [1, 2, 3, 1]).await;
    }
    let told = whole("503 Busy", "Retry-After: 3\r\n", "");
    check(told, [1, 2, 3, 1]).await;
    check(whole("200 OK", "", "{"), [1, 2, 3, 1]).await;
}

#[tokio::test]
async fn a_broken_connection_is_replaced() {
    check(cut("HTTP/1.1 200 OK\r\n"), [1, 2, 3, 4]).await;
}

#[tokio::test]
async fn one_that_only_says_wait_is_kept() {
    check(whole("429 Slow", "Retry-After: 3\r\n", ""), [1, 1, 1, 1]).await;
}
