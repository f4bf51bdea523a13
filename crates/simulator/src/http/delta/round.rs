//! One page of a delta round: which objects it holds and where the next page starts.
//!
//! First rounds walk the objects, later rounds the change log, so a later round costs what
//! changed. A page never shows a state that is older than the position its link hands back.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use uuid::Uuid;

use crate::catalog::{Kind, Relation};
use crate::http::delta::item::{Item, Slice, push_removed};
use crate::http::delta::token::Token;
use crate::http::delta::traps::DeltaTraps;
use crate::ids::Ids;
use crate::state::State;
use crate::state::history::What;

/// Objects of a page.
const PAGE: usize = 200;
/// Links of a page; a larger group appears again on the next page.
const LINKS_PER_PAGE: usize = 1000;
/// Groups that wait for their next slice at the same time.
const MOST_UNFINISHED: usize = 6;

/// Everything that the pages of a round depend on.
pub(super) struct Round<'a> {
    pub(super) state: &'a State,
    pub(super) kind: Kind,
    pub(super) item: Item<'a>,
    pub(super) traps: &'a DeltaTraps,
}

/// The items of one page and the token that its link carries.
pub(super) struct Page {
    pub(super) items: Vec<Vec<u8>>,
    pub(super) token: Token,
    /// Whether the round goes on, so that the link is a next link.
    pub(super) more: bool,
}

