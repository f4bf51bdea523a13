//! What crosses the door: certificates, gRPC-Web, and the word for who calls.

use super::issuer::NOW;
use super::support::{
    A, B, NOBODY, OWNER_A, OWNER_B, Sandbox, framed, sandbox, sandbox_configured, with,
};
use crate::access::Table;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use chrono::{TimeZone, Utc};
use prost::Message;
use proto::v1::snapshot_service_client::SnapshotServiceClient;
use proto::v1::{GetSnapshotRequest, GetSnapshotResponse};
use rcgen::{CertificateParams, KeyPair, SanType};
use runtime::ManualClock;
use runtime::caller::{Check, Keys};
use runtime::config::TlsPaths;
use runtime::tls::{Clients, Tls};
use std::path::Path;
use std::sync::Arc;
use tonic::{Code, Request, Status};

const GET: &str = "/rewind.v1.SnapshotService/GetSnapshot";

fn asked(tenant: &str) -> GetSnapshotRequest {
    GetSnapshotRequest {
        name: format!("tenants/{tenant}/snapshots/one"),
    }
}

/// A certificate that signed itself, in files of this name.
fn certificate(folder: &Path, name: &str, alternative: SanType) -> TlsPaths {
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![alternative];
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, name);
    let key = KeyPair::generate().expect("a key");
    let made = params.self_signed(&key).expect("made");
    let path = |end: &str| folder.join(format!("{name}.{end}"));
    std::fs::write(path("crt"), made.pem()).expect("written");
    std::fs::write(path("key"), key.serialize_pem()).expect("written");
    TlsPaths {
        cert: path("crt"),
        key: path("key"),
        ca: None,
    }
}

fn uri(name: &str) -> SanType {
    SanType::URI(name.try_into().expect("a URI"))
}

#[tokio::test]
async fn a_client_certificate_tells_who_calls_where_no_token_does() {
    runtime::tls::install_provider();
    let folder = tempfile::tempdir().expect("a folder");
    let host = SanType::DnsName("localhost".try_into().expect("a host"));
    let server = certificate(folder.path(), "server", host);
    let known = certificate(folder.path(), "known", uri("spiffe://contoso/a"));
    let other = certificate(folder.path(), "other", uri("spiffe://contoso/other"));
    let strange = certificate(folder.path(), "strange", uri("spiffe://contoso/a"));
    let read = |path: &Path| std::fs::read_to_string(path).expect("there");
    let authorities = folder.path().join("ca.crt");
    let signed = [&known, &other].map(|paths| read(&paths.cert)).concat();
    std::fs::write(&authorities, signed).expect("written");
    let tls = TlsPaths {
        ca: Some(authorities),
        ..server.clone()
    };
    let sandbox = sandbox_configured(|config| {
        config.common.tls = Some(tls);
        config.clients = Clients::Any;
    })
    .await;
    let url = format!("https://localhost:{}", sandbox.address.port());
    let client = |shown: Option<&TlsPaths>| {
        let tls = match shown {
            Some(paths) => Tls::load(&TlsPaths {
                ca: Some(server.cert.clone()),
                ..paths.clone()
            }),
            None => Tls::trusting(&server.cert),
        };
        let tls = tls.expect("read");
        SnapshotServiceClient::new(runtime::connect(&url, Some(&tls)).expect("an address"))
    };
    let code = |answer: Result<_, Status>| answer.map_or_else(|it| it.code(), |_| Code::Ok);
    let ask = |shown, request: Request<GetSnapshotRequest>| {
        let mut client = client(shown);
        async move { client.get_snapshot(request).await.map(drop) }
    };
    let plain = |tenant| Request::new(asked(tenant));
    for (shown, request, expected) in [
        (Some(&known), plain(A), Code::Ok),
        (Some(&known), plain(B), Code::PermissionDenied),
        (Some(&known), with(OWNER_B, asked(B)), Code::Ok),
        (
            Some(&known),
            with("unknown-0123456789", asked(A)),
            Code::Unauthenticated,
        ),
        (Some(&other), plain(A), Code::Unauthenticated),
        (None, plain(A), Code::Unauthenticated),
        (None, with(OWNER_A, asked(A)), Code::Ok),
    ] {
        let what = format!("{:?} {request:?}", shown.map(|paths| &paths.cert));
        assert_eq!(code(ask(shown, request).await), expected, "{what}");
    }
    // Nobody signed this one, whatever it says.
    let refused = ask(Some(&strange), plain(A))
        .await
        .expect_err("no connection");
    assert_ne!(refused.code(), Code::PermissionDenied, "{refused:?}");
    let seen = sandbox.fake.seen.lock().expect("unpoisoned");
    assert_eq!(seen[0].get("x-rewind-caller").expect("there"), "ci");
}

