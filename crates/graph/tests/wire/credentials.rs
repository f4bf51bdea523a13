//! What applications prove themselves with, as the token endpoint sees it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use graph::{Directory, GraphReader, Logins, Read};
use model::error::reason;
use model::{ErrorKind, ProofKind};
use serde_json::{Value, json};

use crate::server::{Reply, Seen, Server, endpoint, reply, settings};

const FEDERATED: &str = "aaaa.federated~token.bbbb";

fn skus(_: &Seen, _: usize) -> Reply {
    reply(200, json!({"value": []}))
}

fn logins() -> Logins {
    let now = || "2026-11-23T08:00:00Z".parse().unwrap();
    Logins::new(Arc::new(now), Arc::new(|| uuid::Uuid::from_u128(9)))
}

fn reader(server: &Server, logins: &Logins, kind: ProofKind, read: Read) -> GraphReader {
    let endpoint = endpoint(server.port());
    let credential = logins.credential(&endpoint, kind, "file:a", read);
    GraphReader::new(&endpoint, credential, settings(Arc::default()))
}

fn always(text: &str) -> Read {
    let text = text.to_owned();
    Arc::new(move || Ok(text.clone().into()))
}

/// A self-signed certificate and its key, as one PEM file.
struct Identity {
    certificate: rcgen::Certificate,
    key: rcgen::KeyPair,
}

impl Identity {
    fn rsa() -> Self {
        let algorithm = &rcgen::PKCS_RSA_SHA256;
        let size = rcgen::RsaKeySize::_2048;
        Self::of(rcgen::KeyPair::generate_rsa_for(algorithm, size).unwrap())
    }

    fn of(key: rcgen::KeyPair) -> Self {
        let parameters = rcgen::CertificateParams::new(vec!["rewind.example".to_owned()]).unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        Self { certificate, key }
    }

    fn pem(&self) -> String {
        format!("{}{}", self.key.serialize_pem(), self.certificate.pem())
    }
}

fn form(seen: &Seen) -> BTreeMap<String, String> {
    url::form_urlencoded::parse(seen.body.as_bytes())
        .into_owned()
        .collect()
}

fn json_of(part: &str) -> Value {
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[tokio::test]
async fn a_certificate_signs_an_assertion_for_the_token_endpoint() {
    let server = Server::start(skus).await;
    let identity = Identity::rsa();
    let reader = reader(
        &server,
        &logins(),
        ProofKind::Certificate,
        always(&identity.pem()),
    );
    reader.subscribed_skus().await.unwrap();
    let form = form(&server.logins()[0]);
    assert_eq!(form["grant_type"], "client_credentials");
    assert_eq!(
        form["client_assertion_type"],
        "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    );
    assert!(!form.contains_key("client_secret"));

    let (signed, signature) = form["client_assertion"].rsplit_once('.').unwrap();
    let (header, claims) = signed.split_once('.').unwrap();
    let thumbprint =
        aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, identity.certificate.der());
    assert_eq!(
        json_of(header),
        json!({"alg": "PS256", "typ": "JWT", "x5t#S256": BASE64_URL_SAFE_NO_PAD.encode(thumbprint)})
    );
    let port = server.port();
    assert_eq!(
        json_of(claims),
        json!({
            "aud": format!("http://127.0.0.1:{port}/login/00000000-0000-0000-0000-00000000000a/oauth2/v2.0/token"),
            "iss": "the-application",
            "sub": "the-application",
            "jti": "00000000-0000-0000-0000-000000000009",
            "nbf": 1_795_420_800,
            "exp": 1_795_421_100,
        })
    );
    let certificate = webpki::EndEntityCert::try_from(identity.certificate.der()).unwrap();
    certificate
        .verify_signature(
            webpki::aws_lc_rs::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
            signed.as_bytes(),
            &BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap(),
        )
        .unwrap();
}

#[tokio::test]
async fn everything_is_read_anew_for_each_token() {
    // A token that ends at once, so that every request asks for another.
    let login = |_: &Seen, _| reply(200, json!({"expires_in": 0, "access_token": "t"}));
    let check = async |kind: ProofKind, contents: Vec<String>, field: &'static str| {
        let server = Server::with_login(login, skus).await;
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let read: Read = Arc::new(move || {
            let number = count.fetch_add(1, Ordering::SeqCst);
            Ok(contents[number].clone().into())
        });
        let reader = reader(&server, &logins(), kind, read);
        reader.subscribed_skus().await.unwrap();
        reader.subscribed_skus().await.unwrap();
        let sent: Vec<String> = server
            .logins()
            .iter()
            .map(|seen| form(seen)[field].clone())
            .collect();
        assert_eq!(asked.load(Ordering::SeqCst), 2);
        sent
    };
    let words = || vec!["one".to_owned(), "two".to_owned()];
    assert_eq!(
        check(ProofKind::FederatedToken, words(), "client_assertion").await,
        words(),
        "a federated token is the assertion as it is"
    );
    assert_eq!(
        check(ProofKind::Secret, words(), "client_secret").await,
        words()
    );
    let pair = vec![Identity::rsa().pem(), Identity::rsa().pem()];
    let sent = check(ProofKind::Certificate, pair, "client_assertion").await;
    let thumbprint =
        |assertion: &String| json_of(assertion.split('.').next().unwrap())["x5t#S256"].clone();
    assert_ne!(thumbprint(&sent[0]), thumbprint(&sent[1]));
}

