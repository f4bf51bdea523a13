//! The figures as tables, with the targets beside them, and as a page of documentation.

use std::cmp::Ordering;

use super::Figures;
use crate::bench::size::Size;
use crate::bench::table::Table;

const MIB: f64 = 1_048_576.0;

/// Where a figure may lie at one size.
enum Target {
    AtLeast(f64, u64),
    AtMost(f64, u64),
}

/// One line of a table.
struct Line {
    name: &'static str,
    unit: &'static str,
    target: Option<Target>,
    figure: fn(&Figures) -> Option<f64>,
}

const ANY: u64 = 0;

fn line(
    name: &'static str,
    unit: &'static str,
    target: Option<Target>,
    figure: fn(&Figures) -> Option<f64>,
) -> Line {
    Line {
        name,
        unit,
        target,
        figure,
    }
}

fn first() -> Vec<Line> {
    use Target::{AtLeast, AtMost};
    vec![
        line("objects", "", None, |f| Some(f.first.objects as f64)),
        line("links", "", None, |f| Some(f.first.links as f64)),
        line("seconds", " s", Some(AtMost(60.0, 1_000_000)), |f| {
            Some(f.first.waited)
        }),
        line("of them until the snapshot's end time", " s", None, |f| {
            Some(f.first.seconds)
        }),
        line(
            "objects a second",
            "",
            Some(AtLeast(40_000.0, 100_000)),
            |f| Some(rate(f)),
        ),
        line("links a second", "", None, |f| {
            Some(f.first.links as f64 / f.first.waited)
        }),
        line("requests", "", None, |f| Some(f.first.requests as f64)),
        line(
            "requests ÷ least possible",
            "",
            Some(AtMost(1.1, ANY)),
            |f| Some(f.first.requests as f64 / f.least as f64),
        ),
        line("resource units", "", None, |f| {
            Some(f.first.asked.units as f64)
        }),
        line("bytes read", " MiB", None, |f| {
            Some(f.first.asked.bytes as f64 / MIB)
        }),
        line("CPU seconds", " s", None, |f| Some(f.first.used.cpu)),
        line("CPU seconds of the simulator", " s", None, |f| {
            Some(f.first.simulator_cpu)
        }),
        line(
            "peak memory",
            " MiB",
            Some(AtMost(1024.0, 1_000_000)),
            |f| Some(f.first.used.peak as f64 / MIB),
        ),
        line("bytes stored", " MiB", None, |f| {
            Some(f.first.stored as f64 / MIB)
        }),
    ]
}

fn next() -> Vec<Line> {
    use Target::AtMost;
    vec![
        line("changes", "", None, |f| Some(f.changes as f64)),
        line("seconds", " s", Some(AtMost(5.0, 1_000_000)), |f| {
            Some(f.next.waited)
        }),
        line("of them until the snapshot's end time", " s", None, |f| {
            Some(f.next.seconds)
        }),
        line("requests", "", None, |f| Some(f.next.requests as f64)),
        line("resource units", "", None, |f| {
            Some(f.next.asked.units as f64)
        }),
        line("bytes read", " MiB", None, |f| {
            Some(f.next.asked.bytes as f64 / MIB)
        }),
        line("CPU seconds", " s", None, |f| Some(f.next.used.cpu)),
        line("CPU seconds of the simulator", " s", None, |f| {
            Some(f.next.simulator_cpu)
        }),
        line(
            "peak memory",
            " MiB",
            Some(AtMost(1024.0, 1_000_000)),
            |f| Some(f.next.used.peak as f64 / MIB),
        ),
        line("bytes stored in addition", " MiB", None, |f| {
            Some(f.next.stored as f64 / MIB)
        }),
        line("stored in addition ÷ first", "", None, |f| {
            Some(f.next.stored as f64 / f.first.stored as f64)
        }),
    ]
}

fn sdk() -> Vec<Line> {
    use Target::AtLeast;
    fn managed(f: &Figures) -> Option<&super::Managed> {
        f.sdk.as_ref().ok()?.as_ref()
    }
    vec![
        line("seconds", " s", None, |f| Some(managed(f)?.seconds)),
        line("objects read by then", "", None, |f| {
            Some(managed(f)?.objects as f64)
        }),
        line("links read by then", "", None, |f| {
            Some(managed(f)?.links as f64)
        }),
        line("objects a second", "", None, |f| {
            Some(sdk_rate(managed(f)?))
        }),
        line("CPU seconds", " s", None, |f| Some(managed(f)?.cpu)),
        line("peak memory", " MiB", None, |f| {
            Some(managed(f)?.peak as f64 / MIB)
        }),
        line(
            "Rewind's objects a second ÷ these",
            "",
            Some(AtLeast(100.0, ANY)),
            |f| Some(rate(f) / sdk_rate(managed(f)?)),
        ),
    ]
}

fn rate(figures: &Figures) -> f64 {
    figures.first.objects as f64 / figures.first.waited
}

fn sdk_rate(managed: &super::Managed) -> f64 {
    managed.objects as f64 / managed.seconds
}

