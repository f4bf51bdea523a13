//! How all tenants are: chosen, sorted, paged, each for those who may see it.

use super::support::{A, B, OPERATOR, OWNER_A, Sandbox, sandbox, tenant, with};
use crate::auth::{Caller, Tenants};
use crate::overview::Index;
use chrono::{DateTime, TimeDelta, Utc};
use model::TenantId;
use prost::Message;
use proto::convert::timestamp;
use proto::v1::tenant_service_client::TenantServiceClient;
use proto::v1::*;
use runtime::ManualClock;
use std::sync::Arc;
use store::{Kek, TenantRecord, Vault};
use tokio::time::Instant;
use tonic::Status;

fn now() -> DateTime<Utc> {
    "2026-11-23T08:00:00Z".parse().expect("a time")
}

fn id(text: &str) -> TenantId {
    TenantId::parse(text).expect("a GUID")
}

async fn create(sandbox: &Sandbox, tenant: Tenant) {
    let request = CreateTenantRequest {
        tenant: Some(tenant),
        ..CreateTenantRequest::default()
    };
    let mut client = TenantServiceClient::new(sandbox.channel.clone());
    client
        .create_tenant(with(OPERATOR, request))
        .await
        .expect("registered");
}

async fn overviews(
    sandbox: &Sandbox,
    token: &str,
    request: ListTenantOverviewsRequest,
) -> Result<ListTenantOverviewsResponse, Status> {
    let mut client = TenantServiceClient::new(sandbox.channel.clone());
    let answer = client.list_tenant_overviews(with(token, request)).await?;
    Ok(answer.into_inner())
}

fn names(answer: &ListTenantOverviewsResponse) -> Vec<&str> {
    answer
        .overviews
        .iter()
        .map(|it| it.display_name.as_str())
        .collect()
}

/// Of a tenant that was read so many hours ago.
fn summary(hours: i64) -> TenantSummary {
    TenantSummary {
        last_snapshot: "tenants/x/snapshots/y".to_owned(),
        last_snapshot_time: Some(timestamp(now() - TimeDelta::hours(hours))),
        last_snapshot_complete: true,
        stored_bytes: 1_000,
        ..TenantSummary::default()
    }
}

async fn tell(vault: &Vault, tenant: &TenantId, number: u64, summary: &TenantSummary) {
    let vault = vault.tenant(tenant).await.expect("there");
    let stored = vault
        .put_summary(number, summary.encode_to_vec().into())
        .await;
    assert!(stored.expect("stored"));
}

#[tokio::test]
async fn each_sees_their_tenants_and_what_needs_attention_first() {
    let sandbox = sandbox().await;
    for (id, name) in [(A, "Contoso"), (B, "Fabrikam")] {
        let tenant = Tenant {
            display_name: name.to_owned(),
            groups: vec!["gold".to_owned()],
            ..tenant(id)
        };
        create(&sandbox, tenant).await;
    }
    let everybody = overviews(&sandbox, OPERATOR, Default::default())
        .await
        .expect("listed");
    assert_eq!(names(&everybody), ["Contoso", "Fabrikam"]);
    assert!(everybody.refresh_time.is_some());

    let day = |date: &str, changes: i64, high: i32| DaySummary {
        date: date.to_owned(),
        changes: Some(changes),
        high_signals: high,
        ..DaySummary::default()
    };
    let busy = TenantSummary {
        days: vec![
            day("2026-11-16", 100, 9),
            day("2026-11-17", 3, 1),
            day("2026-11-23", 4, 1),
        ],
        pending_changes: 2,
        failure: Some(SummaryFailure {
            reason: "LICENCE_REQUIRED".to_owned(),
            count: 3,
            ..SummaryFailure::default()
        }),
        ..summary(40)
    };
    tell(&sandbox.vault, &id(B), 1, &busy).await;
    tell(&sandbox.vault, &id(A), 1, &summary(2)).await;
    let answer = overviews(&sandbox, OPERATOR, Default::default())
        .await
        .expect("listed");
    assert_eq!(names(&answer), ["Fabrikam", "Contoso"]);
    let first = &answer.overviews[0];
    assert_eq!(
        first.attention,
        [
            "snapshots fail, 3 times: LICENCE_REQUIRED",
            "no snapshot for 40 hours",
            "2 guarded changes are open",
            "2 high signals in 7 days"
        ]
    );
    assert_eq!((first.age_seconds, first.week_changes), (Some(144_000), 7));
    assert_eq!(first.signals.map(|it| it.high), Some(2));
    assert_eq!(first.summary.as_ref(), Some(&busy));
    assert!(answer.overviews[1].attention.is_empty());
    let totals = answer.totals.expect("there");
    assert_eq!(
        (
            totals.tenants,
            totals.failing,
            totals.late,
            totals.attention,
            totals.pending_changes
        ),
        (2, 1, 1, 1, 2)
    );
    assert_eq!(
        (
            totals.stored_bytes,
            totals.week_changes,
            totals.without_snapshot
        ),
        (2_000, 7, 0)
    );

    // Whoever may see one tenant learns of no other, by no number either.
    let own = overviews(&sandbox, OWNER_A, Default::default())
        .await
        .expect("listed");
    assert_eq!(names(&own), ["Contoso"]);
    assert_eq!(
        own.totals.map(|it| (it.tenants, it.attention)),
        Some((1, 0))
    );

    // A newer summary counts, and one that is there already is not read again.
    tell(&sandbox.vault, &id(B), 2, &summary(1)).await;
    let answer = overviews(&sandbox, OPERATOR, Default::default())
        .await
        .expect("listed");
    assert_eq!(answer.totals.map(|it| it.attention), Some(0));
}

