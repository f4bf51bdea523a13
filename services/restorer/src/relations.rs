//! Objects that only tie others together, as they are right now: found in lists that
//! few belong to, since one that was made anew has another id.

use std::collections::{BTreeMap, HashSet};

use graph::{Collection, Directory, DirectoryWriter, GraphError, Owners, Page, Query};
use model::catalogue::{EXPANDED, OWNER, Reading, Relation, TypeSpec};
use model::diff::{Change, ChangeKind};
use model::plan::Step;
use model::snapshot::Content;
use model::{Object, ObjectId, ObjectState, ObjectType};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

type Body = Map<String, Value>;

/// The lists in which the changed ones are found, whichever id they have now.
///
/// The assignments of the highest role are always among them where assignments
/// are: whether one is left does not follow from those that changed.
pub(crate) fn lists(changes: &[Change], base: &Content) -> HashSet<Query> {
    let mut lists = HashSet::new();
    for change in changes {
        let object_type = change.object.object_type;
        let holder = matches!(
            object_type,
            ObjectType::User | ObjectType::Group | ObjectType::ServicePrincipal
        );
        if holder && matches!(change.kind, ChangeKind::Added | ChangeKind::Restored) {
            // It may be removed, and may be the last administrator.
            lists.insert(administrators());
        }
        let Some(relation) = object_type.spec().relation else {
            continue;
        };
        let known = base
            .object(object_type, &change.object.id)
            .map(Object::body);
        let value = match &known {
            Some(body) => body.get(relation.found_by).cloned(),
            None => told(change, relation),
        };
        let value = value.and_then(|value| ObjectId::parse(value.as_str()?).ok());
        lists.insert(list_of(object_type, relation, value));
        if object_type == ObjectType::RoleAssignment {
            lists.insert(administrators());
        }
    }
    lists
}

/// What a change tells of the property by which its object is found.
fn told(change: &Change, relation: Relation) -> Option<Value> {
    let mut attributes = change.attributes.iter();
    attributes
        .find(|attribute| attribute.path == relation.found_by)
        .and_then(|attribute| attribute.after.clone())
}

/// The shortest list that holds an object; where nothing leads to it, that of all.
fn list_of(object_type: ObjectType, relation: Relation, value: Option<ObjectId>) -> Query {
    match (object_type.spec().reading, value) {
        (Reading::Contained { .. }, Some(owner)) => Query::Contained(object_type, owner),
        (Reading::Contained { .. }, None) => {
            Query::Expanded(Collection::Contained(object_type), Owners::All)
        }
        (_, Some(value)) => Query::With {
            object_type,
            property: relation.found_by,
            value,
        },
        (_, None) => Query::Objects(object_type),
    }
}

/// The assignments of the role of Global Administrator.
fn administrators() -> Query {
    let role = model::catalogue::GLOBAL_ADMINISTRATOR;
    Query::With {
        object_type: ObjectType::RoleAssignment,
        property: "roleDefinitionId",
        value: ObjectId::parse(role).expect("invariant: a GUID is an id"),
    }
}

/// The objects of lists, each once. A list of what is in an object that is gone is
/// empty.
pub(crate) async fn listed(
    directory: &dyn DirectoryWriter,
    lists: &HashSet<Query>,
) -> Result<Vec<Object>, GraphError> {
    let mut found: BTreeMap<(ObjectType, ObjectId), Object> = BTreeMap::new();
    for object in all(directory, lists.iter().cloned().collect()).await? {
        found.insert((object.object_type, object.id.clone()), object);
    }
    Ok(found.into_values().collect())
}

async fn all(
    directory: &dyn DirectoryWriter,
    queries: Vec<Query>,
) -> Result<Vec<Object>, GraphError> {
    let mut objects = Vec::new();
    // Owners that hold more than an expansion shows are asked alone.
    let mut alone = Vec::new();
    let first = directory.first_pages(&queries).await?;
    for (query, answer) in queries.iter().zip(first) {
        let mut page = match answer {
            Err(GraphError::NotFound { .. }) => Page::default(),
            answer => answer?,
        };
        loop {
            for item in &page.items {
                take(query, item, &mut objects, &mut alone)?;
            }
            let Some(next) = page.next else { break };
            page = Directory::page(directory, query, Some(&next)).await?;
        }
    }
    if !alone.is_empty() {
        objects.extend(Box::pin(all(directory, alone)).await?);
    }
    Ok(objects)
}

