//! What lies in the recycle bins is told, with who put it there.

use std::collections::BTreeMap;

use proto::v1::*;
use serde_json::json;

use crate::restore::{ids, scene, write};
use crate::sandbox::{Sandbox, parent, reason};

async fn listed(
    sandbox: &Sandbox,
) -> anyhow::Result<(Vec<DeletedObject>, ListDeletedObjectsResponse)> {
    let (mut objects, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = ListDeletedObjectsRequest {
            parent: parent(),
            page_size: 2,
            page_token,
        };
        let mut answer = sandbox
            .diffs()
            .list_deleted_objects(request)
            .await?
            .into_inner();
        assert!(answer.deleted_objects.len() <= 2);
        objects.append(&mut answer.deleted_objects);
        page_token = std::mem::take(&mut answer.next_page_token);
        if page_token.is_empty() {
            return Ok((objects, answer));
        }
    }
}

#[tokio::test]
async fn what_lies_in_the_bins_is_told_with_who_put_it_there() -> anyhow::Result<()> {
    let (sandbox, snapshot, intruder) = scene().await?;
    let (before, _) = listed(&sandbox).await?;
    let delete = async |path: String| {
        let method = model::call::HttpMethod::Delete;
        write(&intruder, method, path, None).await
    };
    let user = ids(&sandbox, "user", |body| body["userType"] == json!("Member")).remove(0);
    let group = ids(&sandbox, "group", |body| {
        body["mailEnabled"] == json!(false) && body["onPremisesSyncEnabled"] != json!(true)
    })
    .remove(0);
    let policy = ids(&sandbox, "conditionalAccessPolicy", |_| true).remove(0);
    delete(format!("/users/{user}")).await?;
    delete(format!("/groups/{group}")).await?;
    delete(format!("/identity/conditionalAccess/policies/{policy}")).await?;
    let unknown = json!({"displayName": "New", "mailEnabled": false, "mailNickname": "new",
        "securityEnabled": true});
    let method = model::call::HttpMethod::Post;
    let new = write(&intruder, method, "/groups".to_owned(), Some(unknown)).await?;
    let new = new.unwrap_or_default()["id"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    delete(format!("/groups/{new}")).await?;

    let (objects, about) = listed(&sandbox).await?;
    assert_eq!(objects.len(), before.len() + 4);
    assert_eq!(about.not_read, Vec::<String>::new());
    assert_eq!(about.snapshot, snapshot.name);
    let by_id: BTreeMap<String, &DeletedObject> = objects
        .iter()
        .map(|object| (object.object.clone().unwrap_or_default().id, object))
        .collect();
    for (id, object_type, known) in [
        (&user, "user", true),
        (&group, "group", true),
        (&policy, "conditionalAccessPolicy", true),
        (&new, "group", false),
    ] {
        let object = by_id[id];
        assert_eq!(
            object.object.clone().unwrap_or_default().r#type,
            object_type
        );
        assert_eq!(object.in_latest_snapshot, known, "{object_type}");
        assert_eq!(object.days_left, 29);
        assert!(!object.expires_soon);
        let deletion = object.deletion.clone().unwrap_or_default();
        assert!(
            deletion.activity.to_lowercase().contains("delete"),
            "{deletion:?}"
        );
        let by = deletion.initiated_by.unwrap_or_default();
        assert_eq!(by.id, simulator::INTRUDER_CLIENT_ID);
    }
    let ends = objects
        .iter()
        .map(|object| object.expire_time.map(|at| at.seconds));
    let ends: Vec<Option<i64>> = ends.collect();
    let mut sorted = ends.clone();
    sorted.sort_by_key(|end| (end.is_none(), *end));
    assert_eq!(ends, sorted, "what goes first stands first");
    Ok(())
}

#[tokio::test]
async fn another_tenants_bins_are_not_shown() -> anyhow::Result<()> {
    let (sandbox, _, _) = scene().await?;
    let mut strange = diff_service_client::DiffServiceClient::new(sandbox.strange.clone());
    let request = ListDeletedObjectsRequest {
        parent: parent(),
        ..ListDeletedObjectsRequest::default()
    };
    let refused = strange.list_deleted_objects(request).await;
    let refused = refused.expect_err("a stranger");
    assert_eq!(reason(&refused), "PERMISSION_DENIED");
    Ok(())
}
