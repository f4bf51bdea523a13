//! What every [`DirectoryWriter`] must do, whatever is behind it.
//!
//! Each check leaves the directory as it found it, but for volatile
//! properties; [`create_then_delete`] leaves one more object in the recycle
//! bin. The seeded content needs three live users, one of them without a
//! manager, and one group that is neither dynamic nor synchronised and lacks
//! two of the users.

mod probe;
mod writes;

use std::collections::{BTreeMap, BTreeSet};

use graph::{Directory, DirectoryWriter, Query};
use model::snapshot::{Content, Kind};
use model::{Link, LinkKind, Object, ObjectId, ObjectState, ObjectType};
use serde_json::{Map, Value};

use super::is_contained;
use super::state::is_directory_object;
use probe::{all, id_of, links, nobody, of_type, stable};
pub use writes::{
    create_then_delete, delete_then_restore, managers_come_and_go, members_come_and_go,
    patch_then_read, refuses_to_purge,
};

/// Runs the whole suite.
///
/// # Panics
/// Where the directory does not keep the contract.
pub async fn check(directory: &dyn DirectoryWriter, seeded: &Content) {
    reads_what_is_there(directory, seeded).await;
    reads_single_objects(directory, seeded).await;
    knows_ids(directory, seeded).await;
    patch_then_read(directory, seeded).await;
    delete_then_restore(directory, seeded).await;
    members_come_and_go(directory, seeded).await;
    managers_come_and_go(directory, seeded).await;
    refuses_to_purge(directory, seeded).await;
    reads_what_is_there(directory, seeded).await;
    create_then_delete(directory).await;
}

/// The lists hold exactly the seeded objects, in both states, and the seeded links.
///
/// # Panics
/// Where they do not.
pub async fn reads_what_is_there(directory: &dyn Directory, seeded: &Content) {
    for kind in Kind::all() {
        match kind {
            // How these are read is the collector's matter.
            Kind::Objects(object_type) if is_contained(object_type) => {}
            Kind::Objects(object_type) => {
                same_objects(directory, seeded, object_type, ObjectState::Live).await;
            }
            Kind::Deleted(object_type) => {
                same_objects(directory, seeded, object_type, ObjectState::Deleted).await;
            }
            Kind::Links(kind) => same_links(directory, seeded, kind).await,
        }
    }
}

async fn same_objects(
    directory: &dyn Directory,
    seeded: &Content,
    object_type: ObjectType,
    state: ObjectState,
) {
    let query = if state == ObjectState::Live {
        Query::Objects(object_type)
    } else {
        Query::Deleted(object_type)
    };
    let found: BTreeMap<ObjectId, Map<String, Value>> = all(directory, &query)
        .await
        .into_iter()
        .map(|mut body| {
            for link in object_type.spec().links {
                body.remove(link.relation);
            }
            (id_of(&body), stable(object_type, body))
        })
        .collect();
    let wanted: BTreeMap<ObjectId, Map<String, Value>> = of_type(seeded, object_type, state)
        .map(|object| (object.id.clone(), stable(object_type, object.body())))
        .collect();
    let ids = |map: &BTreeMap<ObjectId, _>| map.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(ids(&found), ids(&wanted), "{object_type} {state:?}");
    for (id, body) in &wanted {
        assert_eq!(found.get(id), Some(body), "{object_type} {id} {state:?}");
    }
}

async fn same_links(directory: &dyn Directory, seeded: &Content, kind: LinkKind) {
    let owners: Vec<ObjectId> = of_type(seeded, kind.source_type(), ObjectState::Live)
        .map(|object| object.id.clone())
        .collect();
    let mut found = BTreeSet::new();
    for owner in owners {
        found.extend(links(directory, kind, &owner).await);
    }
    let wanted: BTreeSet<Link> = seeded
        .links
        .iter()
        .filter(|link| link.kind == kind)
        .cloned()
        .collect();
    assert_eq!(found, wanted, "{}", kind.name());
}

/// Single reads find what is there, in its state only, and nothing else.
///
/// # Panics
/// Where they do not.
pub async fn reads_single_objects(directory: &dyn Directory, seeded: &Content) {
    let mut keys = Vec::new();
    let mut wanted = Vec::new();
    let single = |object: &&Object| !is_contained(object.object_type);
    for object in seeded.objects.iter().filter(single) {
        let other = if object.state == ObjectState::Live {
            ObjectState::Deleted
        } else {
            ObjectState::Live
        };
        keys.push((object.object_type, object.state, object.id.clone()));
        wanted.push(Some(stable(object.object_type, object.body())));
        if object.object_type.spec().deleted.is_some() {
            keys.push((object.object_type, other, object.id.clone()));
            wanted.push(None);
        }
    }
    keys.push((ObjectType::User, ObjectState::Live, nobody()));
    wanted.push(None);
    let found = directory.read_many(&keys).await.expect("read_many answers");
    assert_eq!(found.len(), keys.len());
    for ((key, found), wanted) in keys.iter().zip(found).zip(wanted) {
        let found = found
            .expect("a missing object is no error")
            .map(|object| stable(object.object_type, object.body()));
        assert_eq!(found, wanted, "{key:?}");
    }
}

/// `existing` and `existing_app_ids` know what is live, and nothing else.
///
/// # Panics
/// Where they do not.
pub async fn knows_ids(directory: &dyn Directory, seeded: &Content) {
    let live: Vec<&Object> = seeded
        .objects
        .iter()
        .filter(|object| {
            object.state == ObjectState::Live && is_directory_object(object.object_type)
        })
        .collect();
    let mut ids: Vec<ObjectId> = live.iter().map(|object| object.id.clone()).collect();
    ids.extend([nobody(), ObjectId::parse("All").expect("a valid id")]);
    let found = directory.existing(&ids).await.expect("existing answers");
    assert_eq!(found.len(), live.len());
    for object in live {
        assert_eq!(
            found.get(&object.id),
            Some(&format!("#microsoft.graph.{}", object.object_type))
        );
    }

    let wanted: BTreeSet<String> = of_type(seeded, ObjectType::ServicePrincipal, ObjectState::Live)
        .filter_map(|object| {
            object
                .body()
                .get("appId")
                .and_then(Value::as_str)
                .map(str::to_owned)
        })
        .collect();
    let mut asked: Vec<String> = wanted.iter().cloned().collect();
    asked.extend([
        nobody().to_string(),
        "All".to_owned(),
        "Office365".to_owned(),
    ]);
    let found: BTreeSet<String> = directory
        .existing_app_ids(&asked)
        .await
        .expect("existing_app_ids answers")
        .into_iter()
        .collect();
    assert_eq!(found, wanted);
}
