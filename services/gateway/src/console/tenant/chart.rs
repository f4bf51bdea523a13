//! How much changed from day to day, as a drawing.
//!
//! Owns the geometry. The numbers are those of the reports that compare each daily
//! snapshot with the one before; a day without one has no bar, and says so.

use super::filters;
use askama::Template;
use askama::filters::HtmlSafe;
use proto::v1;
use proto::v1::{ReportState, Snapshot};
use show::text::id_of;

/// The size of the drawing, in its own units.
const WIDTH: i64 = 560;
const HEIGHT: i64 = 150;
/// What is left for the texts below and above.
const BELOW: i64 = 24;
const ABOVE: i64 = 18;

/// The bars, oldest first.
#[derive(Debug, Template)]
#[template(path = "tenant/chart.html")]
pub(super) struct Chart {
    bars: Vec<Bar>,
    width: i64,
    height: i64,
    base: i64,
}

impl HtmlSafe for Chart {}

/// One day.
#[derive(Debug, PartialEq)]
struct Bar {
    x: i64,
    y: i64,
    width: i64,
    height: i64,
    middle: i64,
    day: String,
    /// How many objects changed; nothing where the days were not compared.
    changes: Option<i64>,
    href: String,
}

impl Chart {
    /// `snapshots` are the newest first.
    pub(super) fn of(snapshots: &[Snapshot], reports: &[v1::Report]) -> Self {
        let mut daily: Vec<&Snapshot> = snapshots
            .iter()
            .filter(|it| it.name.ends_with("-daily"))
            .collect();
        daily.reverse();
        let days: Vec<(&Snapshot, Option<&v1::Report>)> = daily
            .windows(2)
            .map(|pair| (pair[1], between(reports, &pair[0].name, &pair[1].name)))
            .collect();
        let changes = |report: Option<&v1::Report>| report.map(|it| changes(it.counts.as_ref()));
        let most = days
            .iter()
            .filter_map(|(_, it)| changes(*it))
            .max()
            .unwrap_or(0);
        let base = HEIGHT - BELOW;
        let step = WIDTH / i64::try_from(days.len().max(1)).unwrap_or(1);
        let width = (step * 2 / 3).clamp(4, 48);
        let mut bars = Vec::with_capacity(days.len());
        let mut x = 0;
        for (snapshot, report) in days {
            let count = changes(report);
            let height = height(count.unwrap_or(0), most);
            bars.push(Bar {
                x: x + (step - width) / 2,
                y: base - height,
                width,
                height,
                middle: x + step / 2,
                day: day(id_of(&snapshot.name)),
                changes: count,
                href: report.map(|it| format!("/{}", it.name)).unwrap_or_default(),
            });
            x += step;
        }
        Self {
            bars,
            width: WIDTH,
            height: HEIGHT,
            base,
        }
    }

    /// Whether no two days were compared.
    pub(super) fn is_empty(&self) -> bool {
        self.bars.iter().all(|it| it.changes.is_none())
    }
}

/// The newest report that compares two snapshots as a whole.
fn between<'a>(reports: &'a [v1::Report], base: &str, target: &str) -> Option<&'a v1::Report> {
    let is_whole = |it: &v1::Report| {
        let scope = it.scope.as_ref();
        scope.is_none_or(|it| it.types.is_empty() && it.ids.is_empty())
    };
    reports.iter().find(|it| {
        it.base == base
            && it.target == target
            && it.state() == ReportState::Succeeded
            && is_whole(it)
    })
}

fn changes(counts: Option<&v1::ChangeCounts>) -> i64 {
    let Some(it) = counts else { return 0 };
    it.added + it.modified + it.soft_deleted + it.hard_deleted + it.restored
}

/// How high a bar is: one that stands for anything can be seen.
fn height(count: i64, most: i64) -> i64 {
    if count <= 0 || most <= 0 {
        return 0;
    }
    (count * (HEIGHT - BELOW - ABOVE) / most).max(2)
}

/// `20261123-daily` as a person reads it below a bar.
fn day(id: &str) -> String {
    let date = id
        .get(..8)
        .and_then(|text| chrono::NaiveDate::parse_from_str(text, "%Y%m%d").ok());
    date.map_or_else(|| id.to_owned(), |date| date.format("%-d %b").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(day: u32, trigger: &str) -> Snapshot {
        Snapshot {
            name: format!("tenants/t/snapshots/202611{day:02}-{trigger}"),
            trigger: trigger.to_owned(),
            ..Snapshot::default()
        }
    }

    fn report(from: u32, to: u32, modified: i64) -> v1::Report {
        v1::Report {
            name: format!("tenants/t/reports/{from}-{to}"),
            state: ReportState::Succeeded.into(),
            base: format!("tenants/t/snapshots/202611{from:02}-daily"),
            target: format!("tenants/t/snapshots/202611{to:02}-daily"),
            counts: Some(v1::ChangeCounts {
                modified,
                ..v1::ChangeCounts::default()
            }),
            ..v1::Report::default()
        }
    }

    #[test]
    fn each_day_is_compared_with_the_one_before() {
        let snapshots = [
            snapshot(24, "daily"),
            snapshot(23, "on-demand"),
            snapshot(23, "daily"),
            snapshot(22, "daily"),
            snapshot(21, "daily"),
        ];
        let mut scoped = report(23, 24, 7);
        scoped.scope = Some(v1::Scope {
            types: vec!["user".to_owned()],
            ids: Vec::new(),
        });
        let reports = [
            scoped,
            report(23, 24, 100),
            report(21, 22, 1),
            report(21, 24, 9),
        ];
        let chart = Chart::of(&snapshots, &reports);
        let told: Vec<(&str, Option<i64>)> = chart
            .bars
            .iter()
            .map(|it| (it.day.as_str(), it.changes))
            .collect();
        assert_eq!(
            told,
            [("22 Nov", Some(1)), ("23 Nov", None), ("24 Nov", Some(100))]
        );
        assert_eq!(chart.bars[0].height, 2, "seen, however little it is");
        assert_eq!(chart.bars[2].y, ABOVE);
        assert!(!chart.is_empty() && chart.to_string().contains("100"));
        let inside = |bar: &Bar| bar.x >= 0 && bar.x + bar.width <= WIDTH;
        assert!(chart.bars.iter().all(inside));
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        assert!(Chart::of(&[], &[]).is_empty());
        assert!(Chart::of(&[snapshot(21, "daily")], &[]).is_empty());
        let none = Chart::of(
            &[snapshot(22, "daily"), snapshot(21, "daily")],
            &[report(21, 22, 0)],
        );
        assert!(!none.is_empty(), "that nothing changed is worth showing");
        assert_eq!(none.bars[0].height, 0);
    }
}
