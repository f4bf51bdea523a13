//! The first page: every tenant that the caller may see, and which of them somebody
//! should look at.
//!
//! Owns how a tenant's state is judged at a glance and the order of the list. Where the
//! facts come from is the business of `source` alone.

mod health;
mod source;

use super::Shared;
use super::asked::Asked;
use super::filters;
use super::frame::{Answer, Frame, Section, page};
use super::parts::{Badge, Pager, Tone, address};
use super::session::Session;
use askama::Template;
use axum::Router;
use axum::routing::get;
use chrono::{DateTime, Utc};

pub(super) use health::{Health, judge};
pub(super) use source::{Facts, Known, of_snapshots, signals};

pub(super) fn routes() -> Router<Shared> {
    Router::new().route("/", get(show))
}

/// By what the list can be ordered, with the words for it.
const ORDERS: [(&str, &str); 4] = [
    ("attention", "Attention first"),
    ("name", "Name"),
    ("age", "Oldest backup first"),
    ("size", "Most objects first"),
];

/// One tenant.
struct Row {
    href: String,
    id: String,
    name: String,
    health: Health,
    badge: Badge,
    last: Option<DateTime<Utc>>,
    age: String,
    objects: Option<i64>,
    stored: Option<i64>,
    signals: Option<i64>,
    signals_href: String,
}

/// A way to order the list.
struct Order {
    href: String,
    label: &'static str,
    is_here: bool,
}

/// How many tenants stand how.
struct Tile {
    class: &'static str,
    count: usize,
    label: &'static str,
}

#[derive(Template)]
#[template(path = "overview/show.html")]
struct Show {
    frame: Frame,
    text: String,
    order: String,
    orders: Vec<Order>,
    tiles: Vec<Tile>,
    rows: Vec<Row>,
    pager: Pager,
    is_one_of_many_pages: bool,
}

async fn show(session: Session, asked: Asked) -> Answer {
    let (text, token) = (asked.text("q"), asked.text("page_token"));
    let order = ORDERS
        .iter()
        .find(|(key, _)| *key == asked.text("order"))
        .map_or("attention", |(key, _)| *key);
    let listing = source::list(&session, text, token).await?;
    let now = session.now();
    let mut rows: Vec<Row> = listing.tenants.iter().map(|it| row(it, now)).collect();
    sort(&mut rows, order);
    let shown_order = if order == "attention" { "" } else { order };
    page(&Show {
        frame: session.frame(Section::Tenants, "Tenants"),
        orders: ORDERS
            .iter()
            .map(|(key, label)| Order {
                href: address("/", &[("q", text), ("order", key), ("page_token", token)]),
                label,
                is_here: *key == order,
            })
            .collect(),
        tiles: tiles(&rows),
        pager: Pager::new(
            "/",
            &[("q", text), ("order", shown_order)],
            token,
            &listing.next_page_token,
        ),
        is_one_of_many_pages: !(token.is_empty() && listing.next_page_token.is_empty()),
        text: text.to_owned(),
        order: shown_order.to_owned(),
        rows,
    })
}

fn row(facts: &Facts, now: DateTime<Utc>) -> Row {
    let health = judge(facts, now);
    let newest = match &facts.known {
        Known::Yes(known) => known.newest.as_ref(),
        Known::Unavailable | Known::Hidden => None,
    };
    let last = newest.map(|it| it.time);
    let signals = match &facts.known {
        Known::Yes(known) => known.signals,
        Known::Unavailable | Known::Hidden => None,
    };
    Row {
        href: format!("/tenants/{}", facts.id),
        signals_href: format!("/tenants/{}/signals", facts.id),
        id: facts.id.clone(),
        name: facts.name.clone(),
        badge: Badge::new(health.tone, health.word),
        last,
        age: last
            .map(|last| filters::span((now - last).num_seconds()))
            .unwrap_or_default(),
        objects: newest.map(|it| it.objects),
        stored: newest.map(|it| it.stored),
        signals,
        health,
    }
}

fn sort(rows: &mut [Row], order: &str) {
    let by_name = |row: &Row| row.name.to_lowercase();
    match order {
        "name" => rows.sort_by_cached_key(by_name),
        "age" => rows.sort_by_cached_key(|row| (row.last, by_name(row))),
        "size" => rows.sort_by_cached_key(|row| (std::cmp::Reverse(row.objects), by_name(row))),
        _ => rows.sort_by_cached_key(|row| {
            let signals = std::cmp::Reverse(row.signals.unwrap_or_default());
            (row.health.urgency, signals, by_name(row))
        }),
    }
}

fn tiles(rows: &[Row]) -> Vec<Tile> {
    let with = |tone: Tone| rows.iter().filter(|row| row.health.tone == tone).count();
    let tile = |tone, class, label| {
        let count = with(tone);
        // Nothing to look at is nothing to colour.
        let class = if count > 0 { class } else { "" };
        Tile {
            class,
            count,
            label,
        }
    };
    vec![
        tile(Tone::Bad, "bad", "need attention"),
        tile(Tone::Warn, "warn", "to be looked at"),
        tile(Tone::Good, "good", "in order"),
        tile(Tone::Plain, "plain", "not known"),
    ]
}

#[cfg(test)]
mod tests {
    use super::source::{Newest, Snapshots};
    use super::*;
    use chrono::TimeDelta;

    fn facts(name: &str, hours: Option<i64>, signals: i64) -> Facts {
        Facts {
            id: name.to_owned(),
            name: name.to_owned(),
            known: Known::Yes(Snapshots {
                newest: hours.map(|hours| Newest {
                    time: DateTime::UNIX_EPOCH - TimeDelta::hours(hours),
                    complete: true,
                    objects: hours,
                    stored: 1,
                }),
                problems: 0,
                signals: Some(signals),
            }),
        }
    }

    #[test]
    fn what_needs_attention_comes_first() {
        let all = [
            facts("b-fresh", Some(1), 0),
            facts("A-fresh", Some(2), 0),
            facts("late", Some(40), 0),
            facts("signal", Some(3), 2),
            facts("never", None, 0),
        ];
        let mut rows: Vec<Row> = all.iter().map(|it| row(it, DateTime::UNIX_EPOCH)).collect();
        let mut names = |order| {
            sort(&mut rows, order);
            rows.iter().map(|row| row.name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(
            names("attention"),
            ["late", "signal", "never", "A-fresh", "b-fresh"]
        );
        assert_eq!(
            names("name"),
            ["A-fresh", "b-fresh", "late", "never", "signal"]
        );
        assert_eq!(
            names("age"),
            ["never", "late", "signal", "A-fresh", "b-fresh"]
        );
        assert_eq!(
            names("size"),
            ["late", "signal", "A-fresh", "b-fresh", "never"]
        );
    }
}