/// Takes one item of a list: an object, or an owner with those inside it.
fn take(
    query: &Query,
    item: &RawValue,
    objects: &mut Vec<Object>,
    alone: &mut Vec<Query>,
) -> Result<(), GraphError> {
    let garbled = |error: &dyn std::fmt::Display| GraphError::Malformed {
        what: error.to_string(),
        path: query.kind().name(),
    };
    let mut body: Body = serde_json::from_str(item.get()).map_err(|error| garbled(&error))?;
    let object_type = query.kind().object_type();
    let mut keep = |body: &Body| {
        let object = Object::from_body(object_type, ObjectState::Live, body);
        objects.push(object.map_err(|error| garbled(&error))?);
        Ok(())
    };
    match query {
        Query::Contained(_, owner) => {
            body.insert(OWNER.to_owned(), Value::from(owner.as_str()));
            keep(&body)
        }
        Query::Expanded(collection, _) => {
            let owner = body.get("id").and_then(Value::as_str).unwrap_or_default();
            let owner = ObjectId::parse(owner).map_err(|error| garbled(&error))?;
            let inside = body.remove(collection.relation()).unwrap_or_default();
            let inside = inside.as_array().cloned().unwrap_or_default();
            if inside.len() >= EXPANDED {
                alone.push(Query::Contained(object_type, owner));
                return Ok(());
            }
            for entry in inside {
                let Value::Object(mut entry) = entry else {
                    continue;
                };
                entry.insert(OWNER.to_owned(), Value::from(owner.as_str()));
                keep(&entry)?;
            }
            Ok(())
        }
        _ => keep(&body),
    }
}

/// The list in which the object of a step is found.
fn list_for(step: &Step) -> Option<Query> {
    let object_type = step.object.object_type;
    let spec = object_type.spec();
    let relation = spec.relation?;
    let value = match spec.reading {
        Reading::Contained { .. } => spec.owner_in(&step.call.path),
        Reading::List | Reading::Singleton => {
            let mut told = step.attributes.iter();
            let told = told.find(|attribute| attribute.path == relation.found_by)?;
            let value = told.before.as_ref().or(told.after.as_ref())?.as_str()?;
            ObjectId::parse(value).ok()
        }
    };
    Some(list_of(object_type, relation, Some(value?)))
}

/// The live object that says what a step is to make, if there is one.
pub(crate) async fn alike(
    directory: &dyn DirectoryWriter,
    step: &Step,
) -> Result<Option<Body>, GraphError> {
    let spec = step.object.object_type.spec();
    let wanted = step.call.body.as_ref().and_then(Value::as_object).cloned();
    let mut wanted = wanted.unwrap_or_default();
    if let Some(owner) = spec.owner_in(&step.call.path) {
        wanted.insert(OWNER.to_owned(), Value::from(owner.as_str()));
    }
    let identity = spec.identity(&wanted);
    let objects = all(directory, list_for(step).into_iter().collect()).await?;
    let mut bodies = objects.iter().map(Object::body);
    Ok(bodies.find(|body| spec.identity(body) == identity))
}

/// The live object that a step names in its path.
pub(crate) async fn named(
    directory: &dyn DirectoryWriter,
    step: &Step,
) -> Result<Option<Body>, GraphError> {
    let spec = step.object.object_type.spec();
    let Some(id) = id_in(spec, &step.call.path) else {
        return Ok(None);
    };
    let objects = match spec.owner_in(&step.call.path) {
        Some(owner) => {
            let list = Query::Contained(step.object.object_type, owner);
            all(directory, vec![list]).await?
        }
        None => {
            let key = (step.object.object_type, ObjectState::Live, id.clone());
            let mut answers = directory.read_many(&[key]).await?;
            answers.pop().transpose()?.flatten().into_iter().collect()
        }
    };
    let object = objects.into_iter().find(|object| object.id == id);
    Ok(object.map(|object| object.body()))
}

/// The id at the end of the path of one object: a relation that was made anew has
/// another than the snapshot's.
fn id_in(spec: &TypeSpec, path: &str) -> Option<ObjectId> {
    let list = match spec.owner_in(path) {
        Some(owner) => spec.contained_list_path(&owner),
        None => spec.list_path.to_owned(),
    };
    ObjectId::parse(path.strip_prefix(&list)?.strip_prefix('/')?).ok()
}

/// Whether an assignment is the only one of the highest role over the whole tenant.
pub(crate) async fn is_last_administrator(
    directory: &dyn DirectoryWriter,
    assignment: &Body,
) -> Result<bool, GraphError> {
    let role = assignment.get("roleDefinitionId").and_then(Value::as_str);
    if role != Some(model::catalogue::GLOBAL_ADMINISTRATOR) {
        return Ok(false);
    }
    let holders = all(directory, vec![administrators()]).await?;
    let others = holders.iter().map(Object::body).filter(|body| {
        body.get("id") != assignment.get("id")
            && body
                .get("directoryScopeId")
                .is_some_and(|scope| scope == "/")
    });
    Ok(others.count() == 0)
}

/// The service principals and registrations of the applications with these client
/// ids.
pub(crate) async fn of_applications(
    directory: &dyn DirectoryWriter,
    client_ids: &[&str],
) -> Result<HashSet<ObjectId>, GraphError> {
    let ids = client_ids.iter().filter_map(|id| ObjectId::parse(id).ok());
    let queries = ids.flat_map(|id| {
        [ObjectType::Application, ObjectType::ServicePrincipal].map(|object_type| Query::With {
            object_type,
            property: "appId",
            value: id.clone(),
        })
    });
    let found = all(directory, queries.collect()).await?;
    Ok(found.into_iter().map(|object| object.id).collect())
}
