//! Signing in, and what a check finds: certificates, applications of the
//! installation, missing permissions, licences.

use std::sync::Arc;

use proto::v1::*;
use simulator::{READER_CLIENT_ID, TenantSpec, Trust};
use store::object_store::memory::InMemory;

use crate::sandbox::{Sandbox, TENANT};

async fn sandbox() -> anyhow::Result<Sandbox> {
    Sandbox::start(Arc::new(InMemory::new())).await
}

fn item<'a>(answer: &'a CheckTenantResponse, app: &str, subject: &str) -> &'a CheckItem {
    answer
        .items
        .iter()
        .find(|item| item.app == app && item.subject == subject)
        .expect("it was tried")
}

/// A certificate and its key, as one PEM file, and the certificate alone.
fn identity() -> anyhow::Result<(String, Vec<u8>)> {
    let size = rcgen::RsaKeySize::_2048;
    let key = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, size)?;
    let parameters = rcgen::CertificateParams::new(vec!["rewind.example".to_owned()])?;
    let certificate = parameters.self_signed(&key)?;
    let pem = format!("{}{}", key.serialize_pem(), certificate.pem());
    Ok((pem, certificate.der().to_vec()))
}

#[tokio::test]
async fn a_certificate_signs_in_and_is_read_anew() -> anyhow::Result<()> {
    let sandbox = sandbox().await?;
    let (known, certificate) = identity()?;
    let (unknown, _) = identity()?;
    let mut spec = TenantSpec::practice(TENANT);
    spec.trusts.push(Trust::Certificate {
        client_id: READER_CLIENT_ID.to_owned(),
        certificate,
    });
    sandbox.simulator.add_tenant(spec);
    sandbox
        .register(Tenant {
            reader: Some(AppCredential {
                client_id: READER_CLIENT_ID.to_owned(),
                certificate_ref: "file:reader.pem".to_owned(),
                ..AppCredential::default()
            }),
            ..sandbox.registration()
        })
        .await?;
    let file = sandbox.credentials.path().join("reader.pem");

    let absent = sandbox.check().await?;
    let token = item(&absent, "reader", "token");
    assert_eq!(token.reason, "CREDENTIAL_UNUSABLE", "{token:?}");
    assert!(
        token.detail.contains("file:reader.pem does not exist"),
        "{token:?}"
    );

    std::fs::write(&file, &known)?;
    assert!(item(&sandbox.check().await?, "reader", "token").ok);
    sandbox.snapshot().await?;

    std::fs::write(&file, &unknown)?;
    let refused = sandbox.check().await?;
    let token = item(&refused, "reader", "token");
    assert_eq!(token.reason, "CREDENTIAL_REJECTED", "{token:?}");
    assert!(token.detail.contains("AADSTS700027"), "{token:?}");

    std::fs::write(&file, "-----BEGIN PRIVATE KEY-----\nhunter2\n")?;
    let broken = sandbox.check().await?;
    let token = item(&broken, "reader", "token");
    assert_eq!(token.reason, "CREDENTIAL_UNUSABLE", "{token:?}");
    for answer in [&absent, &refused, &broken] {
        let shown = format!("{answer:?}");
        assert!(
            !shown.contains("hunter2") && !shown.contains("PRIVATE"),
            "{shown}"
        );
    }

    std::fs::write(&file, &known)?;
    assert!(item(&sandbox.check().await?, "reader", "token").ok);
    Ok(())
}

#[tokio::test]
async fn a_tenant_without_applications_signs_in_with_those_of_the_installation()
-> anyhow::Result<()> {
    let sandbox = sandbox().await?;
    let tenant = sandbox
        .register(Tenant {
            reader: None,
            writer: None,
            ..sandbox.registration()
        })
        .await?;
    let url = sandbox.graph.url();
    let consent = |client_id: &str, app: &str| {
        format!("{url}/{TENANT}/adminconsent?client_id={client_id}&state={app}")
    };
    assert_eq!(
        [tenant.reader, tenant.writer].map(|app| app.unwrap_or_default().consent_url),
        [
            consent(READER_CLIENT_ID, "reader"),
            consent(simulator::WRITER_CLIENT_ID, "writer")
        ]
    );
    let checked = sandbox.check().await?;
    assert!(checked.can_snapshot && checked.can_restore, "{checked:?}");
    sandbox.snapshot().await?;
    Ok(())
}

#[tokio::test]
async fn a_missing_permission_is_named_with_where_to_consent() -> anyhow::Result<()> {
    let sandbox = sandbox().await?;
    let mut spec = TenantSpec::practice(TENANT);
    for app in &mut spec.apps {
        app.roles.remove("Policy.Read.All");
    }
    sandbox.simulator.add_tenant(spec);
    sandbox.register(sandbox.registration()).await?;
    let checked = sandbox.check().await?;
    for app in ["reader", "writer"] {
        let policies = item(&checked, app, "conditionalAccessPolicy");
        assert_eq!(
            (policies.ok, policies.reason.as_str()),
            (false, "CONSENT_MISSING"),
            "{policies:?}"
        );
        assert_eq!(policies.missing_permissions, ["Policy.Read.All"]);
        assert!(
            policies.consent_url.ends_with(&format!("&state={app}")),
            "{policies:?}"
        );
        let users = item(&checked, app, "user");
        assert!(users.ok && users.consent_url.is_empty(), "{users:?}");
    }
    assert_eq!(item(&checked, "reader", "user").detail, "can be read");
    assert_eq!(
        item(&checked, "writer", "user").detail,
        "can be read and written"
    );
    Ok(())
}

#[tokio::test]
async fn a_writer_that_may_only_read_is_told_what_it_lacks() -> anyhow::Result<()> {
    let sandbox = sandbox().await?;
    let mut spec = TenantSpec::practice(TENANT);
    for app in &mut spec.apps {
        app.roles.retain(|role| !role.contains("Write"));
    }
    sandbox.simulator.add_tenant(spec);
    sandbox.register(sandbox.registration()).await?;
    let checked = sandbox.check().await?;
    let policies = item(&checked, "writer", "conditionalAccessPolicy");
    assert_eq!(
        (policies.ok, policies.missing_permissions.as_slice()),
        (
            false,
            ["Policy.ReadWrite.ConditionalAccess".to_owned()].as_slice()
        ),
        "{policies:?}"
    );
    assert!(item(&checked, "reader", "conditionalAccessPolicy").ok);
    Ok(())
}

#[tokio::test]
async fn the_licence_is_told_with_the_subscription_that_holds_it() -> anyhow::Result<()> {
    let sandbox = sandbox().await?;
    sandbox.register(sandbox.registration()).await?;
    let check = async |licence, ok: bool, detail: &str| -> anyhow::Result<()> {
        sandbox.simulator.add_tenant(TenantSpec {
            licence,
            ..TenantSpec::practice(TENANT)
        });
        let checked = sandbox.check().await?;
        let found = item(&checked, "reader", "licence");
        assert_eq!(
            (found.ok, checked.can_snapshot, found.reason.as_str()),
            (ok, ok, if ok { "" } else { "LICENCE_REQUIRED" }),
            "{found:?}"
        );
        assert!(found.detail.contains(detail), "{found:?}");
        Ok(())
    };
    use simulator::Licence;
    check(
        Licence::P1,
        true,
        "Entra ID P1: AAD_PREMIUM of subscription SPE_E3",
    )
    .await?;
    check(Licence::None, false, "no subscription holds").await?;
    check(Licence::Suspended, false, "subscription Suspended").await?;
    check(Licence::Disabled, false, "plan Disabled").await
}
