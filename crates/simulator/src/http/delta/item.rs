//! How an object looks in a delta round: its set properties, its links and what was removed.
//!
//! Rendering only: which objects a page holds is decided elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use crate::catalog::{Kind, Relation, Shown};
use crate::http::delta::round::{is_sliced, slice};
use crate::record::{Detail, Object, push_id, push_pair};
use crate::state::State;

/// What a caller asked to see of each object.
pub(super) struct Item<'a> {
    kind: Kind,
    /// Selected properties by key, in the table's order.
    keys: Vec<u16>,
    pub(super) relations: &'a [Relation],
    minimal: bool,
}

impl<'a> Item<'a> {
    pub(super) fn new(
        kind: Kind,
        select: Option<&str>,
        relations: &'a [Relation],
        minimal: bool,
    ) -> Self {
        let names: Option<BTreeSet<&str>> = select.map(|names| names.split(',').collect());
        let keys = kind
            .shape()
            .props
            .iter()
            .zip(0u16..)
            .filter(|(prop, _)| match &names {
                Some(names) => names.contains(prop.name),
                None => prop.shown == Shown::Default,
            })
            .map(|(_, key)| key)
            .collect();
        Self {
            kind,
            keys,
            relations,
            minimal,
        }
    }

    pub(super) fn is_selected(&self, key: u16) -> bool {
        self.keys.binary_search(&key).is_ok()
    }

    /// An object with its links after `after`, as many as there is room for; also the target up
    /// to which members were shown, where there are more.
    pub(super) fn whole(
        &self,
        state: &State,
        object: &Object,
        after: Option<Uuid>,
        links: &mut usize,
    ) -> (Vec<u8>, Option<Uuid>) {
        let mut out = Vec::with_capacity(512);
        out.push(b'{');
        self.properties(&mut out, object, None);
        let mut unfinished = None;
        for relation in self.relations {
            if !is_sliced(*relation) && after.is_some() {
                continue;
            }
            let from_link = after.filter(|_| is_sliced(*relation));
            let (shown, more) = slice(state, *relation, object.id, from_link, links);
            if !shown.is_empty() {
                let list = shown
                    .iter()
                    .map(|target| (target.kind.name(), target.id, true));
                push_links(&mut out, *relation, list);
            }
            if more {
                unfinished = shown
                    .last()
                    .map(|last| last.id)
                    .or(after)
                    .or(Some(Uuid::nil()));
            }
        }
        out.push(b'}');
        (out, unfinished)
    }

    /// An object of which some properties or links changed; a link says whether it holds.
    pub(super) fn partial(
        &self,
        state: &State,
        object: &Object,
        changed: &BTreeSet<u16>,
        touched: &[(Relation, Uuid, bool)],
    ) -> Vec<u8> {
        let mut out = vec![b'{'];
        self.properties(&mut out, object, Some(changed));
        let mut by_relation: BTreeMap<Relation, Vec<(&'static str, Uuid, bool)>> = BTreeMap::new();
        for (relation, target, held) in touched {
            let list = by_relation.entry(*relation).or_default();
            list.push((type_of(state, *target), *target, *held));
        }
        for (relation, list) in by_relation {
            push_links(&mut out, relation, list.into_iter());
        }
        out.push(b'}');
        out
    }

    /// Writes the id and the set properties; changed ones also when they were cleared.
    fn properties(&self, out: &mut Vec<u8>, object: &Object, changed: Option<&BTreeSet<u16>>) {
        let shape = self.kind.shape();
        push_id(out, object.id);
        for key in &self.keys {
            let prop = shape.prop(*key);
            let touched = changed.is_some_and(|keys| keys.contains(key));
            if self.minimal && changed.is_some() && !touched {
                continue;
            }
            match object.record.raw(*key) {
                // Public keys never travel in collections.
                Some(_) if prop.name == "keyCredentials" => {
                    object.render(out, Some(&["keyCredentials".to_owned()]), Detail::List);
                }
                Some(raw) => push_pair(out, prop.name, raw),
                None if touched || prop.unset.len() > 4 || prop.unset == "true" => {
                    push_pair(out, prop.name, prop.unset.as_bytes());
                }
                None => {}
            }
        }
    }
}

/// The type of a link's target, also when it is in the recycle bin.
fn type_of(state: &State, target: Uuid) -> &'static str {
    state
        .find(target)
        .or_else(|| state.find_deleted(target).map(|deleted| &deleted.object))
        .map_or("directoryObject", |object| object.kind.name())
}

fn push_links(
    out: &mut Vec<u8>,
    relation: Relation,
    links: impl Iterator<Item = (&'static str, Uuid, bool)>,
) {
    push_pair(out, &format!("{}@delta", relation.name()), b"[");
    for (at, (kind, id, held)) in links.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.extend_from_slice(b"{\"@odata.type\":\"#microsoft.graph.");
        out.extend_from_slice(kind.as_bytes());
        out.push(b'"');
        push_id(out, id);
        if !held {
            push_pair(out, "@removed", br#"{"reason":"deleted"}"#);
        }
        out.push(b'}');
    }
    out.push(b']');
}

/// Writes an object that is no more.
pub(super) fn push_removed(out: &mut Vec<u8>, id: Uuid, reason: &str) {
    out.push(b'{');
    push_id(out, id);
    push_pair(
        out,
        "@removed",
        format!("{{\"reason\":\"{reason}\"}}").as_bytes(),
    );
    out.push(b'}');
}