#[tokio::test]
async fn the_service_behind_can_check_who_vouches_for_the_caller() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = folder.path().join("caller.key");
    std::fs::write(&key, BASE64_STANDARD.encode([7; 32])).expect("written");
    let file = key.clone();
    let sandbox = sandbox_configured(|config| config.common.caller_key_file = Some(file)).await;
    let mut client = SnapshotServiceClient::new(sandbox.channel.clone());
    let request = with(OWNER_A, asked(A));
    client.get_snapshot(request).await.expect("answered");
    let seen = sandbox.fake.seen.lock().expect("unpoisoned")[0].clone();
    let headers = seen.into_headers();
    let now = Utc.timestamp_opt(NOW, 0).single().expect("a time");
    let clock = Arc::new(ManualClock::new(now));
    let check = Check::new(Keys::load(&key).expect("a key"), clock.clone());
    check.verify(GET, &headers).expect("signed");
    let signature = headers["x-rewind-caller-signature"].to_str().expect("text");
    assert!(signature.contains(A), "{signature}");
    let other = "/rewind.v1.SnapshotService/TakeSnapshot";
    check.verify(other, &headers).expect_err("another method");
    clock.advance(chrono::TimeDelta::minutes(2));
    check.verify(GET, &headers).expect_err("another time");
}

/// A call as a browser makes it, over HTTP/1.1: the message, and the status.
async fn from_browser(
    sandbox: &Sandbox,
    path: &str,
    token: Option<&str>,
    message: &[u8],
) -> (Option<Bytes>, String) {
    let url = format!("http://{}{path}", sandbox.address);
    let client = reqwest::Client::builder().no_proxy().build().expect("TLS");
    let mut request = client
        .post(url)
        .header("content-type", "application/grpc-web+proto")
        .header("x-grpc-web", "1")
        .body(framed(message));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let answer = request.send().await.expect("answered");
    assert_eq!(answer.version(), reqwest::Version::HTTP_11);
    assert_eq!(
        answer.headers()["content-type"],
        "application/grpc-web+proto"
    );
    let status = answer.headers().get("grpc-status").cloned();
    let status = status.map(|value| value.to_str().expect("text").to_owned());
    let mut body = answer.bytes().await.expect("whole");
    let (mut message, mut trailers) = (None, String::new());
    while !body.is_empty() {
        let head = body.split_to(5);
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
        let part = body.split_to(usize::try_from(length).expect("small"));
        match head[0] {
            0 => message = Some(part),
            0x80 => trailers = String::from_utf8(part.to_vec()).expect("text"),
            other => panic!("a frame of kind {other}"),
        }
    }
    let trailer = trailers
        .lines()
        .find_map(|line| line.strip_prefix("grpc-status:"));
    let status = status.or_else(|| trailer.map(|it| it.trim().to_owned()));
    (message, status.expect("a status"))
}

#[tokio::test]
async fn a_browser_calls_as_grpc_web() {
    runtime::tls::install_provider();
    let sandbox = sandbox().await;
    let (message, status) =
        from_browser(&sandbox, GET, Some(OWNER_A), &asked(A).encode_to_vec()).await;
    assert_eq!(status, "0");
    let answer = GetSnapshotResponse::decode(message.expect("one")).expect("a message");
    assert_eq!(answer.snapshot.expect("there").name, asked(A).name);
}

#[tokio::test]
async fn a_browser_gets_through_to_nothing_that_it_may_not() {
    runtime::tls::install_provider();
    let sandbox = sandbox().await;
    let table = Table::new(proto::json::pool()).expect("consistent");
    let foreign = asked(A).encode_to_vec();
    for path in table.paths() {
        for (token, message, expected) in [
            (None, &[][..], Code::Unauthenticated),
            (Some("unknown-0123456789"), &[], Code::Unauthenticated),
            (Some(NOBODY), &[], Code::PermissionDenied),
        ] {
            let (answer, status) = from_browser(&sandbox, path, token, message).await;
            assert_eq!(status, (expected as i32).to_string(), "{path} {token:?}");
            assert_eq!(answer, None, "{path}");
        }
    }
    let (answer, status) = from_browser(&sandbox, GET, Some(OWNER_B), &foreign).await;
    assert_eq!((answer, status.as_str()), (None, "7"));
}

#[tokio::test]
async fn probes_need_nobody_and_what_is_too_large_at_the_way_in_is_not_read() {
    runtime::tls::install_provider();
    let sandbox = sandbox().await;
    let client = reqwest::Client::builder().no_proxy().build().expect("TLS");
    let url = |path: &str| format!("http://{}{path}", sandbox.address);
    for path in ["/healthz", "/readyz"] {
        let answer = client.get(url(path)).send().await.expect("answered");
        assert_eq!(answer.status(), reqwest::StatusCode::OK, "{path}");
    }
    let answer = client
        .post(url("/login"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("token={}", "x".repeat(64 * 1024)))
        .send()
        .await;
    // The connection may break while the rest is still sent.
    assert!(!answer.is_ok_and(|it| it.status().is_success()));
}
