//! Certificates and federated tokens at the token endpoint, and the tokens that come out.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::{TimeZone, Utc};
use serde_json::{Value, json};
use simulator::{Clock, READER_CLIENT_ID, Simulator, TenantSpec, Trust, WRITER_CLIENT_ID};

use crate::support::{Bench, TENANT};

const NOW: i64 = 1_777_622_400;
const ISSUER: &str = "https://oidc.example/cluster";
const SUBJECT: &str = "system:serviceaccount:rewind:snapshotter";
const AUDIENCE: &str = "api://AzureADTokenExchange";

/// A key and its certificate.
struct Signer {
    key: RsaKeyPair,
    certificate: Vec<u8>,
}

impl Signer {
    fn new() -> Self {
        let size = rcgen::RsaKeySize::_2048;
        let key = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, size).unwrap();
        let parameters = rcgen::CertificateParams::new(vec!["rewind.example".to_owned()]).unwrap();
        Self {
            certificate: parameters.self_signed(&key).unwrap().der().to_vec(),
            key: RsaKeyPair::from_pkcs8(&key.serialize_der()).unwrap(),
        }
    }

    fn sign(&self, header: Value, claims: &Value, padding: &'static dyn RsaEncoding) -> String {
        let part = |part: &Value| BASE64_URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", part(&header), part(claims));
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key
            .sign(
                padding,
                &SystemRandom::new(),
                signed.as_bytes(),
                &mut signature,
            )
            .unwrap();
        format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }

    /// An assertion that the certificate signs.
    fn own(&self, claims: &Value) -> String {
        let thumbprint = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &self.certificate);
        let thumbprint = BASE64_URL_SAFE_NO_PAD.encode(thumbprint);
        let header = json!({"alg": "PS256", "typ": "JWT", "x5t#S256": thumbprint});
        self.sign(header, claims, &RSA_PSS_SHA256)
    }

    /// A token as an issuer signs it.
    fn issued(&self, claims: &Value) -> String {
        self.sign(
            json!({"alg": "RS256", "kid": "k"}),
            claims,
            &RSA_PKCS1_SHA256,
        )
    }
}

async fn bench(signer: &Signer) -> Bench {
    let clock = Clock::manual(Utc.timestamp_opt(NOW, 0).unwrap());
    let bench = Bench::on(Simulator::with_clock(clock)).await;
    let mut spec = TenantSpec::practice(TENANT);
    spec.trusts = vec![
        Trust::Certificate {
            client_id: READER_CLIENT_ID.to_owned(),
            certificate: signer.certificate.clone(),
        },
        Trust::Federation {
            client_id: READER_CLIENT_ID.to_owned(),
            issuer: ISSUER.to_owned(),
            subject: SUBJECT.to_owned(),
            audience: AUDIENCE.to_owned(),
            signer: signer.certificate.clone(),
        },
    ];
    bench.simulator.add_tenant(spec);
    bench
}

