//! How an object looks in a delta round: its set properties, its links and what was removed.
//!
//! Rendering only: which objects a page holds is decided elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use crate::catalog::{Kind, Relation, Shown};
use crate::record::{Detail, Object, push_id, push_pair};
use crate::state::State;

/// The type of a link's target, its id, and whether the link holds.
type Link = (&'static str, Uuid, bool);

/// Which links of an object an item shows.
pub(super) struct Slice<'a> {
    /// Members up to this one were shown before.
    pub(super) after: Option<Uuid>,
    /// Links that are no more.
    pub(super) ended: Vec<(Relation, Uuid, bool)>,
    /// How many links the page has room for; what is shown is taken off.
    pub(super) links: &'a mut usize,
}

impl<'a> Slice<'a> {
    pub(super) fn first(links: &'a mut usize) -> Self {
        Self {
            after: None,
            ended: Vec::new(),
            links,
        }
    }

    pub(super) fn next(last: Uuid, links: &'a mut usize) -> Self {
        Self {
            after: Some(last),
            ended: Vec::new(),
            links,
        }
    }
}

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

    /// An object with a slice of its links; also the target up to which members were shown,
    /// where there are more.
    pub(super) fn whole(
        &self,
        state: &State,
        object: &Object,
        slice: Slice<'_>,
    ) -> (Vec<u8>, Option<Uuid>) {
        let mut out = Vec::with_capacity(512);
        out.push(b'{');
        self.properties(&mut out, object, None);
        let mut unfinished = None;
        for relation in self.relations {
            // Members are many enough to be sliced; other relations come whole, at first.
            let sliced = *relation == Relation::Members;
            if !sliced && slice.after.is_some() {
                continue;
            }
            let mut rest = state.live_targets(*relation, object.id, slice.after);
            let room = if sliced { *slice.links } else { usize::MAX };
            let mut list: Vec<Link> = rest
                .by_ref()
                .take(room)
                .map(|target| (target.kind.name(), target.id, true))
                .collect();
            *slice.links = slice.links.saturating_sub(list.len());
            if sliced && rest.next().is_some() {
                let last = list.last().map(|(_, id, _)| *id);
                unfinished = last.or(slice.after).or(Some(Uuid::nil()));
            }
            let ended = slice.ended.iter().filter(|(held, ..)| held == relation);
            list.extend(ended.map(|(_, target, _)| (type_of(state, *target), *target, false)));
            if !list.is_empty() {
                push_links(&mut out, *relation, list);
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
        let mut by_relation: BTreeMap<Relation, Vec<Link>> = BTreeMap::new();
        for (relation, target, held) in touched {
            let list = by_relation.entry(*relation).or_default();
            list.push((type_of(state, *target), *target, *held));
        }
        for (relation, list) in by_relation {
            push_links(&mut out, relation, list);
        }
        out.push(b'}');
        out
    }

    /// Writes the id and the set properties; changed ones also when they were cleared.
    fn properties(&self, out: &mut Vec<u8>, object: &Object, changed: Option<&BTreeSet<u16>>) {
        let shape = self.kind.shape();
        object.push_id(out);
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

fn push_links(out: &mut Vec<u8>, relation: Relation, links: Vec<Link>) {
    push_pair(out, &format!("{}@delta", relation.name()), b"[");
    for (at, (kind, id, held)) in links.into_iter().enumerate() {
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
pub(super) fn push_removed(out: &mut Vec<u8>, id: &str, reason: &str) {
    out.push(b'{');
    push_pair(out, "id", format!("\"{id}\"").as_bytes());
    push_pair(
        out,
        "@removed",
        format!("{{\"reason\":\"{reason}\"}}").as_bytes(),
    );
    out.push(b'}');
}
