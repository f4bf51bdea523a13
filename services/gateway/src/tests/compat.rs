//! The Microsoft-compatible API at the door: who gets in, and what refusals look like.

use super::support::{A, B, NOBODY, OPERATOR, OWNER_A, OWNER_B, Sandbox, UNKNOWN, sandbox};
use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tonic::body::Body;
use tower::ServiceExt;

const SNAPSHOT: &str = "MjAyNC0wOC0yNlQwMjozMDowMFo=";
const PREVIEW: &str = "20261128-0304-8050-8123-456789abcdef";
const RECOVERY: &str = "20261128-0304-8050-9123-456789abcdef";

/// Every resource and operation, each with a method that it takes.
fn routes() -> Vec<(Method, String)> {
    let of = format!("snapshots/{SNAPSHOT}");
    let space = "microsoft.graph.entraRecoveryServices";
    let get = [
        String::new(),
        "/snapshots".to_owned(),
        "/snapshots/$count".to_owned(),
        format!("/{of}"),
        format!("/{of}/recoveryPreviewJobs"),
        format!("/{of}/recoveryPreviewJobs/$count"),
        format!("/{of}/recoveryPreviewJobs/{PREVIEW}"),
        format!("/{of}/recoveryPreviewJobs/{PREVIEW}/{space}.getChanges"),
        format!("/{of}/recoveryJobs"),
        format!("/{of}/recoveryJobs/$count"),
        format!("/{of}/recoveryJobs/{RECOVERY}"),
        format!("/{of}/recoveryJobs/{RECOVERY}/{space}.getFailedChanges"),
        "/jobs".to_owned(),
        "/jobs/$count".to_owned(),
        format!("/jobs/{PREVIEW}"),
        format!("/jobs/{RECOVERY}"),
    ];
    let post = [
        format!("/{of}/recoveryPreviewJobs"),
        format!("/{of}/recoveryJobs"),
        format!("/jobs/{PREVIEW}/{space}.cancel"),
        format!("/jobs/{RECOVERY}/cancel"),
    ];
    let get = get.into_iter().map(|path| (Method::GET, path));
    let post = post.into_iter().map(|path| (Method::POST, path));
    get.chain(post).collect()
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

async fn ask(
    sandbox: &Sandbox,
    method: Method,
    uri: &str,
    token: Option<&str>,
    body: Bytes,
) -> Answer {
    let mut request = Request::builder()
        .method(method)
        .uri(uri)
        .header(CONTENT_TYPE, "application/json");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let request = request.body(Body::new(Full::new(body))).expect("valid");
    let channel = sandbox.channel.clone();
    let answer = channel.oneshot(request).await.expect("answered");
    let (parts, body) = answer.into_parts();
    let bytes = body.collect().await.expect("whole").to_bytes();
    Answer {
        status: parts.status,
        headers: parts.headers,
        body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
    }
}

fn uri(tenant: &str, version: &str, path: &str) -> String {
    format!("/{tenant}/{version}/directory/recovery{path}")
}

/// A refusal without what differs from one request to the next.
fn bare(mut answer: Answer) -> (StatusCode, Value) {
    let inner = &mut answer.body["error"]["innerError"];
    for name in ["date", "request-id", "client-request-id"] {
        assert!(inner[name].is_string(), "{name}: {inner}");
        inner[name] = Value::Null;
    }
    (answer.status, answer.body)
}

#[tokio::test]
async fn nothing_answers_without_a_known_token() {
    let sandbox = sandbox().await;
    for (method, path) in routes() {
        for version in ["v1.0", "beta"] {
            for token in [None, Some("unknown-0123456789"), Some("")] {
                let uri = uri(A, version, &path);
                let answer = ask(&sandbox, method.clone(), &uri, token, Bytes::new()).await;
                assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{uri}");
                assert_eq!(answer.headers[WWW_AUTHENTICATE], "Bearer");
                assert_eq!(answer.headers[CACHE_CONTROL], "no-store");
                assert_eq!(answer.body["error"]["code"], "InvalidAuthenticationToken");
            }
        }
    }
}

#[tokio::test]
async fn a_foreign_tenant_an_unknown_tenant_and_a_missing_role_look_alike() {
    let sandbox = sandbox().await;
    for (method, path) in routes() {
        let mut seen = Vec::new();
        for (token, tenant) in [
            (OWNER_B, A),
            (OWNER_A, B),
            (OWNER_A, UNKNOWN),
            (NOBODY, A),
            (NOBODY, UNKNOWN),
        ] {
            let uri = uri(tenant, "v1.0", &path);
            let answer = ask(&sandbox, method.clone(), &uri, Some(token), Bytes::new()).await;
            seen.push(bare(answer));
        }
        assert_eq!(seen[0].0, StatusCode::FORBIDDEN, "{path}");
        assert_eq!(seen[0].1["error"]["code"], "Authorization_RequestDenied");
        assert!(seen.iter().all(|one| *one == seen[0]), "{path}: {seen:?}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_told_in_graphs_form() {
    let sandbox = sandbox().await;
    let make = format!("/snapshots/{SNAPSHOT}/recoveryJobs");
    let large = Bytes::from(vec![b' '; 1024 * 1024 + 1]);
    let none = Bytes::new;
    for (method, uri, body, status, code) in [
        (
            Method::GET,
            uri(A, "v1.0", "/else"),
            none(),
            404,
            "Request_ResourceNotFound",
        ),
        (
            Method::GET,
            uri(A, "v1.0", "/snapshots?$top=0"),
            none(),
            400,
            "Request_BadRequest",
        ),
        (
            Method::GET,
            uri(A, "v1.0", "/snapshots?$expand=x"),
            none(),
            400,
            "Request_BadRequest",
        ),
        (
            Method::GET,
            uri("common", "v1.0", "/snapshots"),
            none(),
            400,
            "Request_BadRequest",
        ),
        (
            Method::GET,
            uri(A, "v1.0", "/snapshots/x"),
            none(),
            404,
            "Request_ResourceNotFound",
        ),
        (
            Method::GET,
            uri(A, "v1.0", "/jobs/x"),
            none(),
            404,
            "Request_ResourceNotFound",
        ),
        (
            Method::DELETE,
            uri(A, "v1.0", "/snapshots/x"),
            none(),
            405,
            "Request_MethodNotAllowed",
        ),
        (
            Method::POST,
            uri(A, "v1.0", &make),
            Bytes::from("{"),
            400,
            "Request_BadRequest",
        ),
        (
            Method::POST,
            uri(A, "v1.0", &make),
            large,
            413,
            "RequestEntityTooLarge",
        ),
        (
            Method::POST,
            uri(A, "v1.0", &make),
            none(),
            404,
            "Request_ResourceNotFound",
        ),
    ] {
        let answer = ask(&sandbox, method, &uri, Some(OPERATOR), body).await;
        assert_eq!(answer.status.as_u16(), status, "{uri}: {}", answer.body);
        assert_eq!(answer.body["error"]["code"], code, "{uri}");
        assert_eq!(answer.headers.contains_key(ALLOW), status == 405, "{uri}");
        assert!(!answer.headers.contains_key(LOCATION));
    }
}

#[tokio::test]
async fn a_service_that_is_away_is_said_to_be() {
    let sandbox = sandbox().await;
    let uri = uri(A, "beta", "/jobs");
    let answer = ask(&sandbox, Method::GET, &uri, Some(OPERATOR), Bytes::new()).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers.contains_key(RETRY_AFTER));
    assert_eq!(
        answer.body["error"]["innerError"]["code"],
        "BACKEND_UNAVAILABLE"
    );
}

#[tokio::test]
async fn lists_and_the_service_itself_have_graphs_form() {
    let sandbox = sandbox().await;
    let listed = uri(A, "v1.0", "/snapshots?$count=true");
    let answer = ask(&sandbox, Method::GET, &listed, Some(OWNER_A), Bytes::new()).await;
    assert_eq!(answer.status, StatusCode::OK);
    let kind = answer.headers[CONTENT_TYPE].to_str().expect("a text");
    assert!(
        kind.starts_with("application/json;odata.metadata=minimal"),
        "{kind}"
    );
    assert_eq!(
        (&answer.body["value"], &answer.body["@odata.count"]),
        (&json!([]), &json!(0))
    );
    let context = answer.body["@odata.context"].as_str().expect("a text");
    assert!(
        context.ends_with(&format!("/{A}/v1.0/$metadata#directory/recovery/snapshots")),
        "{context}"
    );
    let answer = ask(
        &sandbox,
        Method::GET,
        &uri(A, "beta", ""),
        Some(OWNER_A),
        Bytes::new(),
    )
    .await;
    assert_eq!(
        (answer.status, &answer.body["id"]),
        (StatusCode::OK, &json!(A))
    );
    let count = uri(A, "beta", "/snapshots/$count");
    let answer = ask(&sandbox, Method::GET, &count, Some(OWNER_A), Bytes::new()).await;
    assert_eq!(answer.body, json!(0));
    assert_eq!(answer.headers[CONTENT_TYPE], "text/plain");
}
