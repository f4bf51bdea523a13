//! Which of the objects that policies name exist in the live tenant, and which are
//! proven hard-deleted.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use graph::{DirectoryWriter, GraphError};
use model::references::{Chosen, Reference, ReferenceKind, references};
use model::snapshot::Content;
use model::{Object, ObjectId, ObjectState, ObjectType};

use crate::Error;

/// Every object that the given policies name, in any of the states.
pub(crate) fn named(states: &[&Content], policies: &[ObjectId]) -> HashSet<Reference> {
    let bodies = states.iter().flat_map(|content| {
        policies
            .iter()
            .filter_map(|id| content.object(ObjectType::ConditionalAccessPolicy, id))
            .map(Object::body)
    });
    bodies.flat_map(|body| references(&body)).collect()
}

/// Asks the directory for every object that policies name.
pub(crate) async fn existing(
    directory: &dyn DirectoryWriter,
    named: &HashSet<Reference>,
) -> Result<HashSet<Reference>, GraphError> {
    let ids = |kinds: &[ReferenceKind]| -> Vec<ObjectId> {
        named
            .iter()
            .filter(|reference| kinds.contains(&reference.kind))
            .filter_map(|reference| ObjectId::parse(&reference.id).ok())
            .collect()
    };
    let of_kind =
        |kind: ReferenceKind| named.iter().filter(move |reference| reference.kind == kind);

    let mut found = HashSet::new();
    let principals = ids(&[
        ReferenceKind::User,
        ReferenceKind::Group,
        ReferenceKind::ServicePrincipal,
    ]);
    if !principals.is_empty() {
        let existing = or_unknown(directory.existing(&principals).await)?;
        for reference in named {
            let wanted = match reference.kind {
                ReferenceKind::User => "user",
                ReferenceKind::Group => "group",
                ReferenceKind::ServicePrincipal => "servicePrincipal",
                ReferenceKind::Role
                | ReferenceKind::Application
                | ReferenceKind::Location
                | ReferenceKind::Strength => continue,
            };
            let answers = |(id, object_type): (&ObjectId, &String)| {
                id.as_str().eq_ignore_ascii_case(&reference.id) && object_type.ends_with(wanted)
            };
            if existing.iter().any(answers) {
                found.insert(reference.clone());
            }
        }
    }
    if of_kind(ReferenceKind::Role).next().is_some() {
        let roles: HashSet<String> = or_unknown(directory.role_template_ids().await)?
            .iter()
            .map(|id| id.as_str().to_ascii_lowercase())
            .collect();
        found.extend(
            of_kind(ReferenceKind::Role)
                .filter(|reference| roles.contains(&reference.id))
                .cloned(),
        );
    }
    let applications: Vec<String> = of_kind(ReferenceKind::Application)
        .map(|reference| reference.id.clone())
        .collect();
    if !applications.is_empty() {
        let existing = or_unknown(directory.existing_app_ids(&applications).await)?;
        found.extend(
            of_kind(ReferenceKind::Application)
                .filter(|reference| existing.contains(&reference.id))
                .cloned(),
        );
    }
    for (kind, object_type) in [
        (ReferenceKind::Location, ObjectType::NamedLocation),
        (
            ReferenceKind::Strength,
            ObjectType::AuthenticationStrengthPolicy,
        ),
    ] {
        let keys: Vec<_> = ids(&[kind])
            .into_iter()
            .map(|id| (object_type, ObjectState::Live, id))
            .collect();
        for ((_, _, id), answer) in keys.iter().zip(directory.read_many(&keys).await?) {
            if answer?.is_some() {
                let id = id.as_str().to_ascii_lowercase();
                found.insert(Reference { kind, id });
            }
        }
    }
    Ok(found)
}

/// What the application may not ask for stays unresolved: it blocks the
/// policies that name it, and nothing else of the plan.
fn or_unknown<T: Default>(answer: Result<T, GraphError>) -> Result<T, GraphError> {
    match answer {
        Err(error @ GraphError::Denied { .. }) => {
            let error = runtime::status::chain(&error);
            tracing::warn!(error, "the objects that policies name cannot be looked up");
            Ok(T::default())
        }
        other => other,
    }
}