#[tokio::test]
async fn one_token_serves_all_who_reach_the_same_tenant() {
    let server = Server::start(skus).await;
    let logins = logins();
    let secret = |reference: &str| {
        let endpoint = endpoint(server.port());
        let credential = logins.credential(&endpoint, ProofKind::Secret, reference, always("s"));
        GraphReader::new(&endpoint, credential, settings(Arc::default()))
    };
    let all = [secret("file:a"), secret("file:a"), secret("file:a")];
    futures::future::join_all(all.iter().map(|reader| reader.subscribed_skus())).await;
    secret("file:a").subscribed_skus().await.unwrap();
    assert_eq!(server.logins().len(), 1);
    secret("file:b").subscribed_skus().await.unwrap();
    assert_eq!(server.logins().len(), 2, "another credential signs in anew");

    let mut elsewhere = endpoint(server.port());
    elsewhere.client_id = "another-application".to_owned();
    let credential = logins.credential(&elsewhere, ProofKind::Secret, "file:a", always("s"));
    let other = GraphReader::new(&elsewhere, credential, settings(Arc::default()));
    other.subscribed_skus().await.unwrap();
    assert_eq!(server.logins().len(), 3, "applications share no token");
}

#[tokio::test]
async fn a_federated_credential_that_is_not_known_yet_is_waited_for() {
    let login = |known_from: usize| {
        move |_: &Seen, number: usize| {
            if number >= known_from {
                return reply(200, json!({"expires_in": 3599, "access_token": "t"}));
            }
            let description = format!(
                "AADSTS70021: No matching federated identity record found for presented assertion {FEDERATED}. Trace ID: 1"
            );
            reply(
                400,
                json!({"error": "invalid_request", "error_description": description}),
            )
        }
    };
    let waits = Arc::new(Mutex::new(Vec::new()));
    let attempt = async |known_from| {
        let server = Server::with_login(login(known_from), skus).await;
        let endpoint = endpoint(server.port());
        let credential = logins().credential(
            &endpoint,
            ProofKind::FederatedToken,
            "file:a",
            always(FEDERATED),
        );
        let reader = GraphReader::new(&endpoint, credential, settings(Arc::clone(&waits)));
        reader.subscribed_skus().await.map(drop)
    };
    attempt(3).await.unwrap();
    assert_eq!(
        waits
            .lock()
            .unwrap()
            .drain(..)
            .map(|wait| wait.as_secs())
            .collect::<Vec<_>>(),
        [2, 4]
    );
    let error = attempt(100).await.unwrap_err();
    assert_eq!(
        waits
            .lock()
            .unwrap()
            .iter()
            .map(std::time::Duration::as_secs)
            .sum::<u64>(),
        30
    );
    assert_eq!(
        error.to_string(),
        "the application's credential was refused: AADSTS70021: No matching federated identity record found for presented assertion [secret]"
    );
    assert!(!format!("{error:?}").contains(FEDERATED));
}

