//! What passes through the door, and how.

use super::support::{A, OPERATOR, OWNER_A, Sandbox, call, framed, sandbox, with};
use bytes::Bytes;
use prost::Message;
use proto::v1::snapshot_service_client::SnapshotServiceClient;
use proto::v1::*;
use std::time::Duration;
use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

const GET: &str = "/rewind.v1.SnapshotService/GetSnapshot";

fn client(sandbox: &Sandbox) -> SnapshotServiceClient<tonic::transport::Channel> {
    SnapshotServiceClient::new(sandbox.channel.clone())
        .max_decoding_message_size(runtime::MAX_MESSAGE_SIZE)
}

fn name(last: &str) -> String {
    format!("tenants/{A}/snapshots/{last}")
}

#[tokio::test]
async fn a_unary_call_keeps_message_and_metadata() {
    let sandbox = sandbox().await;
    let response = client(&sandbox)
        .get_snapshot(with(OWNER_A, GetSnapshotRequest { name: name("one") }))
        .await
        .expect("answered");
    assert_eq!(response.metadata().get("x-header").expect("kept"), "kept");
    assert!(response.metadata().contains_key("x-request-id"));
    assert_eq!(
        response.into_inner().snapshot.expect("there").name,
        name("one")
    );

    // A field that this gateway's contract does not know is passed on unread.
    let mut bytes = GetSnapshotRequest { name: name("two") }.encode_to_vec();
    bytes.extend([0xfa, 0x3f, 0x01, b'x']);
    let answer = call(&sandbox, GET, Some(OWNER_A), framed(&bytes)).await;
    assert_eq!(answer.status.code(), Code::Ok);
    let expected = GetSnapshotResponse {
        snapshot: Some(Snapshot {
            name: name("two"),
            ..Snapshot::default()
        }),
    };
    assert_eq!(
        answer.body,
        framed(&expected.encode_to_vec()),
        "the bytes are those of the service"
    );
}

#[tokio::test]
async fn an_error_keeps_its_details_and_trailers() {
    let sandbox = sandbox().await;
    let error = client(&sandbox)
        .get_snapshot(with(
            OWNER_A,
            GetSnapshotRequest {
                name: name("fails"),
            },
        ))
        .await
        .expect_err("fails");
    let remote = runtime::status::parse(&error);
    assert_eq!(
        (error.code(), error.message()),
        (Code::FailedPrecondition, "the plan is stale")
    );
    assert_eq!(remote.reason.as_deref(), Some("PLAN_STALE"));
    assert_eq!(error.metadata().get("x-trailer").expect("kept"), "kept");
}

#[tokio::test]
async fn a_stream_keeps_messages_and_its_end() {
    let sandbox = sandbox().await;
    for (last, fails) in [("one", false), ("fails", true)] {
        let mut stream = client(&sandbox)
            .watch_snapshot(with(OWNER_A, WatchSnapshotRequest { name: name(last) }))
            .await
            .expect("answered")
            .into_inner();
        for n in 1..=3 {
            assert_eq!(
                stream
                    .message()
                    .await
                    .expect("ok")
                    .expect("a message")
                    .read_count,
                n
            );
        }
        match stream.message().await {
            Ok(end) => assert!(end.is_none() && !fails),
            Err(error) => {
                assert!(fails);
                assert_eq!(
                    runtime::status::parse(&error).reason.as_deref(),
                    Some("PLAN_STALE")
                );
                assert_eq!(error.metadata().get("x-trailer").expect("kept"), "kept");
            }
        }
    }
}

#[tokio::test]
async fn large_answers_pass_and_large_requests_do_not() {
    let sandbox = sandbox().await;
    let parent = format!("tenants/{A}");
    let list = client(&sandbox)
        .list_snapshots(with(
            OWNER_A,
            ListSnapshotsRequest {
                parent,
                ..Default::default()
            },
        ))
        .await
        .expect("answered");
    assert_eq!(
        list.into_inner().snapshots[0].trigger.len(),
        6 * 1024 * 1024
    );
    let refused = call(
        &sandbox,
        GET,
        Some(OWNER_A),
        framed(&vec![0; 4 * 1024 * 1024 + 1]),
    )
    .await
    .status;
    assert_eq!(
        (refused.code(), refused.message()),
        (Code::InvalidArgument, "the request is larger than 4 MiB")
    );
}

#[tokio::test]
async fn the_service_behind_sees_who_calls_and_never_the_token() {
    let sandbox = sandbox().await;
    let mut request = with(OWNER_A, GetSnapshotRequest { name: name("one") });
    for (key, value) in [
        ("x-rewind-caller", "forged"),
        ("x-rewind-other", "forged"),
        ("x-request-id", "call-1"),
        ("traceparent", "00-1"),
    ] {
        request
            .metadata_mut()
            .insert(key, value.parse().expect("fit"));
    }
    request.set_timeout(Duration::from_secs(7));
    let response = client(&sandbox)
        .get_snapshot(request)
        .await
        .expect("answered");
    assert_eq!(
        response.metadata().get("x-request-id").expect("there"),
        "call-1"
    );
    let mut unfit = with(OWNER_A, GetSnapshotRequest { name: name("one") });
    unfit
        .metadata_mut()
        .insert("x-request-id", "a b".parse().expect("fit"));
    client(&sandbox)
        .get_snapshot(unfit)
        .await
        .expect("answered");

    let seen = sandbox.fake.seen.lock().expect("unpoisoned");
    let value = |n: usize, key: &str| {
        seen[n]
            .get(key)
            .map(|value| value.to_str().expect("text").to_owned())
    };
    assert_eq!(value(0, "x-rewind-caller").as_deref(), Some("owner"));
    assert_eq!(value(0, "x-rewind-other"), None);
    assert_eq!(value(0, "authorization"), None);
    assert_eq!(value(0, "x-request-id").as_deref(), Some("call-1"));
    assert_eq!(value(0, "traceparent").as_deref(), Some("00-1"));
    assert!(
        value(0, "grpc-timeout").is_some(),
        "the deadline is passed on"
    );
    assert_eq!(value(1, "x-request-id").expect("a fresh one").len(), 36);
}

