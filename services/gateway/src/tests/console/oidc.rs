//! Signing in at an identity provider, which is a small server of this test.

use super::super::stage::{Browser, Page, Stage, stage_with};
use super::super::support::{OPERATOR, listener};
use crate::{ConsoleConfig, OidcConfig};
use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use http::StatusCode;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use url::{Url, form_urlencoded};

/// What the provider says, and what it was asked.
#[derive(Default)]
struct Provider {
    issuer: Mutex<String>,
    token: Mutex<String>,
    nonce: Mutex<String>,
    asked: Mutex<Vec<HashMap<String, String>>>,
}

async fn discovery(State(provider): State<Arc<Provider>>) -> Json<Value> {
    let issuer = provider.issuer.lock().expect("unpoisoned").clone();
    Json(json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize?tenant=x"),
        "token_endpoint": format!("{issuer}/token"),
    }))
}

async fn token(State(provider): State<Arc<Provider>>, body: String) -> Json<Value> {
    let form = form_urlencoded::parse(body.as_bytes())
        .into_owned()
        .collect();
    provider.asked.lock().expect("unpoisoned").push(form);
    let nonce = provider.nonce.lock().expect("unpoisoned").clone();
    let claims = BASE64_URL_SAFE_NO_PAD.encode(json!({ "nonce": nonce }).to_string());
    let token = provider.token.lock().expect("unpoisoned").clone();
    Json(json!({
        "access_token": token,
        "id_token": format!("e30.{claims}.c2ln"),
        "token_type": "Bearer",
    }))
}

async fn provider() -> Arc<Provider> {
    let (listener, address) = listener().await;
    let provider = Arc::new(Provider {
        issuer: Mutex::new(format!("http://{address}")),
        token: Mutex::new(OPERATOR.to_owned()),
        ..Provider::default()
    });
    let router = Router::new()
        .route("/.well-known/openid-configuration", get(discovery))
        .route("/token", post(token))
        .with_state(Arc::clone(&provider));
    tokio::spawn(async move { axum::serve(listener, router).await });
    provider
}

async fn before(provider: &Provider) -> Stage {
    let issuer = provider.issuer.lock().expect("unpoisoned").clone();
    stage_with(ConsoleConfig {
        oidc: Some(OidcConfig {
            issuer,
            client_id: "console".to_owned(),
            client_secret_file: None,
            scope: "openid api://rewind/.default".to_owned(),
            console_url: "https://backup.example/".to_owned(),
        }),
        ..ConsoleConfig::default()
    })
    .await
}

/// Leaves for the provider; what the address there asks for.
async fn leave(browser: &Browser, to: &str) -> HashMap<String, String> {
    let page = browser.get(&format!("/login/provider?to={to}")).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.text);
    let url = Url::parse(page.location()).expect("an address");
    assert_eq!(url.path(), "/authorize");
    url.query_pairs().into_owned().collect()
}

async fn come_back(browser: &Browser, state: &str) -> Page {
    browser
        .get(&format!("/login/callback?code=the-code&state={state}"))
        .await
}

#[tokio::test]
async fn a_code_is_exchanged_for_a_session() {
    let provider = provider().await;
    let stage = before(&provider).await;
    let browser = stage.stranger();
    let form = browser.get("/login?to=%2Ftenants%2Fx").await;
    assert!(
        form.text.contains("/login/provider?to=%2Ftenants%2Fx"),
        "{}",
        form.text
    );
    let asked = leave(&browser, "%2Ftenants%2Fx").await;
    for (name, value) in [
        ("tenant", "x"),
        ("response_type", "code"),
        ("client_id", "console"),
        ("redirect_uri", "https://backup.example/login/callback"),
        ("scope", "openid api://rewind/.default"),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(asked[name], value);
    }
    *provider.nonce.lock().expect("unpoisoned") = asked["nonce"].clone();
    let page = come_back(&browser, &asked["state"]).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.text);
    assert_eq!(page.location(), "/tenants/x");
    assert_eq!(browser.get("/").await.status, StatusCode::OK);
    let exchanged = provider
        .asked
        .lock()
        .expect("unpoisoned")
        .pop()
        .expect("once");
    assert_eq!(exchanged["code"], "the-code");
    assert_eq!(
        exchanged["redirect_uri"],
        "https://backup.example/login/callback"
    );
    let verifier = &exchanged["code_verifier"];
    assert!((43..=128).contains(&verifier.len()));
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, verifier.as_bytes());
    assert_eq!(asked["code_challenge"], BASE64_URL_SAFE_NO_PAD.encode(hash));
    // A code is of use once: the cookie is gone.
    assert_eq!(
        come_back(&browser, &asked["state"]).await.status,
        StatusCode::FORBIDDEN
    );
}

#[tokio::test]
async fn an_answer_that_was_not_asked_for_signs_nobody_in() {
    let provider = provider().await;
    let stage = before(&provider).await;
    // Another state, as from somebody who wants the victim to be signed in as them.
    let browser = stage.stranger();
    let asked = leave(&browser, "").await;
    *provider.nonce.lock().expect("unpoisoned") = asked["nonce"].clone();
    let other = come_back(&browser, "0123").await;
    assert_eq!(other.status, StatusCode::FORBIDDEN);
    // No cookie at all.
    assert_eq!(
        come_back(&stage.stranger(), &asked["state"]).await.status,
        StatusCode::FORBIDDEN
    );
    assert!(
        provider.asked.lock().expect("unpoisoned").is_empty(),
        "no code was spent"
    );
    // Tokens of another attempt.
    let browser = stage.stranger();
    let asked = leave(&browser, "").await;
    *provider.nonce.lock().expect("unpoisoned") = "another".to_owned();
    let page = come_back(&browser, &asked["state"]).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN, "{}", page.text);
    assert_eq!(browser.get("/").await.status, StatusCode::SEE_OTHER);
    // Too late.
    let asked = leave(&browser, "").await;
    *provider.nonce.lock().expect("unpoisoned") = asked["nonce"].clone();
    stage.clock.advance(TimeDelta::seconds(601));
    assert_eq!(
        come_back(&browser, &asked["state"]).await.status,
        StatusCode::FORBIDDEN
    );
}

#[tokio::test]
async fn what_the_provider_refuses_is_told() {
    let provider = provider().await;
    let stage = before(&provider).await;
    let browser = stage.stranger();
    let asked = leave(&browser, "").await;
    let query = format!(
        "error=access_denied&error_description=%3Cb%3Eno&state={}",
        asked["state"]
    );
    let page = browser.get(&format!("/login/callback?{query}")).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert!(page.text.contains("access_denied") && page.text.contains("&#60;b&#62;no"));
    // Known there, not known here.
    *provider.token.lock().expect("unpoisoned") = "some-token-of-somebody".to_owned();
    let asked = leave(&browser, "").await;
    *provider.nonce.lock().expect("unpoisoned") = asked["nonce"].clone();
    let page = come_back(&browser, &asked["state"]).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert!(
        page.text.contains("You may not use this console"),
        "{}",
        page.text
    );
    assert!(!page.text.contains("some-token"));
}

#[tokio::test]
async fn a_provider_that_is_another_one_is_not_used() {
    let provider = provider().await;
    let stage = before(&provider).await;
    *provider.issuer.lock().expect("unpoisoned") = "https://elsewhere.example".to_owned();
    let page = stage.stranger().get("/login/provider").await;
    assert_eq!(page.status, StatusCode::CONFLICT, "{}", page.text);
    assert!(page.text.contains("elsewhere.example"));
}
