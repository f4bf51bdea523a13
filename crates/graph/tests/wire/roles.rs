//! Roles, and the actions that a tenant may protect.

use graph::{Directory, DirectoryWriter, GraphError};
use model::call::{Call, HttpMethod};
use serde_json::{Value, json};

use crate::id;
use crate::server::{Reply, Server, reply, text};

const ACTIONS: &str = "/roleManagement/directory/resourceNamespaces/microsoft.directory/resourceActions?$select=id,name,authenticationContextId,isAuthenticationContextSettable";

fn action(name: &str, context: Value) -> Value {
    json!({"id": "x", "name": name, "isAuthenticationContextSettable": true, "authenticationContextId": context})
}

fn refused() -> Reply {
    reply(
        400,
        json!({"error": {"code": "BadRequest", "message": "Resource not found for the segment 'resourceNamespaces'."}}),
    )
}

#[tokio::test]
async fn actions_are_read_to_the_last_page_with_what_protects_them() {
    let server = Server::start(|seen, _| {
        let next = format!("http://{}/v1.0/next?$skiptoken=s", seen.header("host"));
        match seen.url.as_str() {
            ACTIONS => reply(
                200,
                json!({"value": [action("a", json!("c1")), action("b", json!(null)), action("c", json!(""))], "@odata.nextLink": next}),
            ),
            "/next?$skiptoken=s" => reply(
                200,
                json!({"value": [{"name": "d", "isAuthenticationContextSettable": false}, {"name": "says nothing"}]}),
            ),
            _ => text(404, ""),
        }
    })
    .await;
    let actions = server.reader().protected_actions().await.unwrap();
    let told: Vec<_> = actions
        .iter()
        .map(|it| (it.name.as_str(), it.settable, it.context.as_deref()))
        .collect();
    assert_eq!(
        told,
        [
            ("a", true, Some("c1")),
            ("b", true, None),
            ("c", true, None),
            ("d", false, None)
        ]
    );
}

#[tokio::test]
async fn where_v1_does_not_know_actions_beta_is_asked() {
    for unknown in [refused, || text(404, "")] {
        let server = Server::start(move |seen, _| {
            if seen.url == format!("/beta{ACTIONS}") {
                reply(200, json!({"value": [action("a", json!("c1"))]}))
            } else {
                unknown()
            }
        })
        .await;
        let actions = server.reader().protected_actions().await.unwrap();
        assert_eq!(actions.len(), 1);
        assert_eq!(server.seen().len(), 2);
    }
    let server = Server::start(|_, _| refused()).await;
    let error = server.reader().protected_actions().await.unwrap_err();
    let beta = ACTIONS.split('?').next().unwrap();
    assert!(
        matches!(&error, GraphError::BadRequest { path, .. } if *path == format!("/beta{beta}")),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_refusal_is_not_asked_elsewhere_and_silence_is_no_answer() {
    let denied = json!({"error": {"code": "Authorization_RequestDenied", "message": "no"}});
    let server = Server::start(move |_, _| reply(403, denied.clone())).await;
    let error = server.reader().protected_actions().await.unwrap_err();
    assert!(matches!(error, GraphError::Denied { .. }), "{error:?}");
    assert_eq!(server.seen().len(), 1);

    let server = Server::start(|_, _| reply(200, json!({"value": [{"name": "a"}]}))).await;
    let error = server.reader().protected_actions().await.unwrap_err();
    assert!(matches!(error, GraphError::Unexpected { .. }), "{error:?}");
}

#[tokio::test]
async fn roles_come_with_the_actions_that_they_allow() {
    let server = Server::start(|seen, _| match seen.url.as_str() {
        "/roleManagement/directory/roleDefinitions" => reply(
            200,
            json!({"value": [
                {"id": id(1).as_str(), "templateId": id(2).as_str(), "displayName": "R", "isEnabled": true,
                 "rolePermissions": [{"allowedResourceActions": ["x", null], "condition": null}, {"allowedResourceActions": ["y"]}]},
                {"id": id(3).as_str(), "isEnabled": false, "rolePermissions": null}]}),
        ),
        _ => text(404, ""),
    })
    .await;
    let roles = server.reader().roles().await.unwrap();
    assert_eq!((&roles[0].id, &roles[0].template), (&id(1), &id(2)));
    assert_eq!((roles[0].name.as_str(), roles[0].enabled), ("R", true));
    assert_eq!(roles[0].actions, ["x", "y"]);
    assert_eq!((&roles[1].template, roles[1].enabled), (&id(3), false));
    assert_eq!(roles[1].name, id(3).as_str());
}

#[tokio::test]
async fn where_v1_does_not_know_an_action_it_is_set_in_beta() {
    let list = ACTIONS.split('?').next().unwrap();
    let path = format!("{list}/microsoft.directory-deletedItems-delete-delete");
    let body = json!({"authenticationContextId": "c1"});
    let call = |path: &str| Call {
        method: HttpMethod::Patch,
        path: path.to_owned(),
        body: Some(body.clone()),
    };
    for unknown in [refused, || text(404, "")] {
        let server = Server::start(move |seen, _| match seen.url.starts_with("/beta/") {
            true => text(204, ""),
            false => unknown(),
        })
        .await;
        assert_eq!(server.writer().write(&call(&path)).await.unwrap(), None);
        let seen = server.seen();
        assert_eq!(seen.len(), 2);
        assert_eq!(seen[1].url, format!("/beta{path}"));
        assert_eq!(
            (seen[1].method.as_str(), seen[1].json()),
            ("PATCH", body.clone())
        );
        // Nothing else is ever written in beta.
        let other = server.writer().write(&call("/users/1")).await;
        assert!(other.is_err());
        assert_eq!(server.seen().len(), 3);
    }
    let server = Server::start(|_, _| text(204, "")).await;
    server.writer().write(&call(&path)).await.unwrap();
    assert_eq!(server.seen().len(), 1);
}
