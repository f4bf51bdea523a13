//! Registering, showing and checking tenants.

use super::support::{
    A, B, OPERATOR, OWNER_A, OWNER_B, Sandbox, UNKNOWN, sandbox, sandbox_of, sandbox_with, tenant,
    with,
};
use crate::Applications;
use model::TenantId;
use proto::v1::tenant_service_client::TenantServiceClient;
use proto::v1::*;
use tonic::transport::Channel;
use tonic::{Code, Status};

fn client(sandbox: &Sandbox) -> TenantServiceClient<Channel> {
    TenantServiceClient::new(sandbox.channel.clone())
}

async fn create(sandbox: &Sandbox, tenant: Tenant) -> Result<Tenant, Status> {
    let request = with(
        OPERATOR,
        CreateTenantRequest {
            tenant: Some(tenant),
            request_id: "r".to_owned(),
            validate_only: false,
        },
    );
    client(sandbox)
        .create_tenant(request)
        .await
        .map(|response| response.into_inner().tenant.expect("there"))
}

fn told(error: &Status) -> String {
    format!(
        "{} {}",
        runtime::status::parse(error).reason.unwrap_or_default(),
        error.message()
    )
}

#[tokio::test]
async fn a_registration_is_kept_and_shown() {
    let sandbox = sandbox().await;
    let created = create(&sandbox, tenant(A)).await.expect("registered");
    assert_eq!(created.name, format!("tenants/{A}"));
    assert_eq!(created.create_time.expect("there").seconds, 1_795_420_800);
    let shown = client(&sandbox)
        .get_tenant(with(
            OWNER_A,
            GetTenantRequest {
                name: created.name.clone(),
            },
        ))
        .await
        .expect("shown");
    assert_eq!(shown.into_inner().tenant.as_ref(), Some(&created));
    let mut expected = Tenant {
        name: created.name.clone(),
        create_time: created.create_time,
        retention: "recent=5,days=0,weeks=0,months=0,floor-days=0,minimum=1".to_owned(),
        drift_watch: "on".to_owned(),
        audit_watch: "on".to_owned(),
        approval: "off".to_owned(),
        schedule: "00:00-06:00".to_owned(),
        next_slot_time: created.next_slot_time,
        state: TenantState::Active.into(),
        ..tenant(A)
    };
    let next = created.next_slot_time.expect("there").seconds;
    let midnight = 1_795_420_800 + 16 * 3_600;
    assert!((midnight..midnight + 6 * 3_600).contains(&next), "{next}");
    let consent = |client: &str, state: &str| {
        format!(
            "https://login.microsoftonline.com/{A}/adminconsent?client_id=0a1b2c3d-0000-4000-8000-0000000000{client}&state={state}"
        )
    };
    expected.reader.get_or_insert_default().consent_url = consent("c1", "reader");
    expected.writer.get_or_insert_default().consent_url = consent("c2", "writer");
    assert_eq!(created, expected, "everything that was given is kept");
    assert!(
        sandbox
            .vault
            .tenant(&TenantId::parse(A).expect("valid"))
            .await
            .is_ok(),
        "the tenant has its key"
    );

    let missing = client(&sandbox)
        .get_tenant(with(
            OPERATOR,
            GetTenantRequest {
                name: UNKNOWN.to_owned(),
            },
        ))
        .await
        .expect_err("unknown");
    assert_eq!(
        told(&missing),
        format!("NOT_FOUND tenant {UNKNOWN} is not registered")
    );
}

#[tokio::test]
async fn the_same_registration_again_is_the_first_and_another_a_conflict() {
    let sandbox = sandbox().await;
    let first = create(&sandbox, tenant(A)).await.expect("registered");
    let loud = Tenant {
        id: A.to_uppercase(),
        ..tenant(A)
    };
    assert_eq!(create(&sandbox, loud).await.expect("the same"), first);
    let other = create(
        &sandbox,
        Tenant {
            display_name: "Fabrikam".to_owned(),
            ..tenant(A)
        },
    )
    .await
    .expect_err("another");
    assert_eq!(other.code(), Code::AlreadyExists);
    assert_eq!(
        told(&other),
        format!("ALREADY_EXISTS tenant {A} is registered already, with other content")
    );
}

