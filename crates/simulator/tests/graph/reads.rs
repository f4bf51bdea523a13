//! Lists, single objects, options, paging, singletons.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Bench, id, ids};

#[tokio::test]
async fn users_show_eleven_properties_unless_asked_for_others() {
    let bench = Bench::populated(40, 15).await;
    let page = bench.get("/users?$top=2").await.expect(200);
    let mut names: Vec<&String> = page["value"][0].as_object().unwrap().keys().collect();
    names.sort();
    assert_eq!(
        names,
        [
            "businessPhones",
            "displayName",
            "givenName",
            "id",
            "jobTitle",
            "mail",
            "mobilePhone",
            "officeLocation",
            "preferredLanguage",
            "surname",
            "userPrincipalName"
        ]
    );
    assert!(
        page["@odata.context"]
            .as_str()
            .unwrap()
            .ends_with("/v1.0/$metadata#users")
    );
    let page = bench
        .get("/users?$top=2&$select=id,department,accountEnabled")
        .await
        .expect(200);
    assert_eq!(page["value"][0].as_object().unwrap().len(), 3);
    assert!(page["value"][0]["accountEnabled"].is_boolean());
    bench.get("/users?$select=shoeSize").await.refused(
        400,
        "BadRequest",
        "Could not find a property named 'shoeSize'",
    );
}

#[tokio::test]
async fn pages_cover_everything_once_and_keep_the_requests_options() {
    let bench = Bench::populated(230, 15).await;
    let first = bench.get("/users?$select=id").await.expect(200);
    assert_eq!(first["value"].as_array().unwrap().len(), 100);
    let next = first["@odata.nextLink"].as_str().unwrap();
    assert!(
        next.starts_with(&bench.server.url()) && next.contains("$select=id&$skiptoken="),
        "{next}"
    );
    let all = bench.all("/users?$select=id").await;
    let unique: BTreeSet<String> = ids(&all).into_iter().collect();
    assert_eq!((all.len(), unique.len()), (230, 230));
    let large = bench.get("/users?$top=999").await.expect(200);
    assert_eq!(large["value"].as_array().unwrap().len(), 230);
    assert!(large.get("@odata.nextLink").is_none());
    bench
        .get("/users?$top=1000")
        .await
        .refused(400, "Request_UnsupportedQuery", "page size");
    bench.get("/users?$skiptoken=rubbish").await.refused(
        400,
        "Directory_ExpiredPageToken",
        "page token",
    );
}

#[tokio::test]
async fn filters_and_counts_work_and_advanced_ones_need_their_header() {
    let bench = Bench::populated(60, 15).await;
    let one = bench
        .get("/users?$filter=startswith(displayName,'Emergency')")
        .await
        .expect(200);
    assert_eq!(one["value"].as_array().unwrap().len(), 2);
    let dynamic = bench
        .all("/groups?$filter=groupTypes/any(c:c eq 'DynamicMembership')")
        .await;
    assert!(!dynamic.is_empty());
    let unsupported = "Request_UnsupportedQuery";
    bench
        .get("/users?$filter=userType ne 'Guest'")
        .await
        .refused(400, unsupported, "Unsupported");
    let eventual = [("ConsistencyLevel", "eventual")];
    let path = "/users?$filter=userType ne 'Guest'&$count=true&$top=5";
    let page = bench
        .send_with("GET", path, None, &eventual)
        .await
        .expect(200);
    let next = page["@odata.nextLink"].as_str().unwrap();
    assert_eq!(page["@odata.count"], 58);
    let second = bench
        .send_with("GET", next, None, &eventual)
        .await
        .expect(200);
    assert!(second.get("@odata.count").is_none());
    let bare = bench
        .send_with("GET", "/users/$count", None, &eventual)
        .await;
    assert_eq!(bare.expect(200), json!(60));
    let ordered = bench
        .get("/groups?$orderby=displayName&$top=3&$select=displayName")
        .await
        .expect(200);
    let names: Vec<String> = ordered["value"]
        .as_array()
        .unwrap()
        .iter()
        .map(|group| group["displayName"].as_str().unwrap().to_lowercase())
        .collect();
    assert!(names.is_sorted(), "{names:?}");
}

