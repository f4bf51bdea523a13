//! What the client does with quotas: whom it makes wait, what it counts.

use std::time::Duration;

use graph::{
    Directory, DirectoryWriter, GraphError, GraphReader, GraphWriter, LaneUse, Query, Role,
    measured,
};
use model::call::{Call, HttpMethod};
use model::error::reason;
use model::snapshot::Effort;
use model::{ErrorKind, LinkKind, ObjectType};
use serde_json::{Value, json};

use crate::id;
use crate::server::{Seen, Server, endpoint, reply, secret, text};

fn members(number: u32) -> Query {
    Query::Links {
        kind: LinkKind::GroupMembers,
        source: id(number),
    }
}

fn responses(seen: &Seen, answer: impl Fn(usize, &Value) -> Value) -> Value {
    let requests = seen.json()["requests"].as_array().unwrap().clone();
    let answers = requests.iter().enumerate();
    json!({"responses": answers.map(|(place, request)| answer(place, request)).collect::<Vec<_>>()})
}

#[tokio::test]
async fn a_wait_that_one_part_of_a_batch_was_told_holds_for_all_clients() {
    let server = Server::start(|seen, number| match number {
        1 => reply(
            200,
            responses(seen, |place, request| match place {
                0 => json!({"id": request["id"], "status": 429, "headers": {"Retry-After": "900"}}),
                _ => json!({"id": request["id"], "status": 200, "body": {"value": []}}),
            }),
        ),
        _ => reply(200, json!({"value": []})),
    })
    .await;
    let settings = server.settings();
    let reader = || GraphReader::new(&endpoint(server.port()), secret(), settings.clone());
    let parts = reader()
        .first_pages(&[members(1), members(2)])
        .await
        .unwrap();
    assert!(parts[0].is_err() && parts[1].is_ok());
    let error = reader().subscribed_skus().await.unwrap_err();
    let retry_after = Some(Duration::from_secs(900));
    assert_eq!(error.kind(), ErrorKind::Throttled { retry_after });
    assert_eq!(server.seen().len(), 1, "nothing was sent");

    tokio::time::advance(Duration::from_secs(700)).await;
    reader().subscribed_skus().await.unwrap();
    assert_eq!(server.waited(), [200.0]);
    // Conditional Access is another lane, which was never closed.
    let policies = Query::Objects(ObjectType::ConditionalAccessPolicy);
    reader().page(&policies, None).await.unwrap();
    assert_eq!(server.waited(), [200.0]);
}

#[tokio::test]
async fn the_slow_lane_is_paced_and_stays_out_of_batches() {
    let server = Server::start(|seen, _| match seen.url.as_str() {
        "/$batch" => reply(
            200,
            responses(
                seen,
                |_, request| json!({"id": request["id"], "status": 200, "body": {"value": []}}),
            ),
        ),
        _ => reply(200, json!({"value": []})),
    })
    .await;
    let queries = [
        Query::Objects(ObjectType::ConditionalAccessPolicy),
        members(1),
        Query::Objects(ObjectType::NamedLocation),
        members(2),
        Query::Deleted(ObjectType::NamedLocation),
    ];
    let pages = server.reader().first_pages(&queries).await.unwrap();
    assert!(pages.len() == 5 && pages.iter().all(Result::is_ok));
    assert_eq!((server.seen().len(), server.waited()), (4, vec![1.0, 1.0]));

    let reader = server.reader();
    reader.budget().set_conditional_access(LaneUse::Refuse);
    let error = reader.page(&queries[0], None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(server.seen().len(), 4);
}

#[tokio::test]
async fn only_a_restorer_writes() {
    let server = Server::start(|_, _| text(204, "")).await;
    let call = Call {
        method: HttpMethod::Delete,
        path: format!("/users/{}", id(1)),
        body: None,
    };
    for (role, allowed) in [
        (Role::Collector, false),
        (Role::Differ, false),
        (Role::Restorer, true),
        (Role::Alone, true),
    ] {
        let settings = graph::Settings {
            role,
            ..server.settings()
        };
        let before = server.seen().len();
        let writer = GraphWriter::new(&endpoint(server.port()), secret(), settings);
        let outcome = writer.write(&call).await;
        assert_eq!(outcome.is_ok(), allowed, "{role:?}");
        let refused = matches!(outcome, Err(GraphError::Refused { .. }));
        assert_eq!(refused, !allowed, "{role:?}");
        assert_eq!(server.seen().len() - before, usize::from(allowed));
    }
}

#[tokio::test]
async fn work_is_measured() {
    let server = Server::start(|seen, number| match number {
        1 => text(429, "").with("Retry-After", 1),
        2 => reply(200, json!({"value": []})).with("x-ms-resource-unit", 7),
        3 => reply(403, json!({"error": {"code": "Denied"}})),
        5 => reply(
            200,
            responses(
                seen,
                |_, request| json!({"id": request["id"], "status": 200, "body": {"value": []}}),
            ),
        )
        .with("x-ms-resource-unit", 1),
        _ => reply(
            200,
            responses(seen, |place, request| match place {
                0 => json!({"id": request["id"], "status": 403, "headers": {"x-ms-resource-unit": "2"}, "body": {}}),
                _ => json!({"id": request["id"], "status": 200, "headers": {"X-MS-Resource-Unit": 4}, "body": {"value": []}}),
            }),
        )
        // What the batch says of itself is not what its parts cost.
        .with("x-ms-resource-unit", 1),
    })
    .await;
    let reader = server.reader();
    let (_, effort) = measured(reader.subscribed_skus()).await;
    let bytes = r#"{"value":[]}"#.len() as u64;
    let expected = Effort {
        pages: 0,
        requests: 2,
        units: 3 + 7,
        retries: 1,
        throttled: 1,
        refused: 0,
        bytes,
    };
    assert_eq!(effort, expected);
    let (_, effort) = measured(async {
        reader.subscribed_skus().await.unwrap_err();
        reader.first_pages(&[members(1), members(2)]).await.unwrap()
    })
    .await;
    let spent = (effort.requests, effort.units, effort.refused);
    assert_eq!(spent, (2, 3 + 6, 2));
    let (_, effort) = measured(reader.first_pages(&[members(1), members(2)])).await;
    assert_eq!(
        effort.units, 4,
        "parts that say nothing cost what was estimated"
    );
}

#[tokio::test]
async fn an_expired_change_token_is_final_and_says_so() {
    let check = async |status, code: &'static str, expected: bool| {
        let body = json!({"error": {"code": code, "message": "x"}});
        let server = Server::start(move |_, _| reply(status, body.clone())).await;
        let error = server.reader().subscribed_skus().await.unwrap_err();
        let resync = error.reason() == reason::RESYNC_REQUIRED;
        assert_eq!(resync, expected, "{status} {code}: {error}");
        assert_eq!(server.seen().len(), 1);
        if expected {
            assert_eq!(error.kind(), ErrorKind::Conflict);
            let text = "graph no longer knows the change token of /subscribedSkus";
            assert_eq!(error.to_string(), text);
        }
    };
    check(410, "", true).await;
    check(410, "Gone", true).await;
    check(400, "syncStateNotFound", true).await;
    check(400, "SyncStateInvalid", true).await;
    check(404, "resyncRequired", true).await;
    check(404, "Request_ResourceNotFound", false).await;
    check(400, "Request_BadRequest", false).await;
}
