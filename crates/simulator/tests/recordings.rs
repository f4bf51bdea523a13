//! Real exchanges with Microsoft Graph, played against the simulator.
//!
//! Each exchange gets an empty tenant with just the objects that it needs. Status, error code and
//! the shape of the answer (names and types at every level) must agree. The data is optional.

#![allow(
    clippy::unwrap_used,
    reason = "a test that fails by panicking is a good test"
)]

#[path = "graph/support.rs"]
mod support;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};
use simulator::{App, TenantSpec};
use support::{Bench, TENANT, shared_data};

/// Exchanges that must agree; raise it when more do.
const FLOOR: usize = 449;
/// Documented objects that must be shown with every documented property.
const DOCUMENTED_FLOOR: usize = 57;

/// Properties that the service has gained since the recordings were made (2020 to 2024).
const NEWER: &[&str] = &[
    "uniqueName",
    "nativeAuthenticationApisEnabled",
    "samlMetadataUrl",
    "servicePrincipalLockConfiguration",
    "requestSignatureVerification",
    "redirectUriSettings",
    "isDeviceOnlyAuthSupported",
    "disabledByMicrosoftStatus",
    "serviceProvisioningErrors",
    "onPremisesProvisioningErrors",
    "resourceSpecificApplicationPermissions",
    "verifiedPublisher",
    "signInAudience",
    "samlSingleSignOnSettings",
    "serviceManagementReference",
    "certification",
    "spa",
    "defaultRedirectUri",
    "createdByAppId",
    "client-request-id",
];

/// Properties of the recordings that v1.0 has never documented.
const UNDOCUMENTED: &[&str] = &[
    "appMetadata",
    "managedIdentityResourceId",
    "microsoftPolicyGroup",
    "tokensRevocationDateTime",
];

struct Exchange {
    method: String,
    path: String,
    request: Option<Value>,
    status: u16,
    response: Value,
}

const NOBODY: &str = "5e1f0a52-7c1d-4f7e-9a54-0d1f6b5ad0ff";

#[tokio::test]
async fn recorded_exchanges_agree() {
    let Some(data) = shared_data() else {
        println!("recordings: skipped, no shared data");
        return;
    };
    let folder = data.join("dumps/azure-cli-recordings");
    let known = known_objects(&folder.join("objects"));
    let mut bench = Bench::empty().await;
    let (mut total, mut supported, mut agree) = (0, 0, 0);
    let mut unsupported: BTreeMap<String, usize> = BTreeMap::new();
    for exchange in exchanges(&folder.join("interactions")) {
        total += 1;
        let Some(seeds) = seeds(&exchange, &known) else {
            *unsupported.entry(kind_of(&exchange)).or_default() += 1;
            continue;
        };
        supported += 1;
        match play(&mut bench, &exchange, seeds).await {
            Ok(()) => agree += 1,
            Err(why) => println!("{} {}: {why}", exchange.method, exchange.path),
        }
    }
    println!("recordings: {supported} of {total} requests supported, {agree} agree");
    println!("unsupported: {unsupported:?}");
    assert!(
        agree >= FLOOR,
        "{agree} agree, fewer than the {FLOOR} of before"
    );
}

fn kind_of(exchange: &Exchange) -> String {
    let path = exchange.path.split('?').next().unwrap_or_default();
    format!(
        "{} {}",
        exchange.method,
        path.split('/').nth(1).unwrap_or_default()
    )
}

fn exchanges(folder: &Path) -> Vec<Exchange> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    let mut found = Vec::new();
    for file in files {
        let recording: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        for item in recording["interactions"].as_array().unwrap() {
            let url = item["url"].as_str().unwrap();
            let (_, path) = url.split_once("/v1.0").unwrap();
            found.push(Exchange {
                method: item["method"].as_str().unwrap().to_owned(),
                path: path.to_owned(),
                request: Some(item["requestBody"].clone()).filter(Value::is_object),
                status: u16::try_from(item["status"].as_u64().unwrap()).unwrap(),
                response: item["responseBody"].clone(),
            });
        }
    }
    found
}

/// Objects by id, with their file stem.
fn known_objects(folder: &Path) -> BTreeMap<String, (String, Value)> {
    let mut known = BTreeMap::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        let items: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        for item in items["value"].as_array().unwrap() {
            known.insert(
                item["id"].as_str().unwrap().to_owned(),
                (stem.clone(), item.clone()),
            );
        }
    }
    known
}

