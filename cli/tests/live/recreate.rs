//! Objects that are made anew, and a kill between a request and its answer.
//!
//! What decides the moment is the request that makes an object: it is served, its answer
//! is lost, and from then on every read is held until the process is killed.

use serde_json::{Value, json};
use simulator::{Fault, FaultResponse};

use crate::support::{FOREVER, TENANT, World, list, text, until};

/// More requests than any test makes.
const ALL: usize = 1_000_000;

fn find<'a>(objects: &'a Value, name: &str, value: &str) -> Vec<&'a Value> {
    let all = objects.as_object().expect("objects");
    all.values().filter(|it| it[name] == value).collect()
}

fn live(world: &World, object_type: &str) -> Value {
    world.simulator.dump(TENANT)["objects"][object_type].clone()
}

/// Deletes an object and empties it out of the bin.
async fn destroy(world: &World, list: &str, bin: &str, id: &str) {
    world.graph("DELETE", &format!("{list}/{id}"), None).await;
    world.graph("DELETE", &format!("{bin}/{id}"), None).await;
}

/// Plans to put everything back, with what is gone for good.
async fn plan(world: &World) -> Value {
    let plan = [
        "restore",
        "plan",
        "--snapshot",
        "latest",
        "--recreate-hard-deleted",
    ];
    world.json(&plan).await
}

/// Applies a plan and kills the installation once a request that makes something was
/// carried out and its answer lost; then starts it again.
async fn kill_after(
    world: &mut World,
    plan: &str,
    (method, path): (&'static str, &'static str),
    is_made: impl Fn(&World) -> bool,
) {
    let lost = Fault::once(method, path, FaultResponse::DisconnectAfter);
    world.simulator.inject(lost);
    let folder = path.trim_end_matches('*');
    world
        .simulator
        .on_request(Box::new(move |request, simulator| {
            if request.method == method && request.path.starts_with(folder) {
                let hold = Fault::once("GET", "*", FaultResponse::Delay(FOREVER));
                simulator.inject(hold.times(ALL));
            }
        }));
    let mut client = world.client(&["restore", "apply", plan]);
    let client = client
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null());
    let mut client = client.spawn().expect("rewind runs");
    until("it is made and nobody knows", || is_made(world)).await;
    world.kill().await;
    world.simulator.clear_hook();
    client.kill().await.expect("it is killed");
    world.resume().await;
}

