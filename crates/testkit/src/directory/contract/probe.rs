//! Asking a directory, and picking from the seeded content.

use graph::{Directory, DirectoryWriter, GraphError, Query};
use model::call::{Call, HttpMethod};
use model::snapshot::Content;
use model::{Link, LinkKind, Object, ObjectId, ObjectState, ObjectType};
use serde_json::{Map, Value};

pub(super) async fn write(
    directory: &dyn DirectoryWriter,
    method: HttpMethod,
    path: String,
    body: Option<Value>,
) -> Result<Option<Value>, GraphError> {
    directory.write(&Call { method, path, body }).await
}

pub(super) async fn read(
    directory: &dyn Directory,
    object_type: ObjectType,
    state: ObjectState,
    id: &ObjectId,
) -> Option<Object> {
    let mut found = directory
        .read_many(&[(object_type, state, id.clone())])
        .await
        .expect("read_many answers");
    found
        .pop()
        .expect("one answer for one id")
        .expect("a missing object is no error")
}

pub(super) async fn all(directory: &dyn Directory, query: &Query) -> Vec<Map<String, Value>> {
    let mut items = Vec::new();
    let mut next = None;
    loop {
        let page = directory
            .page(query, next.as_ref())
            .await
            .expect("a page answers");
        items.extend(
            page.items
                .iter()
                .map(|item| serde_json::from_str(item.get()).expect("an item is an object")),
        );
        next = page.next;
        if next.is_none() {
            return items;
        }
    }
}

pub(super) async fn links(
    directory: &dyn Directory,
    kind: LinkKind,
    source: &ObjectId,
) -> Vec<Link> {
    let query = Query::Links {
        kind,
        source: source.clone(),
    };
    let link = |body: &Map<String, Value>| Link {
        kind,
        source: source.clone(),
        target: id_of(body),
    };
    all(directory, &query).await.iter().map(link).collect()
}

pub(super) fn of_type(
    content: &Content,
    object_type: ObjectType,
    state: ObjectState,
) -> impl Iterator<Item = &Object> {
    content
        .objects
        .iter()
        .filter(move |object| object.object_type == object_type && object.state == state)
}

pub(super) fn group_with_strangers(content: &Content) -> (ObjectId, [ObjectId; 2]) {
    let users: Vec<&ObjectId> = of_type(content, ObjectType::User, ObjectState::Live)
        .map(|user| &user.id)
        .collect();
    let writable = |group: &&Object| {
        let body = group.body();
        let rule = body
            .get("membershipRule")
            .is_some_and(|rule| !rule.is_null());
        !rule
            && body.get("onPremisesSyncEnabled") != Some(&Value::Bool(true))
            && body.get("mailEnabled") != Some(&Value::Bool(true))
    };
    of_type(content, ObjectType::Group, ObjectState::Live)
        .filter(writable)
        .find_map(|group| {
            let members = content.links_of(LinkKind::GroupMembers, &group.id);
            let mut strangers = users
                .iter()
                .filter(|user| members.iter().all(|link| link.target != ***user));
            let (first, second) = (strangers.next()?, strangers.next()?);
            Some((group.id.clone(), [(*first).clone(), (*second).clone()]))
        })
        .expect("the content has an assigned group that lacks two users")
}

pub(super) fn id_of(body: &Map<String, Value>) -> ObjectId {
    let id = body
        .get("id")
        .and_then(Value::as_str)
        .expect("an object has an id");
    ObjectId::parse(id).expect("an id is valid")
}

/// What two reads of an unchanged object have in common: everything that is
/// compared. A list hides what a single read shows, such as a key's bytes.
pub(super) fn stable(object_type: ObjectType, body: Map<String, Value>) -> Map<String, Value> {
    let compared = model::canonical::properties(object_type.spec(), &body);
    compared
        .into_iter()
        .map(|(name, _, value)| (name, value))
        .collect()
}

/// An id that no object has.
pub(super) fn nobody() -> ObjectId {
    ObjectId::parse("00000000-dead-4000-8000-000000000000").expect("a valid id")
}