#[tokio::test]
async fn what_cannot_be_used_is_told_without_its_content_and_nothing_is_sent() {
    let check = async |kind: ProofKind, read: Read, expected: &str| {
        let server = Server::start(skus).await;
        let reader = reader(&server, &logins(), kind, read);
        let error = reader.subscribed_skus().await.unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert_eq!(
            (error.kind(), error.reason()),
            (ErrorKind::Denied, reason::CREDENTIAL_UNUSABLE)
        );
        assert_eq!((server.logins().len(), server.seen().len()), (0, 0));
    };
    let (rsa, other) = (Identity::rsa(), Identity::rsa());
    let curve = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let certificate = ProofKind::Certificate;
    check(
        certificate,
        always(&rsa.certificate.pem()),
        "the application's certificate cannot be used: it holds no private key in PEM without a password",
    )
    .await;
    check(
        certificate,
        always(&rsa.key.serialize_pem()),
        "the application's certificate cannot be used: it holds no certificate of its private key",
    )
    .await;
    check(
        certificate,
        always(&format!(
            "{}{}",
            rsa.key.serialize_pem(),
            other.certificate.pem()
        )),
        "the application's certificate cannot be used: it holds no certificate of its private key",
    )
    .await;
    check(
        certificate,
        always(&Identity::of(curve).pem()),
        "the application's certificate cannot be used: its private key is no RSA key of 2048 bits or more",
    )
    .await;
    check(
        ProofKind::FederatedToken,
        Arc::new(|| Err("it does not exist".to_owned())),
        "the application's federated token cannot be used: it does not exist",
    )
    .await;

    // Company and order do not matter: a chain, the leaf last, the key first.
    let server = Server::start(skus).await;
    let chain = format!("{}{}", other.certificate.pem(), rsa.pem());
    reader(&server, &logins(), certificate, always(&chain))
        .subscribed_skus()
        .await
        .unwrap();
}

#[tokio::test]
async fn permissions_are_read_from_a_fresh_token() {
    let token = |number: usize| {
        let claims = json!({"roles": [format!("Role{number}.Read.All")]}).to_string();
        format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(claims))
    };
    let login = move |_: &Seen, number: usize| {
        reply(
            200,
            json!({"expires_in": 3599, "access_token": token(number)}),
        )
    };
    let server = Server::with_login(login, skus).await;
    let reader = server.reader();
    reader.subscribed_skus().await.unwrap();
    let granted = reader.granted().await.unwrap().unwrap();
    assert_eq!(
        granted.into_iter().collect::<Vec<_>>(),
        ["Role2.Read.All"],
        "the kept token is not asked"
    );
    reader.subscribed_skus().await.unwrap();
    assert_eq!(server.logins().len(), 2, "the fresh token is kept");

    let opaque = Server::start(skus).await;
    assert_eq!(opaque.reader().granted().await.unwrap(), None);
}

#[tokio::test]
async fn nothing_shows_what_proves_the_application() {
    let server = Server::start(skus).await;
    let identity = Identity::rsa();
    let reader = reader(
        &server,
        &logins(),
        ProofKind::Certificate,
        always(&identity.pem()),
    );
    reader.subscribed_skus().await.unwrap();
    let assertion = form(&server.logins()[0])["client_assertion"].clone();
    let endpoint = endpoint(server.port());
    let logins = logins();
    let credential = logins.credential(
        &endpoint,
        ProofKind::FederatedToken,
        "file:a",
        always(FEDERATED),
    );
    let shown = format!("{reader:?} {logins:?} {credential:?}");
    for secret in [FEDERATED, &assertion, "token-1", "PRIVATE"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
