//! When a read is repeated, how long is waited, and when it ends.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use graph::{Directory, GraphError, GraphReader};
use model::ErrorKind;
use model::error::reason;
use serde_json::json;

use crate::server::{Reply, Server, endpoint, reply, secret, settings, text};

fn skus() -> Reply {
    reply(200, json!({"value": []}))
}

#[tokio::test]
async fn the_wait_that_graph_names_is_kept() {
    let server = Server::start(|_, number| match number {
        1 => text(429, "").with("Retry-After", "2.128"),
        2 => text(503, "").with("Retry-After", 7),
        3 => text(429, "")
            .with("Retry-After", "Wed, 21 Oct 2026 07:28:30 GMT")
            .with("Date", "Wed, 21 Oct 2026 07:28:00 GMT"),
        _ => skus(),
    })
    .await;
    server.reader().subscribed_skus().await.unwrap();
    assert_eq!(server.waited(), [2.128, 7.0, 30.0]);
}

#[tokio::test]
async fn without_one_the_wait_doubles() {
    let server = Server::start(|_, number| if number < 5 { text(429, "") } else { skus() }).await;
    server.reader().subscribed_skus().await.unwrap();
    assert_eq!(server.waited(), [2.0, 4.0, 8.0, 16.0]);

    let server = Server::start(|_, number| {
        if number < 4 {
            text(502, "<html>")
        } else {
            skus()
        }
    })
    .await;
    server.reader().subscribed_skus().await.unwrap();
    assert_eq!(server.waited(), [0.5, 1.0, 2.0]);
}

#[tokio::test]
async fn too_long_a_wait_is_given_back_to_the_caller() {
    let server = Server::start(|_, _| text(429, "").with("Retry-After", 600)).await;
    let error = server.reader().subscribed_skus().await.unwrap_err();
    let retry_after = Some(Duration::from_secs(600));
    assert_eq!(
        error,
        GraphError::Throttled {
            retry_after,
            path: "/subscribedSkus".to_owned()
        }
    );
    assert_eq!(
        (error.kind(), error.reason()),
        (
            ErrorKind::Throttled { retry_after },
            reason::GRAPH_THROTTLED
        )
    );
    assert!(server.waited().is_empty());

    let server = Server::start(|_, _| text(429, "").with("Retry-After", 0)).await;
    server.reader().subscribed_skus().await.unwrap_err();
    let waits = [2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0];
    assert_eq!(server.waited(), waits, "no wait is no permission to hurry");
}

#[tokio::test]
async fn a_host_out_of_reach_is_unavailable() {
    let free = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let waits = Arc::new(Mutex::new(Vec::new()));
    let reader = GraphReader::new(&endpoint(port), secret(), settings(Arc::clone(&waits)));
    let error = reader.subscribed_skus().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the login host is out of reach: no connection"
    );
    assert_eq!(
        (error.kind(), error.reason()),
        (ErrorKind::Unavailable, reason::GRAPH_UNAVAILABLE)
    );
    // A person waits for the first token: it is given up sooner than a read.
    assert_eq!(waits.lock().unwrap().len(), 4);
}

#[tokio::test]
async fn refusals_are_final_and_say_what_graph_said() {
    let check = async |status, code: &'static str, expected: &str, kind: ErrorKind, word: &str| {
        let body = json!({"error": {"code": code, "message": "Because.", "innerError": {"request-id": "r-1"}}});
        let server = Server::start(move |_, _| reply(status, body.clone())).await;
        let error = server.reader().subscribed_skus().await.unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert_eq!((error.kind(), error.reason()), (kind, word));
        assert_eq!(server.seen().len(), 1);
    };
    check(
        403,
        "Authorization_RequestDenied",
        "graph denied /subscribedSkus: Authorization_RequestDenied: Because",
        ErrorKind::Denied,
        reason::CONSENT_MISSING,
    )
    .await;
    check(
        400,
        "Request_BadRequest",
        "graph refused /subscribedSkus: Request_BadRequest: Because (request r-1)",
        ErrorKind::Invalid,
        reason::INVALID_ARGUMENT,
    )
    .await;
    check(
        404,
        "Request_ResourceNotFound",
        "graph has nothing at /subscribedSkus",
        ErrorKind::NotFound,
        reason::NOT_FOUND,
    )
    .await;
    check(
        409,
        "Conflict",
        "graph reports a conflict at /subscribedSkus: Conflict: Because",
        ErrorKind::Conflict,
        reason::CONFLICT,
    )
    .await;
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let server = Server::start(|_, _| text(302, "").with("Location", "/v1.0/elsewhere")).await;
    let error = server.reader().subscribed_skus().await.unwrap_err();
    assert_eq!(error.reason(), reason::GRAPH_UNEXPECTED);
    assert_eq!(server.seen().len(), 1);
}
