//! The first page: every tenant that the caller may see, and which of them somebody
//! should look at.
//!
//! Owns how a tenant's state is told at a glance. Which tenants stand on a page, in which
//! order, and what all of them come to is what the gateway's index answers, however many
//! there are.

mod health;
mod source;

use super::Shared;
use super::asked::Asked;
use super::filters;
use super::frame::{Answer, Frame, Section, page};
use super::parts::{Badge, Pager, address};
use super::session::Session;
use askama::Template;
use axum::Router;
use axum::routing::get;
use prost_types::Timestamp;
use proto::v1;
use show::text::id_of;

pub(super) use health::{Health, judge};
pub(super) use source::{of_snapshots, signals};

/// How many tenants a page shows.
const SHOWN: i32 = 50;

pub(super) fn routes() -> Router<Shared> {
    Router::new().route("/", get(overview))
}

/// By what the list can be ordered, with the words for it.
const ORDERS: [(&str, &str); 7] = [
    ("attention", "Attention first"),
    ("name", "Name"),
    ("age", "Oldest backup"),
    ("changes", "Most changes"),
    ("signals", "Most severe signals"),
    ("posture", "Least protected"),
    ("bytes", "Largest"),
];

/// One tenant.
struct Row {
    href: String,
    id: String,
    name: String,
    groups: Vec<Group>,
    badge: Badge,
    /// Why somebody should look.
    attention: Vec<String>,
    last: Option<Timestamp>,
    age: String,
    objects: i64,
    changes: i64,
    stored: i64,
    /// Signals of high or critical severity.
    severe: i64,
    /// How well it is guarded against hard deletion, of 100.
    posture: Option<i32>,
}

/// A group that a tenant is in.
struct Group {
    href: String,
    name: String,
}

/// A way to order the list.
struct Order {
    href: String,
    label: &'static str,
    is_here: bool,
}

/// What all tenants come to.
struct Tile {
    class: &'static str,
    count: i64,
    label: &'static str,
    /// Where that leads; empty where nowhere.
    href: &'static str,
}

#[derive(Template)]
#[template(path = "overview/show.html")]
struct Show {
    frame: Frame,
    text: String,
    group: String,
    order: String,
    attention_only: bool,
    orders: Vec<Order>,
    tiles: Vec<Tile>,
    rows: Vec<Row>,
    total: i64,
    pager: Pager,
    refreshed: Option<Timestamp>,
}

async fn overview(session: Session, asked: Asked) -> Answer {
    let (text, group, token) = (
        asked.text("q"),
        asked.text("group"),
        asked.text("page_token"),
    );
    let attention_only = asked.is_set("attention");
    let order = ORDERS
        .iter()
        .find(|(key, _)| *key == asked.text("order"))
        .map_or("attention", |(key, _)| *key);
    let request = v1::ListTenantOverviewsRequest {
        page_size: SHOWN,
        page_token: token.to_owned(),
        group: group.to_owned(),
        labels: Vec::new(),
        text: text.to_owned(),
        attention_only,
        order_by: order.to_owned(),
    };
    let answer = session.tenants().list_tenant_overviews(request).await?;
    let answer = answer.into_inner();
    let totals = answer.totals.unwrap_or_default();
    // What is as it is without saying so is left out of addresses.
    let shown_order = if order == "attention" { "" } else { order };
    let only = if attention_only { "1" } else { "" };
    let query = |order: &'static str| {
        [
            ("q", text),
            ("group", group),
            ("attention", only),
            ("order", order),
        ]
    };
    page(&Show {
        frame: session.frame(Section::Tenants, "Tenants"),
        orders: ORDERS
            .iter()
            .map(|&(key, label)| Order {
                href: address("/", &query(key)),
                label,
                is_here: key == order,
            })
            .collect(),
        tiles: tiles(&totals),
        rows: answer.overviews.into_iter().map(row).collect(),
        total: totals.tenants,
        pager: Pager::new("/", &query(shown_order), token, &answer.next_page_token),
        text: text.to_owned(),
        group: group.to_owned(),
        order: shown_order.to_owned(),
        attention_only,
        refreshed: answer.refresh_time,
    })
}

fn row(one: v1::TenantOverview) -> Row {
    let health = health::of_overview(&one);
    let summary = one.summary.unwrap_or_default();
    let signals = one.signals.unwrap_or_default();
    let id = id_of(&one.name).to_owned();
    Row {
        href: format!("/tenants/{id}"),
        name: match one.display_name.trim() {
            "" => id.clone(),
            name => name.to_owned(),
        },
        groups: one
            .groups
            .into_iter()
            .map(|name| Group {
                href: address("/", &[("group", &name)]),
                name,
            })
            .collect(),
        badge: Badge::new(health.tone, health.word),
        attention: one.attention,
        last: summary.last_snapshot_time,
        age: one.age_seconds.map(filters::span).unwrap_or_default(),
        objects: summary.counts.iter().map(|it| it.count).sum(),
        changes: one.week_changes,
        stored: summary.stored_bytes,
        severe: signals.high + signals.critical,
        posture: summary.posture_score,
        id,
    }
}

fn tiles(totals: &v1::OverviewTotals) -> Vec<Tile> {
    let signals = totals.signals.unwrap_or_default();
    let tile = |class: &'static str, count: i64, label: &'static str, href: &'static str| Tile {
        // Nothing to look at is nothing to colour.
        class: if count > 0 { class } else { "" },
        count,
        label,
        href,
    };
    vec![
        tile("", totals.tenants, "tenants", ""),
        tile("bad", totals.attention, "to be looked at", "/?attention=1"),
        tile("bad", totals.failing, "cannot be read", "/?attention=1"),
        tile("bad", totals.late, "late", "/?order=age"),
        tile(
            "bad",
            signals.high + signals.critical,
            "severe signals in 7 days",
            "/?order=signals",
        ),
        tile(
            "warn",
            totals.pending_changes,
            "guarded changes open",
            "/?attention=1",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_tells_what_the_summary_holds() {
        let told = row(v1::TenantOverview {
            name: "tenants/t-1".to_owned(),
            display_name: " ".to_owned(),
            groups: vec!["gold & co".to_owned()],
            summary: Some(v1::TenantSummary {
                last_snapshot: "20261123-daily".to_owned(),
                last_snapshot_complete: true,
                counts: vec![
                    v1::TypeCount {
                        r#type: "user".to_owned(),
                        count: 40,
                    },
                    v1::TypeCount {
                        r#type: "group".to_owned(),
                        count: 2,
                    },
                ],
                stored_bytes: 7,
                posture_score: Some(64),
                ..v1::TenantSummary::default()
            }),
            age_seconds: Some(7_200),
            week_changes: 5,
            signals: Some(v1::SignalTotals {
                low: 100,
                medium: 10,
                high: 2,
                critical: 1,
            }),
            ..v1::TenantOverview::default()
        });
        assert_eq!(
            (told.name.as_str(), told.href.as_str()),
            ("t-1", "/tenants/t-1")
        );
        assert_eq!((told.objects, told.changes, told.stored), (42, 5, 7));
        assert_eq!((told.severe, told.posture), (3, Some(64)));
        assert_eq!(told.age, "2 h");
        assert_eq!(told.groups[0].href, "/?group=gold+%26+co");
    }
}
