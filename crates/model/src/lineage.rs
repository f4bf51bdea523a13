//! Which object was made anew in place of which hard-deleted one.
//!
//! Graph gives no id twice, so an object that is created again has another; whoever
//! reads an older snapshot must know that both are one. Owns the reading of older
//! values in the newer ids. It never touches what the live tenant says: an id that
//! names nothing any more is seen there as it is, so that it can be put right.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use crate::catalogue::ObjectType;
use crate::diff::{Change, Scope};
use crate::id::{ObjectId, PlanId};
use crate::object::{Link, Object};
use crate::snapshot::Content;

/// The length of a GUID's text.
const GUID: usize = 36;

/// What Graph gives an object once, when it is made: of one that was made anew it
/// says nothing about a change.
const BORN_WITH: [&str; 3] = ["createdDateTime", "securityIdentifier", "uniqueName"];

/// One object that was made anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its type.
    pub object_type: ObjectType,
    /// The id of the hard-deleted object.
    pub old: ObjectId,
    /// The id of the object in its place.
    pub new: ObjectId,
    /// Of an application the `appId` before and after: Graph gives that, too.
    pub app_ids: Option<(ObjectId, ObjectId)>,
    /// When it was made.
    pub made: DateTime<Utc>,
    /// The restore that made it.
    pub restore: PlanId,
}

/// All objects of a tenant that were made anew.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lineage {
    entries: Vec<Entry>,
    /// The id that stands for each former one today, lowercase; `appId`s included.
    today: HashMap<String, ObjectId>,
}

impl Lineage {
    /// The lineage that some entries tell, the oldest first.
    #[must_use]
    pub fn new(entries: Vec<Entry>) -> Self {
        let mut today: HashMap<String, ObjectId> = HashMap::new();
        for entry in &entries {
            let pairs = [(&entry.old, &entry.new)];
            let pairs = pairs
                .into_iter()
                .chain(entry.app_ids.iter().map(|(old, new)| (old, new)));
            for (old, new) in pairs {
                // What stood for an earlier one goes on in the new one.
                for later in today.values_mut().filter(|later| **later == *old) {
                    *later = new.clone();
                }
                today.insert(old.as_str().to_lowercase(), new.clone());
            }
        }
        Self { entries, today }
    }

    /// Whether nothing was ever made anew.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entries, the oldest first.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The part that tells of what was made after a time: a state that was read
    /// before knows nothing of these, and one that was read after names them itself.
    #[must_use]
    pub fn since(&self, time: DateTime<Utc>) -> Self {
        let later = self.entries.iter().filter(|entry| entry.made >= time);
        Self::new(later.cloned().collect())
    }

    /// The same lineage with further entries.
    #[must_use]
    pub fn with(&self, entries: impl IntoIterator<Item = Entry>) -> Self {
        Self::new(self.entries.iter().cloned().chain(entries).collect())
    }

    /// The part that tells of some former ids, `appId`s included.
    #[must_use]
    pub fn only(&self, ids: &[ObjectId]) -> Self {
        let asked = |id: &String| ids.iter().any(|one| one.as_str().eq_ignore_ascii_case(id));
        let today = self.today.iter().filter(|(id, _)| asked(id));
        Self {
            entries: self.entries.clone(),
            today: today.map(|(id, now)| (id.clone(), now.clone())).collect(),
        }
    }

    /// The id that stands for an object, or an `appId`, today.
    #[must_use]
    pub fn current(&self, id: &ObjectId) -> ObjectId {
        let now = self.today.get(&id.as_str().to_lowercase());
        now.unwrap_or(id).clone()
    }

    /// Whether another object stands for this one today.
    #[must_use]
    pub fn is_former(&self, id: &ObjectId) -> bool {
        self.today.contains_key(&id.as_str().to_lowercase())
    }

    /// A scope that also holds the other ids of the objects that it names.
    #[must_use]
    pub fn widened(&self, scope: &Scope) -> Scope {
        let mut ids: BTreeSet<ObjectId> = scope.ids.clone();
        ids.extend(scope.ids.iter().map(|id| self.current(id)));
        let former = self
            .entries
            .iter()
            .filter(|entry| ids.contains(&self.current(&entry.new)));
        let former: Vec<ObjectId> = former
            .flat_map(|entry| [entry.old.clone(), entry.new.clone()])
            .collect();
        ids.extend(former);
        Scope {
            types: scope.types.clone(),
            ids,
        }
    }

