//! Many reads in one request: order, parts that fail, parts that wait.

use graph::{Directory, GraphError, Query};
use model::LinkKind;
use serde_json::{Value, json};

use crate::id;
use crate::server::{Seen, Server, reply};

fn owners(count: u32) -> Vec<Query> {
    (1..=count)
        .map(|number| Query::Links {
            kind: LinkKind::GroupOwners,
            source: id(number),
        })
        .collect()
}

fn requests(seen: &Seen) -> Vec<Value> {
    assert_eq!(
        (seen.method.as_str(), seen.url.as_str()),
        ("POST", "/$batch")
    );
    seen.json()["requests"].as_array().unwrap().clone()
}

/// The number of the group in a part's URL.
fn number(request: &Value) -> u32 {
    let url = request["url"].as_str().unwrap();
    assert!(url.ends_with("/owners?$select=id&$top=999"), "{url}");
    url.trim_start_matches("/groups/00000000-0000-4000-8000-")
        .split('/')
        .next()
        .unwrap()
        .parse()
        .unwrap()
}

fn part(request: &Value, status: u16, headers: Value, body: Value) -> Value {
    json!({"id": request["id"], "status": status, "headers": headers, "body": body})
}

/// Each group's only owner has the group's number plus 100.
fn owner(request: &Value) -> Value {
    part(
        request,
        200,
        json!({}),
        json!({"value": [{"id": id(number(request) + 100).as_str()}]}),
    )
}

fn owner_of(page: &Result<graph::Page, GraphError>) -> String {
    page.as_ref().unwrap().items[0].get().to_owned()
}

#[tokio::test]
async fn answers_in_any_order_find_their_queries() {
    let server = Server::start(|seen, _| {
        let requests = requests(seen);
        assert!(requests.len() <= 20);
        reply(
            200,
            json!({"responses": requests.iter().rev().map(owner).collect::<Vec<_>>()}),
        )
    })
    .await;
    let pages = server.reader().first_pages(&owners(110)).await.unwrap();
    assert_eq!((pages.len(), server.seen().len()), (110, 6));
    for (page, number) in pages.iter().zip(1_u32..) {
        assert_eq!(
            owner_of(page),
            format!(r#"{{"id":"{}"}}"#, id(number + 100))
        );
    }
    assert_eq!(server.reader().first_pages(&[]).await.unwrap().len(), 0);
}

#[tokio::test]
async fn a_throttled_part_is_asked_again_alone() {
    let server = Server::start(|seen, round| {
        let answer = |request: &Value| match (number(request), round) {
            (2, 1) => part(
                request,
                429,
                json!({"Retry-After": "3"}),
                json!({"error": {"code": "TooManyRequests"}}),
            ),
            (3, 1) => part(request, 429, json!({"retry-after": 10}), json!(null)),
            (3, 2) => part(request, 503, json!({}), json!(null)),
            _ => owner(request),
        };
        reply(
            200,
            json!({"responses": requests(seen).iter().map(answer).collect::<Vec<_>>()}),
        )
    })
    .await;
    let pages = server.reader().first_pages(&owners(4)).await.unwrap();
    assert!(pages.iter().all(Result::is_ok));
    assert_eq!(
        server
            .seen()
            .iter()
            .map(|seen| requests(seen).len())
            .collect::<Vec<_>>(),
        [4, 2, 1]
    );
    assert_eq!(server.waited(), [10.0, 0.5]);
}

#[tokio::test]
async fn a_part_that_fails_fails_alone() {
    let server = Server::start(|seen, _| {
        let answer = |request: &Value| match number(request) {
            1 => Some(part(
                request,
                404,
                json!({}),
                json!({"error": {"code": "Request_ResourceNotFound", "message": "gone"}}),
            )),
            2 => Some(part(
                request,
                403,
                json!({}),
                json!({"error": {"code": "Authorization_RequestDenied", "message": "no"}}),
            )),
            3 => None,
            4 => Some(part(request, 200, json!({}), json!({"other": 1}))),
            5 => Some(part(
                request,
                429,
                json!({"Retry-After": "900"}),
                json!(null),
            )),
            _ => Some(owner(request)),
        };
        reply(
            200,
            json!({"responses": requests(seen).iter().filter_map(answer).collect::<Vec<_>>()}),
        )
    })
    .await;
    let pages = server.reader().first_pages(&owners(6)).await.unwrap();
    let path = |number| format!("/groups/{}/owners", id(number));
    let texts: Vec<String> = pages
        .iter()
        .map(|page| {
            page.as_ref()
                .map_or_else(ToString::to_string, |_| "read".to_owned())
        })
        .collect();
    assert_eq!(
        texts,
        [
            format!("graph has nothing at {}", path(1)),
            format!("graph denied {}: Authorization_RequestDenied: no", path(2)),
            format!(
                "graph's answer to {} is not understood: the batch has no answer to it",
                path(3)
            ),
            format!(
                "graph's answer to {} is not understood: it has no value array",
                path(4)
            ),
            format!("graph throttles {}", path(5)),
            "read".to_owned(),
        ]
    );
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_token_that_ends_inside_a_batch_is_renewed_once() {
    let refused = |request: &Value| {
        part(
            request,
            401,
            json!({}),
            json!({"error": {"code": "InvalidAuthenticationToken", "message": "expired"}}),
        )
    };
    let server = Server::start(move |seen, _| {
        let answer = |request: &Value| match (number(request), seen.header("authorization")) {
            (2, "Bearer token-1") | (3, _) => refused(request),
            _ => owner(request),
        };
        reply(
            200,
            json!({"responses": requests(seen).iter().map(answer).collect::<Vec<_>>()}),
        )
    })
    .await;
    let pages = server.reader().first_pages(&owners(3)).await.unwrap();
    assert!(pages[0].is_ok() && pages[1].is_ok());
    assert!(
        matches!(pages[2], Err(GraphError::CredentialRejected { .. })),
        "{:?}",
        pages[2]
    );
    assert_eq!(server.seen().len(), 2);
    assert!(server.waited().is_empty());
}

#[tokio::test]
async fn a_batch_that_fails_as_a_whole_is_one_error() {
    let server =
        Server::start(|_, _| reply(403, json!({"error": {"code": "Denied", "message": "no"}})))
            .await;
    let error = server.reader().first_pages(&owners(2)).await.unwrap_err();
    assert_eq!(error.to_string(), "graph denied /$batch: Denied: no");
}
