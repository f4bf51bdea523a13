//! The links of a draft, laid over those of the snapshot before.

use std::collections::HashSet;

use model::{Link, LinkKind, ObjectId};

use super::spool::Entry;
use super::{Closed, LinkTally, ObjectTally};
use crate::error::StoreError;
use crate::run::{LinkRow, Presence};

/// The value of a link that is there.
pub(super) const LINKED: &[u8] = b"l";
/// The value of a link that is not.
pub(super) const UNLINKED: &[u8] = b"u";

/// The key of a link; without a target, of all links of its source; without a
/// source, of its kind. The wider ones sort first.
pub(super) fn key(kind: LinkKind, source: Option<&ObjectId>, target: Option<&ObjectId>) -> Vec<u8> {
    let length = |id: Option<&ObjectId>| id.map_or(0, |id| id.as_str().len());
    let mut key = Vec::with_capacity(2 + length(source) + length(target));
    key.push(kind as u8);
    if let Some(source) = source {
        key.extend_from_slice(source.as_str().as_bytes());
        // No id holds this byte, so that keys sort as links do.
        key.push(0);
    }
    if let Some(target) = target {
        key.extend_from_slice(target.as_str().as_bytes());
    }
    key
}

/// What becomes of one link.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum LinkStep {
    /// It stays.
    Kept(Link),
    /// It is new.
    New(Link),
    /// It was there and is gone.
    Gone(Link),
}

/// What a draft said about many links at once.
struct Wide<'a> {
    kind: Option<(LinkKind, u64)>,
    source: Option<(LinkKind, ObjectId, u64)>,
    objects: &'a ObjectTally,
}

impl Wide<'_> {
    fn is_gone(&self, link: &Link) -> bool {
        touches(&self.objects.gone, link)
    }

    fn is_hidden(&self, link: &Link) -> bool {
        touches(&self.objects.bin, link)
    }

    /// Whether what was said of a link at `seq` is void.
    fn voids(&self, link: &Link, seq: u64) -> bool {
        // A list of what is visible says nothing about what is hidden.
        if self.is_hidden(link) {
            return false;
        }
        let by_kind =
            matches!(self.kind, Some((kind, reread)) if kind == link.kind && reread > seq);
        let by_source = matches!(&self.source, Some((kind, source, reread))
            if *kind == link.kind && *source == link.source && *reread > seq);
        by_kind || by_source
    }
}

fn touches(ids: &HashSet<ObjectId>, link: &Link) -> bool {
    ids.contains(&link.source) || ids.contains(&link.target)
}

/// Goes through both and tells what becomes of each link, in order; `objects` says
/// which links are hidden and which went with an end.
///
/// # Errors
/// Those of the base, and those of `take`.
pub(crate) fn walk_links(
    base: impl Iterator<Item = Result<LinkRow, StoreError>>,
    draft: &Closed,
    objects: &ObjectTally,
    mut take: impl FnMut(LinkStep) -> Result<(), StoreError>,
) -> Result<LinkTally, StoreError> {
    let mut tally = LinkTally::new();
    let mut wide = Wide {
        kind: None,
        source: None,
        objects,
    };
    let mut entries = draft.links.merged().peekable();
    let mut base = base
        .filter(|row| !matches!(row, Ok(row) if row.presence == Presence::Gone))
        .peekable();
    loop {
        if let Some(Err(error)) = base.next_if(Result::is_err) {
            return Err(error);
        }
        let before = base.peek().and_then(|row| row.as_ref().ok()).map(|row| {
            key(
                row.link.kind,
                Some(&row.link.source),
                Some(&row.link.target),
            )
        });
        let said = match (&before, entries.peek()) {
            (None, None) => return Ok(tally),
            (Some(before), Some(entry)) => entry.key <= *before,
            (Some(_), None) => false,
            (None, Some(_)) => true,
        };
        if !said {
            let row = base.next().transpose()?;
            if let Some(row) = row {
                let link = row.link;
                let void = wide.is_gone(&link) || wide.voids(&link, 0);
                let step = if void {
                    LinkStep::Gone(link)
                } else {
                    LinkStep::Kept(link)
                };
                count(&mut tally, &wide, &step);
                take(step)?;
            }
            continue;
        }
        let Some(entry) = entries.next() else {
            return Ok(tally);
        };
        let Some(link) = read_key(&entry, &mut wide)? else {
            continue;
        };
        while entries.next_if(|older| older.key == entry.key).is_some() {}
        let was = before.is_some_and(|before| before == entry.key);
        if was {
            base.next().transpose()?;
        }
        let is = entry.value == LINKED && !wide.is_gone(&link) && !wide.voids(&link, entry.seq);
        let step = match (was, is) {
            (true, true) => LinkStep::Kept(link),
            (false, true) => LinkStep::New(link),
            (true, false) => LinkStep::Gone(link),
            (false, false) => continue,
        };
        count(&mut tally, &wide, &step);
        take(step)?;
    }
}

fn count(tally: &mut LinkTally, wide: &Wide<'_>, step: &LinkStep) {
    if let LinkStep::Kept(link) | LinkStep::New(link) = step
        && !wide.is_hidden(link)
    {
        *tally.entry(link.kind).or_default() += 1;
    }
}

/// The link that an entry is about; `None` where it is about many, which is noted.
fn read_key(entry: &Entry, wide: &mut Wide<'_>) -> Result<Option<Link>, StoreError> {
    let none = || StoreError::Internal("a draft holds a key that is none".to_owned());
    let kind = *LinkKind::ALL
        .get(usize::from(entry.key[0]))
        .ok_or_else(none)?;
    let id = |bytes: &[u8]| {
        std::str::from_utf8(bytes)
            .ok()
            .and_then(|id| ObjectId::parse(id).ok())
            .ok_or_else(none)
    };
    let rest = &entry.key[1..];
    let Some(split) = rest.iter().position(|byte| *byte == 0) else {
        let before = wide.kind.filter(|(of, _)| *of == kind);
        let seq = before.map_or(0, |(_, seq)| seq).max(entry.seq);
        wide.kind = Some((kind, seq));
        return Ok(None);
    };
    let source = id(&rest[..split])?;
    let target = &rest[split + 1..];
    if target.is_empty() {
        let before = wide
            .source
            .take()
            .filter(|(of, by, _)| *of == kind && *by == source);
        let seq = before.map_or(0, |(_, _, seq)| seq).max(entry.seq);
        wide.source = Some((kind, source, seq));
        return Ok(None);
    }
    Ok(Some(Link {
        kind,
        source,
        target: id(target)?,
    }))
}
