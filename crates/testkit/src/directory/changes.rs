//! What the fake announces as changed: the difference between now and a state
//! that a token stands for.

use std::collections::BTreeSet;

use graph::{Announced, ChangeNext, ChangePage, ChangesFrom, Fate, GraphError, NextLink, Presence};
use model::catalogue::LinkRead;
use model::{Link, LinkKind, Object, ObjectId, ObjectState, ObjectType};
use serde_json::{Value, json};

use super::state::State;

/// What a token stands for: everything as it was.
pub(super) struct Mark {
    objects: Vec<Object>,
    links: BTreeSet<Link>,
}

/// Answers a question for changes of a type.
pub(super) fn answer(
    state: &mut State,
    object_type: ObjectType,
    from: &ChangesFrom,
) -> Result<ChangePage, GraphError> {
    let now = mark(state);
    let items = match from {
        ChangesFrom::Now => Vec::new(),
        ChangesFrom::Links => {
            let nothing = Mark {
                objects: Vec::new(),
                links: BTreeSet::new(),
            };
            let mut items = news(&nothing, &now, object_type);
            items.retain(|item| item.fate == Fate::Live);
            items
        }
        ChangesFrom::Link(link) => {
            let old = link
                .as_str()
                .parse()
                .ok()
                .and_then(|index: usize| index.checked_sub(state.forgotten))
                .and_then(|index| state.marks.get(index));
            let old = old.ok_or_else(|| GraphError::ResyncRequired {
                path: object_type.name().to_owned(),
            })?;
            news(old, &now, object_type)
        }
    };
    state.marks.push(now);
    let token = state.forgotten + state.marks.len() - 1;
    Ok(ChangePage {
        items,
        next: ChangeNext::Round(NextLink::new(token.to_string())),
    })
}

fn mark(state: &State) -> Mark {
    let content = state.content();
    Mark {
        objects: content.objects,
        links: content.links.into_iter().collect(),
    }
}

/// The relations that Graph's delta function tracks.
fn tracked(object_type: ObjectType) -> impl Iterator<Item = LinkKind> {
    let links = object_type.spec().links.iter();
    links
        .filter(|link| matches!(link.read, LinkRead::Delta | LinkRead::Expand))
        .map(|link| link.kind)
}

fn news(old: &Mark, now: &Mark, object_type: ObjectType) -> Vec<Announced> {
    let of = |mark: &Mark| -> Vec<Object> {
        let same = mark
            .objects
            .iter()
            .filter(|object| object.object_type == object_type);
        same.cloned().collect()
    };
    let (before, after) = (of(old), of(now));
    let mut ids: BTreeSet<ObjectId> = before.iter().map(|object| object.id.clone()).collect();
    ids.extend(after.iter().map(|object| object.id.clone()));
    ids.into_iter()
        .filter_map(|id| {
            let find = |objects: &[Object]| objects.iter().find(|object| object.id == id).cloned();
            item(&id, find(&before), find(&after), old, now, object_type)
        })
        .collect()
}

fn item(
    id: &ObjectId,
    before: Option<Object>,
    after: Option<Object>,
    old: &Mark,
    now: &Mark,
    object_type: ObjectType,
) -> Option<Announced> {
    let changes = |kind: LinkKind| {
        let of = move |link: &&Link| link.kind == kind && link.source == *id;
        let came = now.links.difference(&old.links).filter(of);
        let went = old.links.difference(&now.links).filter(of);
        let came = came.map(move |link| (kind, link.target.clone(), Presence::Present));
        came.chain(went.map(move |link| (kind, link.target.clone(), Presence::Absent)))
            .collect::<Vec<_>>()
    };
    let live = after
        .as_ref()
        .filter(|object| object.state == ObjectState::Live);
    let Some(object) = live else {
        let fate = match after {
            Some(_) => Fate::SoftDeleted,
            None => Fate::Gone,
        };
        let same = before.map(|object| object.state) == after.map(|object| object.state);
        return (!same).then(|| announced(id, fate, json!({}), Vec::new()));
    };
    let links: Vec<_> = tracked(object_type).flat_map(changes).collect();
    let same = before.as_ref() == Some(object) && links.is_empty();
    (!same).then(|| announced(id, Fate::Live, Value::Object(object.body()), links))
}

fn announced(
    id: &ObjectId,
    fate: Fate,
    body: Value,
    links: Vec<(LinkKind, ObjectId, Presence)>,
) -> Announced {
    Announced {
        id: id.clone(),
        fate,
        body: serde_json::value::to_raw_value(&body).expect("invariant: a value is JSON"),
        links,
    }
}
