//! Kinds without change tracking: read until two reads in a row agree, where the
//! reading that one goes on from counts as the first.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use model::snapshot::{Change, Completeness, Kind, Method, Past, Seen};
use model::{Object, ObjectId, ObjectState, ObjectType};
use serde_json::value::RawValue;

use super::bulk::take_apart;
use super::{Mode, Run};
use crate::directory::Query;
use crate::error::GraphError;

/// Reads before a kind counts as restless.
const ROUNDS: usize = 4;

/// One reading: those of the recycle bin, then the live objects, which count where
/// an object is among both.
type Reading = BTreeMap<(bool, String), Object>;

/// What the record says of a recycle bin that was not read.
const STILL_EMPTY: &str = "not read: it was empty, and nothing has left the list since";

/// How one reading went.
enum Read {
    Good(Reading),
    /// It is as in the reading that this one goes on from.
    AsKnown(Reading),
    /// Not all of it is there; the record says why.
    Holed(Reading),
    /// A restore has the quota.
    Yielded(GraphError),
}

impl Run<'_> {
    /// Reads a type, live objects and recycle bin together, so that an object that
    /// moves between the two is not lost on the way.
    pub(super) async fn read_until_stable(&self, object_type: ObjectType) {
        let mut kinds = vec![Kind::Objects(object_type)];
        if self.scope().has_bin(object_type) {
            kinds.push(Kind::Deleted(object_type));
        }
        let Some(reading) = self.read_rounds(object_type, &kinds).await else {
            return;
        };
        for kind in &kinds {
            self.tell(Change::Reread(*kind));
        }
        for object in reading.into_values() {
            self.put(object);
        }
    }

    /// What was read in the end; `None` where an earlier reading stands in for it.
    async fn read_rounds(&self, object_type: ObjectType, kinds: &[Kind]) -> Option<Reading> {
        let mut last: Option<(DateTime<Utc>, Reading, Vec<Completeness>)> = None;
        let mut rounds = 0;
        while rounds < ROUNDS {
            let begun = (self.now)();
            for kind in kinds {
                self.records.begin(*kind, Method::SingleRead, begun);
            }
            let reading = match self.read_once(object_type, kinds).await {
                Read::Good(reading) => reading,
                Read::AsKnown(reading) => {
                    for kind in kinds {
                        self.records
                            .amend(*kind, |record| record.method = Method::StableReread);
                    }
                    return Some(reading);
                }
                Read::Holed(reading) => return Some(reading),
                Read::Yielded(error) => {
                    // What was read once, moments ago, is better than what is older.
                    if let Some((_, reading, records)) = last {
                        records
                            .into_iter()
                            .for_each(|record| self.records.keep(record));
                        return Some(reading);
                    }
                    if self.stand_in(kinds) {
                        return None;
                    }
                    if self.wait_for_quota().await {
                        continue;
                    }
                    for kind in kinds {
                        self.records.begin(*kind, Method::SingleRead, begun);
                        self.records.failed(*kind, &error);
                    }
                    return Some(Reading::new());
                }
            };
            rounds += 1;
            let stable = last.as_ref().filter(|(_, before, _)| *before == reading);
            if let Some((not_before, _, _)) = stable {
                for kind in kinds {
                    self.records.amend(*kind, |record| {
                        record.method = Method::StableReread;
                        record.not_before = *not_before;
                    });
                }
                return Some(reading);
            }
            let records = kinds.iter().filter_map(|kind| self.records.of(*kind));
            last = Some((begun, reading, records.collect()));
        }
        for kind in kinds {
            self.records
                .note(*kind, "it changed between any two of its readings");
        }
        last.map(|(_, reading, _)| reading)
    }

    async fn read_once(&self, object_type: ObjectType, kinds: &[Kind]) -> Read {
        let known = self.known(object_type, kinds);
        let mut reading = Reading::new();
        for kind in kinds {
            let is_bin = matches!(kind, Kind::Deleted(_));
            // Where the list is all that was known, there was nothing in the bin.
            if is_bin && self.request.infer_empty_bins && is_as_known(&reading, known.as_ref()) {
                self.records.end(*kind, (self.now)());
                self.records.note(*kind, STILL_EMPTY);
                continue;
            }
            let (query, state) = match kind {
                Kind::Deleted(_) => (Query::Deleted(object_type), ObjectState::Deleted),
                _ => (Query::Objects(object_type), ObjectState::Live),
            };
            let item = move |item: &RawValue| take_apart(item, object_type, state);
            let mut count = 0;
            let read = self
                .for_each_page(*kind, &query, item, |items| {
                    for item in items {
                        count += 1;
                        match item {
                            Ok((object, _)) => {
                                let key = (state == ObjectState::Live, object.id.to_string());
                                reading.insert(key, object);
                            }
                            Err(what) => self
                                .records
                                .problem(*kind, format!("object {count} of the list {what}")),
                        }
                    }
                })
                .await;
            if let Err(error @ GraphError::Yielded { .. }) = read {
                return Read::Yielded(error);
            }
        }
        // Any other failure is in the record.
        let mut kinds = kinds.iter();
        if kinds.any(|kind| self.records.problem_of(*kind).is_some()) {
            return Read::Holed(reading);
        }
        match is_as_known(&reading, known.as_ref()) {
            true => Read::AsKnown(reading),
            false => Read::Good(reading),
        }
    }

    /// The objects of a type in the reading that this one goes on from; `None` where
    /// there is none, or it has not all of these kinds.
    fn known(&self, object_type: ObjectType, kinds: &[Kind]) -> Option<Known<'_>> {
        let Mode::Since(Past {
            untracked,
            completeness,
            ..
        }) = &self.request.mode
        else {
            return None;
        };
        let complete = kinds.iter().all(|kind| {
            let mut records = completeness.iter();
            records.any(|record| record.kind == *kind && record.is_complete())
        });
        let of_type = untracked.iter().filter(|((of, _), _)| *of == object_type);
        complete.then(|| of_type.map(|((_, id), state)| (id, *state)).collect())
    }
}

/// Objects with their state and hash.
type Known<'a> = BTreeMap<&'a ObjectId, Seen>;

fn is_as_known(reading: &Reading, known: Option<&Known<'_>>) -> bool {
    // In the order of a reading a live object comes after, and instead of, one of the
    // same id in the recycle bin.
    let found = reading.values().map(|object| {
        let canonical = model::json::canonical(&object.json).ok()?;
        Some((&object.id, (object.state, canonical.hash())))
    });
    known.is_some_and(|known| found.collect::<Option<Known<'_>>>().as_ref() == Some(known))
}