    /// A text in which each former id is replaced by today's, wherever it stands: in
    /// `directoryScopeId`, a membership rule or an address as well as alone.
    #[must_use]
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        replaced(text, |id| {
            self.today.get(id).map(|id| id.as_str().to_owned())
        })
    }

    /// The same in every text of a value, names of properties aside.
    pub fn value(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                if let Cow::Owned(now) = self.text(text) {
                    *text = now;
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(item)),
            Value::Object(fields) => fields.values_mut().for_each(|field| self.value(field)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// A state in today's ids. Where it holds both the former and today's object,
    /// today's stays.
    #[must_use]
    pub fn content(&self, content: Content) -> Content {
        if self.is_empty() {
            return content;
        }
        let Content {
            objects,
            links,
            completeness,
        } = content;
        let there: HashSet<(ObjectType, &ObjectId)> = objects.iter().map(Object::key).collect();
        let objects = objects
            .iter()
            .filter(|object| {
                let now = self.current(&object.id);
                now == object.id || !there.contains(&(object.object_type, &now))
            })
            .map(|object| self.object(object))
            .collect();
        let link = |link: Link| Link {
            source: self.current(&link.source),
            target: self.current(&link.target),
            ..link
        };
        Content {
            objects,
            links: links.into_iter().map(link).collect(),
            completeness,
        }
        .sorted()
    }

    fn object(&self, object: &Object) -> Object {
        Object {
            id: self.current(&object.id),
            json: match self.text(&object.json) {
                Cow::Borrowed(_) => object.json.clone(),
                Cow::Owned(json) => json.into(),
            },
            ..object.clone()
        }
    }

    /// A change in today's ids, as far as it names objects.
    #[must_use]
    pub fn change(&self, change: Change) -> Change {
        let mut change = change;
        change.object.id = self.current(&change.object.id);
        for link in &mut change.links {
            link.target = self.current(&link.target);
        }
        change
    }

    /// Takes over, for objects that were made anew, what Graph gives each object once:
    /// of that the comparison of a state in today's ids with another is to say nothing.
    pub fn settle(&self, base: &mut Content, target: &Content) {
        for entry in &self.entries {
            let id = self.current(&entry.new);
            let Some(now) = target.object(entry.object_type, &id).map(Object::body) else {
                continue;
            };
            let place = base
                .objects
                .binary_search_by(|object| object.key().cmp(&(entry.object_type, &id)));
            let Ok(place) = place else { continue };
            let mut body = base.objects[place].body();
            for name in BORN_WITH {
                match now.get(name) {
                    Some(value) => body.insert(name.to_owned(), value.clone()),
                    None => body.remove(name),
                };
            }
            base.objects[place].json = text_of(&body);
        }
    }
}

fn text_of(body: &Map<String, Value>) -> Box<str> {
    Value::Object(body.clone()).to_string().into()
}

/// The GUIDs that stand in a text, lowercase, each once.
#[must_use]
pub fn guids(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    // What is replaced by nothing is only looked at.
    drop(replaced(text, |id| {
        found.insert(id.to_owned());
        None
    }));
    found
}

/// A text in which GUIDs are replaced by what is told of each, in lowercase.
fn replaced<'a>(text: &'a str, mut by: impl FnMut(&str) -> Option<String>) -> Cow<'a, str> {
    let bytes = text.as_bytes();
    let mut made = String::new();
    let (mut taken, mut at) = (0, 0);
    while at + GUID <= bytes.len() {
        if !is_guid(&bytes[at..at + GUID]) {
            at += 1;
            continue;
        }
        if let Some(id) = by(&text[at..at + GUID].to_lowercase()) {
            made.push_str(&text[taken..at]);
            made.push_str(&id);
            taken = at + GUID;
        }
        at += GUID;
    }
    if taken == 0 {
        return Cow::Borrowed(text);
    }
    made.push_str(&text[taken..]);
    Cow::Owned(made)
}

fn is_guid(bytes: &[u8]) -> bool {
    // The hyphens first: few texts get past them.
    [8, 13, 18, 23].iter().all(|place| bytes[*place] == b'-')
        && bytes
            .iter()
            .enumerate()
            .all(|(place, byte)| matches!(place, 8 | 13 | 18 | 23) || byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests;
