//! Loading exports and making up companies.

use serde_json::{Value, json};
use simulator::{LoadError, Population};

use crate::support::{Bench, TENANT, ids, shared_data};

#[tokio::test]
async fn real_exports_load() {
    let Some(data) = shared_data() else {
        println!("skipped: no shared data");
        return;
    };
    let bench = Bench::empty().await;
    let report = bench
        .tenant
        .load(&data.join("ca/j0eyv-ConditionalAccessBaseline"))
        .unwrap();
    assert_eq!(report.loaded["conditionalAccessPolicy"], 36);
    assert_eq!(
        (report.loaded["group"], report.duplicates),
        (34, 2),
        "two of the 36 repeat an id"
    );
    assert_eq!(
        report.loaded["namedLocation"], 2,
        "the third is not in v1.0"
    );
    assert!(
        report
            .ignored_files
            .contains(&"v1-projection-notes.json".to_owned()),
        "{report:?}"
    );
    let report = bench
        .tenant
        .load(&data.join("dumps/scubagear-stub-2023"))
        .unwrap();
    assert_eq!(report.loaded["conditionalAccessPolicy"], 20);
    let report = bench
        .tenant
        .load(&data.join("dumps/azure-cli-recordings/objects"))
        .unwrap();
    assert!(
        report.loaded["servicePrincipal"] > 20 && report.loaded["user"] == 14,
        "{report:?}"
    );
    let path = data.join("dumps/microsoft-info/servicePrincipals.graph-shape.json");
    let report = bench.tenant.load(&path).unwrap();
    assert!(
        report.loaded["servicePrincipal"] > 3_000 && report.duplicates > 0,
        "{report:?}"
    );
    assert_eq!(
        bench
            .all("/identity/conditionalAccess/policies")
            .await
            .len(),
        56
    );
    assert_eq!(
        bench
            .all("/servicePrincipals?$top=999&$select=id")
            .await
            .len(),
        bench.tenant.count("servicePrincipal")
    );
}

#[tokio::test]
async fn a_malformed_object_names_its_file_and_place_and_nothing_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, value: Value| {
        std::fs::write(folder.path().join(name), value.to_string()).unwrap();
    };
    let bench = Bench::empty().await;
    write(
        "groups.json",
        json!([{ "displayName": "fine" }, { "displayName": "x", "groupTypes": "Unified" }]),
    );
    write(
        "users.json",
        json!({ "value": [{ "displayName": "u", "userPrincipalName": "u@x.example" }] }),
    );
    let error = bench.tenant.load(folder.path()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "groups.json: object 1: property 'groupTypes' has the wrong type"
    );
    assert_eq!(
        (bench.tenant.count("user"), bench.tenant.count("group")),
        (0, 0)
    );
    write("groups.json", json!({ "items": [] }));
    assert!(matches!(
        bench.tenant.load(folder.path()),
        Err(LoadError::Format { .. })
    ));
    let absent = bench.tenant.load(&folder.path().join("absent"));
    assert!(matches!(absent, Err(LoadError::Read { .. })));
}

#[tokio::test]
async fn links_are_loaded_with_groups() {
    let folder = tempfile::tempdir().unwrap();
    let (user, group) = (
        "11111111-2222-4333-8444-555555555501",
        "11111111-2222-4333-8444-555555555502",
    );
    let users = json!([{ "id": user, "displayName": "u", "userPrincipalName": "u@x.example" }]);
    let groups = json!([{
        "id": group, "displayName": "g", "members": [user], "owners": [{ "id": user }, { "id": group.replace("02", "99") }],
    }]);
    std::fs::write(folder.path().join("users.json"), users.to_string()).unwrap();
    std::fs::write(folder.path().join("groups.json"), groups.to_string()).unwrap();
    std::fs::write(folder.path().join("readme.txt"), "no").unwrap();
    let bench = Bench::empty().await;
    let report = bench.tenant.load(folder.path()).unwrap();
    assert_eq!(report.ignored_files, ["readme.txt"]);
    assert_eq!(report.notes.len(), 1, "{:?}", report.notes);
    assert_eq!(
        ids(&bench.all(&format!("/groups/{group}/members")).await),
        [user]
    );
}