/// Objects to load, by file stem, and calls to make before the exchange.
#[derive(Default)]
struct Seeds {
    files: BTreeMap<String, Vec<Value>>,
    deletes: Vec<String>,
}

impl Seeds {
    fn add(&mut self, stem: &str, object: Value) {
        self.files.entry(stem.to_owned()).or_default().push(object);
    }
}

fn stem_of(collection: &str) -> Option<&'static str> {
    Some(match collection.to_lowercase().as_str() {
        "users" => "user",
        "groups" => "group",
        "applications" => "application",
        "serviceprincipals" => "servicePrincipal",
        "oauth2permissiongrants" => "oAuth2PermissionGrant",
        _ => return None,
    })
}

fn stem_of_type(object: &Value) -> Option<&str> {
    object["@odata.type"]
        .as_str()?
        .strip_prefix("#microsoft.graph.")
}

/// What the exchange needs; `None` when it is beyond an app-only emulator.
fn seeds(exchange: &Exchange, known: &BTreeMap<String, (String, Value)>) -> Option<Seeds> {
    let mut seeds = Seeds::default();
    let path = exchange.path.split('?').next().unwrap_or_default();
    let decoded = path
        .replace("('", "/")
        .replace("')", "")
        .replace("%23", "#");
    let segments: Vec<&str> = decoded.split('/').filter(|part| !part.is_empty()).collect();
    if segments.first() == Some(&"me") {
        return None;
    }
    if exchange.status >= 400 {
        return Some(seeds);
    }
    let body = exchange.request.clone().unwrap_or_default();
    let result = &exchange.response;
    match (exchange.method.as_str(), segments.as_slice()) {
        ("POST", ["directoryObjects", "getByIds"]) => {
            for object in result["value"].as_array()? {
                seeds.add(stem_of_type(object)?, object.clone());
            }
        }
        ("DELETE", ["directory", "deletedItems", id]) => {
            seeds.add("application", object(known, "application", id));
            seeds.deletes.push(format!("/applications/{id}"));
        }
        ("POST", [collection]) => match stem_of(collection)? {
            "servicePrincipal" => {
                let application = json!({
                    "appId": body["appId"], "displayName": result["displayName"],
                    "web": { "redirectUris": result["replyUrls"] },
                });
                seeds.add("application", application);
            }
            "oAuth2PermissionGrant" => {
                for side in ["clientId", "resourceId"] {
                    seeds.add(
                        "servicePrincipal",
                        object(known, "servicePrincipal", body[side].as_str()?),
                    );
                }
            }
            _ => {}
        },
        ("GET", [collection]) => {
            let stem = stem_of(collection)?;
            for item in result["value"].as_array()? {
                if stem == "oAuth2PermissionGrant" {
                    for side in ["clientId", "resourceId"] {
                        seeds.add(
                            "servicePrincipal",
                            object(known, "servicePrincipal", item[side].as_str()?),
                        );
                    }
                }
                seeds.add(stem, item.clone());
            }
        }
        ("GET", [collection, _]) => seeds.add(stem_of(collection)?, result.clone()),
        ("DELETE", [collection, id]) if stem_of(collection) == Some("oAuth2PermissionGrant") => {
            let grant = &known.get(*id)?.1;
            for side in ["clientId", "resourceId"] {
                seeds.add(
                    "servicePrincipal",
                    object(known, "servicePrincipal", grant[side].as_str()?),
                );
            }
            seeds.add("oAuth2PermissionGrant", grant.clone());
        }
        ("GET", [collection, id, "owners"]) => {
            let mut owned = object(known, stem_of(collection)?, id);
            owned["owners"] = result["value"].clone();
            for owner in result["value"].as_array()? {
                seeds.add(stem_of_type(owner)?, owner.clone());
            }
            seeds.add(stem_of(collection)?, owned);
        }
        ("DELETE", [collection, id, "owners", owner, _]) => {
            let mut owned = object(known, stem_of(collection)?, id);
            owned["owners"] = json!([owner]);
            seeds.add("user", object(known, "user", owner));
            seeds.add(stem_of(collection)?, owned);
        }
        ("POST", [collection, id, "removePassword"]) => {
            let mut holder = object(known, stem_of(collection)?, id);
            holder["passwordCredentials"] =
                json!([{ "keyId": body["keyId"], "displayName": null }]);
            seeds.add(stem_of(collection)?, holder);
        }
        (_, [collection, id, ..]) => seeds.add(
            stem_of(collection)?,
            object(known, stem_of(collection)?, id),
        ),
        _ => return None,
    }
    Some(seeds)
}