#[tokio::test]
async fn what_is_watched_can_be_changed_and_nothing_else_is() {
    let sandbox = sandbox().await;
    let quiet = Tenant {
        drift_watch: "off".to_owned(),
        ..tenant(A)
    };
    let first = create(&sandbox, quiet).await.expect("registered");
    let update = async |name: &str, drift_watch: Option<&str>| {
        let request = UpdateTenantRequest {
            name: name.to_owned(),
            drift_watch: drift_watch.map(str::to_owned),
            request_id: "r".to_owned(),
            ..UpdateTenantRequest::default()
        };
        let answer = client(&sandbox)
            .update_tenant(with(OPERATOR, request))
            .await;
        answer.map(|answer| answer.into_inner().tenant.expect("there"))
    };
    let versions = async || {
        let id = TenantId::parse(A).expect("valid");
        let record = sandbox.vault.tenant_record(&id).await.expect("read");
        record.expect("there").version
    };
    let changed = Tenant {
        drift_watch: "on,mass-disable=10%".to_owned(),
        ..first.clone()
    };
    for _ in 0..2 {
        let updated = update(&first.name, Some("on,mass-disable=10%")).await;
        assert_eq!(updated.expect("updated"), changed);
        assert_eq!(versions().await, 2, "the same again writes nothing");
    }
    let same = update(&first.name, None).await.expect("nothing to do");
    assert_eq!(same, changed);
    let default = update(&first.name, Some("")).await.expect("updated");
    assert_eq!(default.drift_watch, "on", "which sees more");

    let malformed = update(&first.name, Some("on,mass-hysteria=5%")).await;
    let malformed = told(&malformed.expect_err("no rule"));
    assert!(
        malformed.starts_with("INVALID_ARGUMENT drift_watch: there is no rule \"mass-hysteria\""),
        "{malformed}"
    );
    let unknown = update(&format!("tenants/{UNKNOWN}"), Some("off")).await;
    assert_eq!(
        told(&unknown.expect_err("unknown")),
        format!("NOT_FOUND tenant {UNKNOWN} is not registered")
    );
    let request = UpdateTenantRequest {
        name: first.name,
        drift_watch: Some("off".to_owned()),
        ..UpdateTenantRequest::default()
    };
    let foreign = client(&sandbox).update_tenant(with(OWNER_B, request)).await;
    assert_eq!(foreign.expect_err("refused").code(), Code::PermissionDenied);
}

#[tokio::test]
async fn who_must_keep_a_way_in_can_be_changed_and_nothing_else_is() {
    let sandbox = sandbox().await;
    let first = create(&sandbox, tenant(A)).await.expect("registered");
    let update = async |ids: &[&str]| {
        let ids = ids.iter().map(ToString::to_string).collect();
        let request = UpdateTenantRequest {
            name: first.name.clone(),
            break_glass: Some(BreakGlassAccounts { ids }),
            ..UpdateTenantRequest::default()
        };
        let answer = client(&sandbox)
            .update_tenant(with(OPERATOR, request))
            .await;
        answer.map(|answer| answer.into_inner().tenant.expect("there"))
    };
    let one = "0a1b2c3d-0000-4000-8000-0000000000e1";
    let other = "0a1b2c3d-0000-4000-8000-0000000000e2";
    let expected = Tenant {
        break_glass_ids: vec![one.to_owned(), other.to_owned()],
        ..first.clone()
    };
    assert_eq!(update(&[other, one]).await.expect("updated"), expected);
    let malformed = update(&["ann@contoso.com"]).await.expect_err("refused");
    assert_eq!(
        told(&malformed),
        "INVALID_ARGUMENT break_glass.ids[0]: a user's GUID is expected"
    );
}