#[tokio::test]
async fn a_deadline_ends_a_call_that_hangs() {
    let sandbox = sandbox().await;
    let mut request = with(OWNER_A, GetSnapshotRequest { name: name("slow") });
    request.set_timeout(Duration::from_millis(100));
    let error = client(&sandbox)
        .get_snapshot(request)
        .await
        .expect_err("the deadline passed");
    assert!(
        matches!(error.code(), Code::DeadlineExceeded | Code::Cancelled),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_service_out_of_reach_is_named() {
    let sandbox = sandbox().await;
    let mut client =
        proto::v1::diff_service_client::DiffServiceClient::new(sandbox.channel.clone());
    let request = with(
        OWNER_A,
        GetReportRequest {
            name: format!("tenants/{A}/reports/x"),
        },
    );
    let error = client.get_report(request).await.expect_err("nobody there");
    assert_eq!(
        (error.code(), error.message()),
        (Code::Unavailable, "the differ cannot be reached")
    );
    assert_eq!(
        runtime::status::parse(&error).reason.as_deref(),
        Some("BACKEND_UNAVAILABLE")
    );
}

#[tokio::test]
async fn only_one_plain_message_is_taken() {
    let sandbox = sandbox().await;
    let one = framed(&GetSnapshotRequest { name: name("one") }.encode_to_vec());
    let mut compressed = one.to_vec();
    compressed[0] = 1;
    let cases: [(Bytes, &str); 5] = [
        (Bytes::new(), "the request holds no message"),
        (
            one.slice(..one.len() - 1),
            "the request does not hold exactly one message",
        ),
        (
            [one.clone(), one.clone()].concat().into(),
            "the request does not hold exactly one message",
        ),
        (compressed.into(), "compressed requests are not taken"),
        (
            framed(&[0xff]),
            "the request is not the message that the method takes",
        ),
    ];
    for (body, text) in cases {
        let status = call(&sandbox, GET, Some(OWNER_A), body).await.status;
        assert_eq!(
            (status.code(), status.message()),
            (Code::InvalidArgument, text)
        );
    }
}

#[tokio::test]
async fn of_a_field_given_twice_the_one_that_counts_is_checked() {
    let sandbox = sandbox().await;
    let own = GetSnapshotRequest { name: name("one") }.encode_to_vec();
    let foreign = GetSnapshotRequest {
        name: format!("tenants/{}/snapshots/one", super::support::B),
    }
    .encode_to_vec();
    let status = call(
        &sandbox,
        GET,
        Some(OWNER_A),
        framed(&[own.clone(), foreign.clone()].concat()),
    )
    .await
    .status;
    assert_eq!(
        status.code(),
        Code::PermissionDenied,
        "the service would read the last one"
    );
    let answer = call(
        &sandbox,
        GET,
        Some(OWNER_A),
        framed(&[foreign, own].concat()),
    )
    .await;
    assert_eq!(answer.status.code(), Code::Ok);
    assert_eq!(
        GetSnapshotResponse::decode(&answer.body[5..])
            .expect("a message")
            .snapshot
            .expect("there")
            .name,
        name("one")
    );
}

#[tokio::test]
async fn health_is_open_and_other_content_is_not_taken() {
    let sandbox = sandbox().await;
    let mut health = HealthClient::new(sandbox.channel.clone());
    for service in ["", "rewind.v1.TenantService", "rewind.v1.RestoreService"] {
        health
            .check(Request::new(HealthCheckRequest {
                service: service.to_owned(),
            }))
            .await
            .expect("serving");
    }
    let request = http::Request::post(GET)
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {OPERATOR}"));
    let request = request.body(tonic::body::Body::empty()).expect("valid");
    let response = tower::ServiceExt::oneshot(sandbox.channel.clone(), request)
        .await
        .expect("answered");
    assert_eq!(response.status(), http::StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn reflection_is_open_and_names_what_the_contract_holds() {
    let sandbox = sandbox().await;
    let ask = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = ServerReflectionClient::new(sandbox.channel.clone());
    let mut answers = client
        .server_reflection_info(tokio_stream::once(ask))
        .await
        .expect("answered")
        .into_inner();
    let answer = answers
        .message()
        .await
        .expect("answered")
        .expect("one")
        .message_response;
    let Some(MessageResponse::ListServicesResponse(list)) = answer else {
        panic!("{answer:?}")
    };
    for service in [
        "rewind.v1.TenantService",
        "rewind.v1.RestoreService",
        "grpc.health.v1.Health",
    ] {
        assert!(
            list.service.iter().any(|listed| listed.name == service),
            "{service}"
        );
    }
}
