//! What takes effect at once, and what waits for a second person.

use super::support::{A, OPERATOR, Sandbox, sandbox, tenant, with};
use proto::v1::tenant_service_client::TenantServiceClient;
use proto::v1::*;
use tonic::Status;

const LONG: &str = "recent=30,days=0,weeks=0,months=0,floor-days=0,minimum=1";
const STRONG: [(&str, &str); 4] = [
    ("retention", LONG),
    ("approval", "on"),
    ("drift_watch", "on"),
    ("audit_watch", "on"),
];

async fn create(
    sandbox: &Sandbox,
    tenant: Tenant,
    only: bool,
) -> Result<CreateTenantResponse, Status> {
    let request = CreateTenantRequest {
        tenant: Some(tenant),
        request_id: String::new(),
        validate_only: only,
    };
    let mut client = TenantServiceClient::new(sandbox.channel.clone());
    let answer = client.create_tenant(with(OPERATOR, request)).await?;
    Ok(answer.into_inner())
}

async fn update(
    sandbox: &Sandbox,
    wanted: UpdateTenantRequest,
) -> Result<UpdateTenantResponse, Status> {
    let request = UpdateTenantRequest {
        name: format!("tenants/{A}"),
        request_id: "r".to_owned(),
        ..wanted
    };
    let mut client = TenantServiceClient::new(sandbox.channel.clone());
    let answer = client.update_tenant(with(OPERATOR, request)).await?;
    Ok(answer.into_inner())
}

/// A tenant that is protected in every way.
fn guarded() -> Tenant {
    Tenant {
        retention: LONG.to_owned(),
        approval: "on".to_owned(),
        webhook: Some(Webhook {
            url: "https://hooks.example/".to_owned(),
            secret_ref: "env:REWIND_CREDENTIAL_WEBHOOK_A".to_owned(),
            min_severity: Severity::Low.into(),
            since_time: None,
        }),
        ..tenant(A)
    }
}

#[tokio::test]
async fn what_protects_less_is_answered_as_a_change_and_does_not_take_effect() {
    let sandbox = sandbox().await;
    let first = create(&sandbox, guarded(), false)
        .await
        .expect("registered");
    let first = first.tenant.expect("there");
    let text = |text: &str| Some(text.to_owned());
    let cases = [
        (
            "retention",
            UpdateTenantRequest {
                retention: text("recent=29"),
                ..Default::default()
            },
        ),
        (
            "approval",
            UpdateTenantRequest {
                approval: text("off"),
                ..Default::default()
            },
        ),
        (
            "break_glass",
            UpdateTenantRequest {
                break_glass: Some(BreakGlassAccounts::default()),
                ..Default::default()
            },
        ),
        (
            "drift_watch",
            UpdateTenantRequest {
                drift_watch: text("on,mass-deletion=off"),
                ..Default::default()
            },
        ),
        (
            "audit_watch",
            UpdateTenantRequest {
                audit_watch: text("off"),
                ..Default::default()
            },
        ),
        (
            "webhook",
            UpdateTenantRequest {
                webhook: Some(Webhook::default()),
                ..Default::default()
            },
        ),
    ];
    for (field, wanted) in cases {
        let answer = update(&sandbox, wanted).await.expect(field);
        assert_eq!(answer.tenant.as_ref(), Some(&first), "{field}");
        let change = answer.pending_change.expect(field);
        assert_eq!(
            (change.settings.len(), change.settings[0].field.as_str()),
            (1, field)
        );
        assert_eq!(change.author, "operator");
        if let Some((_, before)) = STRONG.iter().find(|(name, _)| *name == field) {
            assert_eq!(change.settings[0].before, *before);
        }
        let (author, asked) = sandbox
            .fake
            .proposed
            .lock()
            .expect("unpoisoned")
            .pop()
            .expect("asked");
        assert_eq!(
            (author.as_str(), asked.request_id.as_str()),
            ("operator", "r"),
            "{field}"
        );
    }
}

