//! Kinds that cannot be read since a restore has their quota.
//!
//! An earlier reading stands in for them, with its own time; where there is
//! none, the quota is waited for, but not for ever.

use std::time::Duration;

use model::snapshot::{Change, Completeness, Effort, Kind};
use model::{Object, ObjectState};

use super::Run;

/// The wait before the quota is looked at again.
const WAIT: Duration = Duration::from_secs(5);
/// What the record of a kind says for which an earlier reading stands in.
const STANDS_IN: &str = "a restore had the conditional access quota; as of an earlier reading";

impl Run<'_> {
    /// Takes kinds from an earlier reading; whether that has all of them.
    pub(super) fn stand_in(&self, kinds: &[Kind]) -> bool {
        let (past, last) = (self.request.mode.past(), self.request.last.as_deref());
        let records = past
            .map(|past| &past.completeness)
            .or_else(|| last.map(|last| &last.completeness));
        let earlier: Option<Vec<&Completeness>> = kinds
            .iter()
            .map(|kind| {
                let mut records = records?.iter();
                records.find(|record| record.kind == *kind && record.is_complete())
            })
            .collect();
        let Some(earlier) = earlier else {
            return false;
        };
        for record in earlier {
            self.records.keep(Completeness {
                note: STANDS_IN.to_owned(),
                effort: Effort::default(),
                ..record.clone()
            });
        }
        // The caller goes on from the past, so that its objects are there already.
        if past.is_none() {
            for kind in kinds {
                self.tell(Change::Reread(*kind));
            }
            let objects = last.into_iter().flat_map(|last| &last.objects);
            for object in objects.filter(|object| kinds.contains(&kind_of(object))) {
                self.put(object.clone());
            }
        }
        true
    }

    /// Waits a while for the quota; whether there is patience left for it.
    pub(super) async fn wait_for_quota(&self) -> bool {
        {
            let mut waited = self.waited.lock();
            if *waited >= self.request.patience {
                return false;
            }
            *waited += WAIT;
        }
        (self.request.sleep)(WAIT).await;
        true
    }
}

fn kind_of(object: &Object) -> Kind {
    match object.state {
        ObjectState::Live => Kind::Objects(object.object_type),
        ObjectState::Deleted => Kind::Deleted(object.object_type),
    }
}