/// All tables, each under its heading.
pub(super) fn tables(figures: &[Figures]) -> String {
    let mut text = String::new();
    for (heading, lines) in [
        ("First snapshot", first()),
        ("Next snapshot, after changes to 1 % of the objects", next()),
        (
            "Microsoft's Python SDK, eight workers, on the same simulator",
            sdk(),
        ),
    ] {
        text += &format!("## {heading}\n\n{}\n", table(figures, &lines));
    }
    text + &remarks(figures)
}

fn table(figures: &[Figures], lines: &[Line]) -> String {
    let mut table = Table::default();
    let sizes = figures.iter().map(|figures| figures.size.name());
    table.row(
        std::iter::once(String::new())
            .chain(sizes)
            .chain(std::iter::once("target".to_owned())),
    );
    for line in lines {
        let cells = figures.iter().map(|figures| match (line.figure)(figures) {
            Some(figure) => format!(
                "{}{}{}",
                shown(figure),
                line.unit,
                mark(line, figures, figure)
            ),
            None => "–".to_owned(),
        });
        table.row(
            std::iter::once(line.name.to_owned())
                .chain(cells)
                .chain(std::iter::once(wanted(line))),
        );
    }
    table.render()
}

/// A word where a figure misses the target of its size.
fn mark(line: &Line, figures: &Figures, figure: f64) -> &'static str {
    let (bound, size, wrong) = match line.target {
        Some(Target::AtLeast(bound, size)) => (bound, size, Ordering::Less),
        Some(Target::AtMost(bound, size)) => (bound, size, Ordering::Greater),
        None => return "",
    };
    let meant = size == ANY || size == figures.size.objects();
    if meant && figure.partial_cmp(&bound) == Some(wrong) {
        " (missed)"
    } else {
        ""
    }
}

fn wanted(line: &Line) -> String {
    let (sign, bound, size) = match line.target {
        Some(Target::AtLeast(bound, size)) => ("≥", bound, size),
        Some(Target::AtMost(bound, size)) => ("≤", bound, size),
        None => return String::new(),
    };
    let at = match size {
        ANY => String::new(),
        size => format!(" at {}", Size::of(size).name()),
    };
    format!("{sign} {}{}{at}", shown(bound), line.unit)
}

/// Three digits that count, with thousands apart.
fn shown(figure: f64) -> String {
    if figure < 10.0 && figure.fract() != 0.0 {
        return format!("{figure:.2}");
    }
    if figure < 100.0 && figure.fract() != 0.0 {
        return format!("{figure:.1}");
    }
    let digits = format!("{figure:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn remarks(figures: &[Figures]) -> String {
    let mut text = String::new();
    for f in figures {
        let name = f.size.name();
        text += &format!(
            "- {name}: the tenant was made up in {:.1} s; the simulator's peak memory was {} MiB.\n",
            f.made_in,
            shown(f.simulator.peak as f64 / MIB),
        );
        match &f.sdk {
            Ok(Some(sdk)) if !sdk.complete => {
                text += &format!("- {name}: the SDK was stopped before its end.\n");
            }
            Ok(_) => {}
            Err(error) => text += &format!("- {name}: the SDK could not be measured: {error:#}.\n"),
        }
    }
    text
}

/// The part of the page of documentation.
pub(super) fn part(about: &[String], figures: &[Figures]) -> String {
    let about: String = about.iter().map(|line| format!("{line}\n")).collect();
    format!("{INTRODUCTION}{about}\n{}", tables(figures))
}

const INTRODUCTION: &str = "\
`cargo xtask bench collect --write docs/benchmarks.md` wrote this part; the figures hold for the machine and the moment below.

Simulator, gateway and snapshotter are processes of their own on one machine, talk over loopback without TLS, and share its cores: the simulator's CPU time is told because it is part of the wall time.
No quotas are kept on either side; with the quotas that Microsoft documents, a real tenant takes as long as they say.
The store is a folder.
The snapshotter is started anew for each snapshot, and its CPU time and peak memory are what Linux says of it (`VmHWM`, `utime` and `stime`).
Objects are the live ones; links are counted apart.

The least possible number of requests is counted by `xtask/src/bench/least.rs`, apart from the collector:
the token and the licence; for each tracked type one change token, its list in pages of 999 and one quiet round; its recycle bin in pages of 999; two readings of each kind without change tracking; one list of the owners for each relation or contained type that a list of objects cannot show as well; the members and owners of groups in the pages of a delta round, 200 groups or 1,000 links each; the administrative units' members, 20 units to a batch.

The SDK reads users with the same `$select`, groups, applications, service principals, Conditional Access policies and named locations in pages of 999, then each group's members and owners and each application's and service principal's owners, with eight tasks at a time.
It is stopped after a while, and its rate until then counts.
Seconds are those that the client waits, from its start to the printed snapshot, and Rewind's rates follow from them; a snapshot's end time is when all of it but its manifest was written.

";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_rounded_to_what_counts() {
        for (figure, text) in [
            (0.0, "0"),
            (1.094, "1.09"),
            (4.0, "4"),
            (12.34, "12.3"),
            (999.6, "1,000"),
            (40_000.0, "40,000"),
            (1_234_567.8, "1,234,568"),
        ] {
            assert_eq!(shown(figure), text);
        }
    }
}
