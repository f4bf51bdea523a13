//! Which of the objects that policies name exist in the live tenant.

use std::collections::HashSet;

use graph::{DirectoryWriter, GraphError};
use model::references::{Reference, ReferenceKind, references};
use model::snapshot::Content;
use model::{ObjectId, ObjectState, ObjectType};

/// Asks the directory for every object that the snapshot's policies among
/// `policies` name.
pub(crate) async fn resolved(
    directory: &dyn DirectoryWriter,
    base: &Content,
    policies: &[ObjectId],
) -> Result<HashSet<Reference>, GraphError> {
    let bodies = policies
        .iter()
        .filter_map(|id| base.object(ObjectType::ConditionalAccessPolicy, id))
        .map(|policy| policy.body());
    let named: HashSet<Reference> = bodies.flat_map(|body| references(&body)).collect();
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
        for reference in &named {
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