/// Goes on with a restore to its end.
async fn resumed(world: &World, plan: &str, code: i32) -> Value {
    let run = world.run_json(&["restore", "resume", plan]).await;
    run.exits(code).json()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_whose_making_was_cut_off_is_found_and_not_made_again() {
    let mut world = World::with_snapshot(30).await;
    let user = world.a_user().await;
    let name = text(&live(&world, "user")[&user]["userPrincipalName"]);
    let group = json!({"displayName": "Vault keepers", "mailEnabled": false,
        "mailNickname": "keepers", "securityEnabled": true});
    let group = world.graph("POST", "/groups", Some(group)).await;
    let group = text(&group["id"]);
    let link = json!({"@odata.id": format!("{}/v1.0/users/{user}", world.server.url())});
    let members = format!("/groups/{group}/members/$ref");
    world.graph("POST", &members, Some(link)).await;
    world.snapshot().await;

    let cases: [(&str, &str, (&str, &str)); 2] = [
        ("user", "/users", ("POST", "/users")),
        ("group", "/groups", ("PATCH", "/groups(uniqueName=*")),
    ];
    for (object_type, list_path, request) in cases {
        let id = if object_type == "user" { &user } else { &group };
        destroy(&world, list_path, "/directory/deletedItems", id).await;
        let there = |world: &World| {
            let all = live(world, object_type);
            let (key, value) = match object_type {
                "user" => ("userPrincipalName", name.as_str()),
                _ => ("displayName", "Vault keepers"),
            };
            find(&all, key, value).len()
        };
        assert_eq!(there(&world), 0);
        let plan = plan(&world).await;
        let plan = text(&plan["plan"]["name"]);
        kill_after(&mut world, &plan, request, |world| there(world) == 1).await;
        let restore = resumed(&world, &plan, 0).await;
        assert_eq!(restore["verified"], true, "{restore}");
        assert_eq!(restore["failed"], 0, "{restore}");
        assert_eq!(there(&world), 1, "and made once only");
        // One object with the former one, wherever it was named.
        let report = world.report("latest").await;
        for kind in ["added", "hardDeleted"] {
            assert_eq!(report["counts"][kind].as_u64().unwrap_or(0), 0, "{report}");
        }
    }
    let log = world.up().log();
    assert!(!log.contains("Rw1!"), "no password is told");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_what_has_no_key_a_person_has_to_find_out() {
    let mut world = World::start(20).await;
    world.register().await;
    let office = json!({"@odata.type": "#microsoft.graph.ipNamedLocation",
        "displayName": "Vault office", "isTrusted": false,
        "ipRanges": [{"@odata.type": "#microsoft.graph.iPv4CidrRange", "cidrAddress": "192.0.2.0/24"}]});
    let place = "/identity/conditionalAccess/namedLocations";
    let office = world.graph("POST", place, Some(office)).await;
    world.snapshot().await;
    let bin = "/identity/conditionalAccess/deletedItems/namedLocations";
    destroy(&world, place, bin, &text(&office["id"])).await;
    let plan = plan(&world).await;
    let plan = text(&plan["plan"]["name"]);
    let there = |world: &World| {
        let all = live(world, "namedLocation");
        find(&all, "displayName", "Vault office").len()
    };
    kill_after(&mut world, &plan, ("POST", place), |world| {
        there(world) == 1
    })
    .await;
    let restore = resumed(&world, &plan, 3).await;
    assert_eq!(restore["failed"], 1, "{restore}");
    assert_eq!(there(&world), 1, "it is not made again");
    let failures = world.run_json(&["restore", "failures", &plan]).await;
    let failures = failures.exits(0).json();
    let detail = text(&list(&failures)[0]["detail"]);
    assert!(detail.contains("look for it by its name"), "{detail}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tie_whose_making_was_cut_off_is_not_made_again() {
    let mut world = World::with_snapshot(30).await;
    let before = world.simulator.dump(TENANT);
    let grants = |world: &World| {
        let dump = world.simulator.dump(TENANT);
        let grants = dump["oAuth2PermissionGrants"].as_object();
        grants.map_or(0, serde_json::Map::len)
    };
    let all = grants(&world);
    let held = before["oAuth2PermissionGrants"].as_object();
    let id = held.and_then(|held| held.keys().next()).expect("a grant");
    let path = format!("/oauth2PermissionGrants/{id}");
    world.graph("DELETE", &path, None).await;
    let plan = plan(&world).await;
    let plan = text(&plan["plan"]["name"]);
    let request = ("POST", "/oauth2PermissionGrants");
    kill_after(&mut world, &plan, request, |world| grants(world) == all).await;
    let restore = resumed(&world, &plan, 0).await;
    assert_eq!(restore["verified"], true, "{restore}");
    let after = world.simulator.dump(TENANT);
    assert_eq!(
        simulator::live_differences(&before, &after),
        Vec::<String>::new()
    );

    let roles = "/roleManagement/directory/roleAssignments";
    let assigned = world.graph("GET", roles, None).await;
    let count = |world: &World| {
        let dump = world.simulator.dump(TENANT);
        list(&dump["roleAssignments"]).len()
    };
    let all = count(&world);
    let id = text(&list(&assigned["value"])[0]["id"]);
    world.graph("DELETE", &format!("{roles}/{id}"), None).await;
    assert_eq!(count(&world), all - 1);
    let plan = self::plan(&world).await;
    let plan = text(&plan["plan"]["name"]);
    kill_after(&mut world, &plan, ("POST", roles), |world| {
        count(world) == all
    })
    .await;
    let restore = resumed(&world, &plan, 0).await;
    assert_eq!(restore["verified"], true, "{restore}");
    assert_eq!(count(&world), all);
}