/// The recorded object, or a bare one where the recordings never show it.
fn object(known: &BTreeMap<String, (String, Value)>, stem: &str, id: &str) -> Value {
    match known.get(id) {
        Some((_, object)) => object.clone(),
        None if id.contains('@') => json!({ "displayName": "stand-in", "userPrincipalName": id }),
        None => json!({
            "id": id, "displayName": "stand-in",
            "userPrincipalName": format!("{id}@practice.example"), "appId": id,
        })
        .as_object()
        .map(|map| {
            let wanted = simulator::known_properties(stem);
            let kept: Map<String, Value> = map
                .iter()
                .filter(|(name, _)| *name == "id" || wanted.contains(&name.as_str()))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            Value::Object(kept)
        })
        .unwrap_or_default(),
    }
}

async fn prepare(bench: &mut Bench, files: &BTreeMap<String, Vec<Value>>) -> Result<(), String> {
    let mut spec = TenantSpec::practice(TENANT);
    spec.apps.push(App {
        client_id: NOBODY.to_owned(),
        secret: "x".to_owned(),
        display_name: "Nobody".to_owned(),
        roles: Default::default(),
        acts_as: None,
    });
    bench.tenant = bench.simulator.add_tenant(spec);
    let folder = tempfile::tempdir().unwrap();
    for (stem, objects) in files {
        let path = folder.path().join(format!("{stem}.json"));
        std::fs::write(path, Value::Array(objects.clone()).to_string()).unwrap();
    }
    bench
        .tenant
        .load(folder.path())
        .map(drop)
        .map_err(|error| error.to_string())
}

async fn play(bench: &mut Bench, exchange: &Exchange, seeds: Seeds) -> Result<(), String> {
    prepare(bench, &seeds.files).await?;
    for path in &seeds.deletes {
        bench.delete(path).await;
    }
    if exchange.status == 403 {
        bench.sign_in(NOBODY, "x").await;
    } else {
        bench
            .sign_in(simulator::WRITER_CLIENT_ID, simulator::WRITER_SECRET)
            .await;
    }
    let answer = bench
        .send(&exchange.method, &exchange.path, exchange.request.as_ref())
        .await;
    if answer.status != exchange.status {
        return Err(format!(
            "status {} instead of {}: {}",
            answer.status, exchange.status, answer.body
        ));
    }
    if exchange.status >= 400 {
        let (ours, theirs) = (&answer.body["error"], &exchange.response["error"]);
        if ours["code"] != theirs["code"] {
            return Err(format!(
                "code {} instead of {}",
                ours["code"], theirs["code"]
            ));
        }
    }
    let empty = |body: &Value| body.is_null() || body == "";
    if empty(&exchange.response) && empty(&answer.body) {
        return Ok(());
    }
    let mut differences = Vec::new();
    compare("", &exchange.response, &answer.body, &mut differences);
    if differences.is_empty() {
        Ok(())
    } else {
        Err(differences.join(", "))
    }
}

/// Names and types at every level; null agrees with anything.
fn compare(at: &str, theirs: &Value, ours: &Value, differences: &mut Vec<String>) {
    match (theirs, ours) {
        (Value::Object(left), Value::Object(right)) => {
            for (name, value) in left {
                match right.get(name) {
                    Some(own) => compare(&format!("{at}/{name}"), value, own, differences),
                    None if UNDOCUMENTED.contains(&name.as_str()) => {}
                    None => differences.push(format!("{at}/{name} is missing")),
                }
            }
            for name in right.keys().filter(|name| !left.contains_key(*name)) {
                if !NEWER.contains(&name.as_str()) {
                    differences.push(format!("{at}/{name} is too much"));
                }
            }
        }
        (Value::Array(left), Value::Array(right)) => {
            if at == "/value" && left.len() != right.len() {
                differences.push(format!("{} items instead of {}", right.len(), left.len()));
            }
            if let (Some(theirs), Some(ours)) = (left.first(), right.first()) {
                compare(&format!("{at}[]"), theirs, ours, differences);
            }
        }
        (Value::Null, _) | (_, Value::Null) => {}
        _ if std::mem::discriminant(theirs) == std::mem::discriminant(ours) => {}
        _ => differences.push(format!("{at} has another type")),
    }
}

