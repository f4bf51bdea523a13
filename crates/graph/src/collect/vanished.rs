//! Owners that were listed, and then not found when asked for their links.
//!
//! "Not found" may be a deletion in between or a replica that lags. Each such
//! owner is read again: one that is there is asked once more; one that is gone
//! leaves the content as a live object, and stays as a deleted one where the
//! recycle bin has it. It never stays as a live object without its links.

use std::collections::HashSet;

use model::snapshot::Kind;
use model::{LinkKind, Object, ObjectId, ObjectState, ObjectType};

use super::Run;
use super::links::Bundle;
use super::part::Part;
use crate::error::GraphError;

impl Run<'_> {
    pub(super) async fn resolve_vanished(
        &self,
        kind: LinkKind,
        bundle: &mut Bundle,
        parts: &mut [Part],
    ) {
        let owners = std::mem::take(&mut bundle.vanished);
        if owners.is_empty() {
            return;
        }
        let object_type = kind.source_type();
        match self.settle(object_type, &owners).await {
            Ok(Settled {
                there,
                gone,
                deleted,
            }) => {
                tracing::info!(
                    relation = kind.name(),
                    there = there.len(),
                    gone = gone.len(),
                    "owners were not found on first asking"
                );
                let again = self.read_chunk(kind, &there).await;
                for owner in &again.vanished {
                    bundle.problems.add(format!(
                        "{object_type} {owner} exists, yet its {} were not found",
                        kind.spec().relation
                    ));
                }
                bundle.merge(Bundle {
                    vanished: Vec::new(),
                    ..again
                });
                remove(object_type, &gone, deleted, bundle, parts);
            }
            Err(error) => {
                let count = owners.len();
                bundle.problems.add(format!(
                    "{count} owners were not found and could not be read again: {error}"
                ));
            }
        }
    }

    /// Finds out where the owners are now.
    async fn settle(
        &self,
        object_type: ObjectType,
        owners: &[ObjectId],
    ) -> Result<Settled, GraphError> {
        let live = self.read(object_type, ObjectState::Live, owners).await?;
        let (there, gone): (Vec<_>, Vec<_>) = owners
            .iter()
            .cloned()
            .zip(live)
            .partition(|(_, object)| object.is_some());
        let ids = |pairs: Vec<(ObjectId, Option<Object>)>| {
            pairs.into_iter().map(|(id, _)| id).collect::<Vec<_>>()
        };
        let (there, gone) = (ids(there), ids(gone));
        let deleted = if self.scope.deleted && object_type.spec().deleted.is_some() {
            self.read(object_type, ObjectState::Deleted, &gone)
                .await?
                .into_iter()
                .flatten()
                .collect()
        } else {
            Vec::new()
        };
        Ok(Settled {
            there,
            gone,
            deleted,
        })
    }

    async fn read(
        &self,
        object_type: ObjectType,
        state: ObjectState,
        ids: &[ObjectId],
    ) -> Result<Vec<Option<Object>>, GraphError> {
        let keys: Vec<_> = ids
            .iter()
            .map(|id| (object_type, state, id.clone()))
            .collect();
        self.directory.read_many(&keys).await?.into_iter().collect()
    }
}

struct Settled {
    there: Vec<ObjectId>,
    gone: Vec<ObjectId>,
    deleted: Vec<Object>,
}

/// Takes vanished objects and their links out; what is in the recycle bin goes
/// to the deleted ones.
fn remove(
    object_type: ObjectType,
    gone: &[ObjectId],
    deleted: Vec<Object>,
    bundle: &mut Bundle,
    parts: &mut [Part],
) {
    let gone: HashSet<&ObjectId> = gone.iter().collect();
    bundle.links.retain(|link| !gone.contains(&link.source));
    for part in parts.iter_mut() {
        part.objects
            .retain(|object| object.state == ObjectState::Deleted || !gone.contains(&object.id));
        part.links.retain(|link| !gone.contains(&link.source));
    }
    if let Some(part) = parts
        .iter_mut()
        .find(|part| part.record.kind == Kind::Deleted(object_type))
    {
        part.objects.extend(deleted);
    }
}