#[tokio::test]
async fn who_approves_can_be_changed_and_nothing_else_is() {
    let sandbox = sandbox().await;
    let strict = Tenant {
        approval: "on,changes=10".to_owned(),
        ..tenant(A)
    };
    let first = create(&sandbox, strict).await.expect("registered");
    assert_eq!(first.approval, "on,changes=10");
    let update = async |approval: &str| {
        let request = UpdateTenantRequest {
            name: first.name.clone(),
            approval: Some(approval.to_owned()),
            ..UpdateTenantRequest::default()
        };
        let answer = client(&sandbox)
            .update_tenant(with(OPERATOR, request))
            .await;
        answer.map(|answer| answer.into_inner().tenant.expect("there"))
    };
    let changed = Tenant {
        approval: "on,changes=5,expires=8h".to_owned(),
        ..first.clone()
    };
    let updated = update("on,changes=5,expires=8h").await.expect("updated");
    assert_eq!(updated, changed);
    let malformed = update("on,expires=9d").await.expect_err("no hours");
    assert_eq!(
        told(&malformed),
        "INVALID_ARGUMENT approval: \"9d\" is no time from 1h to 720h"
    );
}

fn hook(url: &str, secret_ref: &str) -> Webhook {
    Webhook {
        url: url.to_owned(),
        secret_ref: secret_ref.to_owned(),
        ..Webhook::default()
    }
}

async fn point(sandbox: &Sandbox, webhook: Webhook) -> Result<Option<Webhook>, Status> {
    let request = UpdateTenantRequest {
        name: format!("tenants/{A}"),
        webhook: Some(webhook),
        ..UpdateTenantRequest::default()
    };
    let answer = client(sandbox)
        .update_tenant(with(OPERATOR, request))
        .await?;
    Ok(answer.into_inner().tenant.expect("there").webhook)
}

#[tokio::test]
async fn a_webhook_can_be_set_and_whoever_is_told_is_told_on() {
    let sandbox = sandbox().await;
    let with_hook = Tenant {
        webhook: Some(hook(
            "https://hooks.example/a?b=c",
            "env:REWIND_CREDENTIAL_WEBHOOK_A",
        )),
        ..tenant(A)
    };
    let first = create(&sandbox, with_hook.clone())
        .await
        .expect("registered");
    let kept = first.webhook.clone().expect("kept");
    assert_eq!(kept.min_severity(), Severity::Low);
    assert_eq!(kept.since_time.expect("there").seconds, 1_795_420_800);
    assert_eq!(create(&sandbox, with_hook).await.expect("the same"), first);

    // Whoever is told now is told until somebody else agrees.
    for quieter in [
        Webhook {
            min_severity: Severity::High.into(),
            ..hook(
                "https://hooks.example/a?b=c",
                "env:REWIND_CREDENTIAL_WEBHOOK_A",
            )
        },
        hook("https://1.1.1.1:8443/", "env:REWIND_CREDENTIAL_WEBHOOK_A"),
        hook("https://hooks.example/a?b=c", "file:contoso"),
        Webhook::default(),
    ] {
        let still = point(&sandbox, quieter).await.expect("asked");
        assert_eq!(still, Some(kept.clone()));
    }
    assert_eq!(sandbox.fake.proposed.lock().expect("unpoisoned").len(), 4);
}

