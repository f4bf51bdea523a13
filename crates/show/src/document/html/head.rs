//! The page's beginning: whom and which times it is about, how much differs, what
//! was not compared, and what a restore cannot put back.

use std::collections::BTreeMap;

use askama::Template;
use proto::v1::{self, ChangeKind};

use super::super::tally::{Summary, TypeTally};
use crate::text::{id_of, shorten, tame, utc};
use crate::who::scope;
use crate::words::{self, KINDS, moment, number};

#[derive(Template)]
#[template(path = "report/head.html", whitespace = "minimize")]
pub(super) struct Head {
    tenant: String,
    facts: Vec<Fact>,
    kinds: Vec<Count>,
    links: Count,
    types: Vec<TypeRow>,
    total: TypeRow,
    obstacles: Vec<ObstacleRow>,
    not_compared: Vec<String>,
    older: Vec<String>,
}

/// One line about the report.
struct Fact {
    label: &'static str,
    text: String,
    /// What stands beside it in small letters; empty where nothing does.
    detail: String,
}

/// A number with what it counts.
struct Count {
    label: &'static str,
    class: &'static str,
    number: String,
}

/// How much differs of one type, or of all.
struct TypeRow {
    title: String,
    objects: String,
    /// How many objects of each kind of change; empty where there are none.
    kinds: Vec<String>,
    attributes: String,
    links: String,
}

/// What stands in the way of a restore, and of how many objects.
struct ObstacleRow {
    name: &'static str,
    reason: &'static str,
    objects: String,
}

impl Count {
    fn of(label: &'static str, class: &'static str, number: Option<u64>) -> Self {
        let number = number.unwrap_or_default();
        Self {
            label,
            // What is not there shall not catch the eye.
            class: if number == 0 { "none-of" } else { class },
            number: words::number(number),
        }
    }
}

impl Head {
    /// What is to be said.
    pub(super) fn of(summary: &Summary) -> Self {
        let report = &summary.report;
        let total = total(&summary.tally.types);
        let kinds = KINDS.map(|kind| {
            let (label, class) = words::kind(kind);
            Count::of(label, class, total.kinds.get(&kind).copied())
        });
        let links = Count::of("Links", "links", Some(total.links));
        let obstacles = summary.tally.obstacles.iter();
        Self {
            tenant: tenant(summary),
            facts: facts(summary),
            kinds: kinds.into(),
            links,
            types: summary.tally.types.iter().map(row).collect(),
            total: row(&total),
            obstacles: obstacles
                .map(|(obstacle, objects)| {
                    let (name, reason) = words::obstacle(*obstacle);
                    let objects = number(*objects);
                    ObstacleRow {
                        name,
                        reason,
                        objects,
                    }
                })
                .collect(),
            not_compared: report.not_compared.iter().map(|kind| tame(kind)).collect(),
            older: report.older.iter().map(|kind| tame(kind)).collect(),
        }
    }
}

/// What the tenant is called.
fn tenant(summary: &Summary) -> String {
    let named = summary.tenant.as_ref().map(|it| shorten(&it.display_name));
    named
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| tenant_id(&summary.report))
}

fn tenant_id(report: &v1::Report) -> String {
    tame(report.name.split('/').nth(1).unwrap_or_default())
}

fn facts(summary: &Summary) -> Vec<Fact> {
    let report = &summary.report;
    let at = |word: &str, time: Option<&prost_types::Timestamp>| {
        utc(time).map_or_else(String::new, |time| format!("{word} {}", moment(time)))
    };
    let base = summary.base.as_ref();
    let (target, how) = if report.target == "live" {
        let how = match report.method.as_str() {
            "full_read" => ", read for this report",
            "cached_read" => ", read for an earlier report",
            _ => "",
        };
        ("the live tenant".to_owned(), how)
    } else {
        (format!("snapshot {}", id_of(&report.target)), "")
    };
    let as_of = at("as of", report.target_time.as_ref());
    [
        ("Tenant", tenant(summary), tenant_id(report)),
        (
            "Old",
            format!("snapshot {}", id_of(&report.base)),
            at("taken", base.and_then(|base| base.start_time.as_ref())),
        ),
        ("Current", target, format!("{as_of}{how}")),
        ("Compared", scope(report.scope.as_ref()), String::new()),
        (
            "Report",
            id_of(&report.name).to_owned(),
            at("asked for", report.create_time.as_ref()),
        ),
    ]
    .map(|(label, text, detail)| Fact {
        label,
        text: tame(&text),
        detail: tame(&detail),
    })
    .into()
}

fn total(types: &[TypeTally]) -> TypeTally {
    let mut kinds: BTreeMap<ChangeKind, u64> = BTreeMap::new();
    for (kind, count) in types.iter().flat_map(|of| &of.kinds) {
        *kinds.entry(*kind).or_default() += count;
    }
    TypeTally {
        name: String::new(),
        kinds,
        attributes: types.iter().map(|of| of.attributes).sum(),
        links: types.iter().map(|of| of.links).sum(),
    }
}

fn row(of: &TypeTally) -> TypeRow {
    // A column of zeros hides the few numbers that matter.
    let shown = |count: u64| match count {
        0 => String::new(),
        count => number(count),
    };
    TypeRow {
        title: words::title(&of.name),
        objects: number(of.objects()),
        kinds: KINDS
            .map(|kind| shown(of.kinds.get(&kind).copied().unwrap_or_default()))
            .into(),
        attributes: shown(of.attributes),
        links: shown(of.links),
    }
}
