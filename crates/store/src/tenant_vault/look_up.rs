//! Reading parts of a snapshot: single objects, ranges, types, keys, links.
//!
//! It must never read a snapshot as a whole where its manifest lets it read parts,
//! nor give out what was not authenticated.

use std::collections::{BTreeSet, HashSet};
use std::ops::ControlFlow;

use model::{Link, LinkKind, Object, ObjectId, ObjectType};

use super::TenantVault;
use super::snapshot::present;
use crate::blocking;
use crate::error::StoreError;
use crate::manifest::Manifest;
use crate::run::{IdRange, LinkRow, ObjectKey, ObjectRow};

/// About how many bytes of objects are handed out at once, and how many links.
const BYTES_AT_ONCE: usize = 512 * 1024;
const LINKS_AT_ONCE: usize = 4_096;

impl TenantVault {
    async fn find_objects(
        &self,
        manifest: &Manifest,
        wanted: Vec<(ObjectType, ObjectId)>,
    ) -> Result<Vec<Object>, StoreError> {
        let chain = self.parts::<ObjectRow>(manifest).await?;
        chain.find(wanted).await
    }

    /// One object; `None` where the snapshot does not hold it.
    ///
    /// # Errors
    /// As [`TenantVault::read`], of damage in what is read.
    pub async fn object(
        &self,
        manifest: &Manifest,
        object_type: ObjectType,
        id: &ObjectId,
    ) -> Result<Option<Object>, StoreError> {
        let wanted = vec![(object_type, id.clone())];
        let found = self.find_objects(manifest, wanted).await?;
        Ok(found.into_iter().next())
    }

    /// Some objects of one type, sorted by id, of those that the snapshot holds.
    ///
    /// # Errors
    /// As [`TenantVault::object`].
    pub async fn objects(
        &self,
        manifest: &Manifest,
        object_type: ObjectType,
        ids: &[ObjectId],
    ) -> Result<Vec<Object>, StoreError> {
        let wanted = ids.iter().map(|id| (object_type, id.clone())).collect();
        self.find_objects(manifest, wanted).await
    }

    /// The objects that have an id, of whatever type; one as a rule.
    ///
    /// # Errors
    /// As [`TenantVault::object`].
    pub async fn objects_with_id(
        &self,
        manifest: &Manifest,
        id: &ObjectId,
    ) -> Result<Vec<Object>, StoreError> {
        let types = ObjectType::ALL.into_iter();
        let wanted = types.map(|object_type| (object_type, id.clone())).collect();
        self.find_objects(manifest, wanted).await
    }

    /// The objects that have one of some ids, of whatever type, in order.
    ///
    /// # Errors
    /// As [`TenantVault::object`].
    pub async fn objects_with_ids(
        &self,
        manifest: &Manifest,
        ids: &BTreeSet<ObjectId>,
    ) -> Result<Vec<Object>, StoreError> {
        let types = ObjectType::ALL.into_iter();
        let wanted =
            types.flat_map(|object_type| ids.iter().map(move |id| (object_type, id.clone())));
        self.find_objects(manifest, wanted.collect()).await
    }

    /// The objects of one type in a range of ids, in order.
    ///
    /// # Errors
    /// As [`TenantVault::object`].
    pub async fn objects_of(
        &self,
        manifest: &Manifest,
        object_type: ObjectType,
        ids: IdRange,
    ) -> Result<Vec<Object>, StoreError> {
        let chain = self.parts::<ObjectRow>(manifest).await?;
        blocking::run(move || {
            let rows = chain.rows_of(object_type, &ids)?;
            rows.filter_map(|row| row.map(ObjectRow::into_object).transpose())
                .collect()
        })
        .await
    }