#[tokio::test]
async fn a_webhook_leads_out_of_the_house_by_https() {
    let sandbox = sandbox().await;
    create(&sandbox, tenant(A)).await.expect("registered");
    let secret = "env:REWIND_CREDENTIAL_WEBHOOK_A";
    for url in [
        "http://hooks.example/",
        "ftp://hooks.example/",
        "hooks.example",
        "https://user:hunter2@hooks.example/",
        "https://hooks.example/#part",
        "https://127.0.0.1/",
        "https://2130706433/",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://169.254.169.254/latest/meta-data/",
        &format!("https://hooks.example/{}", "a".repeat(2_000)),
    ] {
        let refused = point(&sandbox, hook(url, secret)).await.expect_err(url);
        assert_eq!(
            told(&refused),
            "INVALID_ARGUMENT webhook.url: an https URL of a public host is expected, without credentials or fragment",
            "{url}"
        );
    }
    let url = "https://hooks.example/";
    for (reference, expected) in [
        ("hunter2", "INVALID_ARGUMENT webhook.secret_ref"),
        ("", "INVALID_ARGUMENT webhook.secret_ref"),
        ("workload-identity", "INVALID_ARGUMENT webhook.secret_ref"),
        (
            "env:REWIND_CREDENTIAL_READER_A",
            "CREDENTIAL_REFERENCE_REFUSED webhook.secret_ref",
        ),
        (
            "file:../reader",
            "CREDENTIAL_REFERENCE_REFUSED webhook.secret_ref",
        ),
    ] {
        let refused = point(&sandbox, hook(url, reference)).await;
        let line = told(&refused.expect_err(reference));
        assert!(line.starts_with(expected), "{line}");
        assert!(!line.contains("hunter2"), "{line}");
    }
    let loud = Webhook {
        min_severity: 9,
        ..hook(url, secret)
    };
    let refused = told(&point(&sandbox, loud).await.expect_err("no severity"));
    assert_eq!(
        refused,
        "INVALID_ARGUMENT webhook.min_severity: a severity is expected"
    );

    let practice = sandbox_with(true).await;
    create(&practice, tenant(A)).await.expect("registered");
    let local = point(&practice, hook("http://127.0.0.1:8080/", secret)).await;
    assert!(local.expect("allowed").is_some());
}

