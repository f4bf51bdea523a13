//! Writes: sent once unless Graph said that it did nothing.

use graph::{DirectoryWriter, GraphError};
use model::ErrorKind;
use model::call::{Call, HttpMethod};
use serde_json::{Value, json};

use crate::id;
use crate::server::{Server, reply, text};

fn call(method: HttpMethod, path: &str, body: Option<Value>) -> Call {
    Call {
        method,
        path: path.to_owned(),
        body,
    }
}

#[tokio::test]
async fn a_write_is_sent_as_planned() {
    let server = Server::start(|seen, _| match seen.method.as_str() {
        "POST" => reply(201, json!({"id": "new"})),
        _ => text(204, ""),
    })
    .await;
    let writer = server.writer();
    let path = format!("/groups/{}/members/$ref", id(1));
    let body = json!({"@odata.id": format!("{{graph}}/directoryObjects/{}", id(2))});
    let made = writer
        .write(&call(HttpMethod::Post, &path, Some(body)))
        .await
        .unwrap();
    assert_eq!(made, Some(json!({"id": "new"})));
    let none = writer
        .write(&call(
            HttpMethod::Delete,
            &format!("/groups/{}/members/{}/$ref", id(1), id(2)),
            None,
        ))
        .await
        .unwrap();
    assert_eq!(none, None);

    let seen = server.seen();
    assert_eq!(seen[0].url, path);
    assert_eq!(
        seen[0].json(),
        json!({"@odata.id": format!("{}/directoryObjects/{}", server.root(), id(2))})
    );
    assert_eq!(seen[0].header("content-type"), "application/json");
    assert_eq!(
        (seen[1].method.as_str(), seen[1].body.as_str()),
        ("DELETE", "")
    );
}

#[tokio::test]
async fn a_write_that_was_not_carried_out_is_sent_again() {
    let server = Server::start(|_, number| match number {
        1 => text(429, ""),
        2 => text(503, "").with("Retry-After", 5),
        _ => text(204, ""),
    })
    .await;
    server
        .writer()
        .write(&call(HttpMethod::Patch, "/users/1", Some(json!({}))))
        .await
        .unwrap();
    assert_eq!((server.seen().len(), server.waited()), (3, vec![2.0, 5.0]));
}

#[tokio::test]
async fn a_write_whose_outcome_is_unknown_is_not_repeated() {
    for status in [500, 502, 503, 504] {
        let server = Server::start(move |_, _| text(status, "")).await;
        let error = server
            .writer()
            .write(&call(HttpMethod::Post, "/groups", Some(json!({}))))
            .await
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("the outcome of a write to /groups is unknown: HTTP {status}")
        );
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(server.seen().len(), 1);
    }
    let server = Server::start(|_, _| text(201, "<html>")).await;
    let error = server
        .writer()
        .write(&call(HttpMethod::Post, "/groups", Some(json!({}))))
        .await
        .unwrap_err();
    assert!(matches!(error, GraphError::Ambiguous { .. }), "{error:?}");
}

#[tokio::test]
async fn a_purge_is_never_sent() {
    let server = Server::start(|_, _| text(204, "")).await;
    let path = format!("/directory/deletedItems/{}", id(1));
    let error = server
        .writer()
        .write(&call(HttpMethod::Delete, &path, None))
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("refused to send {path}: it would delete an object for good")
    );
    assert_eq!((server.seen().len(), server.logins().len()), (0, 0));
}