async fn ask(bench: &Bench, client_id: &str, assertion: &str) -> (u16, Value) {
    let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    let answer = bench
        .http
        .post(format!("{}/{TENANT}/oauth2/v2.0/token", bench.server.url()))
        .form(&[
            ("grant_type", "client_credentials"),
            ("client_id", client_id),
            ("client_assertion_type", kind),
            ("client_assertion", assertion),
            ("scope", "https://graph.microsoft.com/.default"),
        ])
        .send()
        .await
        .unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// The claims with one changed.
fn but(claims: &Value, name: &str, value: Value) -> Value {
    let mut claims = claims.clone();
    claims[name] = value;
    claims
}

#[tokio::test]
async fn an_assertion_is_taken_from_a_certificate_of_the_app_alone() {
    let (signer, stranger) = (Signer::new(), Signer::new());
    let bench = bench(&signer).await;
    let claims = json!({
        "aud": format!("{}/{TENANT}/oauth2/v2.0/token", bench.server.url()),
        "iss": READER_CLIENT_ID,
        "sub": READER_CLIENT_ID,
        "jti": "1",
        "nbf": NOW,
        "exp": NOW + 300,
    });
    let good = signer.own(&claims);
    let (status, body) = ask(&bench, READER_CLIENT_ID, &good).await;
    assert_eq!(status, 200, "{body}");

    let check = async |client_id: &str, assertion: &str, code: u32| {
        let (status, body) = ask(&bench, client_id, assertion).await;
        assert_eq!(
            (status, &body["error_codes"]),
            (401, &json!([code])),
            "{body}"
        );
        assert_eq!(body["error"], "invalid_client");
    };
    let reader = READER_CLIENT_ID;
    check(reader, &stranger.own(&claims), 700_027).await;
    check(WRITER_CLIENT_ID, &good, 700_027).await;
    let (signed, _) = good.rsplit_once('.').unwrap();
    let (_, foreign) = stranger
        .own(&claims)
        .rsplit_once('.')
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    check(reader, &format!("{signed}.{foreign}"), 700_027).await;
    check(
        reader,
        &signer.own(&but(&claims, "aud", json!("https://elsewhere"))),
        700_023,
    )
    .await;
    check(
        reader,
        &signer.own(&but(&claims, "iss", json!("x"))),
        700_021,
    )
    .await;
    check(
        reader,
        &signer.own(&but(&claims, "sub", json!("x"))),
        700_021,
    )
    .await;
    check(
        reader,
        &signer.own(&but(&claims, "exp", json!(NOW - 1))),
        700_024,
    )
    .await;
    check(
        reader,
        &signer.own(&but(&claims, "exp", Value::Null)),
        700_024,
    )
    .await;
    check(
        reader,
        &signer.own(&but(&claims, "nbf", json!(NOW + 3_600))),
        700_024,
    )
    .await;
    check(reader, "aa.bb.cc", 50_027).await;
    check(reader, "no-token", 50_027).await;
}

#[tokio::test]
async fn a_federated_token_is_taken_where_issuer_subject_and_audience_match() {
    let (signer, stranger) = (Signer::new(), Signer::new());
    let bench = bench(&signer).await;
    let claims = json!({"iss": ISSUER, "sub": SUBJECT, "aud": [AUDIENCE], "exp": NOW + 3_600});
    for claims in [&claims, &but(&claims, "aud", json!(AUDIENCE))] {
        let (status, body) = ask(&bench, READER_CLIENT_ID, &signer.issued(claims)).await;
        assert_eq!(status, 200, "{body}");
    }
    let check = async |client_id: &str, token: &str, status: u16, code: u32| {
        let (got, body) = ask(&bench, client_id, token).await;
        assert_eq!(
            (got, &body["error_codes"]),
            (status, &json!([code])),
            "{body}"
        );
    };
    let reader = READER_CLIENT_ID;
    check(WRITER_CLIENT_ID, &signer.issued(&claims), 400, 70_021).await;
    for (name, value) in [
        ("iss", json!("https://oidc.example/other")),
        ("sub", json!("system:serviceaccount:rewind:restorer")),
        ("aud", json!("api://other")),
        ("aud", json!([AUDIENCE, "api://other"])),
    ] {
        check(
            reader,
            &signer.issued(&but(&claims, name, value)),
            400,
            70_021,
        )
        .await;
    }
    check(reader, &stranger.issued(&claims), 401, 700_027).await;
    let pss = signer.sign(json!({"alg": "PS256"}), &claims, &RSA_PSS_SHA256);
    check(reader, &pss, 401, 700_027).await;
    let old = but(&claims, "exp", json!(NOW - 1));
    check(reader, &signer.issued(&old), 401, 700_024).await;
}

#[tokio::test]
async fn a_token_says_who_may_do_what() {
    let bench = bench(&Signer::new()).await;
    let answer = bench
        .token(TENANT, READER_CLIENT_ID, simulator::READER_SECRET)
        .await;
    let token = answer.body["access_token"].as_str().unwrap();
    let parts: Vec<&str> = token.split('.').collect();
    assert_eq!(parts.len(), 3);
    let claims = BASE64_URL_SAFE_NO_PAD.decode(parts[1]).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(
        [
            &claims["appid"],
            &claims["tid"],
            &claims["aud"],
            &claims["exp"]
        ],
        [
            &json!(READER_CLIENT_ID),
            &json!(TENANT),
            &json!("https://graph.microsoft.com"),
            &json!(NOW + 3_599)
        ]
    );
    let roles = claims["roles"].as_array().unwrap();
    assert!(
        roles.contains(&json!("User.Read.All")) && !roles.contains(&json!("User.ReadWrite.All"))
    );
}