#[tokio::test]
async fn what_does_not_fit_is_named_and_no_secret_is_repeated() {
    let sandbox = sandbox().await;
    let app = |client_id: &str, secret_ref: &str| {
        Some(AppCredential {
            client_id: client_id.to_owned(),
            secret_ref: secret_ref.to_owned(),
            ..Default::default()
        })
    };
    let certificate = |reference: &str| {
        Some(AppCredential {
            certificate_ref: reference.to_owned(),
            ..app("id", "").expect("there")
        })
    };
    let federated = |reference: &str| {
        Some(AppCredential {
            federated_token_ref: reference.to_owned(),
            ..app("id", "").expect("there")
        })
    };
    let cases = [
        Tenant {
            id: "contoso.com".to_owned(),
            ..tenant(A)
        },
        Tenant {
            display_name: " ".to_owned(),
            ..tenant(A)
        },
        Tenant {
            cloud: "mars".to_owned(),
            ..tenant(A)
        },
        Tenant {
            graph_url: "https://graph.example/v1.0".to_owned(),
            ..tenant(A)
        },
        Tenant {
            login_url: "https://login.example".to_owned(),
            ..tenant(A)
        },
        Tenant {
            reader: None,
            ..tenant(A)
        },
        Tenant {
            reader: app("", "file:x"),
            ..tenant(A)
        },
        Tenant {
            reader: app("id", "hunter2"),
            ..tenant(A)
        },
        Tenant {
            reader: app("id", "env:REWIND_CREDENTIAL_WRITER_X"),
            ..tenant(A)
        },
        Tenant {
            writer: app("id", "env:HUNTER2"),
            ..tenant(A)
        },
        Tenant {
            writer: app("id", "file:../hunter2"),
            ..tenant(A)
        },
        Tenant {
            reader: certificate("hunter2"),
            ..tenant(A)
        },
        Tenant {
            reader: certificate("env:REWIND_CREDENTIAL_READER_X"),
            ..tenant(A)
        },
        Tenant {
            writer: federated("file:/../hunter2"),
            ..tenant(A)
        },
        Tenant {
            reader: Some(AppCredential {
                certificate_ref: "file:hunter2".to_owned(),
                ..app("id", "file:hunter2").expect("there")
            }),
            ..tenant(A)
        },
        Tenant {
            reader: app("id", ""),
            ..tenant(A)
        },
        Tenant {
            writer: Some(AppCredential {
                installation: true,
                ..AppCredential::default()
            }),
            ..tenant(A)
        },
        Tenant {
            break_glass_ids: vec!["ann@contoso.com".to_owned()],
            ..tenant(A)
        },
    ];
    let mut lines = Vec::new();
    for case in cases {
        let line = told(
            &create(&sandbox, case)
                .await
                .expect_err("must not be registered"),
        );
        assert!(!line.to_lowercase().contains("hunter2"), "{line}");
        lines.push(line);
    }
    insta::assert_snapshot!(lines.join("\n"), @r"
    INVALID_ARGUMENT tenant.id: a tenant's GUID or a name that begins tenants/GUID is expected
    INVALID_ARGUMENT tenant.display_name: 1 to 200 visible characters are expected
    INVALID_ARGUMENT tenant.cloud: global, usgov, usgov-dod or china is expected
    CUSTOM_CLOUD_REFUSED tenant.graph_url: this server does not allow custom Graph or login hosts
    CUSTOM_CLOUD_REFUSED tenant.login_url: this server does not allow custom Graph or login hosts
    INVALID_ARGUMENT tenant.reader: an application that reads the tenant is needed, since this installation has none
    INVALID_ARGUMENT tenant.reader.client_id: an application's client id is expected
    INVALID_ARGUMENT tenant.reader.secret_ref: a secret is given as env:NAME or file:PATH, never as its value
    CREDENTIAL_REFERENCE_REFUSED tenant.reader.secret_ref: the environment name of this credential must begin with REWIND_CREDENTIAL_READER_ and go on with capital letters, digits or underscores
    CREDENTIAL_REFERENCE_REFUSED tenant.writer.secret_ref: the environment name of this credential must begin with REWIND_CREDENTIAL_WRITER_ and go on with capital letters, digits or underscores
    CREDENTIAL_REFERENCE_REFUSED tenant.writer.secret_ref: the file of this credential must lie below the directory that REWIND_CREDENTIALS_DIR names
    INVALID_ARGUMENT tenant.reader.certificate_ref: a certificate is given as file:PATH, never as its value
    INVALID_ARGUMENT tenant.reader.certificate_ref: a certificate is given as file:PATH, never as its value
    CREDENTIAL_REFERENCE_REFUSED tenant.writer.federated_token_ref: the file of this credential must lie below the directory that REWIND_CREDENTIALS_DIR names
    INVALID_ARGUMENT tenant.reader: exactly one of secret_ref, certificate_ref and federated_token_ref is expected
    INVALID_ARGUMENT tenant.reader: exactly one of secret_ref, certificate_ref and federated_token_ref is expected
    INVALID_ARGUMENT tenant.writer: this installation has no such application
    INVALID_ARGUMENT tenant.break_glass_ids[0]: a user's GUID is expected
    ");
    assert!(
        sandbox.vault.tenant_ids().await.expect("listed").is_empty(),
        "nothing was registered"
    );
}

#[tokio::test]
async fn custom_hosts_are_taken_where_the_server_allows_them() {
    let sandbox = sandbox_with(true).await;
    let custom = Tenant {
        graph_url: "http://127.0.0.1:8080/v1.0".to_owned(),
        login_url: "http://127.0.0.1:8080".to_owned(),
        ..tenant(A)
    };
    let created = create(&sandbox, custom).await.expect("registered");
    assert_eq!(created.graph_url, "http://127.0.0.1:8080/v1.0");
    for bad in [
        "ftp://x",
        "http://user:secret@x/",
        "http://x/?a=b",
        "nonsense",
    ] {
        let error = create(
            &sandbox,
            Tenant {
                graph_url: bad.to_owned(),
                ..tenant(B)
            },
        )
        .await
        .expect_err(bad);
        assert_eq!(
            told(&error),
            "INVALID_ARGUMENT tenant.graph_url: an http or https URL without credentials or query is expected"
        );
    }
}

#[tokio::test]
async fn a_list_holds_the_callers_tenants_in_pages() {
    let sandbox = sandbox().await;
    for id in [B, A] {
        create(&sandbox, tenant(id)).await.expect("registered");
    }
    let list = async |token: &str, page_size, page_token: &str| {
        let request = with(
            token,
            ListTenantsRequest {
                page_size,
                page_token: page_token.to_owned(),
                ..ListTenantsRequest::default()
            },
        );
        client(&sandbox)
            .list_tenants(request)
            .await
            .map(|response| {
                let list = response.into_inner();
                (
                    list.tenants
                        .into_iter()
                        .map(|tenant| tenant.id)
                        .collect::<Vec<_>>(),
                    list.next_page_token,
                )
            })
    };
    assert_eq!(
        list(OPERATOR, 0, "").await.expect("listed"),
        (vec![A.to_owned(), B.to_owned()], String::new())
    );
    let (first, next) = list(OPERATOR, 1, "").await.expect("listed");
    assert_eq!(
        (first, list(OPERATOR, 1, &next).await.expect("listed")),
        (vec![A.to_owned()], (vec![B.to_owned()], String::new()))
    );
    assert_eq!(
        list(OWNER_B, 0, "").await.expect("listed"),
        (vec![B.to_owned()], String::new())
    );
    assert_eq!(
        list(OWNER_B, 1, "").await.expect("listed").1,
        "",
        "not even the number of others is told"
    );
    let bad = list(OPERATOR, 1, "x").await.expect_err("no token of ours");
    assert_eq!(
        told(&bad),
        "INVALID_ARGUMENT page_token: the token of an earlier answer is expected"
    );
}

fn installed() -> Applications {
    Applications {
        reader: Some("shared-reader".to_owned()),
        writer: Some("shared-writer".to_owned()),
        redirect_url: Some("https://rewind.example/consent?from=a b".to_owned()),
    }
}

#[tokio::test]
async fn a_tenant_without_applications_uses_those_of_the_installation() {
    let sandbox = sandbox_of(false, installed()).await;
    let bare = Tenant {
        reader: None,
        writer: None,
        cloud: "usgov".to_owned(),
        ..tenant(A)
    };
    let created = create(&sandbox, bare.clone()).await.expect("registered");
    let consent = |app: &str| {
        format!(
            "https://login.microsoftonline.us/{A}/adminconsent?client_id=shared-{app}\
             &redirect_uri=https%3A%2F%2Frewind.example%2Fconsent%3Ffrom%3Da+b&state={app}"
        )
    };
    let shown = |app: &str| {
        Some(AppCredential {
            client_id: format!("shared-{app}"),
            installation: true,
            consent_url: consent(app),
            ..AppCredential::default()
        })
    };
    assert_eq!(
        (&created.reader, &created.writer),
        (&shown("reader"), &shown("writer"))
    );
    assert_eq!(create(&sandbox, bare).await.expect("the same"), created);
    assert_eq!(
        create(&sandbox, created.clone()).await.expect("as shown"),
        created,
        "what is shown can be registered again"
    );

    let readers_own = Tenant {
        writer: None,
        ..tenant(B)
    };
    let created = create(&sandbox, readers_own).await.expect("registered");
    assert_eq!(
        created.writer, None,
        "who names a reader alone wants no restores"
    );
}

#[tokio::test]
async fn a_missing_consent_comes_with_where_to_give_it() {
    let sandbox = sandbox_of(false, installed()).await;
    create(&sandbox, tenant(A)).await.expect("registered");
    let found = vec![
        item("user", true, ""),
        item("group", false, "CONSENT_MISSING"),
        item("licence", false, "LICENCE_REQUIRED"),
    ];
    let answer = check(&sandbox, Ok(found)).await;
    let urls: Vec<&str> = answer.items[..3]
        .iter()
        .map(|item| item.consent_url.as_str())
        .collect();
    assert_eq!((urls[0], urls[2]), ("", ""));
    assert!(
        urls[1].starts_with(&format!(
            "https://login.microsoftonline.com/{A}/adminconsent?client_id=0a1b2c3d-0000-4000-8000-0000000000c1&"
        )),
        "{urls:?}"
    );
}

fn item(subject: &str, ok: bool, reason: &str) -> CheckItem {
    CheckItem {
        app: "reader".to_owned(),
        subject: subject.to_owned(),
        ok,
        reason: reason.to_owned(),
        ..CheckItem::default()
    }
}

async fn check(sandbox: &Sandbox, answer: Result<Vec<CheckItem>, Status>) -> CheckTenantResponse {
    sandbox
        .fake
        .checks
        .lock()
        .expect("unpoisoned")
        .push_back(answer);
    let request = with(
        OPERATOR,
        CheckTenantRequest {
            name: format!("tenants/{A}"),
        },
    );
    client(sandbox)
        .check_tenant(request)
        .await
        .expect("answered")
        .into_inner()
}

#[tokio::test]
async fn a_check_merges_what_the_services_find_and_one_that_is_down_is_a_finding() {
    let sandbox = sandbox().await;
    create(&sandbox, tenant(A)).await.expect("registered");
    let good = vec![
        item("token", true, ""),
        item("licence", true, ""),
        item("user", false, "CONSENT_MISSING"),
    ];
    let answer = check(&sandbox, Ok(good.clone())).await;
    assert_eq!((answer.can_snapshot, answer.can_restore), (true, false));
    assert_eq!(
        (&answer.items[..2], answer.items[2].subject.as_str()),
        (&good[..2], "user")
    );
    let down = CheckItem {
        app: "writer".to_owned(),
        subject: "token".to_owned(),
        ok: false,
        detail: "the restorer cannot be reached".to_owned(),
        reason: "BACKEND_UNAVAILABLE".to_owned(),
        ..CheckItem::default()
    };
    assert_eq!(answer.items[3..], [down]);
    {
        let seen = sandbox.fake.seen.lock().expect("unpoisoned");
        assert_eq!(seen[0].get("x-rewind-caller").expect("there"), "operator");
        assert!(seen[0].contains_key("x-request-id") && !seen[0].contains_key("authorization"));
    }

    for poor in [
        vec![
            item("token", true, ""),
            item("licence", false, "LICENCE_REQUIRED"),
        ],
        vec![item("token", true, "")],
        vec![],
    ] {
        assert!(!check(&sandbox, Ok(poor)).await.can_snapshot);
    }
    let failed = check(&sandbox, Err(Status::internal("internal error"))).await;
    assert_eq!(
        (
            failed.items[0].reason.as_str(),
            failed.items[0].detail.as_str()
        ),
        ("INTERNAL", "the snapshotter could not try: internal error")
    );
}

#[tokio::test]
async fn a_check_without_a_writer_says_so_and_an_unknown_tenant_is_not_found() {
    let sandbox = sandbox().await;
    create(
        &sandbox,
        Tenant {
            writer: None,
            ..tenant(A)
        },
    )
    .await
    .expect("registered");
    let answer = check(&sandbox, Ok(vec![item("token", true, "")])).await;
    assert!(
        answer.items[1].detail.starts_with("no writer application"),
        "{:?}",
        answer.items
    );
    let missing = client(&sandbox)
        .check_tenant(with(
            OWNER_B,
            CheckTenantRequest {
                name: format!("tenants/{B}"),
            },
        ))
        .await;
    assert_eq!(missing.expect_err("not registered").code(), Code::NotFound);
}
