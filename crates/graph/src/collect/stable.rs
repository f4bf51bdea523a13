//! Kinds without change tracking: read until two reads in a row agree.

use std::collections::BTreeMap;

use model::snapshot::{Change, Kind, Method};
use model::{Object, ObjectState, ObjectType};

use super::Run;
use super::bulk::take_apart;
use crate::directory::Query;

/// Reads before a kind counts as restless.
const ROUNDS: usize = 4;

/// One reading: those of the recycle bin, then the live objects, which count where
/// an object is among both.
type Reading = BTreeMap<(bool, String), Object>;

impl Run<'_> {
    /// Reads a type, live objects and recycle bin together, so that an object that
    /// moves between the two is not lost on the way.
    pub(super) async fn read_until_stable(&self, object_type: ObjectType) {
        let mut kinds = vec![Kind::Objects(object_type)];
        if self.scope().has_bin(object_type) {
            kinds.push(Kind::Deleted(object_type));
        }
        let mut last: Option<(chrono::DateTime<chrono::Utc>, Reading)> = None;
        let mut restless = true;
        for _ in 0..ROUNDS {
            let begun = (self.now)();
            for kind in &kinds {
                self.records.begin(*kind, Method::SingleRead, begun);
            }
            let reading = self.read_once(object_type, &kinds).await;
            let failed = kinds
                .iter()
                .any(|kind| self.records.problem_of(*kind).is_some());
            let stable = last.as_ref().filter(|(_, before)| *before == reading);
            if let Some((not_before, _)) = stable.filter(|_| !failed) {
                for kind in &kinds {
                    self.records.amend(*kind, |record| {
                        record.method = Method::StableReread;
                        record.not_before = *not_before;
                    });
                }
                last = Some((*not_before, reading));
                restless = false;
                break;
            }
            last = Some((begun, reading));
            if failed {
                restless = false;
                break;
            }
        }
        if restless {
            for kind in &kinds {
                self.records
                    .note(*kind, "it changed between any two of its readings");
            }
        }
        for kind in &kinds {
            self.tell(Change::Reread(*kind));
        }
        for object in last
            .into_iter()
            .flat_map(|(_, reading)| reading.into_values())
        {
            self.put(object);
        }
    }

    async fn read_once(&self, object_type: ObjectType, kinds: &[Kind]) -> Reading {
        let mut reading = Reading::new();
        for kind in kinds {
            let (query, state) = match kind {
                Kind::Deleted(_) => (Query::Deleted(object_type), ObjectState::Deleted),
                _ => (Query::Objects(object_type), ObjectState::Live),
            };
            let mut count = 0;
            // A failure is in the record.
            let _ = self
                .for_each_page(*kind, &query, |page| {
                    for item in &page.items {
                        count += 1;
                        match take_apart(item, object_type, state) {
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
        }
        reading
    }
}