/// The snapshot with its policies as the choices make them, and what was chosen for
/// each policy, in sentences.
///
/// # Errors
/// [`Error::Reference`] where a choice is not allowed, or what it is about is not
/// proven hard-deleted; the [`GraphError`] of a read, which is never taken for proof.
pub(crate) async fn followed(
    directory: &dyn DirectoryWriter,
    mut base: Content,
    policies: &[ObjectId],
    chosen: &Chosen,
) -> Result<(Content, BTreeMap<ObjectId, Vec<String>>), Error> {
    let refused = |text: String| Error::Reference(text);
    let mut told = BTreeMap::new();
    let mut kinds: BTreeMap<String, BTreeSet<ReferenceKind>> = BTreeMap::new();
    for object in &mut base.objects {
        let is_policy = object.object_type == ObjectType::ConditionalAccessPolicy;
        if !is_policy || !policies.contains(&object.id) {
            continue;
        }
        let body = object.body();
        for one in references(&body) {
            if chosen.speaks_of(&one.id) {
                kinds.entry(one.id).or_default().insert(one.kind);
            }
        }
        let followed = chosen
            .followed(&body)
            .map_err(|error| refused(error.to_string()))?;
        if let Some(followed) = followed {
            told.insert(object.id.clone(), chosen.told_of(&body));
            *object = Object::from_body(object.object_type, object.state, &followed)
                .expect("invariant: a policy keeps its id");
        }
    }
    let mapped = chosen.mapped().map(|(old, new)| (old, Some(new)));
    let dropped = chosen.dropped().map(|old| (old, None));
    for (old, new) in mapped.chain(dropped) {
        let Some(kinds) = kinds.get(old) else {
            return Err(refused(format!(
                "no policy that the plan is about names {old}"
            )));
        };
        for kind in kinds {
            prove(directory, &base, *kind, old, new).await?;
        }
    }
    Ok((base, told))
}

/// Proves that what a policy names is hard-deleted, and that its successor exists.
async fn prove(
    directory: &dyn DirectoryWriter,
    base: &Content,
    kind: ReferenceKind,
    old: &str,
    new: Option<&str>,
) -> Result<(), Error> {
    let refused = |text: String| Err(Error::Reference(text));
    let name = kind.name();
    let (object_type, id) = match object_of(base, kind, old) {
        Some(key) => key,
        None => {
            return refused(format!(
                "whether {name} {old} is hard-deleted cannot be proven"
            ));
        }
    };
    let has_bin = object_type.spec().deleted.is_some();
    let states = [ObjectState::Live, ObjectState::Deleted];
    let states = states.into_iter().take(if has_bin { 2 } else { 1 });
    let keys: Vec<_> = states
        .map(|state| (object_type, state, id.clone()))
        .collect();
    for ((_, state, _), answer) in keys.iter().zip(directory.read_many(&keys).await?) {
        if answer?.is_some() {
            return refused(match state {
                ObjectState::Live => format!("{name} {old} exists, so policies keep naming it"),
                ObjectState::Deleted => {
                    format!("{name} {old} is in the recycle bin: restore it instead")
                }
            });
        }
    }
    let Some(new) = new else { return Ok(()) };
    let successor = Reference {
        kind,
        id: new.to_owned(),
    };
    let found = existing(directory, &HashSet::from([successor.clone()])).await?;
    if found.contains(&successor) {
        return Ok(());
    }
    refused(format!(
        "{name} {new}, which is to stand in the place of {old}, does not exist"
    ))
}

/// The object that a policy names, by type and id. Applications are named by their
/// `appId`, and roles not by objects that have a recycle bin.
fn object_of(base: &Content, kind: ReferenceKind, id: &str) -> Option<(ObjectType, ObjectId)> {
    use ReferenceKind as Named;
    let object_type = match kind {
        Named::User => ObjectType::User,
        Named::Group => ObjectType::Group,
        Named::ServicePrincipal | Named::Application => ObjectType::ServicePrincipal,
        Named::Location => ObjectType::NamedLocation,
        Named::Strength => ObjectType::AuthenticationStrengthPolicy,
        Named::Role => return None,
    };
    if kind != Named::Application {
        return Some((object_type, ObjectId::parse(id).ok()?));
    }
    let mut objects = base.objects.iter();
    let of_application = objects.find(|object| {
        object.object_type == object_type
            && object.body().get("appId").is_some_and(|held| held == id)
    });
    of_application.map(|object| (object_type, object.id.clone()))
}
