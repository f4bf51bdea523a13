//! The door cannot be used against the house: no registration and no update makes a
//! service send a secret to a host of the caller's choice, or read one that is not meant
//! for it. Whether a file lies where the service that reads it may, links resolved, that
//! service finds out itself (`crates/runtime/src/credentials/tests.rs`).

use super::support::{A, OPERATOR, Sandbox, sandbox, tenant, with};
use proto::v1::tenant_service_client::TenantServiceClient;
use proto::v1::*;

async fn refused(sandbox: &Sandbox, tenant: Tenant, only: bool) -> String {
    let request = CreateTenantRequest {
        tenant: Some(tenant),
        request_id: String::new(),
        validate_only: only,
    };
    let mut client = TenantServiceClient::new(sandbox.channel.clone());
    let answer = client.create_tenant(with(OPERATOR, request)).await;
    let status = answer.expect_err("refused");
    runtime::status::parse(&status).reason.unwrap_or_default()
}

fn app(secret: &str, certificate: &str, token: &str) -> Option<AppCredential> {
    Some(AppCredential {
        client_id: "0a1b2c3d-0000-4000-8000-0000000000c1".to_owned(),
        secret_ref: secret.to_owned(),
        certificate_ref: certificate.to_owned(),
        federated_token_ref: token.to_owned(),
        ..AppCredential::default()
    })
}

#[tokio::test]
async fn no_host_of_ones_own_gets_a_secret() {
    let sandbox = sandbox().await;
    let url = |url: &str| url.to_owned();
    for tenant in [
        Tenant {
            graph_url: url("https://graph.evil.example/v1.0"),
            ..tenant(A)
        },
        Tenant {
            login_url: url("https://login.evil.example"),
            ..tenant(A)
        },
        Tenant {
            graph_url: url("https://graph.microsoft.com@evil.example/v1.0"),
            ..tenant(A)
        },
        Tenant {
            login_url: url("https://login.microsoftonline.com.evil.example"),
            ..tenant(A)
        },
        Tenant {
            login_url: url("http://169.254.169.254/"),
            ..tenant(A)
        },
        // Not even the clouds' own: only the name of a cloud chooses one.
        Tenant {
            login_url: url("https://login.microsoftonline.com"),
            ..tenant(A)
        },
    ] {
        for only in [true, false] {
            assert_eq!(
                refused(&sandbox, tenant.clone(), only).await,
                "CUSTOM_CLOUD_REFUSED"
            );
        }
    }
    for cloud in ["evil.example", "https://evil.example", "global/../evil"] {
        let tenant = Tenant {
            cloud: cloud.to_owned(),
            ..tenant(A)
        };
        assert_eq!(refused(&sandbox, tenant, false).await, "INVALID_ARGUMENT");
    }
    assert!(sandbox.vault.tenant_ids().await.expect("listed").is_empty());
}

#[tokio::test]
async fn no_reference_leads_out_of_its_own_place() {
    let sandbox = sandbox().await;
    let outside = [
        "env:PATH",
        "env:REWIND_KEY_FILE",
        "env:REWIND_CREDENTIAL_",
        "env:AWS_SECRET_ACCESS_KEY",
        "env:REWIND_CREDENTIAL_WEBHOOK_A",
        "env:rewind_credential_reader_a",
        "file:../writer/secret",
        "file:a/../../writer/secret",
        "file:",
    ];
    let foreign = [
        ("reader", "env:REWIND_CREDENTIAL_WRITER_A"),
        ("writer", "env:REWIND_CREDENTIAL_READER_A"),
    ];
    let both = ["reader", "writer"].into_iter();
    let cases = both
        .flat_map(|kind| outside.map(|reference| (kind, reference)))
        .chain(foreign);
    for (kind, reference) in cases {
        // The rule is one for a secret, a certificate and a token in a file.
        let mut ways = vec![app(reference, "", "")];
        if reference.starts_with("file:") {
            ways.extend([app("", reference, ""), app("", "", reference)]);
        }
        for way in ways {
            let tenant = match kind {
                "reader" => Tenant {
                    reader: way,
                    ..tenant(A)
                },
                _ => Tenant {
                    writer: way,
                    ..tenant(A)
                },
            };
            let reason = refused(&sandbox, tenant, false).await;
            let known = ["CREDENTIAL_REFERENCE_REFUSED", "INVALID_ARGUMENT"];
            assert!(
                known.contains(&reason.as_str()),
                "{kind} {reference}: {reason}"
            );
        }
    }
    assert!(sandbox.vault.tenant_ids().await.expect("listed").is_empty());
}
