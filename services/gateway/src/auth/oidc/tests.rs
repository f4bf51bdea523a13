//! Tokens that count and tokens that do not, and keys that change.

use super::*;
use crate::tests::issuer::{AUDIENCE, FakeIssuer, NOW, SigningKey, unsigned};
use chrono::TimeZone;
use jsonwebtoken::Header;
use keys::PAUSE;
use runtime::ManualClock;
use serde_json::json;

struct World {
    issuer: FakeIssuer,
    key: SigningKey,
    clock: Arc<ManualClock>,
    oidc: Oidc,
}

async fn world() -> World {
    runtime::tls::install_provider();
    let key = SigningKey::ec("one");
    let issuer = FakeIssuer::start(&[&key]).await;
    let now = Utc.timestamp_opt(NOW, 0).single().expect("a time");
    let clock = Arc::new(ManualClock::new(now));
    let audiences = format!("other, {AUDIENCE}");
    let settings = Issuer::new(&issuer.url, &audiences, Claims::default()).expect("fit");
    let oidc = Oidc::new(settings, clock.clone()).expect("TLS");
    World {
        issuer,
        key,
        clock,
        oidc,
    }
}

/// Lets time pass at once. It is not stopped otherwise: stopped time runs ahead while
/// sockets are waited for, and every answer would be late.
async fn later(by: std::time::Duration) {
    tokio::time::pause();
    tokio::time::advance(by).await;
    tokio::time::resume();
}

impl World {
    async fn refusal(&self, token: &str) -> String {
        let refused = self.oidc.identity(token).await;
        refused.expect_err("it does not count").to_string()
    }

    async fn counts(&self, token: &str) -> bool {
        self.oidc.identity(token).await.is_ok()
    }

    /// Claims that count but for some members.
    fn but(&self, members: Value) -> Value {
        let mut claims = self.issuer.claims("anna", &["RewindReader"]);
        for (name, value) in members.as_object().expect("an object") {
            match value {
                Value::Null => drop(claims.as_object_mut().expect("claims").remove(name)),
                value => claims[name] = value.clone(),
            }
        }
        claims
    }
}

#[tokio::test]
async fn a_token_tells_who_bears_it() {
    let world = world().await;
    let token = world.key.sign(&world.but(json!({"oid": "o", "tid": "t"})));
    let identity = world.oidc.identity(&token).await.expect("it counts");
    assert_eq!(model::person::shown(&identity.name), "anna@contoso.com");
    assert_eq!(identity.called.as_deref(), Some("anna@contoso.com"));
    assert_eq!(identity.subjects, ["anna", "o"]);
    assert_eq!(identity.values, ["RewindReader"]);
    for audience in [json!("other"), json!([AUDIENCE]), json!(["x", AUDIENCE])] {
        let token = world.key.sign(&world.but(json!({"aud": audience})));
        assert!(world.counts(&token).await);
    }
    assert_eq!(world.issuer.fetched(), 1, "the keys are kept");
}

#[tokio::test]
async fn claims_that_are_wrong_or_missing_do_not_count() {
    let world = world().await;
    for (members, why) in [
        (
            json!({"iss": format!("{}/", world.issuer.url)}),
            "another issuer",
        ),
        (json!({"iss": null}), "another issuer"),
        (json!({"aud": "api://rewind2"}), "another audience"),
        (json!({"aud": ["api://rewind2"]}), "another audience"),
        (json!({"aud": []}), "another audience"),
        (json!({"aud": ""}), "another audience"),
        (json!({"aud": null}), "another audience"),
        (json!({"exp": NOW - 60}), "expired"),
        (json!({"exp": null}), "no exp"),
        (json!({"exp": "4000000000"}), "no exp"),
        (json!({"nbf": NOW + 61}), "not valid yet"),
        (json!({"nbf": "0"}), "not valid yet"),
        (json!({"sub": null}), "no sub"),
        (json!({"sub": ""}), "no sub"),
    ] {
        let token = world.key.sign(&world.but(members.clone()));
        assert_eq!(world.refusal(&token).await, why, "{members}");
    }
    for members in [
        json!({"exp": NOW - 59}),
        json!({"nbf": NOW + 60}),
        json!({"nbf": null}),
    ] {
        let token = world.key.sign(&world.but(members.clone()));
        assert!(world.counts(&token).await, "{members}");
    }
}

#[tokio::test]
async fn a_token_expires_by_the_programs_clock() {
    let world = world().await;
    let token = world.key.sign(&world.but(json!({})));
    assert!(world.counts(&token).await);
    world.clock.advance(chrono::TimeDelta::seconds(3659));
    assert!(world.counts(&token).await);
    world.clock.advance(chrono::TimeDelta::seconds(1));
    assert_eq!(world.refusal(&token).await, "expired");
}