    /// What the snapshot holds, in order: ids with states and hashes, but no JSON.
    ///
    /// # Errors
    /// As [`TenantVault::object`].
    pub async fn keys(&self, manifest: &Manifest) -> Result<Vec<ObjectKey>, StoreError> {
        let chain = self.parts::<ObjectRow>(manifest).await?;
        blocking::run(move || {
            let there = |key: &Result<ObjectKey, _>| !matches!(key, Ok(key) if key.body.is_none());
            chain.keys()?.filter(there).collect()
        })
        .await
    }

    /// Hands out the objects of some types, in order, some at a time, until
    /// `visit` breaks off; it may block.
    ///
    /// # Errors
    /// As [`TenantVault::object`].
    pub async fn each_object(
        &self,
        manifest: &Manifest,
        types: Vec<ObjectType>,
        mut visit: impl FnMut(Vec<Object>) -> ControlFlow<()> + Send + 'static,
    ) -> Result<(), StoreError> {
        let chain = self.parts::<ObjectRow>(manifest).await?;
        blocking::run(move || {
            let wanted = ObjectType::ALL.into_iter();
            for object_type in wanted.filter(|object_type| types.contains(object_type)) {
                let (mut some, mut bytes) = (Vec::new(), 0);
                for row in chain.rows_of(object_type, &IdRange::default())? {
                    let Some(object) = row?.into_object() else {
                        continue;
                    };
                    bytes += object.json.len();
                    some.push(object);
                    if bytes >= BYTES_AT_ONCE {
                        bytes = 0;
                        if visit(std::mem::take(&mut some)).is_break() {
                            return Ok(());
                        }
                    }
                }
                if !some.is_empty() && visit(some).is_break() {
                    return Ok(());
                }
            }
            Ok(())
        })
        .await
    }

    /// Hands out the visible links that objects of some types hold, as
    /// [`TenantVault::each_object`] does: none of those that the recycle bin hides.
    ///
    /// # Errors
    /// As [`TenantVault::object`].
    pub async fn each_link(
        &self,
        manifest: &Manifest,
        types: Vec<ObjectType>,
        mut visit: impl FnMut(Vec<Link>) -> ControlFlow<()> + Send + 'static,
    ) -> Result<(), StoreError> {
        let (hidden, chain) =
            futures::try_join!(self.hidden(manifest), self.parts::<LinkRow>(manifest))?;
        blocking::run(move || {
            let wanted = LinkKind::ALL.into_iter();
            for kind in wanted.filter(|kind| types.contains(&kind.source_type())) {
                let mut some = Vec::new();
                for link in chain.rows_of(kind)?.filter_map(present) {
                    let link = link?;
                    if hidden.contains(&link.source) || hidden.contains(&link.target) {
                        continue;
                    }
                    some.push(link);
                    if some.len() == LINKS_AT_ONCE && visit(std::mem::take(&mut some)).is_break() {
                        return Ok(());
                    }
                }
                if !some.is_empty() && visit(some).is_break() {
                    return Ok(());
                }
            }
            Ok(())
        })
        .await
    }

    /// The visible links that an object holds, in order.
    ///
    /// # Errors
    /// As [`TenantVault::object`].
    pub async fn links_from(
        &self,
        manifest: &Manifest,
        source: &ObjectId,
    ) -> Result<Vec<Link>, StoreError> {
        let (chain, from) = (self.parts::<LinkRow>(manifest).await?, source.clone());
        let mut links: Vec<Link> =
            blocking::run(move || chain.rows_from(&from)?.filter_map(present).collect()).await?;
        if !links.is_empty() {
            let hidden = self.hidden(manifest).await?;
            links.retain(|link| !hidden.contains(&link.source) && !hidden.contains(&link.target));
        }
        Ok(links)
    }

    /// The ids in the recycle bin, whose links the directory does not show.
    async fn hidden(&self, manifest: &Manifest) -> Result<HashSet<ObjectId>, StoreError> {
        if manifest.counts.iter().all(|count| count.deleted == 0) {
            return Ok(HashSet::new());
        }
        let bin = self.bin(manifest).await?;
        Ok(bin.into_iter().map(|(_, id)| id).collect())
    }
}
