//! The part of the contract that changes the directory, and changes it back.

use graph::{DirectoryWriter, GraphError, Query};
use model::call::HttpMethod;
use model::snapshot::Content;
use model::{Link, LinkKind, Object, ObjectId, ObjectState, ObjectType};
use serde_json::{Value, json};

use super::probe::{all, group_with_strangers, id_of, links, nobody, of_type, read, write};

/// A changed property is read back; a read-only one is refused.
///
/// # Panics
/// Where it is not.
pub async fn patch_then_read(directory: &dyn DirectoryWriter, seeded: &Content) {
    let user = of_type(seeded, ObjectType::User, ObjectState::Live)
        .next()
        .expect("the content has a user");
    let path = ObjectType::User.spec().item_path(&user.id);
    let before = user.body().get("jobTitle").cloned().unwrap_or_default();
    write(
        directory,
        HttpMethod::Patch,
        path.clone(),
        Some(json!({"jobTitle": "contract"})),
    )
    .await
    .expect("a PATCH is accepted");
    let after = read(directory, ObjectType::User, ObjectState::Live, &user.id)
        .await
        .expect("the user is there");
    assert_eq!(after.body().get("jobTitle"), Some(&json!("contract")));
    write(
        directory,
        HttpMethod::Patch,
        path.clone(),
        Some(json!({"jobTitle": before})),
    )
    .await
    .expect("a PATCH is accepted");

    let refused = write(
        directory,
        HttpMethod::Patch,
        path,
        Some(json!({"createdDateTime": "2020-01-01T00:00:00Z"})),
    )
    .await;
    assert!(
        matches!(
            refused,
            Err(GraphError::BadRequest { .. } | GraphError::Denied { .. })
        ),
        "{refused:?}"
    );
    let missing = ObjectType::User.spec().item_path(&nobody());
    let refused = write(
        directory,
        HttpMethod::Patch,
        missing,
        Some(json!({"jobTitle": "x"})),
    )
    .await;
    assert!(
        matches!(refused, Err(GraphError::NotFound { .. })),
        "{refused:?}"
    );
}

/// A deleted user is in the recycle bin, and comes back with its links.
///
/// # Panics
/// Where it is or does not.
pub async fn delete_then_restore(directory: &dyn DirectoryWriter, seeded: &Content) {
    let linked = |object: &&Object| {
        seeded
            .links
            .iter()
            .any(|link| link.target == object.id && link.kind == LinkKind::GroupMembers)
    };
    let mut users = of_type(seeded, ObjectType::User, ObjectState::Live);
    let user = users
        .find(linked)
        .or_else(|| of_type(seeded, ObjectType::User, ObjectState::Live).next())
        .expect("the content has a user");
    let there = |state| read(directory, ObjectType::User, state, &user.id);
    write(
        directory,
        HttpMethod::Delete,
        ObjectType::User.spec().item_path(&user.id),
        None,
    )
    .await
    .expect("a DELETE is accepted");
    assert!(there(ObjectState::Live).await.is_none());
    assert!(there(ObjectState::Deleted).await.is_some());
    let listed = all(directory, &Query::Deleted(ObjectType::User)).await;
    assert!(
        listed.iter().any(|body| id_of(body) == user.id),
        "the recycle bin lists the user"
    );
    for link in seeded.links.iter().filter(|link| link.target == user.id) {
        assert!(
            !links(directory, link.kind, &link.source)
                .await
                .contains(link),
            "links to a deleted user are not shown"
        );
    }

    let restore = format!("/directory/deletedItems/{}/restore", user.id);
    let answer = write(directory, HttpMethod::Post, restore.clone(), None)
        .await
        .expect("a restore is accepted");
    assert_eq!(
        answer.as_ref().and_then(|body| body.get("id")),
        Some(&json!(user.id.as_str()))
    );
    assert!(there(ObjectState::Live).await.is_some());
    assert!(there(ObjectState::Deleted).await.is_none());
    for link in seeded.links.iter().filter(|link| link.target == user.id) {
        assert!(
            links(directory, link.kind, &link.source)
                .await
                .contains(link),
            "links come back with the user"
        );
    }
    let again = write(directory, HttpMethod::Post, restore, None).await;
    assert!(
        matches!(again, Err(GraphError::NotFound { .. })),
        "{again:?}"
    );
}