#[tokio::test]
async fn forged_tokens_do_not_count() {
    let world = world().await;
    let claims = world.but(json!({}));
    let good = world.key.sign(&claims);
    let taken = "an algorithm that is not taken";
    assert_eq!(world.refusal(&unsigned(&claims)).await, "no JWT");
    assert_eq!(world.refusal(&world.key.confused(&claims)).await, taken);
    let other = SigningKey::ec("one");
    let why = "a signature of another key";
    assert_eq!(world.refusal(&other.sign(&claims)).await, why);
    let (head, _) = good.rsplit_once('.').expect("three parts");
    assert_eq!(world.refusal(&format!("{head}.")).await, why);
    let (_, signature) = good.rsplit_once('.').expect("three parts");
    let payload = unsigned(&world.but(json!({"sub": "ben"})));
    let payload = payload.split('.').nth(1).expect("claims");
    let head = good.split('.').next().expect("a header");
    let mixed = format!("{head}.{payload}.{signature}");
    assert_eq!(world.refusal(&mixed).await, why);
    // The right kind of algorithm for the wrong kind of key.
    let rsa = SigningKey::rsa("one", Algorithm::RS256);
    let why = "a key that the issuer does not have";
    assert_eq!(world.refusal(&rsa.sign(&claims)).await, why);
    for junk in ["", "a", "a.b.c", "..", &"x".repeat(LONGEST + 1)] {
        assert!(!world.counts(junk).await);
    }
    assert!(world.counts(&good).await);
}

#[tokio::test]
async fn each_algorithm_that_issuers_use_is_taken() {
    let world = world().await;
    let keys = [
        SigningKey::rsa("r", Algorithm::RS256),
        SigningKey::rsa("p", Algorithm::PS256),
        SigningKey::ec("e"),
    ];
    world.issuer.serve(&keys.each_ref());
    let claims = world.but(json!({}));
    for key in &keys {
        assert!(
            world.counts(&key.sign(&claims)).await,
            "{:?}",
            key.algorithm
        );
    }
    // Each of the RSA keys is for one algorithm alone, as the issuer says.
    let mut header = Header::new(Algorithm::PS256);
    header.kid = Some("r".to_owned());
    let why = "a key that the issuer does not have";
    assert_eq!(world.refusal(&keys[0].sign_as(&header, &claims)).await, why);
    // Without an id, the only key of the kind is meant; of two none is.
    let mut header = Header::new(Algorithm::ES256);
    header.kid = None;
    let token = keys[2].sign_as(&header, &claims);
    assert!(world.counts(&token).await);
}

#[tokio::test]
async fn without_an_id_two_keys_of_a_kind_are_none() {
    let world = world().await;
    let second = SigningKey::ec("two");
    world.issuer.serve(&[&world.key, &second]);
    let token = second.sign_as(&Header::new(Algorithm::ES256), &world.but(json!({})));
    let why = "a key that the issuer does not have";
    assert_eq!(world.refusal(&token).await, why);
}

#[tokio::test]
async fn a_new_key_is_fetched_when_it_is_named_and_not_more_often() {
    let world = world().await;
    let claims = world.but(json!({}));
    assert!(world.counts(&world.key.sign(&claims)).await);
    let second = SigningKey::ec("two");
    world.issuer.serve(&[&second]);
    later(PAUSE).await;
    let token = second.sign(&claims);
    assert!(world.counts(&token).await, "the issuer rotates");
    assert_eq!(world.issuer.fetched(), 2);
    assert!(
        !world.counts(&world.key.sign(&claims)).await,
        "a key that is gone"
    );
    // Whatever tokens name, the issuer is left alone for a while.
    let strange = SigningKey::ec("three").sign(&claims);
    for _ in 0..20 {
        assert!(!world.counts(&strange).await);
    }
    assert_eq!(world.issuer.fetched(), 2);
    later(PAUSE).await;
    assert!(!world.counts(&strange).await);
    assert_eq!(world.issuer.fetched(), 3);
}

#[tokio::test]
async fn many_at_once_fetch_once() {
    let world = world().await;
    let token = world.key.sign(&world.but(json!({})));
    let all = (0..50).map(|_| world.counts(&token));
    assert!(
        futures::future::join_all(all)
            .await
            .into_iter()
            .all(|it| it)
    );
    assert_eq!(world.issuer.fetched(), 1);
}

#[tokio::test]
async fn what_is_known_stays_while_the_issuer_is_away() {
    let world = world().await;
    let claims = world.but(json!({}));
    let token = world.key.sign(&claims);
    world.issuer.away(true);
    assert_eq!(
        world.refusal(&token).await,
        "the issuer of tokens cannot be reached"
    );
    world.issuer.away(false);
    later(PAUSE).await;
    assert!(world.counts(&token).await);
    world.issuer.away(true);
    later(PAUSE * 1000).await;
    assert!(world.counts(&token).await);
    let strange = SigningKey::ec("three").sign(&claims);
    let why = "a key that the issuer does not have";
    assert_eq!(world.refusal(&strange).await, why);
    assert!(world.counts(&token).await);
}

#[tokio::test]
async fn an_issuer_that_says_it_is_another_is_none() {
    let world = world().await;
    world.issuer.claim("https://login.contoso.com");
    let token = world.key.sign(&world.but(json!({})));
    assert_eq!(
        world.refusal(&token).await,
        "the issuer of tokens cannot be reached"
    );
}
