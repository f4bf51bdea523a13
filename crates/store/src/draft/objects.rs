//! The objects of a draft, laid over those of the snapshot before.

use std::collections::{BTreeMap, HashSet};
use std::iter::Peekable;

use model::{ObjectId, ObjectState, ObjectType};

use super::spool::{Entry, Merged};
use super::{Closed, ObjectTally};
use crate::error::StoreError;
use crate::run::{Body, ObjectKey, ObjectRow};

/// The value of an object that is gone.
pub(super) const GONE: &[u8] = b"g";

/// The last byte of the value of an object in that state.
pub(super) fn put(state: ObjectState) -> &'static [u8] {
    match state {
        ObjectState::Live => b"l",
        ObjectState::Deleted => b"d",
    }
}

/// The key of an object; without an id, of its type, which sorts before all of them.
pub(super) fn key(object_type: ObjectType, id: Option<&ObjectId>) -> Vec<u8> {
    let id = id.map_or("", ObjectId::as_str).as_bytes();
    let mut key = Vec::with_capacity(1 + id.len());
    key.push(object_type as u8);
    key.extend_from_slice(id);
    key
}

/// A row of the snapshot before, whole or without its JSON.
pub(crate) trait Base {
    /// The type.
    fn object_type(&self) -> ObjectType;
    /// The id.
    fn id(&self) -> &ObjectId;
    /// The state; `None` where the row says that the object is gone.
    fn state(&self) -> Option<ObjectState>;
}

impl Base for ObjectKey {
    fn object_type(&self) -> ObjectType {
        self.object_type
    }

    fn id(&self) -> &ObjectId {
        &self.id
    }

    fn state(&self) -> Option<ObjectState> {
        self.body.map(|(state, _)| state)
    }
}

impl Base for ObjectRow {
    fn object_type(&self) -> ObjectType {
        self.object_type
    }

    fn id(&self) -> &ObjectId {
        &self.id
    }

    fn state(&self) -> Option<ObjectState> {
        self.body.as_ref().map(|body| body.state)
    }
}

/// What becomes of one object.
#[derive(Debug)]
pub(crate) enum ObjectStep<B> {
    /// It stays as it was.
    Kept(B),
    /// It is like this; the row before, where there was one.
    Put(ObjectRow, Option<B>),
    /// It was there and is gone.
    Gone(ObjectType, ObjectId),
    /// It was told of in this draft only, and is gone; its links may have been told
    /// of too.
    Passed(ObjectType, ObjectId),
}

/// Which statements a draft made about whole types.
#[derive(Debug, Default)]
struct Reread(BTreeMap<(ObjectType, ObjectState), u64>);

impl Reread {
    /// Whether what was said at `seq` of an object in that state is void.
    fn voids(&self, object_type: ObjectType, state: ObjectState, seq: u64) -> bool {
        self.0
            .get(&(object_type, state))
            .is_some_and(|reread| *reread > seq)
    }
}

/// Goes through both and tells what becomes of each object, in order; `read` are
/// the types that were read completely, of which what is missing is gone.
///
/// # Errors
/// Those of the base, and those of `take`.
pub(crate) fn walk_objects<B: Base>(
    base: impl Iterator<Item = Result<B, StoreError>>,
    draft: &Closed,
    read: &HashSet<ObjectType>,
    mut take: impl FnMut(ObjectStep<B>) -> Result<(), StoreError>,
) -> Result<ObjectTally, StoreError> {
    let base = base.filter(|row| !matches!(row, Ok(row) if row.state().is_none()));
    let mut tally = ObjectTally {
        gone: draft.gone.clone(),
        ..ObjectTally::default()
    };
    let mut reread = Reread::default();
    let mut entries = draft.objects.merged().peekable();
    let mut take = |step: ObjectStep<B>| {
        tally.add(&step, read);
        take(step)
    };
    for row in base {
        let row = row?;
        let at = key(row.object_type(), Some(row.id()));
        while let Some(next) = next_object(&mut entries, &mut reread, Some(&at)) {
            take(settle(next, &reread, None)?)?;
        }
        let here = entries.peek().is_some_and(|entry| entry.key == at);
        let said = if here { newest(&mut entries) } else { None };
        let Some(state) = row.state() else {
            continue;
        };
        take(match said {
            Some(newest) => settle(newest, &reread, Some(row))?,
            None => untouched(row, state, &reread),
        })?;
    }
    while let Some(next) = next_object(&mut entries, &mut reread, None) {
        take(settle(next, &reread, None)?)?;
    }
    Ok(tally)
}