#[tokio::test]
async fn what_protects_as_well_or_more_takes_effect_beside_what_waits() {
    let sandbox = sandbox().await;
    let first = create(&sandbox, guarded(), false)
        .await
        .expect("registered");
    let wanted = UpdateTenantRequest {
        display_name: Some(" Fabrikam ".to_owned()),
        retention: Some("recent=31,weeks=4".to_owned()),
        approval: Some("off".to_owned()),
        groups: Some(TenantGroups {
            names: vec!["gold".to_owned(), "emea".to_owned(), "gold".to_owned()],
        }),
        labels: Some(TenantLabels {
            labels: [("owner".to_owned(), "Ann B.".to_owned())].into(),
        }),
        schedule: Some("22:00-04:00".to_owned()),
        ..UpdateTenantRequest::default()
    };
    let answer = update(&sandbox, wanted).await.expect("updated");
    let expected = Tenant {
        display_name: "Fabrikam".to_owned(),
        retention: "recent=31,days=0,weeks=4,months=0,floor-days=0,minimum=1".to_owned(),
        groups: vec!["emea".to_owned(), "gold".to_owned()],
        labels: [("owner".to_owned(), "Ann B.".to_owned())].into(),
        schedule: "22:00-04:00".to_owned(),
        next_slot_time: answer.tenant.as_ref().and_then(|it| it.next_slot_time),
        ..first.tenant.expect("there")
    };
    assert_eq!(answer.tenant, Some(expected));
    let change = answer.pending_change.expect("a change");
    let waits: Vec<&str> = change.settings.iter().map(|it| it.field.as_str()).collect();
    assert_eq!(waits, ["approval"]);
    let none = UpdateTenantRequest {
        groups: Some(TenantGroups::default()),
        labels: Some(TenantLabels::default()),
        ..UpdateTenantRequest::default()
    };
    let answer = update(&sandbox, none).await.expect("updated");
    let tenant = answer.tenant.expect("there");
    assert!(tenant.groups.is_empty() && tenant.labels.is_empty());
    assert_eq!(answer.pending_change, None);
}

#[tokio::test]
async fn groups_labels_and_windows_that_do_not_fit_are_named() {
    let sandbox = sandbox().await;
    let many = |n: usize| (0..n).map(|n| format!("g{n}")).collect::<Vec<_>>();
    let labels = |key: &str, value: &str| [(key.to_owned(), value.to_owned())].into();
    for (tenant, field) in [
        (
            Tenant {
                groups: vec!["Gold".to_owned()],
                ..tenant(A)
            },
            "tenant.groups[0]",
        ),
        (
            Tenant {
                groups: vec![String::new()],
                ..tenant(A)
            },
            "tenant.groups[0]",
        ),
        (
            Tenant {
                groups: many(21),
                ..tenant(A)
            },
            "tenant.groups",
        ),
        (
            Tenant {
                labels: labels("a b", "x"),
                ..tenant(A)
            },
            "tenant.labels",
        ),
        (
            Tenant {
                labels: labels("a", &"x".repeat(201)),
                ..tenant(A)
            },
            "tenant.labels[a]",
        ),
        (
            Tenant {
                labels: labels("a", "x\ny"),
                ..tenant(A)
            },
            "tenant.labels[a]",
        ),
        (
            Tenant {
                labels: many(33).into_iter().map(|it| (it, String::new())).collect(),
                ..tenant(A)
            },
            "tenant.labels",
        ),
        (
            Tenant {
                schedule: "6-7".to_owned(),
                ..tenant(A)
            },
            "tenant.schedule",
        ),
    ] {
        let refused = create(&sandbox, tenant, true).await.expect_err(field);
        let violations = runtime::status::parse(&refused).violations;
        assert_eq!(violations[0].0, field);
    }
}

#[tokio::test]
async fn what_is_only_told_is_not_registered() {
    let sandbox = sandbox().await;
    let told = create(&sandbox, tenant(A), true)
        .await
        .expect("it could be");
    assert!(!told.already_registered);
    assert!(sandbox.vault.tenant_ids().await.expect("listed").is_empty());
    create(&sandbox, tenant(A), false)
        .await
        .expect("registered");
    for only in [true, false] {
        let again = create(&sandbox, tenant(A), only).await.expect("the same");
        assert!(again.already_registered, "{only}");
        let other = Tenant {
            display_name: "Fabrikam".to_owned(),
            ..tenant(A)
        };
        let refused = create(&sandbox, other, only).await.expect_err("another");
        assert_eq!(refused.code(), tonic::Code::AlreadyExists, "{only}");
    }
}
