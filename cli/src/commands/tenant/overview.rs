//! `rewind tenant overview`: how all tenants are, and which somebody should look at.

use proto::json::to_json;
use proto::v1;
use runtime::exit;

use crate::args::{Global, Overview};
use crate::failure::Failure;
use crate::output::Output;
use crate::session::Session;
use crate::table::table;
use crate::text::{id_of, size, time, word};

/// The heights of a small chart.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Prints one page and what all come to.
pub(super) async fn run(args: &Overview, global: &Global, output: Output) -> Result<u8, Failure> {
    let session = Session::open(global, output).await?;
    let client = &session.client;
    let request = client.unary(v1::ListTenantOverviewsRequest {
        page_size: args.limit,
        page_token: String::new(),
        group: args.filter.group.clone().unwrap_or_default(),
        labels: args.filter.labels.clone(),
        text: args.filter.text.clone().unwrap_or_default(),
        attention_only: args.attention,
        order_by: args.sort.order(args.reverse),
    });
    let answer = client.tenants().list_tenant_overviews(request).await?;
    let answer = answer.into_inner();
    output.result(
        || to_json("ListTenantOverviewsResponse", &answer),
        || {
            let rows = table(
                [
                    "TENANT",
                    "NAME",
                    "AGE",
                    "OBJECTS",
                    "WEEK",
                    "SIGNALS",
                    "POSTURE",
                    "STORED",
                    "ATTENTION",
                ],
                answer.overviews.iter().map(row),
            );
            format!("{rows}\n\n{}", totals(&answer))
        },
    )?;
    if answer.refresh_time.is_none() {
        output.warning("the gateway has just begun and may not know all tenants yet");
    }
    Ok(exit::DONE)
}

fn row(it: &v1::TenantOverview) -> [String; 9] {
    let summary = it.summary.clone().unwrap_or_default();
    let signals = it.signals.unwrap_or_default();
    let objects: i64 = summary.counts.iter().map(|it| it.count).sum();
    let attention = match it.state() {
        v1::TenantState::Active => it.attention.join("; "),
        other => {
            let state = word(other.as_str_name(), "TENANT_STATE_");
            std::iter::once(state)
                .chain(it.attention.iter().cloned())
                .collect::<Vec<_>>()
                .join("; ")
        }
    };
    [
        id_of(&it.name).to_owned(),
        it.display_name.clone(),
        it.age_seconds.map_or_else(|| "-".to_owned(), age),
        match summary.last_snapshot.is_empty() {
            true => "-".to_owned(),
            false => objects.to_string(),
        },
        format!("{} {}", it.week_changes, chart(&summary.days))
            .trim()
            .to_owned(),
        severities(&signals),
        summary
            .posture_score
            .map_or_else(|| "-".to_owned(), |score| score.to_string()),
        size(summary.stored_bytes),
        attention,
    ]
}

/// How severe signals are, the most severe first; those of which there are none are
/// left out.
fn severities(signals: &v1::SignalTotals) -> String {
    let all = [
        (signals.critical, "critical"),
        (signals.high, "high"),
        (signals.medium, "medium"),
        (signals.low, "low"),
    ];
    let some = all.iter().filter(|(count, _)| *count > 0);
    let told: Vec<String> = some
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    match told.is_empty() {
        true => "-".to_owned(),
        false => told.join(", "),
    }
}

/// How long ago, in the largest unit that says enough.
fn age(seconds: i64) -> String {
    match seconds {
        ..3_600 => format!("{}m", seconds / 60),
        3_600..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// The changes of the last days as a line of bars; empty where none were counted.
fn chart(days: &[v1::DaySummary]) -> String {
    let counted: Vec<i64> = days.iter().filter_map(|day| day.changes).collect();
    let most = counted.iter().copied().max().unwrap_or(0).max(1);
    let bar = |changes: &i64| {
        let height = (changes.max(&0) * 7) / most;
        BARS[usize::try_from(height).unwrap_or(0).min(7)]
    };
    counted.iter().map(bar).collect()
}

fn totals(answer: &v1::ListTenantOverviewsResponse) -> String {
    let it = answer.totals.unwrap_or_default();
    let signals = severities(&it.signals.unwrap_or_default());
    format!(
        "{} tenants, {} to look at: {} failing, {} late, {} without a snapshot, {} incomplete, {} suspended, {} guarded changes open\nsignals of 7 days: {signals}; changes of 7 days: {}; stored: {}; as of {}",
        it.tenants,
        it.attention,
        it.failing,
        it.late,
        it.without_snapshot,
        it.incomplete,
        it.suspended,
        it.pending_changes,
        it.week_changes,
        size(it.stored_bytes),
        time(answer.refresh_time.as_ref()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_and_charts_are_short() {
        for (seconds, text) in [
            (59, "0m"),
            (3_599, "59m"),
            (3_600, "1h"),
            (172_799, "47h"),
            (172_800, "2d"),
        ] {
            assert_eq!(age(seconds), text);
        }
        let days = |changes: &[Option<i64>]| -> Vec<v1::DaySummary> {
            let day = |changes: &Option<i64>| v1::DaySummary {
                changes: *changes,
                ..v1::DaySummary::default()
            };
            changes.iter().map(day).collect()
        };
        assert_eq!(chart(&[]), "");
        assert_eq!(chart(&days(&[Some(0), Some(0)])), "▁▁");
        assert_eq!(chart(&days(&[Some(0), None, Some(7), Some(14)])), "▁▄█");
        assert_eq!(severities(&v1::SignalTotals::default()), "-");
        let signals = v1::SignalTotals {
            critical: 1,
            low: 3,
            ..v1::SignalTotals::default()
        };
        assert_eq!(severities(&signals), "1 critical, 3 low");
    }
}