/// The newest statement about the next object before `limit`; statements about
/// whole types are noted on the way.
fn next_object(
    entries: &mut Peekable<Merged<'_>>,
    reread: &mut Reread,
    limit: Option<&[u8]>,
) -> Option<Entry> {
    loop {
        let entry = entries.peek()?;
        if limit.is_some_and(|limit| entry.key.as_slice() >= limit) {
            return None;
        }
        if entry.key.len() > 1 {
            return newest(entries);
        }
        let entry = entries.next()?;
        let state = match entry.value.last() {
            Some(b'd') => ObjectState::Deleted,
            _ => ObjectState::Live,
        };
        let seq = reread.0.entry((type_of(&entry), state)).or_default();
        *seq = (*seq).max(entry.seq);
    }
}

/// The newest statement about the next key; the older ones are passed over.
fn newest(entries: &mut Peekable<Merged<'_>>) -> Option<Entry> {
    let newest = entries.next()?;
    while entries.next_if(|entry| entry.key == newest.key).is_some() {}
    Some(newest)
}

fn type_of(entry: &Entry) -> ObjectType {
    *ObjectType::ALL
        .get(usize::from(entry.key[0]))
        .expect("invariant: a key begins with its type")
}

fn untouched<B: Base>(row: B, state: ObjectState, reread: &Reread) -> ObjectStep<B> {
    // What was read before this draft was said at time nought.
    if reread.voids(row.object_type(), state, 0) {
        ObjectStep::Gone(row.object_type(), row.id().clone())
    } else {
        ObjectStep::Kept(row)
    }
}

/// What the newest statement makes of an object.
fn settle<B: Base>(
    newest: Entry,
    reread: &Reread,
    before: Option<B>,
) -> Result<ObjectStep<B>, StoreError> {
    let unreadable = || StoreError::Internal("a draft holds an entry that is none".to_owned());
    let object_type = type_of(&newest);
    let id = std::str::from_utf8(&newest.key[1..])
        .ok()
        .and_then(|id| ObjectId::parse(id).ok())
        .ok_or_else(unreadable)?;
    let state = match newest.value.last() {
        Some(b'l') => Some(ObjectState::Live),
        Some(b'd') => Some(ObjectState::Deleted),
        _ => None,
    };
    let state = state.filter(|state| !reread.voids(object_type, *state, newest.seq));
    let Some(state) = state else {
        return Ok(match before {
            Some(_) => ObjectStep::Gone(object_type, id),
            None => ObjectStep::Passed(object_type, id),
        });
    };
    let mut json = newest.value;
    json.pop();
    let row = ObjectRow {
        object_type,
        id,
        body: Some(Body {
            state,
            json: String::from_utf8(json).map_err(|_| unreadable())?.into(),
            digest: None,
        }),
    };
    Ok(ObjectStep::Put(row, before))
}

impl ObjectTally {
    fn add<B: Base>(&mut self, step: &ObjectStep<B>, read: &HashSet<ObjectType>) {
        let (object_type, id, state) = match step {
            ObjectStep::Kept(row) => (row.object_type(), row.id(), row.state()),
            ObjectStep::Put(row, _) => (row.object_type, &row.id, row.state()),
            ObjectStep::Gone(object_type, id) | ObjectStep::Passed(object_type, id) => {
                if read.contains(object_type) {
                    self.gone.insert(id.clone());
                }
                return;
            }
        };
        let (live, deleted) = self.counts.entry(object_type).or_default();
        match state {
            Some(ObjectState::Live) => *live += 1,
            Some(ObjectState::Deleted) => {
                *deleted += 1;
                self.bin.insert(id.clone());
            }
            None => {}
        }
    }
}