#[tokio::test]
async fn single_objects_are_found_by_id_name_and_app_id() {
    let bench = Bench::populated(40, 15).await;
    let user = bench.get("/users?$top=1").await.expect(200)["value"][0].clone();
    let upn = user["userPrincipalName"].as_str().unwrap();
    assert_eq!(
        id(&bench.get(&format!("/users/{upn}")).await.expect(200)),
        id(&user)
    );
    assert_eq!(
        id(&bench.get(&format!("/users('{upn}')")).await.expect(200)),
        id(&user)
    );
    let app = bench.get("/applications?$top=1").await.expect(200)["value"][0].clone();
    let app_id = app["appId"].as_str().unwrap();
    let by_key = bench
        .get(&format!("/applications(appId='{app_id}')"))
        .await
        .expect(200);
    assert_eq!(id(&by_key), id(&app));
    bench
        .get(&format!("/servicePrincipals(appId='{app_id}')"))
        .await
        .expect(200);
    let absent = "11111111-2222-4333-8444-555555555555";
    bench
        .get(&format!("/groups/{absent}"))
        .await
        .refused(404, "Request_ResourceNotFound", absent);
    bench.get("/groups/not-a-guid").await.refused(
        400,
        "Request_BadRequest",
        "Invalid object identifier",
    );
    let object = bench
        .get(&format!("/directoryObjects/{}", id(&app)))
        .await
        .expect(200);
    assert_eq!(object["@odata.type"], "#microsoft.graph.application");
    let found = bench
        .post(
            "/directoryObjects/getByIds",
            json!({ "ids": [id(&app), id(&user), absent], "types": ["user"] }),
        )
        .await
        .expect(200);
    assert_eq!(ids(found["value"].as_array().unwrap()), [id(&user)]);
}

#[tokio::test]
async fn keys_are_shown_for_a_single_object_with_select_only_and_secrets_never() {
    let bench = Bench::populated(400, 15).await;
    let apps = bench.all("/applications").await;
    let app = apps
        .iter()
        .find(|app| {
            app["keyCredentials"]
                .as_array()
                .is_some_and(|keys| !keys.is_empty())
        })
        .expect("a populated tenant has key credentials");
    assert_eq!(app["keyCredentials"][0]["key"], Value::Null);
    assert!(app["passwordCredentials"][0]["secretText"].is_null());
    let alone = bench
        .get(&format!("/applications/{}?$select=keyCredentials", id(app)))
        .await
        .expect(200);
    assert!(alone["keyCredentials"][0]["key"].is_string());
    let plain = bench
        .get(&format!("/applications/{}", id(app)))
        .await
        .expect(200);
    assert_eq!(plain["keyCredentials"][0]["key"], Value::Null);
}

#[tokio::test]
async fn licences_follow_the_tenant() {
    let bench = Bench::empty().await;
    let skus = bench.get("/subscribedSkus").await.expect(200);
    let plans = skus["value"][0]["servicePlans"].as_array().unwrap();
    assert!(
        plans
            .iter()
            .any(|plan| plan["servicePlanId"] == "eec0eb4f-6444-4f95-aba0-50c24d67f998")
    );
    let spec = simulator::TenantSpec {
        licence: simulator::Licence::None,
        ..simulator::TenantSpec::practice(crate::support::TENANT)
    };
    bench.simulator.add_tenant(spec);
    let skus = bench.get("/subscribedSkus").await.expect(200);
    assert_eq!(skus["value"], json!([]));
}

#[tokio::test]
async fn unknown_paths_and_methods_are_errors() {
    let bench = Bench::empty().await;
    bench.get("/teapots").await.refused(
        400,
        "BadRequest",
        "Resource not found for the segment 'teapots'",
    );
    bench
        .get("/me")
        .await
        .refused(400, "BadRequest", "delegated");
    assert_eq!(bench.send("PUT", "/users", None).await.status, 405);
    let answer = bench.get("/users/x@y.example").await;
    assert_eq!(answer.headers["x-ms-resource-unit"], "1");
    let inner = &answer.body["error"]["innerError"];
    assert_eq!(
        inner["request-id"].as_str().unwrap(),
        answer.headers["request-id"]
    );
    let answer = bench
        .send_with("GET", "/teapots", None, &[("client-request-id", "mine")])
        .await;
    assert_eq!(
        answer.body["error"]["innerError"]["client-request-id"],
        "mine"
    );
}

#[test]
fn the_tables_hold_every_property_of_the_published_schema() {
    let Some(data) = crate::support::shared_data() else {
        println!("skipped: no shared data");
        return;
    };
    let schema: Value =
        serde_json::from_slice(&std::fs::read(data.join("graph-schema/v1.0.json")).unwrap())
            .unwrap();
    for (object_type, parts) in [
        ("user", &["user"][..]),
        ("group", &["group"]),
        ("application", &["application"]),
        ("servicePrincipal", &["servicePrincipal"]),
        ("conditionalAccessPolicy", &["conditionalAccessPolicy"]),
        (
            "namedLocation",
            &["namedLocation", "ipNamedLocation", "countryNamedLocation"],
        ),
    ] {
        let known = simulator::known_properties(object_type);
        for part in parts {
            for name in schema[part]["properties"].as_object().unwrap().keys() {
                assert!(
                    name == "id" || known.contains(&name.as_str()),
                    "{object_type} lacks {name}"
                );
            }
        }
    }
}