/// Objects in the documentation's examples: whatever they show, the simulator shows too.
#[tokio::test]
async fn documented_objects_are_shown_whole() {
    let Some(data) = shared_data() else {
        println!("documented: skipped, no shared data");
        return;
    };
    let mut bench = Bench::empty().await;
    let (mut tried, mut agree) = (0, 0);
    for (object_type, collection) in [
        ("group", "/groups"),
        ("application", "/applications"),
        ("servicePrincipal", "/servicePrincipals"),
        (
            "conditionalAccessPolicy",
            "/identity/conditionalAccess/policies",
        ),
        (
            "namedLocation",
            "/identity/conditionalAccess/namedLocations",
        ),
        ("administrativeUnit", "/directory/administrativeUnits"),
    ] {
        let known = simulator::known_properties(object_type);
        let mut files: Vec<_> = std::fs::read_dir(data.join("docs-examples").join(object_type))
            .unwrap()
            .map(|file| file.unwrap().path())
            .filter(|path| path.to_string_lossy().ends_with("_response.json"))
            .collect();
        files.sort();
        for file in files {
            let example: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
            for object in documented(&example["body"], object_type) {
                if prepare(
                    &mut bench,
                    &BTreeMap::from([(object_type.to_owned(), vec![object.clone()])]),
                )
                .await
                .is_err()
                {
                    continue;
                }
                tried += 1;
                bench
                    .sign_in(simulator::WRITER_CLIENT_ID, simulator::WRITER_SECRET)
                    .await;
                let path = format!("{collection}/{}", object["id"].as_str().unwrap());
                let own = bench.get(&path).await;
                let mut differences = Vec::new();
                let kept: Map<String, Value> = object
                    .as_object()
                    .unwrap()
                    .iter()
                    .filter(|(name, _)| known.contains(&name.as_str()))
                    .map(|(name, value)| (name.clone(), value.clone()))
                    .collect();
                compare("", &Value::Object(kept), &own.body, &mut differences);
                differences.retain(|difference| !difference.ends_with("too much"));
                if own.status == 200 && differences.is_empty() {
                    agree += 1;
                } else {
                    println!("{}: {} {differences:?}", file.display(), own.status);
                }
            }
        }
    }
    println!("documented: {tried} objects tried, {agree} shown whole");
    assert!(
        agree >= DOCUMENTED_FLOOR,
        "{agree} agree, fewer than the {DOCUMENTED_FLOOR} of before"
    );
}