#[tokio::test]
async fn a_made_up_company_has_something_of_everything() {
    let bench = Bench::empty().await;
    let made = bench.tenant.populate(&Population {
        users: 300,
        groups: 60,
        seed: 3,
    });
    assert_eq!(
        (made.users, made.groups, made.break_glass.len()),
        (300, 60, 2)
    );
    assert!(made.applications >= 6 && made.service_principals > made.applications);
    assert_eq!((made.policies, made.locations), (13, 5));
    let dump = bench.simulator.dump(TENANT);
    let links: Vec<&String> = dump["links"].as_object().unwrap().keys().collect();
    for suffix in ["/members", "/owners", "/manager", "/sponsors"] {
        assert!(
            links.iter().any(|name| name.ends_with(suffix)),
            "no {suffix}"
        );
    }
    for (object_type, name) in [
        ("group", "isAssignableToRole"),
        ("group", "membershipRule"),
        ("group", "onPremisesSyncEnabled"),
        ("user", "onPremisesSyncEnabled"),
        ("application", "appRoles"),
        ("application", "keyCredentials"),
    ] {
        let some = dump["objects"][object_type]
            .as_object()
            .unwrap()
            .values()
            .any(|object| !object[name].is_null());
        assert!(some, "no {object_type} with {name}");
    }
    assert!(
        !dump["oAuth2PermissionGrants"]
            .as_object()
            .unwrap()
            .is_empty()
    );
    assert!(!dump["appRoleAssignments"].as_array().unwrap().is_empty());
    assert_eq!(
        made.administrative_units,
        bench.tenant.count("administrativeUnit")
    );
    assert!(made.administrative_units > 3);
    let roles: Vec<&str> = dump["roleAssignments"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert!(roles.iter().any(|role| role.ends_with(" /")));
    assert!(
        roles
            .iter()
            .any(|role| role.contains(" /administrativeUnits/"))
    );
    for (section, least) in [
        ("federatedIdentityCredentials", 20),
        ("authenticationStrengthPolicies", 5),
        ("authenticationContextClassReferences", 3),
    ] {
        let held = dump[section].as_object().unwrap().len();
        assert!(held >= least, "{held} {section}");
    }
    assert!(
        links
            .iter()
            .any(|name| name.starts_with("administrativeUnit/") && name.ends_with("/members"))
    );
}

#[tokio::test]
async fn the_documents_around_objects_load_as_graph_shows_them() {
    let folder = tempfile::tempdir().unwrap();
    let ids: Vec<String> = (10..16)
        .map(|n| format!("11111111-2222-4333-8444-5555555555{n}"))
        .collect();
    let [user, unit, application, principal, credential, strength] = ids.as_slice() else {
        panic!("six ids");
    };
    let files = [
        (
            "users.json",
            json!([{ "id": user, "displayName": "u", "userPrincipalName": "u@x.example" }]),
        ),
        (
            "administrativeUnits.json",
            json!({ "value": [{ "id": unit, "displayName": "North", "members": [user] }] }),
        ),
        (
            "applications.json",
            json!([{
                "id": application, "appId": application, "displayName": "a",
                "federatedIdentityCredentials": [{
                    "id": credential, "name": "k", "issuer": "https://i.example", "subject": "s",
                    "description": null, "audiences": ["api://AzureADTokenExchange"],
                }],
            }]),
        ),
        (
            "federatedIdentityCredentials.json",
            json!([{
                "applicationId": application, "name": "k2", "issuer": "https://i.example",
                "subject": "s2", "audiences": ["api://AzureADTokenExchange"],
            }]),
        ),
        (
            "servicePrincipals.json",
            json!([{ "id": principal, "appId": application, "displayName": "a" }]),
        ),
        (
            "oauth2PermissionGrants.json",
            json!([{ "clientId": principal, "resourceId": principal, "consentType": "AllPrincipals", "scope": "x" }]),
        ),
        (
            "roleAssignments.json",
            json!([{
                "principalId": user, "roleDefinitionId": "f2ef992c-3afb-46b9-b7cf-a126ee74c451",
                "directoryScopeId": format!("/administrativeUnits/{unit}"),
            }]),
        ),
        (
            "authenticationStrengthPolicies.json",
            json!([{
                "id": strength, "displayName": "Keys", "policyType": "custom",
                "allowedCombinations": ["fido2"], "combinationConfigurations@odata.context": "x",
                "combinationConfigurations": [],
            }]),
        ),
        (
            "authenticationContextClassReferences.json",
            json!([{ "id": "c4", "displayName": "Four", "description": null, "isAvailable": true }]),
        ),
        (
            "authenticationMethodsPolicy.json",
            json!({ "@odata.context": "x", "id": "authenticationMethodsPolicy", "reconfirmationInDays": 30 }),
        ),
        (
            "authorizationPolicy.json",
            json!({ "id": "authorizationPolicy", "allowInvitesFrom": "none" }),
        ),
        (
            "organization.json",
            json!({ "value": [{ "id": user, "displayName": "Loaded", "technicalNotificationMails": ["t@x.example"] }] }),
        ),
    ];
    for (name, value) in &files {
        std::fs::write(folder.path().join(name), value.to_string()).unwrap();
    }
    let bench = Bench::empty().await;
    let report = bench.tenant.load(folder.path()).unwrap();
    assert_eq!((report.duplicates, &report.notes), (0, &Vec::new()));
    let loaded: Vec<(&str, usize)> = report
        .loaded
        .iter()
        .map(|(name, count)| (name.as_str(), *count))
        .collect();
    assert_eq!(
        loaded,
        [
            ("administrativeUnit", 1),
            ("application", 1),
            ("authenticationContextClassReference", 1),
            ("authenticationMethodsPolicy", 1),
            ("authenticationStrengthPolicy", 1),
            ("authorizationPolicy", 1),
            ("federatedIdentityCredential", 2),
            ("oAuth2PermissionGrant", 1),
            ("organization", 1),
            ("roleAssignment", 1),
            ("servicePrincipal", 1),
            ("user", 1),
        ]
    );
    let path = format!("/applications/{application}/federatedIdentityCredentials");
    assert!(ids_of(&bench, &path).await.contains(credential));
    assert_eq!(
        ids_of(
            &bench,
            &format!("/directory/administrativeUnits/{unit}/members")
        )
        .await,
        std::slice::from_ref(user)
    );
    assert_eq!(
        bench
            .all("/roleManagement/directory/roleAssignments")
            .await
            .len(),
        1
    );
    assert_eq!(bench.all("/oauth2PermissionGrants").await.len(), 1);
    assert_eq!(
        bench
            .all("/policies/authenticationStrengthPolicies")
            .await
            .len(),
        4
    );
    let organization = bench.all("/organization").await;
    assert_eq!(organization[0]["id"], TENANT, "a tenant keeps its own id");
    assert_eq!(organization[0]["displayName"], "Loaded");
    for (path, name, value) in [
        (
            "/policies/authenticationMethodsPolicy",
            "reconfirmationInDays",
            json!(30),
        ),
        (
            "/policies/authorizationPolicy",
            "allowInvitesFrom",
            json!("none"),
        ),
        (
            "/identity/conditionalAccess/authenticationContextClassReferences/c4",
            "isAvailable",
            json!(true),
        ),
    ] {
        assert_eq!(bench.get(path).await.expect(200)[name], value, "{path}");
    }

    let wrong = json!([{ "id": "c100", "displayName": "too far" }]);
    let file = folder
        .path()
        .join("authenticationContextClassReferences.json");
    std::fs::write(&file, wrong.to_string()).unwrap();
    let error = bench.tenant.load(&file).unwrap_err().to_string();
    assert!(
        error.contains("object 0") && error.contains("c100"),
        "{error}"
    );
}

async fn ids_of(bench: &Bench, path: &str) -> Vec<String> {
    ids(&bench.all(path).await)
}
