//! The figures as tables, with the targets beside them, and as a page of documentation.

use std::fmt::Write as _;

use super::{Figures, Quiet};
use crate::bench::table::Table;

const MIB: f64 = 1_048_576.0;
const MILLION: u64 = 1_000_000;

/// A line of a table: its name, its target, and the figure with whether it misses the target.
type Line = (
    &'static str,
    &'static str,
    fn(&Figures) -> Option<(String, bool)>,
);

const LINES: [Line; 15] = [
    ("changes made", "", |f| Some((f.changes.to_string(), false))),
    ("objects that changed", "", |f| {
        Some((f.first.changed().0.to_string(), false))
    }),
    ("links that changed", "", |f| {
        Some((f.first.changed().1.to_string(), false))
    }),
    ("first report", "≤ 10 s at 1M, 1 %", |f| {
        let judged = f.size.objects() == MILLION && f.share <= 10;
        Some((seconds(f.first.seconds), judged && f.first.seconds > 10.0))
    }),
    ("how the tenant was read", "", |f| {
        let method = f.first.report["method"].as_str().unwrap_or_default();
        Some((method.replace('_', " "), false))
    }),
    ("its requests", "", |f| {
        Some((f.first.requests().to_string(), false))
    }),
    ("its resource units", "", |f| {
        Some((f.first.asked.units.to_string(), false))
    }),
    (
        "the differ's peak memory",
        "≤ 1,024 MiB at 1M, 1 %",
        |f| {
            let mib = f.first.peak as f64 / MIB;
            let judged = f.size.objects() == MILLION && f.share <= 10;
            Some((format!("{mib:.0} MiB"), judged && mib > 1_024.0))
        },
    ),
    ("the same from memory (p50)", "≤ 0.050 s", |f| {
        Some((seconds(f.again), f.again > 0.05))
    }),
    ("between two snapshots", "", |f| {
        Some((seconds(f.between.seconds), false))
    }),
    ("the differ's peak memory then", "", |f| {
        let mib = f.between.peak as f64 / MIB;
        Some((format!("{mib:.0} MiB"), false))
    }),
    ("git diff --no-index", "", |f| {
        let others = f.others.as_ref()?;
        Some((other(others.git, others.limit), false))
    }),
    ("deepdiff", "", |f| {
        let others = f.others.as_ref()?;
        Some((other(others.deepdiff, others.limit), false))
    }),
    ("git ÷ between two snapshots", "", |f| {
        let times = f.others.as_ref()?.git? / f.between.seconds;
        Some((format!("{times:.0}"), false))
    }),
    ("deepdiff ÷ between two snapshots", "", |f| {
        let times = f.others.as_ref()?.deepdiff? / f.between.seconds;
        Some((format!("{times:.0}"), false))
    }),
];

fn seconds(seconds: f64) -> String {
    format!("{seconds:.3} s")
}

fn other(took: Option<f64>, limit: u64) -> String {
    took.map_or_else(|| format!("> {limit} s"), seconds)
}

fn marked((figure, is_missed): (String, bool)) -> String {
    match is_missed {
        true => format!("{figure} (missed)"),
        false => figure,
    }
}

/// Print what was measured at once.
pub(super) fn tell(figures: &Figures) {
    let mut text = format!("    {} of 1,000 changed", figures.share);
    for (name, _, figure) in LINES {
        if let Some(figure) = figure(figures) {
            // Writing to a text cannot fail.
            let _ = write!(text, "; {name}: {}", marked(figure));
        }
    }
    println!("{text}");
}

