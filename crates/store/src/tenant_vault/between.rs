//! Two snapshots narrowed down to what may differ between them.
//!
//! Owns which rows are read for that: of snapshots that go back to the same runs
//! only the runs behind those, of others their keys. It must never leave anything
//! out that a comparison of the whole would tell: what is narrowed down also holds
//! whatever the differing objects and links refer to.

use std::collections::{BTreeMap, BTreeSet};

use model::diff::{Scope, link_ends};
use model::snapshot::Content;
use model::{Link, Object, ObjectId, ObjectState, ObjectType};

use super::TenantVault;
use super::chain::Chain;
use crate::blocking;
use crate::error::StoreError;
use crate::manifest::{Manifest, RunFile};
use crate::run::{LinkRow, ObjectKey, ObjectRow, Presence, apart};

/// Two states of a tenant as far as they may differ.
#[derive(Debug, Clone, Default)]
pub struct Between {
    /// The one.
    pub base: Content,
    /// The other.
    pub target: Content,
    /// How many objects of them were compared.
    pub compared: u64,
    /// Whether both go back to the same runs, so that nothing else was looked at.
    pub shared: bool,
}

type Key = (ObjectType, ObjectId);

/// What both snapshots go back to, and what each adds.
struct Fork<'m> {
    shared: Vec<&'m RunFile>,
    base: Vec<&'m RunFile>,
    target: Vec<&'m RunFile>,
}

impl<'m> Fork<'m> {
    fn of(base: Vec<&'m RunFile>, target: Vec<&'m RunFile>) -> Self {
        let same = base.iter().zip(&target);
        let shared = same.take_while(|(a, b)| a.hash == b.hash).count();
        Self {
            base: base[shared..].to_vec(),
            target: target[shared..].to_vec(),
            shared: base[..shared].to_vec(),
        }
    }
}

/// The links that may differ, on each side.
#[derive(Default)]
struct Links {
    base: BTreeSet<Link>,
    target: BTreeSet<Link>,
}

impl TenantVault {
    /// Narrows two snapshots down to what may differ between them within a scope.
    /// To compare that is to compare them.
    ///
    /// # Errors
    /// As [`TenantVault::read`], of damage in what is read.
    pub async fn between(
        &self,
        base: &Manifest,
        target: &Manifest,
        scope: &Scope,
    ) -> Result<Between, StoreError> {
        let objects = Fork::of(
            self.files::<ObjectRow>(base)?,
            self.files::<ObjectRow>(target)?,
        );
        let links = Fork::of(self.files::<LinkRow>(base)?, self.files::<LinkRow>(target)?);
        let shared = !objects.shared.is_empty() && !links.shared.is_empty();
        let keys = self.differing_keys(&objects).await?;
        let compared = keys.len() as u64;
        let mut sides = Sides {
            base: self.found(base, &keys).await?,
            target: self.found(target, &keys).await?,
        };
        let back = sides.come_back();
        let links = self.differing_links(&links, back, scope.clone()).await?;

        // What the differing ones refer to is needed for names and for what of it is
        // gone; one that is the same on both sides says nothing by itself.
        let mut referred: BTreeSet<Key> = sides.tied();
        for link in links.base.iter().chain(&links.target) {
            referred.extend(link_ends(link));
        }
        referred.retain(|key| !keys.contains(key));
        sides.base.extend(self.found(base, &referred).await?);
        sides.target.extend(self.found(target, &referred).await?);
        let content = |objects: BTreeMap<Key, Object>, links: BTreeSet<Link>, of: &Manifest| {
            Content::visible(
                objects.into_values().collect(),
                links.into_iter().collect(),
                of.completeness.clone(),
            )
        };
        Ok(Between {
            base: content(sides.base, links.base, base),
            target: content(sides.target, links.target, target),
            compared,
            shared,
        })
    }

    /// The objects that the runs behind the shared ones speak of; where nothing is
    /// shared, those whose state or hash differs.
    async fn differing_keys(&self, fork: &Fork<'_>) -> Result<BTreeSet<Key>, StoreError> {
        let base = self.parts_of::<ObjectRow>(&fork.base).await?;
        let target = self.parts_of::<ObjectRow>(&fork.target).await?;
        let is_shared = !fork.shared.is_empty();
        blocking::run(move || {
            let key = |key: ObjectKey| (key.object_type, key.id);
            if is_shared {
                let told = base.keys()?.chain(target.keys()?);
                return told.map(|row| row.map(key)).collect();
            }
            let there = |row: &Result<ObjectKey, StoreError>| {
                row.as_ref().map_or(true, |row| row.body.is_some())
            };
            apart(base.keys()?.filter(there), target.keys()?.filter(there))
                .filter_map(|pair| match pair {
                    Ok((Some(one), Some(other))) if one.body == other.body => None,
                    Ok((one, other)) => one.or(other).map(|row| Ok(key(row))),
                    Err(error) => Some(Err(error)),
                })
                .collect()
        })
        .await
    }