impl Round<'_> {
    /// Serves the page that `token` asks for.
    pub(super) fn page(&self, token: Token) -> Page {
        let mut dice = self.traps.dice(&token);
        if self.traps.empty_pages && !token.paused && dice.chance(250) {
            let token = Token {
                paused: true,
                page: token.page + 1,
                ..token
            };
            return Page {
                items: Vec::new(),
                token,
                more: true,
            };
        }
        let before = token.clone();
        let mut page = if token.first {
            self.first(token, &mut dice)
        } else {
            self.later(token)
        };
        page.token.page += 1;
        page.token.paused = false;
        // What lags behind the caller must not show it older states again.
        if before.first || self.state.history.position() >= before.from {
            self.spring(&before, &mut page.items, &mut dice);
        }
        page
    }

    fn size(&self) -> usize {
        self.traps.page.unwrap_or(PAGE).max(1)
    }

    fn links(&self) -> usize {
        self.traps.slice.unwrap_or(LINKS_PER_PAGE).max(1)
    }

    fn first(&self, mut token: Token, dice: &mut Ids) -> Page {
        // A replica that is behind the one which began the round owes more changes.
        token.from = token.from.min(self.state.history.position());
        let mut links = self.links();
        let mut items = Vec::new();
        let waiting = token.unfinished.len();
        let defer = self.traps.interleaved_slices && waiting < MOST_UNFINISHED && dice.chance(500);
        if !defer {
            self.resume(&mut token, &mut items, &mut links);
        }
        let lower = token.after.map_or(Bound::Unbounded, Bound::Excluded);
        let objects = self
            .state
            .all(self.kind)
            .range((lower, Bound::Unbounded))
            .filter(|(id, _)| token.ids.as_ref().is_none_or(|ids| ids.contains(id)));
        let mut more = false;
        let (mut after, mut unfinished) = (token.after, std::mem::take(&mut token.unfinished));
        for (id, object) in objects {
            let full = items.len() >= self.size() || links == 0;
            if full || (!defer && !unfinished.is_empty()) {
                more = true;
                break;
            }
            let (item, rest) = self
                .item
                .whole(self.state, object, Slice::first(&mut links));
            items.push(item);
            unfinished.extend(rest.map(|last| (*id, last)));
            after = Some(*id);
        }
        (token.after, token.unfinished) = (after, unfinished);
        more |= !token.unfinished.is_empty();
        Page { items, token, more }
    }

    /// Serves the next slices of what is unfinished, as far as there is room.
    fn resume(&self, token: &mut Token, items: &mut Vec<Vec<u8>>, links: &mut usize) {
        for (id, last) in std::mem::take(&mut token.unfinished) {
            if *links == 0 {
                token.unfinished.push((id, last));
                continue;
            }
            // What is gone by now is owed by the change log.
            let Some(object) = self.state.object(self.kind, id) else {
                continue;
            };
            let (item, rest) = self
                .item
                .whole(self.state, object, Slice::next(last, links));
            items.push(item);
            token.unfinished.extend(rest.map(|last| (id, last)));
        }
    }

    fn later(&self, mut token: Token) -> Page {
        let position = self.state.history.position();
        if position < token.from {
            // This replica knows less than the caller: nothing new, and the same position again.
            token.to = None;
            let items = Vec::new();
            return Page {
                items,
                token,
                more: false,
            };
        }
        // The end of a later round is fixed when it begins.
        let to = token.to.unwrap_or(position).min(position).max(token.from);
        let mut links = self.links();
        let mut items = Vec::new();
        self.resume(&mut token, &mut items, &mut links);
        let reached = if token.unfinished.is_empty() {
            self.changed(&mut token, to, &mut items, &mut links)
        } else {
            token.from
        };
        let more = reached < to || !token.unfinished.is_empty();
        token.from = reached;
        token.to = more.then_some(to);
        Page { items, token, more }
    }

    /// Serves changed objects up to `to`; answers how far it came.
    fn changed(
        &self,
        token: &mut Token,
        to: usize,
        items: &mut Vec<Vec<u8>>,
        links: &mut usize,
    ) -> usize {
        let mut order: Vec<Uuid> = Vec::new();
        let mut changes: BTreeMap<Uuid, Vec<&What>> = BTreeMap::new();
        let mut reached = token.from;
        let mut room = *links;
        for change in self.state.history.span(token.from, to) {
            let wanted = change.kind == self.kind
                && token
                    .ids
                    .as_ref()
                    .is_none_or(|ids| ids.contains(&change.id));
            if wanted {
                let known = changes.contains_key(&change.id);
                let is_link = change.what.is_link();
                if (!known && order.len() + items.len() >= self.size()) || (is_link && room == 0) {
                    break;
                }
                room -= usize::from(is_link);
                if !known {
                    order.push(change.id);
                }
                changes.entry(change.id).or_default().push(&change.what);
            }
            reached += 1;
        }
        for id in order {
            if let Some(item) = self.one(id, &changes[&id], links, &mut token.unfinished) {
                items.push(item);
            }
        }
        reached
    }

    /// The item for one changed object, unless nothing that was asked for changed.
    fn one(
        &self,
        id: Uuid,
        changes: &[&What],
        links: &mut usize,
        unfinished: &mut Vec<(Uuid, Uuid)>,
    ) -> Option<Vec<u8>> {
        let Some(object) = self.state.object(self.kind, id) else {
            let soft = self.state.bin(self.kind).contains_key(&id);
            return Some(self.removed(id, soft));
        };
        let touched: Vec<(Relation, Uuid, bool)> = self
            .item
            .relations
            .iter()
            .flat_map(|relation| self.touched(*relation, id, changes))
            .collect();
        if changes.iter().any(|what| matches!(what, What::Created)) {
            // Who never heard that it was gone before it came back must hear which links ended.
            let ended = touched.into_iter().filter(|(_, _, held)| !held).collect();
            let start = Slice {
                after: None,
                ended,
                links,
            };
            let (item, rest) = self.item.whole(self.state, object, start);
            unfinished.extend(rest.map(|last| (id, last)));
            return Some(item);
        }
        let mut keys = BTreeSet::new();
        for what in changes {
            if let What::Changed(changed) = what {
                keys.extend(
                    changed
                        .iter()
                        .copied()
                        .filter(|key| self.item.is_selected(*key)),
                );
            }
        }
        if keys.is_empty() && touched.is_empty() {
            return None;
        }
        Some(self.item.partial(self.state, object, &keys, &touched))
    }

    /// Targets whose link changed, with whether it holds now.
    fn touched(
        &self,
        relation: Relation,
        id: Uuid,
        changes: &[&What],
    ) -> impl Iterator<Item = (Relation, Uuid, bool)> {
        let targets: BTreeSet<Uuid> = changes
            .iter()
            .filter_map(|what| match what {
                What::Linked { relation: held, to } | What::Unlinked { relation: held, to } => {
                    (*held == relation).then_some(*to)
                }
                What::Orphaned { relation: held, to } => {
                    (*held == relation && !self.traps.silent_hard_deletes).then_some(*to)
                }
                _ => None,
            })
            .collect();
        targets
            .into_iter()
            .map(move |target| (relation, target, self.state.is_linked(relation, id, target)))
    }

    /// Adds what the traps add to a page, then mixes it.
    fn spring(&self, before: &Token, items: &mut Vec<Vec<u8>>, dice: &mut Ids) {
        if self.traps.duplicates && !items.is_empty() && dice.chance(400) {
            items.push(dice.pick(items).clone());
        }
        if self.traps.replays && dice.chance(400) {
            items.extend(self.replay(before, dice));
        }
        if self.traps.removed_at_first && before.first && before.ids.is_none() && dice.chance(400) {
            items.push(self.gone(dice));
        }
        if self.traps.reordering {
            for at in (1..items.len()).rev() {
                items.swap(at, dice.below(at + 1));
            }
        }
    }

    /// An item of an earlier page or round, as it is now.
    fn replay(&self, before: &Token, dice: &mut Ids) -> Option<Vec<u8>> {
        let mut links = self.links();
        let asked = |id: &Uuid| before.ids.as_ref().is_none_or(|ids| ids.contains(id));
        if before.first {
            let some = before.after?.min(dice.guid());
            let (id, object) = self.state.all(self.kind).range(..=some).next_back()?;
            return asked(id).then(|| {
                self.item
                    .whole(self.state, object, Slice::first(&mut links))
                    .0
            });
        }
        let at = dice.below(before.from);
        let change = self.state.history.span(at, at + 1).first()?;
        let wanted = change.kind == self.kind && at < before.from && asked(&change.id);
        if !wanted {
            return None;
        }
        // The slices of a large group that appears again are not owed again.
        self.one(change.id, &[&change.what], &mut links, &mut Vec::new())
    }

    /// An object that is no more: deleted a moment ago, or before anyone remembers.
    fn gone(&self, dice: &mut Ids) -> Vec<u8> {
        let some = dice.guid();
        let bin = self.state.bin(self.kind);
        let recent = bin.range(some..).next().or_else(|| bin.iter().next());
        match recent {
            Some((id, _)) if dice.chance(700) => self.removed(*id, true),
            _ => self.removed(some, false),
        }
    }

    fn removed(&self, id: Uuid, soft: bool) -> Vec<u8> {
        let mut out = Vec::with_capacity(96);
        let id = self.state.wire_id(self.kind, id);
        push_removed(&mut out, &id, if soft { "changed" } else { "deleted" });
        out
    }
}
