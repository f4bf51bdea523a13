//! Tokens: fetched once, renewed when refused, and what a refusal says.

use graph::{Directory, GraphError};
use model::ErrorKind;
use model::error::reason;
use serde_json::json;

use crate::server::{Reply, SECRET, Seen, Server, reply, text};

fn skus(_: &Seen, _: usize) -> Reply {
    reply(200, json!({"value": [{"skuId": "1"}]}))
}

#[tokio::test]
async fn one_token_serves_many_requests() {
    let server = Server::start(skus).await;
    let reader = server.reader();
    let all = futures::future::join_all((0..6).map(|_| reader.subscribed_skus())).await;
    assert!(
        all.iter()
            .all(|skus| skus.as_ref().is_ok_and(|skus| skus.len() == 1))
    );
    let logins = server.logins();
    assert_eq!(logins.len(), 1);
    for part in [
        "client_id=the-application",
        "grant_type=client_credentials",
        "client_secret=very%7Esecret%7Evalue",
        &format!(
            "scope=http%3A%2F%2F127.0.0.1%3A{}%2F.default",
            server.port()
        ),
    ] {
        assert!(
            logins[0].body.contains(part),
            "{part} in {}",
            logins[0].body
        );
    }
    let seen = server.seen();
    assert!(
        seen.iter()
            .all(|seen| seen.header("authorization") == "Bearer token-1")
    );
    assert_eq!(
        seen[0].header("client-request-id"),
        "00000000-0000-0000-0000-000000000007"
    );
    assert_eq!(seen[0].header("x-ms-throttle-priority"), "Low");
    assert_eq!(seen[0].header("prefer"), "include-unknown-enum-members");
}

#[tokio::test]
async fn a_token_is_replaced_five_minutes_before_its_end() {
    let check = async |lifetime: u32, logins: usize| {
        let login =
            move |_: &Seen, _| reply(200, json!({"expires_in": lifetime, "access_token": "t"}));
        let server = Server::with_login(login, skus).await;
        let reader = server.reader();
        reader.subscribed_skus().await.unwrap();
        reader.subscribed_skus().await.unwrap();
        assert_eq!(server.logins().len(), logins, "{lifetime} s");
    };
    check(3599, 1).await;
    check(299, 2).await;
}

#[tokio::test]
async fn a_refused_token_is_renewed_once() {
    let expired = || {
        reply(
            401,
            json!({"error": {"code": "InvalidAuthenticationToken", "message": "Lifetime validation failed."}}),
        )
    };
    let server = Server::start(move |seen, number| {
        if seen.header("authorization") == "Bearer token-1" {
            expired()
        } else {
            skus(seen, number)
        }
    })
    .await;
    assert_eq!(server.reader().subscribed_skus().await.unwrap().len(), 1);
    assert_eq!((server.logins().len(), server.seen().len()), (2, 2));

    let server = Server::start(move |_, _| expired()).await;
    let error = server.reader().subscribed_skus().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the application's credential was refused: InvalidAuthenticationToken: Lifetime validation failed"
    );
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_refused_credential_is_named_by_its_code_and_never_shown() {
    let check = async |status, description: &'static str, expected: &str| {
        let login = move |_: &Seen, _| {
            reply(
                status,
                json!({"error": "invalid_client", "error_description": description}),
            )
        };
        let server = Server::with_login(login, skus).await;
        let error = server.reader().subscribed_skus().await.unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert!(!format!("{error:?}").contains(SECRET));
        assert_eq!(
            (error.kind(), error.reason()),
            (ErrorKind::Denied, reason::CREDENTIAL_REJECTED)
        );
        assert_eq!(
            (server.logins().len(), server.seen().len()),
            (1, 0),
            "a refusal is not tried again"
        );
    };
    check(
        401,
        "AADSTS7000215: Invalid client secret provided: very~secret~value. Ensure that it is the value. Trace ID: 1",
        "the application's credential was refused: AADSTS7000215: Invalid client secret provided: [secret]",
    )
    .await;
    check(
        400,
        "AADSTS90002: Tenant 'x' not found. Check the tenant id.",
        "the application's credential was refused: AADSTS90002: Tenant 'x' not found",
    )
    .await;
    check(
        400,
        "AADSTS700016: Application with identifier 'x' was not found in the directory 'y'. This can happen.",
        "the application's credential was refused: AADSTS700016: Application with identifier 'x' was not found in the directory 'y'",
    )
    .await;
}

#[tokio::test]
async fn a_login_host_that_fails_is_tried_again() {
    let login = |_: &Seen, number| match number {
        1 => text(500, "oops"),
        2 => reply(
            400,
            json!({"error": "temporarily_unavailable", "error_description": "AADSTS90033: A transient error has occurred."}),
        ),
        3 => text(429, "").with("Retry-After", 3),
        _ => reply(200, json!({"expires_in": 3599, "access_token": "t"})),
    };
    let server = Server::with_login(login, skus).await;
    server.reader().subscribed_skus().await.unwrap();
    assert_eq!(server.waited(), [0.5, 1.0, 3.0]);

    let server = Server::with_login(|_: &Seen, _| text(404, "<html>"), skus).await;
    let error = server.reader().subscribed_skus().await.unwrap_err();
    assert!(matches!(error, GraphError::Unexpected { .. }), "{error:?}");
    assert_eq!(
        error.to_string(),
        "graph's answer to the login host is not understood: HTTP 404 without an oauth error"
    );
}

#[tokio::test]
async fn nothing_shows_the_secret() {
    let server = Server::start(skus).await;
    let shown = format!(
        "{:?} {:?} {:?}",
        server.reader(),
        server.writer(),
        crate::server::secret()
    );
    assert!(!shown.contains(SECRET), "{shown}");
}
