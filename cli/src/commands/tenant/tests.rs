//! Flags as a registration, and findings as text.

use super::*;

#[test]
fn flags_become_references_and_a_value_is_refused_unseen() {
    let of = |secret, certificate, token| {
        application(
            Some("id"),
            [
                ("--reader-secret", secret),
                ("--reader-certificate", certificate),
                ("--workload-identity", token),
            ],
        )
    };
    let app = |secret: &str, certificate: &str, token: &str| v1::AppCredential {
        client_id: "id".to_owned(),
        secret_ref: secret.to_owned(),
        certificate_ref: certificate.to_owned(),
        federated_token_ref: token.to_owned(),
        ..v1::AppCredential::default()
    };
    let check = |found: Result<Option<v1::AppCredential>, Failure>, expected, text: &str| {
        let found = found.ok().flatten().expect("it fits");
        assert_eq!(found, expected);
        assert_eq!(shown(&found), text);
    };
    check(
        of(Some("env:A"), None, None),
        app("env:A", "", ""),
        "id (env:A)",
    );
    check(
        of(None, Some("file:a.pem"), None),
        app("", "file:a.pem", ""),
        "id (certificate file:a.pem)",
    );
    check(
        of(None, None, Some("workload-identity")),
        app("", "", "workload-identity"),
        "id (federated token workload-identity)",
    );
    let installed = v1::AppCredential {
        client_id: "id".to_owned(),
        installation: true,
        ..v1::AppCredential::default()
    };
    assert_eq!(shown(&installed), "id (of the installation)");

    for refused in [
        of(Some("hunter2"), None, None),
        of(None, Some("hunter2"), None),
        of(None, None, Some("hunter2")),
    ] {
        let Err(Failure::Usage { message, .. }) = refused else {
            panic!("a value is refused");
        };
        assert!(!message.contains("hunter2"), "{message}");
    }
}

fn lacking(app: &str, subject: &str, missing: &[&str]) -> v1::CheckItem {
    v1::CheckItem {
        app: app.to_owned(),
        subject: subject.to_owned(),
        reason: reason::CONSENT_MISSING.to_owned(),
        detail: "denied".to_owned(),
        missing_permissions: missing.iter().map(|&name| name.to_owned()).collect(),
        consent_url: format!("https://login.example/{app}"),
        ..v1::CheckItem::default()
    }
}

#[test]
fn what_is_missing_is_told_once_for_each_application() {
    let answer = v1::CheckTenantResponse {
        items: vec![
            lacking("reader", "group", &["Group.Read.All"]),
            lacking("reader", "user", &["User.Read.All", "Group.Read.All"]),
            lacking("writer", "user", &[]),
        ],
        ..v1::CheckTenantResponse::default()
    };
    assert_eq!(
        consents(&answer),
        "The reader application lacks Group.Read.All, User.Read.All.\n\
         Add it to the application's registration, then let an administrator consent: https://login.example/reader\n\
         \n\
         The writer application lacks what Graph denies.\n\
         Add it to the application's registration, then let an administrator consent: https://login.example/writer"
    );
    assert_eq!(consents(&v1::CheckTenantResponse::default()), "");
    assert!(check_table(&answer).contains("https://login.example/writer"));
}

#[test]
fn a_missing_licence_or_consent_has_its_own_code() {
    let check = |found: &[(&str, &str)], can_snapshot, expected| {
        let items = found.iter().map(|(subject, reason)| v1::CheckItem {
            ok: reason.is_empty(),
            subject: (*subject).to_owned(),
            reason: (*reason).to_owned(),
            ..v1::CheckItem::default()
        });
        let answer = v1::CheckTenantResponse {
            items: items.collect(),
            can_snapshot,
            ..v1::CheckTenantResponse::default()
        };
        assert_eq!(check_code(&answer), expected, "{found:?}");
    };
    check(&[("token", "")], true, exit::DONE);
    check(
        &[("licence", reason::LICENCE_REQUIRED)],
        false,
        exit::LICENCE_OR_CONSENT,
    );
    check(
        &[("user", reason::CONSENT_MISSING)],
        true,
        exit::LICENCE_OR_CONSENT,
    );
    check(
        &[("token", reason::CREDENTIAL_UNUSABLE)],
        false,
        exit::FAILED,
    );
    check(&[("user", reason::GRAPH_THROTTLED)], true, exit::WARNINGS);
}