    async fn found(
        &self,
        manifest: &Manifest,
        keys: &BTreeSet<Key>,
    ) -> Result<BTreeMap<Key, Object>, StoreError> {
        if keys.is_empty() {
            return Ok(BTreeMap::new());
        }
        let chain = self.parts::<ObjectRow>(manifest).await?;
        let objects = chain.find(keys.iter().cloned().collect()).await?;
        let keyed = |object: Object| ((object.object_type, object.id.clone()), object);
        Ok(objects.into_iter().map(keyed).collect())
    }

    /// The links that differ, and those of objects that came back from the recycle
    /// bin, which hid them.
    async fn differing_links(
        &self,
        fork: &Fork<'_>,
        back: BTreeSet<ObjectId>,
        scope: Scope,
    ) -> Result<Links, StoreError> {
        let base = self.parts_of::<LinkRow>(&fork.base).await?;
        let target = self.parts_of::<LinkRow>(&fork.target).await?;
        let shared = self.parts_of::<LinkRow>(&fork.shared).await?;
        let is_shared = !fork.shared.is_empty();
        blocking::run(move || {
            let in_scope = |link: &Link| {
                let holder = link.kind.source_type();
                scope.holds(holder, &link.source)
            };
            let is_back = |link: &Link| back.contains(&link.source) || back.contains(&link.target);
            let mut links = Links::default();
            if is_shared {
                let oldest = base.oldest_rows()?.chain(target.oldest_rows()?);
                // A run tells only news: what goes first had been there, and what
                // comes first had not.
                for row in oldest {
                    let LinkRow { link, presence } = row?;
                    if presence == Presence::Gone && in_scope(&link) {
                        links.base.insert(link.clone());
                        links.target.insert(link);
                    }
                }
                if !back.is_empty() {
                    for row in shared.rows()? {
                        let LinkRow { link, presence } = row?;
                        if presence == Presence::Present && is_back(&link) && in_scope(&link) {
                            links.base.insert(link.clone());
                            links.target.insert(link);
                        }
                    }
                }
                let (base, target) = (told(&base)?, told(&target)?);
                for (side, told) in [(&mut links.base, base), (&mut links.target, target)] {
                    for (link, presence) in told.into_iter().filter(|(link, _)| in_scope(link)) {
                        match presence {
                            Presence::Present => side.insert(link),
                            Presence::Gone => side.remove(&link),
                        };
                    }
                }
                return Ok(links);
            }
            let there = |row: &Result<LinkRow, StoreError>| {
                let present = |row: &LinkRow| row.presence == Presence::Present;
                row.as_ref().map_or(true, present)
            };
            for pair in apart(base.rows()?.filter(there), target.rows()?.filter(there)) {
                let (one, other) = pair?;
                let same = one.is_some() && other.is_some();
                for (side, row) in [(&mut links.base, one), (&mut links.target, other)] {
                    let link = row.map(|row| row.link);
                    side.extend(link.filter(|link| (!same || is_back(link)) && in_scope(link)));
                }
            }
            Ok(links)
        })
        .await
    }
}

/// The last word of some runs about each link.
fn told(chain: &Chain<LinkRow>) -> Result<BTreeMap<Link, Presence>, StoreError> {
    let rows = chain.rows()?;
    rows.map(|row| row.map(|row| (row.link, row.presence)))
        .collect()
}

/// The objects that may differ, on each side.
struct Sides {
    base: BTreeMap<Key, Object>,
    target: BTreeMap<Key, Object>,
}

impl Sides {
    /// Those that the recycle bin hides on one side and not on the other.
    fn come_back(&self) -> BTreeSet<ObjectId> {
        let mut back = BTreeSet::new();
        for (key, one) in &self.base {
            if let Some(other) = self.target.get(key)
                && one.state != other.state
                && other.state == ObjectState::Live
            {
                back.insert(key.1.clone());
            }
        }
        back
    }

    /// What objects that tie others together refer to.
    fn tied(&self) -> BTreeSet<Key> {
        let mut tied = BTreeSet::new();
        for object in self.base.values().chain(self.target.values()) {
            let ties = object.object_type.spec().ties;
            if ties.is_empty() {
                continue;
            }
            let body = object.body();
            let ids = ties.iter().filter_map(|tie| body.get(*tie)?.as_str());
            for id in ids.filter_map(|id| ObjectId::parse(id).ok()) {
                let types = ObjectType::ALL.into_iter();
                tied.extend(types.map(|object_type| (object_type, id.clone())));
            }
        }
        tied
    }
}