#[tokio::test]
async fn lists_are_chosen_by_group_label_and_text() {
    let sandbox = sandbox().await;
    let sorted = |id: &str, name: &str, group: &str, tier: &str| Tenant {
        display_name: name.to_owned(),
        groups: vec![group.to_owned()],
        labels: [("tier".to_owned(), tier.to_owned())].into(),
        ..tenant(id)
    };
    create(&sandbox, sorted(A, "Contoso GmbH", "gold", "1")).await;
    create(&sandbox, sorted(B, "Fabrikam", "silver", "2")).await;
    let label = |text: &str| vec![text.to_owned()];
    for (group, labels, text, expected) in [
        ("gold", vec![], "", &[A][..]),
        ("platinum", vec![], "", &[]),
        ("", label("tier=2"), "", &[B]),
        ("", label("tier"), "", &[A, B]),
        ("", label("tier="), "", &[]),
        ("gold", label("tier=2"), "", &[]),
        ("", vec![], "gmbh", &[A]),
        ("", vec![], &B[20..], &[B]),
        ("", vec![], "", &[A, B]),
    ] {
        let request = ListTenantsRequest {
            group: group.to_owned(),
            labels: labels.clone(),
            text: text.to_owned(),
            ..ListTenantsRequest::default()
        };
        let mut client = TenantServiceClient::new(sandbox.channel.clone());
        let listed = client
            .list_tenants(with(OPERATOR, request))
            .await
            .expect("listed");
        let ids: Vec<String> = listed
            .into_inner()
            .tenants
            .into_iter()
            .map(|it| it.id)
            .collect();
        assert_eq!(ids, expected, "{group} {labels:?} {text}");
        let request = ListTenantOverviewsRequest {
            group: group.to_owned(),
            labels,
            text: text.to_owned(),
            order_by: "name".to_owned(),
            ..ListTenantOverviewsRequest::default()
        };
        let shown = overviews(&sandbox, OPERATOR, request)
            .await
            .expect("listed");
        assert_eq!(shown.overviews.len(), expected.len());
    }
    let wrong = ListTenantOverviewsRequest {
        order_by: "colour".to_owned(),
        ..ListTenantOverviewsRequest::default()
    };
    let refused = overviews(&sandbox, OPERATOR, wrong)
        .await
        .expect_err("no such order");
    assert!(
        refused
            .message()
            .starts_with("order_by: attention, name, age"),
        "{refused:?}"
    );
}

fn everybody() -> Caller {
    Caller::new("operator".to_owned(), [Role::Operator].into(), Tenants::All)
}

/// An index of so many tenants, of which each tells something else.
async fn index(tenants: u32) -> (Index, Vault) {
    let store = Arc::new(store::object_store::memory::InMemory::new());
    let vault = Vault::new(store, Arc::new(Kek::from_bytes([7; 32])));
    for n in 0..tenants {
        let tenant = testkit::store::tenant(n);
        let record = TenantRecord {
            name: format!("Customer {:05}", (n * 7_919) % tenants),
            groups: vec![format!("group-{}", n % 50)],
            ..testkit::store::record(&tenant)
        };
        vault.create_tenant(&record).await.expect("registered");
        let days = (10..24).map(|day| DaySummary {
            date: format!("2026-11-{day}"),
            changes: Some(i64::from(n % 97)),
            high_signals: i32::from(n % 31 == 0),
            ..DaySummary::default()
        });
        let counts = (0..14).map(|kind| TypeCount {
            r#type: format!("conditionalAccess{kind}"),
            count: i64::from(n),
        });
        let told = TenantSummary {
            days: days.collect(),
            counts: counts.collect(),
            posture_score: Some(i32::try_from(n % 101).expect("small")),
            stored_bytes: i64::from(n) * 1_000,
            ..summary(i64::from(n % 48))
        };
        tell(&vault, &tenant, 1, &told).await;
    }
    let index = Index::new(vault.clone(), Arc::new(ManualClock::new(now())));
    (index, vault)
}