/// One table for each size, and one for all with quotas.
pub(super) fn tables(figures: &[Figures], quiet: &[Quiet]) -> String {
    let mut text = String::new();
    for size in quiet.iter().map(|quiet| quiet.size) {
        let those: Vec<&Figures> = figures.iter().filter(|f| f.size == size).collect();
        let objects = those.first().map_or(0, |f| f.objects);
        text += &format!("### {} ({objects} objects compared)\n\n", size.name());
        let mut table = Table::default();
        let shares = those.iter().map(|f| format!("{} %", f.share as f64 / 10.0));
        let heading = std::iter::once(String::new()).chain(shares);
        table.row(heading.chain(std::iter::once("target".to_owned())));
        for (name, target, figure) in LINES {
            let cells: Vec<Option<(String, bool)>> = those.iter().map(|f| figure(f)).collect();
            if cells.iter().all(Option::is_none) {
                continue;
            }
            let cells = cells
                .into_iter()
                .map(|cell| cell.map(marked).unwrap_or_default());
            let row = std::iter::once(name.to_owned()).chain(cells);
            table.row(row.chain(std::iter::once(target.to_owned())));
        }
        text += &table.render();
        text += "\n";
    }
    text += "### Nothing new, documented quotas\n\n";
    let mut table = Table::default();
    let names = quiet.iter().map(|quiet| quiet.size.name());
    let heading = std::iter::once(String::new()).chain(names);
    table.row(heading.chain(std::iter::once("target".to_owned())));
    let took = quiet.iter().map(|quiet| {
        let is_missed = quiet.size.objects() == MILLION && quiet.seconds > 3.0;
        marked((seconds(quiet.seconds), is_missed))
    });
    let row = std::iter::once("the report again".to_owned()).chain(took);
    table.row(row.chain(std::iter::once("≤ 3 s at 1M".to_owned())));
    let requests = quiet.iter().map(|quiet| quiet.requests.to_string());
    let row = std::iter::once("its requests".to_owned()).chain(requests);
    table.row(row.chain(std::iter::once(String::new())));
    text + &table.render()
}

/// The part of the page.
pub(super) fn part(about: &[String], tables: &str) -> String {
    let about: String = about.iter().map(|line| format!("{line}\n")).collect();
    format!("{INTRODUCTION}{about}\n{tables}")
}

const INTRODUCTION: &str = "\
## Difference reports

`cargo xtask bench differ --write docs/benchmarks.md` wrote this part.

Simulator, gateway, snapshotter and differ are processes of their own on one machine, talk over loopback without TLS, and share its cores.
Seconds are those that the client waits, from its own start to the printed report.
A first report is made by a differ that was just started: it reads what changed since the newest snapshot, compares, reads the audit log, and stores the report.
Where more than half of a type seems to be gone, as may happen to the few policies of a large tenant, everything is read again before that is believed.
The same again is made twenty times with `--max-age 1h` and asks Graph nothing.
No quotas are kept on either side, but in the last table, where both keep those that Microsoft documents.
git and deepdiff compare the exported JSON of the same two snapshots, git a file for each object, deepdiff what it has read into memory before; the time to export and to read is not counted.

";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{Made, others::Others};
    use super::*;
    use crate::bench::control::Asked;

    fn made(seconds: f64) -> Made {
        Made {
            seconds,
            asked: Asked::default(),
            peak: 2 << 30,
            report: json!({"counts": {"added": "2", "modified": 3, "links": "7"}}),
        }
    }

    #[test]
    fn what_misses_its_target_is_marked() {
        let size: crate::bench::size::Size = "1m".parse().unwrap();
        let figures = Figures {
            size,
            share: 10,
            changes: 11,
            objects: 100,
            first: made(12.0),
            again: 0.06,
            between: made(2.0),
            others: Some(Others {
                git: Some(20.0),
                deepdiff: None,
                limit: 9,
            }),
        };
        assert_eq!(figures.first.changed(), (5, 7));
        let quiet = Quiet {
            size,
            seconds: 3.5,
            requests: 12,
        };
        let text = tables(&[figures], &[quiet]);
        for part in [
            "12.000 s (missed)",
            "2048 MiB (missed)",
            "0.060 s (missed)",
            "3.500 s (missed)",
            "> 9 s",
            " 10 |",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains(" 2.000 s (missed)"), "{text}");
    }
}
