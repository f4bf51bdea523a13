//! Registrations of every version that was ever written.

use super::super::{from_json, to_json};
use super::*;

const TENANT: &str = "11111111-0000-4000-8000-000000000000";

/// A registration as the first release wrote it. It must stay readable as it is.
const GOLDEN: &str = r#"{"format":1,"write":"w1","id":"11111111-0000-4000-8000-000000000000","name":"Contoso","cloud":"global","login_url":"https://login.example","reader":{"client_id":"r","secret":"env:REWIND_CREDENTIAL_READER_A"},"writer":{"client_id":"w","secret":"file:contoso/writer"},"break_glass":["22222222-0000-4000-8000-000000000000"],"state":"active","created_at":"2026-11-20T01:00:00Z"}"#;

/// One with the applications that the second release knows besides.
const GOLDEN_2: &str = r#"{"format":1,"write":"w1","id":"11111111-0000-4000-8000-000000000000","name":"Contoso","cloud":"usgov","reader":{"client_id":"r","certificate":"file:contoso/reader.pem"},"writer":{"client_id":"w","federated_token":"workload-identity"},"break_glass":[],"state":"suspended","created_at":"2026-11-20T01:00:00Z"}"#;

fn read(text: &str) -> Result<domain::TenantRecord, StoreError> {
    let tenant = TenantId::parse(TENANT).unwrap();
    from_json::<TenantRecord>("here", text.as_bytes())?.into_domain("here", &tenant)
}

fn own(client_id: &str, kind: ProofKind, reference: &str) -> model::Application {
    model::Application::Own {
        client_id: client_id.to_owned(),
        proof: Proof {
            kind,
            reference: reference.to_owned(),
        },
    }
}

#[test]
fn registrations_of_every_release_stay_readable() {
    let first = domain::TenantRecord {
        id: TenantId::parse(TENANT).unwrap(),
        name: "Contoso".to_owned(),
        cloud: "global".to_owned(),
        graph_url: None,
        login_url: Some("https://login.example".to_owned()),
        reader: own("r", ProofKind::Secret, "env:REWIND_CREDENTIAL_READER_A"),
        writer: Some(own("w", ProofKind::Secret, "file:contoso/writer")),
        break_glass: vec![ObjectId::parse("22222222-0000-4000-8000-000000000000").unwrap()],
        retention: Policy::default(),
        drift_watch: Watch::default(),
        audit_watch: watch::Watch::default(),
        approval: approval::Policy::default(),
        webhook: None,
        groups: Vec::new(),
        labels: BTreeMap::new(),
        schedule: Window::default(),
        state: domain::TenantState::Active,
        created_at: "2026-11-20T01:00:00Z".parse().unwrap(),
        change: None,
    };
    assert_eq!(read(GOLDEN).unwrap(), first);
    let second = domain::TenantRecord {
        cloud: "usgov".to_owned(),
        login_url: None,
        reader: own("r", ProofKind::Certificate, "file:contoso/reader.pem"),
        writer: Some(own("w", ProofKind::FederatedToken, "workload-identity")),
        break_glass: Vec::new(),
        state: domain::TenantState::Suspended,
        ..first.clone()
    };
    assert_eq!(read(GOLDEN_2).unwrap(), second);
    let third = domain::TenantRecord {
        reader: model::Application::Installation,
        writer: Some(model::Application::Installation),
        ..first.clone()
    };
    let fourth = domain::TenantRecord {
        retention: "recent=7,months=12".parse().unwrap(),
        ..first.clone()
    };
    let fifth = domain::TenantRecord {
        drift_watch: "on,mass-disable=10%,conditional-access=off"
            .parse()
            .unwrap(),
        ..first.clone()
    };
    let sixth = domain::TenantRecord {
        approval: "on,changes=50,expires=8h".parse().unwrap(),
        ..first.clone()
    };
    let seventh = domain::TenantRecord {
        audit_watch: "off,bulk-disable=50,consent=off".parse().unwrap(),
        ..first.clone()
    };
    let eighth = domain::TenantRecord {
        webhook: Some(domain::Webhook {
            url: "https://hooks.example/rewind".to_owned(),
            secret: "env:REWIND_CREDENTIAL_WEBHOOK_A".to_owned(),
            min_severity: Severity::High,
            since: "2026-11-27T01:00:00Z".parse().unwrap(),
        }),
        ..first.clone()
    };
    let ninth = domain::TenantRecord {
        groups: vec!["emea".to_owned(), "gold".to_owned()],
        labels: [("owner".to_owned(), "Ann B.".to_owned())].into(),
        schedule: "22:00-04:00".parse().unwrap(),
        state: domain::TenantState::Offboarded,
        change: Some(7),
        ..first.clone()
    };
    for record in [
        first, second, third, fourth, fifth, sixth, seventh, eighth, ninth,
    ] {
        let text = String::from_utf8(to_json(&TenantRecord::from(&record)).unwrap()).unwrap();
        assert_eq!(read(&text).unwrap(), record, "{text}");
    }
    let text = GOLDEN.replace(
        r#"{"client_id":"r","secret":"env:REWIND_CREDENTIAL_READER_A"}"#,
        r#"{"installation":true}"#,
    );
    assert_eq!(
        read(&text).unwrap().reader,
        model::Application::Installation
    );
}

#[test]
fn an_application_without_exactly_one_reference_is_damaged() {
    let check = |application: &str| {
        let text = GOLDEN.replace(
            r#"{"client_id":"r","secret":"env:REWIND_CREDENTIAL_READER_A"}"#,
            application,
        );
        assert_ne!(text, GOLDEN);
        let error = read(&text).unwrap_err();
        assert!(
            matches!(&error, StoreError::Corrupt { path, detail }
                if path == "here" && detail.contains("exactly one credential reference")),
            "{application}: {error}"
        );
    };
    check(r#"{"client_id":"r"}"#);
    check(r#"{"client_id":"r","secret":"env:A","certificate":"file:a"}"#);
    check(r#"{"installation":true,"secret":"env:A"}"#);
}
