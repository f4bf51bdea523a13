//! Protected actions, and what roles allow.

use serde_json::{Value, json};

use crate::support::{Bench, TENANT};

const ACTIONS: &str =
    "/roleManagement/directory/resourceNamespaces/microsoft.directory/resourceActions";
const DELETE: &str = "microsoft.directory-deletedItems-delete-delete";
const SELECT: &str = "$select=name,authenticationContextId,isAuthenticationContextSettable";

async fn publish(bench: &Bench, context: &str, available: bool) {
    let path =
        format!("/identity/conditionalAccess/authenticationContextClassReferences/{context}");
    let body = json!({"displayName": "Ops", "isAvailable": available});
    bench.patch(&path, body).await.expect(204);
}

#[tokio::test]
async fn what_protects_an_action_is_shown_where_it_is_selected() {
    let bench = Bench::empty().await;
    let bare = bench.get(&format!("{ACTIONS}/{DELETE}")).await.expect(200);
    assert_eq!(bare["name"], "microsoft.directory/deletedItems/delete");
    assert!(bare.get("authenticationContextId").is_none(), "{bare}");
    let all = bench.all(&format!("{ACTIONS}?{SELECT}&$top=7")).await;
    assert_eq!(all.len(), bench.all(ACTIONS).await.len());
    let settable: Vec<&Value> = all
        .iter()
        .filter(|action| action["isAuthenticationContextSettable"] == true)
        .collect();
    assert_eq!(settable.len(), 19);
    assert!(
        settable
            .iter()
            .all(|action| action["authenticationContextId"].is_null())
    );
}

#[tokio::test]
async fn an_action_is_protected_by_a_published_context_until_it_is_freed() {
    let bench = Bench::empty().await;
    let action = format!("{ACTIONS}/{DELETE}");
    let protect = |context: Value| {
        let body = json!({"authenticationContextId": context});
        let (bench, action) = (&bench, action.clone());
        async move { bench.patch(&action, body).await }
    };
    let refused = protect(json!("c4")).await;
    refused.refused(400, "Request_BadRequest", "not published");
    publish(&bench, "c4", false).await;
    let refused = protect(json!("c4")).await;
    refused.refused(400, "Request_BadRequest", "not published");
    publish(&bench, "c4", true).await;
    protect(json!("c4")).await.expect(204);
    let shown = bench.get(&format!("{action}?{SELECT}")).await.expect(200);
    assert_eq!(shown["authenticationContextId"], "c4");
    let dump = bench.simulator.dump(TENANT);
    assert_eq!(
        dump["protectedActions"],
        json!({"microsoft.directory/deletedItems/delete": "c4"})
    );

    // A context in use stays, also unpublished.
    publish(&bench, "c4", false).await;
    let context = "/identity/conditionalAccess/authenticationContextClassReferences/c4";
    bench
        .delete(context)
        .await
        .refused(400, "BadRequest", "used");
    protect(Value::Null).await.expect(204);
    bench.delete(context).await.expect(204);

    let other = format!("{ACTIONS}/microsoft.directory-users-delete-delete");
    let body = json!({"authenticationContextId": "c4"});
    bench
        .patch(&other, body)
        .await
        .refused(400, "Request_BadRequest", "cannot be set");
    let unknown = format!("{ACTIONS}/microsoft.directory-nothing");
    bench.get(&unknown).await.expect(404);
    bench.delete(&action).await.expect(405);
}

#[tokio::test]
async fn role_definitions_say_who_may_delete_for_good() {
    let bench = Bench::empty().await;
    let all = bench.all("/roleManagement/directory/roleDefinitions").await;
    let allowing = |wanted: &str| -> Vec<&Value> {
        let roles = all.iter().filter(|role| {
            let actions = role["rolePermissions"][0]["allowedResourceActions"].as_array();
            actions.unwrap().iter().any(|action| action == wanted)
        });
        roles.map(|role| &role["displayName"]).collect()
    };
    assert_eq!(
        allowing("microsoft.directory/deletedItems/delete"),
        ["Global Administrator"]
    );
    assert_eq!(
        allowing("microsoft.directory/deletedItems.groups/delete"),
        ["Groups Administrator"]
    );
}