/// Writes in the documentation's examples: status and shape of the answer agree, and so do the
/// ids that follow from what they join.
#[tokio::test]
async fn documented_writes_are_answered_as_documented() {
    let Some(data) = shared_data() else {
        println!("documented writes: skipped, no shared data");
        return;
    };
    let example = |name: &str| -> Value {
        let file = data.join("docs-examples").join(name);
        serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
    };
    let principal = |id: &str, roles: Value| json!({ "id": id, "appId": id, "displayName": id, "appRoles": roles });
    let role =
        json!([{ "id": "ef7437e6-4f94-4a0a-a110-a439eb2aa8f7", "isEnabled": true, "value": "r" }]);
    let application = "bcd7c908-1c4d-4d48-93ee-ff38349a75c8";
    let holder = "f1847572-48aa-47aa-96a3-2ec61904f41f";
    let mut bench = Bench::empty().await;
    let files = BTreeMap::from([
        (
            "servicePrincipal".to_owned(),
            vec![
                principal("ef969797-201d-4f6b-960c-e9ed5f31dab5", json!([])),
                principal("943603e4-e787-4fe9-93d1-e30f749aae39", json!([])),
                principal("9028d19c-26a9-4809-8e3f-20ff73e2d75e", role),
            ],
        ),
        (
            "group".to_owned(),
            vec![json!({ "id": "33ad69f9-da99-4bed-acd0-3f24235cb296", "displayName": "Parents" })],
        ),
        (
            "user".to_owned(),
            vec![json!({ "id": holder, "displayName": "u", "userPrincipalName": "u@x.example" })],
        ),
        (
            "application".to_owned(),
            vec![json!({ "id": application, "displayName": "a" })],
        ),
    ]);
    prepare(&mut bench, &files).await.unwrap();
    bench
        .sign_in(simulator::WRITER_CLIENT_ID, simulator::WRITER_SECRET)
        .await;
    let credentials = format!("/applications/{application}/federatedIdentityCredentials");
    for (path, name, request) in [
        (
            "/oauth2PermissionGrants",
            "oAuth2PermissionGrant/v1.0__oauth2permissiongrant-post__1",
            None,
        ),
        (
            "/servicePrincipals/9028d19c-26a9-4809-8e3f-20ff73e2d75e/appRoleAssignedTo",
            "appRoleAssignment/v1.0__serviceprincipal-post-approleassignedto__1",
            None,
        ),
        (
            "/directory/administrativeUnits",
            "administrativeUnit/v1.0__administrativeunit-post-administrativeunits__1",
            None,
        ),
        (
            credentials.as_str(),
            "federatedIdentityCredential/mock__POST-applications-bcd7c908-1c4d-4d48-93ee-ff38349a75c8-federatedIdentityCredentials__b4c4853c",
            Some(json!({
                "name": "testing02", "subject": "a7d388c3-5e3f-4959-ac7d-786b3383006a",
                "issuer": "https://login.microsoftonline.com/3d1e2be9-a10a-4a0c-8380-7ce190f98ed9/v2.0",
                "audiences": ["api://AzureADTokenExchange"],
            })),
        ),
        (
            "/policies/authenticationStrengthPolicies",
            "authenticationStrengthPolicy/mock__POST-policies-authenticationStrengthPolicies__cb9dcffe",
            Some(json!({
                "displayName": "Example", "description": "", "allowedCombinations": ["fido2"],
                "combinationConfigurations": [{
                    "@odata.type": "#microsoft.graph.fido2CombinationConfiguration",
                    "appliesToCombinations": ["fido2"],
                    "allowedAAGUIDs": ["de1e552d-db1d-4423-a619-566b625cdc84"],
                }],
            })),
        ),
        (
            "/roleManagement/directory/roleAssignments",
            "unifiedRoleAssignment/v1.0__rbacapplication-post-roleassignments__1",
            Some(json!({
                "principalId": holder, "directoryScopeId": "/",
                "roleDefinitionId": "62e90394-69f5-4237-9190-012177145e10",
            })),
        ),
    ] {
        let request =
            request.unwrap_or_else(|| example(&format!("{name}_request.json"))["body"].clone());
        let response = example(&format!("{name}_response.json"));
        let answer = bench.post(path, request).await;
        let status = response["status"].as_u64().unwrap();
        assert_eq!(u64::from(answer.status), status, "{path}: {}", answer.body);
        let mut differences = Vec::new();
        compare("", &response["body"], &answer.body, &mut differences);
        differences.retain(|difference| {
            !difference.ends_with("too much") && difference != "/@odata.id is missing"
        });
        assert!(differences.is_empty(), "{path}: {differences:?}");
        let id = answer.body["id"].as_str().unwrap();
        match path {
            "/oauth2PermissionGrants" => assert_eq!(id, response["body"]["id"]),
            // As a listed example has it.
            "/roleManagement/directory/roleAssignments" => {
                assert_eq!(id, "lAPpYvVpN0KRkAEhdxReEHJ1hPGqSKpHlqMuxhkE9B8-1");
            }
            _ => {}
        }
    }
}

/// Whole objects of the type in an example, with ids that are GUIDs.
fn documented(body: &Value, object_type: &str) -> Vec<Value> {
    let items = match body["value"].as_array() {
        Some(items) => items.clone(),
        None => vec![body.clone()],
    };
    items
        .into_iter()
        .filter(|item| item["id"].is_string() && item["displayName"].is_string())
        .filter(|item| {
            item["@odata.type"].is_null()
                || object_type == "namedLocation"
                || stem_of_type(item) == Some(object_type)
        })
        .collect()
}
