//! Answers that are no data: cut off, malformed, empty, of another kind.

use graph::{Directory, DirectoryWriter, GraphError};
use model::call::{Call, HttpMethod};
use serde_json::json;

use crate::raw::{Bytes, Raw, cut, whole};

const GOOD: &str = r#"{"value":[{"skuId":"s"}]}"#;

fn good() -> Bytes {
    whole("200 OK", "Content-Type: application/json\r\n", GOOD)
}

fn json(body: &str) -> Bytes {
    whole(
        "200 OK",
        "Content-Type: application/json; charset=utf-8\r\n",
        body,
    )
}

/// What a read gets where all answers are such, after how many requests; and
/// that it succeeds where only the first two are.
async fn check(answer: Bytes, expected: &str, requests: usize) {
    let always = answer.clone();
    let server = Raw::start(move |_| always.clone()).await;
    let error = server.reader().subscribed_skus().await.unwrap_err();
    assert_eq!(error.to_string(), expected);
    assert_eq!(server.connections().len(), requests, "{expected}");

    let server = Raw::start(move |number| if number < 3 { answer.clone() } else { good() }).await;
    let skus = server.reader().subscribed_skus().await.unwrap();
    assert_eq!(skus, [json!({"skuId": "s"})], "{expected}");
    assert_eq!(server.connections().len(), 3, "{expected}");
}

#[tokio::test]
async fn an_answer_that_is_cut_off_is_asked_for_again() {
    let broken = "/subscribedSkus is out of reach: the connection broke";
    // Each is, as far as it goes, a whole document.
    for text in [
        format!("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{GOOD}"),
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n19\r\n{GOOD}\r\n"),
        "HTTP/1.1 200 OK\r\nContent-Le".to_owned(),
        String::new(),
    ] {
        check(cut(&text), broken, 11).await;
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_asked_for_again_a_few_times() {
    let not = |what: &str| format!("graph's answer to /subscribedSkus is not understood: {what}");
    let early = not("the json ends too early (line 1, column 20)");
    let open = r#"{"value":[{"skuId":"#;
    check(
        json(open),
        &not("the json ends too early (line 1, column 19)"),
        4,
    )
    .await;
    let close = format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{open} ");
    check(cut(&close), &early, 4).await;
    check(json("<html>"), &not("it is not json (line 1, column 1)"), 4).await;
    check(json(""), &not("its body is empty"), 4).await;
    check(
        cut("HTTP/1.1 204 No Content\r\n\r\n"),
        &not("its body is empty"),
        4,
    )
    .await;
    let html = whole("200 OK", "Content-Type: text/html\r\n", GOOD);
    check(html, &not("it is of another content type than json"), 4).await;
}

#[tokio::test]
async fn a_write_whose_answer_is_cut_off_is_not_repeated() {
    let text = "HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{\"id\":";
    let server = Raw::start(move |_| cut(text)).await;
    let call = Call {
        method: HttpMethod::Post,
        path: "/groups".to_owned(),
        body: Some(json!({})),
    };
    let error = server.writer().write(&call).await.unwrap_err();
    assert!(matches!(error, GraphError::Ambiguous { .. }), "{error:?}");
    assert_eq!(server.connections().len(), 1);
}