/// Members are added one by one and many at once, and removed.
///
/// # Panics
/// Where they are not.
pub async fn members_come_and_go(directory: &dyn DirectoryWriter, seeded: &Content) {
    let kind = LinkKind::GroupMembers;
    let (group, users) = group_with_strangers(seeded);
    let path = ObjectType::Group.spec().item_path(&group);
    let link = |target: &ObjectId| Link {
        kind,
        source: group.clone(),
        target: target.clone(),
    };
    let reference = |target: &ObjectId| format!("{{graph}}/directoryObjects/{target}");
    let members = || links(directory, kind, &group);

    let add = |target: &ObjectId| {
        write(
            directory,
            HttpMethod::Post,
            format!("{path}/members/$ref"),
            Some(json!({"@odata.id": reference(target)})),
        )
    };
    add(&users[0]).await.expect("a member is added");
    assert!(members().await.contains(&link(&users[0])));
    let twice = add(&users[0]).await;
    assert!(
        matches!(twice, Err(GraphError::BadRequest { .. })),
        "{twice:?}"
    );
    let stranger = add(&nobody()).await;
    assert!(
        matches!(stranger, Err(GraphError::NotFound { .. })),
        "{stranger:?}"
    );

    let remove = |target: &ObjectId| {
        write(
            directory,
            HttpMethod::Delete,
            format!("{path}/members/{target}/$ref"),
            None,
        )
    };
    remove(&users[0]).await.expect("a member is removed");
    assert!(!members().await.contains(&link(&users[0])));
    let gone = remove(&users[0]).await;
    assert!(matches!(gone, Err(GraphError::NotFound { .. })), "{gone:?}");

    let bind = json!({"members@odata.bind": [reference(&users[0]), reference(&users[1])]});
    write(directory, HttpMethod::Patch, path.clone(), Some(bind))
        .await
        .expect("two members are added at once");
    for user in &users {
        assert!(members().await.contains(&link(user)));
        remove(user).await.expect("a member is removed");
    }
}

/// A manager is set, shown in the list of users, and removed.
///
/// # Panics
/// Where it is not.
pub async fn managers_come_and_go(directory: &dyn DirectoryWriter, seeded: &Content) {
    let kind = LinkKind::UserManager;
    let ids: Vec<&ObjectId> = of_type(seeded, ObjectType::User, ObjectState::Live)
        .map(|user| &user.id)
        .collect();
    let user = *ids
        .iter()
        .find(|id| seeded.links_of(kind, id).is_empty())
        .expect("a user has no manager");
    let manager = *ids
        .iter()
        .find(|id| **id != user)
        .expect("there is another user");
    let path = format!("{}/manager/$ref", ObjectType::User.spec().item_path(user));
    let link = Link {
        kind,
        source: user.clone(),
        target: manager.clone(),
    };

    assert!(links(directory, kind, user).await.is_empty());
    let reference = json!({"@odata.id": format!("{{graph}}/users/{manager}")});
    write(directory, HttpMethod::Put, path.clone(), Some(reference))
        .await
        .expect("a manager is set");
    assert_eq!(links(directory, kind, user).await, [link]);
    let listed = all(directory, &Query::Objects(ObjectType::User)).await;
    let shown = listed
        .iter()
        .find(|body| id_of(body) == *user)
        .and_then(|body| body.get("manager")?.get("id")?.as_str());
    assert_eq!(shown, Some(manager.as_str()));
    write(directory, HttpMethod::Delete, path, None)
        .await
        .expect("a manager is removed");
    assert!(links(directory, kind, user).await.is_empty());

    let missing = Query::Links {
        kind,
        source: nobody(),
    };
    let pages = directory
        .first_pages(&[
            missing,
            Query::Links {
                kind,
                source: user.clone(),
            },
        ])
        .await
        .expect("a batch answers");
    assert!(
        matches!(pages[0], Err(GraphError::NotFound { .. })),
        "{:?}",
        pages[0]
    );
    assert!(pages[1].is_ok());
}

/// Nothing is deleted for good, and no object where a link was meant.
///
/// # Panics
/// Where something is.
pub async fn refuses_to_purge(directory: &dyn DirectoryWriter, seeded: &Content) {
    let user = of_type(seeded, ObjectType::User, ObjectState::Live)
        .next()
        .expect("the content has a user");
    for path in [
        format!("/directory/deletedItems/{}", user.id),
        format!("/groups/{}/members/{}", nobody(), user.id),
    ] {
        let refused = write(directory, HttpMethod::Delete, path, None).await;
        assert!(
            matches!(refused, Err(GraphError::Refused { .. })),
            "{refused:?}"
        );
    }
}

/// A created group has an id, can be read, and goes to the recycle bin.
///
/// # Panics
/// Where it has or does not.
pub async fn create_then_delete(directory: &dyn DirectoryWriter) {
    let body = json!({"displayName": "Contract", "mailEnabled": false, "mailNickname": "contract", "securityEnabled": true, "groupTypes": []});
    let created = write(
        directory,
        HttpMethod::Post,
        "/groups".to_owned(),
        Some(body),
    )
    .await
    .expect("a group is created");
    let id = id_of(
        created
            .as_ref()
            .and_then(Value::as_object)
            .expect("a create answers with the object"),
    );
    let group = read(directory, ObjectType::Group, ObjectState::Live, &id)
        .await
        .expect("the group is there");
    assert_eq!(group.body().get("displayName"), Some(&json!("Contract")));
    assert_eq!(group.body().get("securityEnabled"), Some(&json!(true)));
    write(directory, HttpMethod::Delete, format!("/groups/{id}"), None)
        .await
        .expect("a DELETE is accepted");
    let group = read(directory, ObjectType::Group, ObjectState::Deleted, &id)
        .await
        .expect("the group is in the recycle bin");
    assert_eq!(
        group.body().get("securityEnabled"),
        Some(&json!(false)),
        "the recycle bin shows false, whatever it was"
    );
}