#[tokio::test]
async fn pages_make_up_the_list_in_every_order_and_a_token_is_good_for_its_own() {
    let (index, _) = index(25).await;
    let page = async |order: &str, token: &str| {
        let request = ListTenantOverviewsRequest {
            page_size: 10,
            page_token: token.to_owned(),
            order_by: order.to_owned(),
            ..ListTenantOverviewsRequest::default()
        };
        index.list(&everybody(), &request).await
    };
    for order in [
        "",
        "name",
        "name desc",
        "age",
        "age asc",
        "changes",
        "signals",
        "posture",
        "bytes",
    ] {
        let (mut all, mut token) = (Vec::new(), String::new());
        loop {
            let answer = page(order, &token).await.expect(order);
            assert_eq!(answer.totals.map(|it| it.tenants), Some(25));
            all.extend(answer.overviews);
            token = answer.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        let mut once: Vec<&str> = all.iter().map(|it| it.name.as_str()).collect();
        once.sort_unstable();
        once.dedup();
        assert_eq!((all.len(), once.len()), (25, 25), "{order}");
        let rises = |key: &dyn Fn(&TenantOverview) -> i64| all.is_sorted_by_key(key);
        let falls = |key: &dyn Fn(&TenantOverview) -> i64| all.is_sorted_by_key(|it| -key(it));
        let stored = |it: &TenantOverview| it.summary.as_ref().map_or(0, |it| it.stored_bytes);
        let score = |it: &TenantOverview| {
            i64::from(
                it.summary
                    .as_ref()
                    .and_then(|it| it.posture_score)
                    .unwrap_or(0),
            )
        };
        let age = |it: &TenantOverview| it.age_seconds.unwrap_or(0);
        match order {
            "name" => assert!(all.is_sorted_by_key(|it| it.display_name.clone())),
            "age" => assert!(falls(&age)),
            "age asc" => assert!(rises(&age)),
            "changes" => assert!(falls(&|it| it.week_changes)),
            "posture" => assert!(rises(&score)),
            "bytes" => assert!(falls(&stored)),
            _ => {}
        }
        let next = page(order, "").await.expect(order).next_page_token;
        let other = if order == "bytes" { "name" } else { "bytes" };
        assert!(page(other, &next).await.is_err(), "{order}");
    }
}

#[tokio::test]
async fn a_page_of_ten_thousand_tenants_is_there_at_once() {
    const TENANTS: u32 = 10_000;
    let (index, vault) = index(TENANTS).await;
    index.refresh().await.expect("read");
    let mut slowest = std::time::Duration::ZERO;
    for order in [
        "", "name", "age desc", "changes", "signals", "posture", "bytes",
    ] {
        let request = ListTenantOverviewsRequest {
            order_by: order.to_owned(),
            ..ListTenantOverviewsRequest::default()
        };
        let begun = Instant::now();
        let answer = index.list(&everybody(), &request).await.expect("listed");
        slowest = slowest.max(begun.elapsed());
        assert_eq!(answer.overviews.len(), 100);
        assert_eq!(answer.totals.map(|it| it.tenants), Some(TENANTS.into()));
    }
    let begun = Instant::now();
    index.refresh().await.expect("read");
    println!(
        "10,000 tenants: a page within {slowest:?}, a pass without news in {:?}",
        begun.elapsed()
    );
    // The target is 200 ms; this build is not optimised, and the machine may be busy.
    assert!(slowest < std::time::Duration::from_secs(2), "{slowest:?}");
    // What changed is seen with the next pass.
    let first = testkit::store::tenant(0);
    tell(
        &vault,
        &first,
        2,
        &TenantSummary {
            pending_changes: 1,
            ..summary(1)
        },
    )
    .await;
    index.refresh().await.expect("read");
    let request = ListTenantOverviewsRequest {
        text: first.to_string(),
        ..ListTenantOverviewsRequest::default()
    };
    let answer = index.list(&everybody(), &request).await.expect("listed");
    assert_eq!(
        answer.totals.map(|it| (it.tenants, it.pending_changes)),
        Some((1, 1))
    );
}
