//! Conditional Access policies and named locations.

use serde_json::{Value, json};

use crate::support::{Bench, id};

const POLICIES: &str = "/identity/conditionalAccess/policies";
const LOCATIONS: &str = "/identity/conditionalAccess/namedLocations";

fn policy() -> Value {
    json!({
        "displayName": "P", "state": "enabled",
        "conditions": {
            "clientAppTypes": ["all"],
            "applications": { "includeApplications": ["All"] },
            "users": { "includeUsers": ["All"] },
        },
        "grantControls": { "operator": "OR", "builtInControls": ["mfa"] },
    })
}

#[tokio::test]
async fn a_policy_as_read_is_refused_until_it_is_stripped() {
    let bench = Bench::populated(40, 15).await;
    let read = bench.all(POLICIES).await;
    let strong = read
        .iter()
        .find(|policy| policy["grantControls"]["authenticationStrength"].is_object())
        .unwrap();
    assert!(strong["grantControls"]["authenticationStrength"]["allowedCombinations"].is_array());
    bench
        .post(POLICIES, strong.clone())
        .await
        .refused(400, "BadRequest", "1007: ");
    let mut body = strong.clone();
    for name in [
        "id",
        "createdDateTime",
        "modifiedDateTime",
        "deletedDateTime",
    ] {
        body.as_object_mut().unwrap().remove(name);
    }
    bench.post(POLICIES, body.clone()).await.refused(
        400,
        "BadRequest",
        "1118: TemplateId is a read-only field",
    );
    body.as_object_mut().unwrap().remove("templateId");
    bench
        .post(POLICIES, body.clone())
        .await
        .refused(400, "BadRequest", "1007: ");
    body["grantControls"]
        .as_object_mut()
        .unwrap()
        .remove("authenticationStrength@odata.context");
    bench
        .post(POLICIES, body.clone())
        .await
        .refused(400, "BadRequest", "1007: ");
    let strength = body["grantControls"]["authenticationStrength"]["id"].clone();
    body["grantControls"]["authenticationStrength"] = json!({ "id": strength });
    let made = bench.post(POLICIES, body).await.expect(201);
    assert_eq!(made["conditions"], strong["conditions"]);
    assert_eq!(made["modifiedDateTime"], Value::Null);
}

#[tokio::test]
async fn references_must_resolve_unless_the_policy_holds_them() {
    let bench = Bench::empty().await;
    let ghost = "11111111-2222-4333-8444-555555555555";
    for (part, list, number) in [
        ("users", "includeUsers", "1011"),
        ("users", "excludeGroups", "1012"),
        ("users", "includeRoles", "1013"),
        ("applications", "includeApplications", "1034"),
        ("locations", "includeLocations", "1006"),
    ] {
        let mut body = policy();
        body["conditions"][part][list] = json!([ghost]);
        bench
            .post(POLICIES, body)
            .await
            .refused(400, "BadRequest", &format!("{number}: "));
    }
    let user = bench.user("gone").await;
    let mut body = policy();
    body["conditions"]["users"]["excludeUsers"] = json!([user]);
    let made = bench.post(POLICIES, body.clone()).await.expect(201);
    bench.delete(&format!("/users/{user}")).await.expect(204);
    bench
        .delete(&format!("/directory/deletedItems/{user}"))
        .await
        .expect(204);
    let path = format!("{POLICIES}/{}", id(&made));
    let held = bench.get(&path).await.expect(200);
    assert_eq!(
        held["conditions"]["users"]["excludeUsers"],
        json!([user]),
        "policies keep dangling ids"
    );
    bench
        .patch(&path, json!({ "conditions": body["conditions"] }))
        .await
        .expect(204);
    bench
        .post(POLICIES, body)
        .await
        .refused(400, "BadRequest", "1011: ");
}

#[tokio::test]
async fn sessions_collapse_and_bodies_follow_the_schema() {
    let bench = Bench::empty().await;
    let mut body = policy();
    body["sessionControls"] = json!({
        "signInFrequency": { "isEnabled": false }, "disableResilienceDefaults": null, "cloudAppSecurity": null,
    });
    let made = bench.post(POLICIES, body).await.expect(201);
    assert_eq!(made["sessionControls"], Value::Null);
    let path = format!("{POLICIES}/{}", id(&made));
    for wrong in [
        json!({ "state": "off" }),
        json!({ "conditions": { "weather": "rain" } }),
        json!({ "conditions": { "clientAppTypes": ["fax"] } }),
        json!({ "grantControls": { "builtInControls": ["prayer"] } }),
        json!({ "@odata.context": "x" }),
        json!({ "partialEnablementStrategy": null }),
        json!({ "createdDateTime": null }),
    ] {
        bench
            .patch(&path, wrong)
            .await
            .refused(400, "BadRequest", "1007: ");
    }
    bench
        .patch(&path, json!({ "templateId": null }))
        .await
        .refused(400, "BadRequest", "1118: ");
    let mut without = policy();
    without["conditions"]
        .as_object_mut()
        .unwrap()
        .remove("clientAppTypes");
    bench
        .post(POLICIES, without)
        .await
        .refused(400, "BadRequest", "clientAppTypes");
    bench
        .patch(&path, json!({ "state": "disabled" }))
        .await
        .expect(204);
    let held = bench.get(&path).await.expect(200);
    assert_eq!(
        (&held["state"], &held["grantControls"]["builtInControls"]),
        (&json!("disabled"), &json!(["mfa"]))
    );
    assert!(held["modifiedDateTime"].is_string());
    let flows = json!({
        "conditions": { "authenticationFlows": { "transferMethods": "deviceCodeFlow" } },
        "sessionControls": { "persistentBrowser": { "isEnabled": true, "mode": "never" } },
    });
    bench
        .patch(&path, flows)
        .await
        .refused(400, "BadRequest", "1235: ");
}

#[tokio::test]
async fn locations_say_what_they_are_and_trusted_ones_stay() {
    let bench = Bench::empty().await;
    let range = |kind: &str, cidr: &str| json!({ "@odata.type": format!("#microsoft.graph.{kind}"), "cidrAddress": cidr });
    let mut body = json!({
        "@odata.type": "#microsoft.graph.ipNamedLocation", "displayName": "Office", "isTrusted": true,
        "ipRanges": [range("iPv4CidrRange", "198.51.100.0/24"), range("iPv6CidrRange", "2001:db8::/32")],
    });
    let made = bench.post(LOCATIONS, body.clone()).await.expect(201);
    assert_eq!(made["@odata.type"], "#microsoft.graph.ipNamedLocation");
    assert!(made.get("countriesAndRegions").is_none());
    let path = format!("{LOCATIONS}/{}", id(&made));
    bench
        .patch(&path, json!({ "displayName": "HQ" }))
        .await
        .refused(400, "BadRequest", "@odata.type");
    bench
        .delete(&path)
        .await
        .refused(400, "BadRequest", "trusted");
    let untrust = json!({ "@odata.type": "#microsoft.graph.ipNamedLocation", "isTrusted": false });
    bench.patch(&path, untrust).await.expect(204);
    bench.delete(&path).await.expect(204);
    body["ipRanges"] = json!([range("iPv4CidrRange", "2001:db8::/32")]);
    bench
        .post(LOCATIONS, body)
        .await
        .refused(400, "BadRequest", "1002: ");
    let country = json!({
        "@odata.type": "#microsoft.graph.countryNamedLocation", "displayName": "C",
        "countriesAndRegions": ["NO"], "isTrusted": true,
    });
    bench
        .post(LOCATIONS, country)
        .await
        .refused(400, "BadRequest", "isTrusted");
}
