//! Pages, links, single objects, ids.

use std::collections::HashSet;

use chrono::DateTime;
use graph::{Directory, GraphError, Mode, NextLink, Query, Request, Scope, collect_content};
use model::snapshot::Content;
use model::{Link, LinkKind, ObjectState, ObjectType};
use serde_json::json;

use crate::id;
use crate::server::{Server, reply, text};

const LOCATIONS: Query = Query::Objects(ObjectType::NamedLocation);

#[tokio::test]
async fn an_empty_page_may_lead_on() {
    let server = Server::start(|seen, _| {
        let root = format!("http://{}/v1.0", seen.header("host"));
        match seen.url.as_str() {
            "/identity/conditionalAccess/namedLocations" => reply(
                200,
                json!({"value": [], "@odata.nextLink": format!("{root}/next?$skiptoken=s")}),
            ),
            "/next?$skiptoken=s" => reply(200, json!({"value": [{"id": "1"}]})),
            _ => text(404, ""),
        }
    })
    .await;
    let reader = server.reader();
    let first = reader.page(&LOCATIONS, None).await.unwrap();
    assert!(first.items.is_empty());
    let second = reader.page(&LOCATIONS, first.next.as_ref()).await.unwrap();
    assert_eq!((second.items.len(), second.next), (1, None));
    assert_eq!(second.items[0].get(), r#"{"id":"1"}"#);
    assert!(!format!("{:?}", first.next).contains("skiptoken"));
}

#[tokio::test]
async fn a_singleton_is_a_page_of_one() {
    let server = Server::start(|seen, _| match seen.url.as_str() {
        "/policies/authorizationPolicy" => text(
            200,
            r#"{"@odata.context":"https://x/$metadata","id":"authorizationPolicy","allowInvitesFrom":"none"}"#,
        ),
        _ => text(404, ""),
    })
    .await;
    let query = Query::Objects(ObjectType::AuthorizationPolicy);
    let page = server.reader().page(&query, None).await.unwrap();
    let items: Vec<&str> = page.items.iter().map(|item| item.get()).collect();
    assert_eq!(
        (items, page.next),
        (
            vec![r#"{"id":"authorizationPolicy","allowInvitesFrom":"none"}"#],
            None
        )
    );
}

#[tokio::test]
async fn a_link_to_another_host_is_refused_before_a_token_goes_there() {
    let server = Server::start(|_, _| reply(200, json!({"value": []}))).await;
    let reader = server.reader();
    let port = server.port();
    for link in [
        format!("http://localhost:{port}/v1.0/next?$skiptoken=s"),
        "https://evil.example/v1.0/users".to_owned(),
        format!("http://127.0.0.1:{}/v1.0/users", port.wrapping_add(1)),
        format!("http://127.0.0.1:{port}@evil.example/v1.0/users"),
        "/v1.0/users".to_owned(),
    ] {
        let error = reader
            .page(&LOCATIONS, Some(&NextLink::new(link)))
            .await
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "graph's answer to a page is not understood: its next link leaves the tenant's graph"
        );
    }
    assert_eq!((server.seen().len(), server.logins().len()), (0, 0));
}

#[tokio::test]
async fn what_cannot_be_understood_is_said_without_repeating_it() {
    let check = async |body: &'static str, expected: &str| {
        let server = Server::start(move |_, _| text(200, body)).await;
        let error = server.reader().page(&LOCATIONS, None).await.unwrap_err();
        let path = "/identity/conditionalAccess/namedLocations";
        assert_eq!(
            error.to_string(),
            format!("graph's answer to {path} is not understood: {expected}")
        );
        assert!(matches!(error, GraphError::Unexpected { .. }));
    };
    check("<html>private</html>", "it is not json (line 1, column 1)").await;
    check(
        r#"{"value":[{"id":"1"}"#,
        "the json ends too early (line 1, column 20)",
    )
    .await;
    check(r#"{"values":[]}"#, "it has no value array").await;
    check(r#"{"value":null}"#, "it has no value array").await;
    check(
        r#"{"value":"private"}"#,
        "the json has another shape (line 1, column 18)",
    )
    .await;
}

#[tokio::test]
async fn links_are_followed_over_pages_and_managers_taken_from_users() {
    let server = Server::start(|seen, _| {
        let root = format!("http://{}/v1.0", seen.header("host"));
        let delta = |items: serde_json::Value| {
            reply(
                200,
                json!({"value": items, "@odata.deltaLink": format!("{root}/quiet")}),
            )
        };
        if seen.url.starts_with("/groups/delta?$select=members,owners") {
            let members =
                json!([{"id": id(1).as_str(), "members@delta": [{"id": id(2).as_str()}]}]);
            return reply(
                200,
                json!({"value": members, "@odata.nextLink": format!("{root}/slice")}),
            );
        }
        if seen.url == "/slice" {
            return delta(
                json!([{"id": id(1).as_str(), "members@delta": [{"id": id(3).as_str()}]}]),
            );
        }
        if seen.url.contains("/delta?") || seen.url == "/quiet" {
            return delta(json!([]));
        }
        if seen.url.contains("$expand=sponsors") {
            return reply(
                200,
                json!({"value": [{"id": id(2).as_str(), "sponsors": [{"id": id(3).as_str()}]}]}),
            );
        }
        match seen.url.split("?$select").next().unwrap() {
            "/groups" => reply(200, json!({"value": [{"id": id(1).as_str(), "displayName": "G"}]})),
            "/users" => text(
                200,
                &format!(
                    r#"{{"value":[{{"id":"{}","userPrincipalName":"u","manager":{{"id":"{}"}},"z":1.0,"a":2}}]}}"#,
                    id(2),
                    id(3)
                ),
            ),
            _ => reply(200, json!({"value": []})),
        }
    })
    .await;
    let request = Request {
        scope: Scope {
            types: vec![ObjectType::User, ObjectType::Group],
            links: true,
            deleted: false,
        },
        ..Request::all(Mode::Whole)
    };
    let content: Content = collect_content(
        &server.reader(),
        &request,
        &|| DateTime::UNIX_EPOCH,
        &|_| {},
    )
    .await
    .unwrap();
    assert!(
        content
            .completeness
            .iter()
            .all(|record| record.problem.is_none()),
        "{:?}",
        content.completeness
    );
    let link = |kind, source, target| Link {
        kind,
        source: id(source),
        target: id(target),
    };
    assert_eq!(
        content.links,
        [
            link(LinkKind::GroupMembers, 1, 2),
            link(LinkKind::GroupMembers, 1, 3),
            link(LinkKind::UserManager, 2, 3),
            link(LinkKind::UserSponsors, 2, 3)
        ]
    );
    let user = content.object(ObjectType::User, &id(2)).unwrap();
    assert_eq!(
        *user.json,
        format!(
            r#"{{"id":"{}","userPrincipalName":"u","z":1.0,"a":2}}"#,
            id(2)
        ),
        "the rest is kept as it was sent"
    );
    let seen = server.seen();
    let marked = |path: &str| {
        seen.iter().position(|seen| {
            seen.url.starts_with(path) && seen.url.ends_with("&$deltatoken=latest")
        })
    };
    let listed = |path: &str| seen.iter().position(|seen| seen.url.starts_with(path));
    assert!(marked("/users/delta?$select=id,accountEnabled,") < listed("/users?"));
    assert!(marked("/groups/delta?$select=id,") < listed("/groups?"));
    assert!(marked("/users/delta").is_some());
}

#[tokio::test]
async fn a_manager_is_read_through_the_user() {
    let server = Server::start(|seen, _| {
        let manager = if seen.url.contains(id(1).as_str()) {
            json!({"id": id(9).as_str()})
        } else {
            json!(null)
        };
        reply(200, json!({"id": "x", "manager": manager}))
    })
    .await;
    let reader = server.reader();
    let query = |number| Query::Links {
        kind: LinkKind::UserManager,
        source: id(number),
    };
    assert_eq!(reader.page(&query(1), None).await.unwrap().items.len(), 1);
    assert_eq!(reader.page(&query(2), None).await.unwrap().items.len(), 0);
}

#[tokio::test]
async fn a_single_object_is_found_absent_or_not_what_was_asked_for() {
    let server = Server::start(|seen, _| {
        let url = seen.url.split('?').next().unwrap();
        match url.rsplit('/').next().unwrap() {
            last if last == id(1).as_str() => text(
                200,
                &format!(
                    r#"{{"@odata.context":"https://x/$metadata#users","id":"{}","b":1,"a":2}}"#,
                    id(1)
                ),
            ),
            last if last == id(2).as_str() => reply(200, json!({"id": id(9).as_str()})),
            last if last == id(3).as_str() => reply(200, json!([1])),
            _ => reply(
                404,
                json!({"error": {"code": "Request_ResourceNotFound", "message": "x"}}),
            ),
        }
    })
    .await;
    let reader = server.reader();
    let read = async |state, number| {
        reader
            .read_many(&[(ObjectType::User, state, id(number))])
            .await
            .unwrap()
            .pop()
            .unwrap()
    };
    let found = read(ObjectState::Live, 1).await.unwrap().unwrap();
    assert_eq!(*found.json, format!(r#"{{"id":"{}","b":1,"a":2}}"#, id(1)));
    let error = read(ObjectState::Live, 2).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "user {} holds something that is no directory object: it has the id of another object",
            id(2)
        )
    );
    assert!(matches!(
        read(ObjectState::Live, 3).await,
        Err(GraphError::Malformed { .. })
    ));
    assert_eq!(read(ObjectState::Live, 4).await, Ok(None));
    assert_eq!(read(ObjectState::Deleted, 5).await, Ok(None));
    let urls: Vec<String> = server
        .seen()
        .iter()
        .map(|seen| seen.url.split("?$select=id,").next().unwrap().to_owned())
        .collect();
    assert_eq!(urls[0], format!("/users/{}", id(1)));
    assert_eq!(
        urls[4],
        format!("/directory/deletedItems/{}/microsoft.graph.user", id(5))
    );
}

#[tokio::test]
async fn many_policies_are_picked_from_their_list() {
    let policy = |number| json!({"id": id(number).as_str(), "displayName": "p"});
    let server = Server::start(move |seen, _| match seen.url.as_str() {
        "/identity/conditionalAccess/policies" => {
            reply(200, json!({"value": [policy(1), policy(2), policy(8)]}))
        }
        url if url.ends_with(id(1).as_str()) => reply(200, policy(1)),
        _ => text(404, ""),
    })
    .await;
    let reader = server.reader();
    let key = |number| {
        (
            ObjectType::ConditionalAccessPolicy,
            ObjectState::Live,
            id(number),
        )
    };
    let there = async |numbers: &[u32]| -> Vec<bool> {
        let keys: Vec<_> = numbers.iter().map(|number| key(*number)).collect();
        reader
            .read_many(&keys)
            .await
            .unwrap()
            .into_iter()
            .map(|found| found.unwrap().is_some())
            .collect()
    };
    assert_eq!(there(&[1, 9]).await, [true, false]);
    assert_eq!(server.seen().len(), 2);
    assert_eq!(there(&[1, 9, 2]).await, [true, false, true]);
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn ids_are_asked_for_by_the_thousand() {
    let server = Server::start(|seen, _| {
        assert_eq!((seen.method.as_str(), seen.url.as_str()), ("POST", "/directoryObjects/getByIds?$select=id"));
        let ids = seen.json()["ids"].as_array().unwrap().clone();
        assert!(ids.len() <= 1000);
        let found: Vec<_> = ids.iter().filter(|id| id.as_str().unwrap().ends_with('7')).collect();
        reply(200, json!({"value": found.iter().map(|id| json!({"@odata.type": "#microsoft.graph.group", "id": id})).collect::<Vec<_>>()}))
    })
    .await;
    let mut ids: Vec<_> = (0..1500).map(id).collect();
    ids.push(model::ObjectId::parse("All").unwrap());
    ids.push(id(7));
    let found = server.reader().existing(&ids).await.unwrap();
    assert_eq!((found.len(), server.seen().len()), (150, 2));
    assert_eq!(found[&id(17)], "#microsoft.graph.group");
    assert_eq!(server.reader().existing(&[]).await.unwrap().len(), 0);
}

#[tokio::test]
async fn templates_and_applications_are_known_by_id() {
    let server = Server::start(|seen, _| match seen.url.as_str() {
        "/directoryRoleTemplates" => reply(200, json!({"value": [{"id": id(1).as_str()}, {"id": id(2).as_str()}]})),
        "/$batch" => {
            let part = |request: &serde_json::Value| {
                let url = request["url"].as_str().unwrap();
                assert!(url.starts_with("/servicePrincipals?$filter=appId%20eq%20'"), "{url}");
                let value = if url.contains(id(1).as_str()) { json!([{"id": "x"}]) } else { json!([]) };
                json!({"id": request["id"], "status": 200, "body": {"value": value}})
            };
            reply(200, json!({"responses": seen.json()["requests"].as_array().unwrap().iter().map(part).collect::<Vec<_>>()}))
        }
        _ => text(404, ""),
    })
    .await;
    let reader = server.reader();
    assert_eq!(
        reader.role_template_ids().await.unwrap(),
        HashSet::from([id(1), id(2)])
    );
    let asked = [
        id(1).to_string(),
        id(2).to_string(),
        "Office365".to_owned(),
        "x' or true".to_owned(),
    ];
    assert_eq!(
        reader.existing_app_ids(&asked).await.unwrap(),
        HashSet::from([id(1).to_string()])
    );
}
