//! A snapshot on a line of a table.

use crate::console::filters::{self, Moment};
use crate::console::parts::{Badge, Tone};
use chrono::{DateTime, Utc};
use proto::v1::{Snapshot, SnapshotState};

/// What a line tells.
pub(crate) struct Line {
    pub(crate) id: String,
    pub(crate) href: String,
    pub(crate) start: Option<DateTime<Utc>>,
    pub(crate) took: String,
    pub(crate) trigger: String,
    pub(crate) badge: Badge,
    pub(crate) missing: usize,
    pub(crate) objects: i64,
    pub(crate) links: i64,
    pub(crate) stored: i64,
    pub(crate) is_held: bool,
    pub(crate) is_expiring: bool,
}

impl Line {
    pub(crate) fn of(snapshot: &Snapshot) -> Self {
        Self {
            id: show::text::id_of(&snapshot.name).to_owned(),
            href: format!("/{}", snapshot.name),
            start: snapshot.start_time.moment(),
            took: took(snapshot),
            trigger: snapshot.trigger.clone(),
            badge: badge(snapshot.state()),
            missing: snapshot.kinds.iter().filter(|kind| !kind.complete).count(),
            objects: snapshot.object_count,
            links: snapshot.link_count,
            stored: snapshot.stored_bytes,
            is_held: snapshot.held_since.is_some(),
            is_expiring: snapshot.expiring_since.is_some(),
        }
    }
}

/// How long it took; empty where it has not ended.
pub(crate) fn took(snapshot: &Snapshot) -> String {
    match (snapshot.start_time.moment(), snapshot.end_time.moment()) {
        (Some(start), Some(end)) => {
            let milliseconds = (end - start).num_milliseconds().max(0);
            match milliseconds {
                0..10_000 => format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100),
                _ => filters::span(milliseconds / 1000),
            }
        }
        _ => String::new(),
    }
}

/// Where it stands.
pub(crate) fn badge(state: SnapshotState) -> Badge {
    match state {
        SnapshotState::Running => Badge::new(Tone::Busy, "Running"),
        SnapshotState::Complete => Badge::new(Tone::Good, "Complete"),
        SnapshotState::Incomplete => Badge::new(Tone::Warn, "Incomplete"),
        SnapshotState::Failed => Badge::new(Tone::Bad, "Failed"),
        SnapshotState::Unspecified => Badge::new(Tone::Plain, "Not known"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost_types::Timestamp;

    #[test]
    fn a_duration_suits_its_size() {
        let at = |seconds, nanos| Some(Timestamp { seconds, nanos });
        for (end, text) in [
            (at(100, 0), "0.0 s"),
            (at(101, 250_000_000), "1.2 s"),
            (at(112, 900_000_000), "12 s"),
            (at(400, 0), "5 min"),
            (at(90, 0), "0.0 s"),
            (None, ""),
        ] {
            let snapshot = Snapshot {
                start_time: at(100, 0),
                end_time: end,
                ..Snapshot::default()
            };
            assert_eq!(took(&snapshot), text);
        }
    }
}
