//! Which entries are taken from the log, and to which changes they belong.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::diff::{Scope, diff};
use crate::fixture::{content, group, id, link, object, user};
use crate::id::ObjectId;
use crate::object::{Link, Object, ObjectState};

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000 + seconds, 0).expect("in range")
}

fn app(name: &str) -> Value {
    json!({"app": {"appId": format!("ID-{name}"), "displayName": name}, "user": null})
}

/// An entry as Graph sends it.
fn sent(number: i64, seconds: i64, activity: &str, by: &Value, targets: &[&str]) -> Value {
    let targets: Vec<Value> = targets
        .iter()
        .map(|id| json!({"id": id, "type": "User", "modifiedProperties": []}))
        .collect();
    json!({
        "id": format!("Directory_{number}"),
        "activityDateTime": at(seconds).to_rfc3339(),
        "activityDisplayName": activity,
        "correlationId": format!("correlation-{number}"),
        "result": "success",
        "initiatedBy": by,
        "targetResources": targets,
    })
}

fn taken(sent: &[Value]) -> Vec<Entry> {
    sent.iter()
        .filter_map(|entry| Entry::from_value(entry).expect("well-formed"))
        .collect()
}

/// Two states that were read at two times.
fn states(base: (Vec<Object>, Vec<Link>), target: (Vec<Object>, Vec<Link>)) -> (Content, Content) {
    let read = |(objects, links): (Vec<Object>, Vec<Link>), from: i64, until: i64| {
        let mut content = content(objects, links);
        for record in &mut content.completeness {
            (record.not_before, record.not_after) = (at(from), at(until));
        }
        content
    };
    (read(base, 0, 10), read(target, 100, 110))
}

/// What is told of each change: its object, and who did what.
fn told((base, target): &(Content, Content), entries: &[Entry]) -> Vec<(ObjectId, Vec<String>)> {
    let changes = diff(base, target, &Scope::default()).changes;
    let log = Log::new(entries);
    let sought = Sought::of(&changes, base, target);
    let line = |entry: &&Entry| {
        let by = entry.initiator.as_ref().map(|by| by.name.clone());
        format!("{}: {}", by.unwrap_or_default(), entry.activity)
    };
    let told = |(change, sought): (&Change, &Sought)| {
        let entries = log.tell(sought).entries;
        (change.object.id.clone(), entries.iter().map(line).collect())
    };
    changes.iter().zip(&sought).map(told).collect()
}

#[test]
fn an_entry_is_read_as_microsoft_documents_it() {
    let entry = json!({
        "id": "Directory_1",
        "category": "GroupManagement",
        "correlationId": "da159bfb-54fa-4092-8a38-6e1fa7870e30",
        "result": "success",
        "activityDisplayName": "Add member to group",
        "activityDateTime": "2018-01-09T21:20:02.7215374Z",
        "initiatedBy": {
            "user": {
                "id": "728309AE-1a37-4937-9afe-e35d964db09b",
                "displayName": "Audry Oliver",
                "userPrincipalName": "audry@wingtiptoys.example",
                "ipAddress": "127.0.0.1",
            },
            "app": null,
        },
        "targetResources": [{
            "id": "1f0e98f5-3161-4c6b-9b50-d488572f2bb7",
            "Type": "User",
            "modifiedProperties": [
                {"displayName": "Group.ObjectID", "oldValue": null, "newValue": "\"ef7e527d-6c92-4234-8c6d-cf6fdfb57f95\""},
                {"displayName": "AccountEnabled", "oldValue": "[true]", "newValue": "[false]"},
                {"displayName": "Action Client Name", "newValue": "DirectorySync"},
            ],
        }],
    });
    let taken = Entry::from_value(&entry)
        .expect("well-formed")
        .expect("a success");
    assert_eq!(taken.time.timestamp_subsec_millis(), 721);
    assert_eq!(taken.targets, ["1f0e98f5-3161-4c6b-9b50-d488572f2bb7"]);
    assert_eq!(taken.mentioned, ["ef7e527d-6c92-4234-8c6d-cf6fdfb57f95"]);
    assert_eq!(taken.properties, ["AccountEnabled"]);
    let by = taken.initiator.expect("it says who");
    assert_eq!(by.kind, InitiatorType::User);
    assert_eq!(by.id, "728309ae-1a37-4937-9afe-e35d964db09b");
    assert_eq!(
        (by.name.as_str(), by.ip_address.as_str()),
        ("audry@wingtiptoys.example", "127.0.0.1")
    );
}

/// Every example of Microsoft's documentation that is a list is read; two ways of
/// writing the type of a target are among them.
#[test]
fn documented_examples_are_read() {
    let Some(data) = crate::catalogue::tests::shared_data() else {
        println!("skipped: the shared data is not on this machine");
        return;
    };
    let folder = data.join("docs-examples/directoryAudit");
    let files = std::fs::read_dir(folder).expect("a folder");
    let mut read = 0;
    for file in files {
        let text = std::fs::read_to_string(file.expect("a file").path()).expect("text");
        let example: Value = serde_json::from_str(&text).expect("json");
        for entry in example["body"]["value"].as_array().into_iter().flatten() {
            let entry = Entry::from_value(entry)
                .expect("well-formed")
                .expect("a success");
            assert!(!entry.activity.is_empty());
            let by = entry.initiator.expect("it says who");
            assert_eq!(by.kind, InitiatorType::User);
            read += 1;
        }
    }
    assert_eq!(read, 5);
}

#[test]
fn what_is_no_entry_says_what_it_lacks() {
    let whole = sent(1, 1, "Update user", &app("A"), &["x"]);
    let without = |key: &str| {
        let mut entry = whole.clone();
        entry[key] = Value::Null;
        Entry::from_value(&entry)
    };
    for key in ["id", "activityDateTime", "activityDisplayName"] {
        let error = without(key).expect_err(key);
        assert_eq!(
            error.to_string(),
            format!("an entry of the audit log has no {key}")
        );
    }
    assert_eq!(without("result"), Ok(None));
    let nobody = without("initiatedBy")
        .expect("well-formed")
        .expect("a success");
    assert_eq!(nobody.initiator, None);
    let mut failed = whole.clone();
    failed["result"] = json!("failure");
    assert_eq!(Entry::from_value(&failed), Ok(None));
    let service = json!({"user": {"id": null}, "app": {"appId": null, "servicePrincipalId": "S", "displayName": "Microsoft Substrate Management"}});
    let entry = sent(1, 1, "Update user", &service, &["x"]);
    let by = Entry::from_value(&entry)
        .expect("well-formed")
        .expect("a success")
        .initiator;
    assert_eq!(by.map(|by| by.id), Some("s".to_owned()));
}

/// An entry about one object that mentions another.
fn mentioning(about: &str, other: &str) -> Value {
    let mut entry = sent(7, 60, "Update user", &app("Fourth"), &[about]);
    entry["targetResources"][0]["modifiedProperties"] =
        json!([{"displayName": "Sender.ObjectID", "newValue": format!("\"{other}\"")}]);
    entry
}

#[test]
fn each_change_has_the_entries_about_it_and_no_others() {
    let states = states(
        (vec![user(1, "a"), user(2, "a"), group(3)], vec![]),
        (
            vec![user(1, "b"), user(2, "a"), group(3)],
            vec![link(LinkKind::GroupMembers, 3, 1)],
        ),
    );
    let (one, two, three) = (id(1), id(2), id(3));
    let (one, two, three) = (one.as_str(), two.as_str(), three.as_str());
    let entries = taken(&[
        sent(1, 20, "Update user", &app("Intruder"), &[one]),
        sent(2, 30, "Add member to group", &app("Other"), &[one, three]),
        // Somebody else joined and left again.
        sent(3, 40, "Add member to group", &app("Third"), &[two, three]),
        sent(4, 50, "Update user", &app("Third"), &[two]),
        // Before the base was read, and after the target was.
        sent(5, -1, "Update user", &app("Early"), &[one]),
        sent(6, 111, "Update user", &app("Late"), &[one]),
        mentioning(two, one),
        // The same once more.
        sent(1, 20, "Update user", &app("Intruder"), &[one]),
    ]);
    let line = |line: &str| vec![line.to_owned()];
    assert_eq!(
        told(&states, &entries),
        [
            (id(1), line("Intruder: Update user")),
            (id(3), line("Other: Add member to group")),
        ]
    );
}

#[test]
fn what_ties_others_together_is_known_by_them() {
    let assignment = |n: u8, principal: u8, role: u8| {
        object(
            ObjectType::AppRoleAssignment,
            n,
            ObjectState::Live,
            json!({"principalId": id(principal).as_str(), "resourceId": id(8).as_str(), "appRoleId": id(role).as_str()}),
        )
    };
    let role = object(
        ObjectType::RoleAssignment,
        6,
        ObjectState::Live,
        json!({"principalId": id(1).as_str(), "roleDefinitionId": id(9).as_str(), "directoryScopeId": "/"}),
    );
    let credential = object(
        ObjectType::FederatedIdentityCredential,
        7,
        ObjectState::Live,
        json!({"name": "deploy", crate::catalogue::OWNER: id(5).as_str()}),
    );
    let grant = object(
        ObjectType::OAuth2PermissionGrant,
        4,
        ObjectState::Live,
        json!({"clientId": id(5).as_str(), "resourceId": id(8).as_str(), "consentType": "AllPrincipals", "scope": "a"}),
    );
    let states = states(
        (vec![], vec![]),
        (
            vec![
                assignment(1, 10, 20),
                assignment(2, 11, 20),
                role,
                credential,
                grant,
            ],
            vec![],
        ),
    );
    let ids: Vec<String> = (0..=20).map(|n| id(n).to_string()).collect();
    let name =
        |numbers: &[usize]| -> Vec<&str> { numbers.iter().map(|n| ids[*n].as_str()).collect() };
    let mut federated = sent(5, 50, "Update application", &app("E"), &name(&[5]));
    federated["targetResources"][0]["modifiedProperties"] =
        json!([{"displayName": "FederatedIdentityCredentials"}]);
    let entries = taken(&[
        sent(
            1,
            10,
            "Add app role assignment to service principal",
            &app("A"),
            &name(&[10, 8]),
        ),
        sent(
            2,
            20,
            "Add app role assignment to service principal",
            &app("B"),
            &name(&[11, 8, 19]),
        ),
        sent(3, 30, "Add member to role", &app("C"), &name(&[1, 9])),
        sent(
            4,
            40,
            "Add delegated permission grant",
            &app("D"),
            &name(&[5, 8]),
        ),
        federated,
        sent(6, 60, "Update application", &app("F"), &name(&[5])),
    ]);
    let told: BTreeMap<ObjectId, Vec<String>> = told(&states, &entries).into_iter().collect();
    let of = |n: u8| {
        told[&id(n)]
            .iter()
            .map(|line| &line[..1])
            .collect::<String>()
    };
    assert_eq!(of(1), "A");
    assert_eq!(of(2), "", "the entry names another role");
    assert_eq!(
        (of(4).as_str(), of(6).as_str(), of(7).as_str()),
        ("D", "C", "E")
    );
}

#[test]
fn what_a_service_principal_copies_was_done_to_its_registration() {
    let app_id = "aaaaaaaa-0000-4000-8000-000000000001";
    let app = |object_type, n: u8, name: &str, enabled: bool| {
        let body = json!({"displayName": name, "appId": app_id, "accountEnabled": enabled});
        object(object_type, n, ObjectState::Live, body)
    };
    let pair = |name: &str, enabled: bool| {
        vec![
            app(ObjectType::Application, 1, name, true),
            app(ObjectType::ServicePrincipal, 2, name, enabled),
        ]
    };
    let one = id(1);
    let changed = |number: i64, by: &str, property: &str| {
        let by = self::app(by);
        let mut entry = sent(number, number, "Update application", &by, &[one.as_str()]);
        entry["targetResources"][0]["modifiedProperties"] = json!([{"displayName": property}]);
        entry
    };
    let entries = taken(&[changed(20, "A", "DisplayName"), changed(30, "B", "Web")]);
    let name = |line: &str| format!("{line}: Update application");
    let renamed = states((pair("Old", true), vec![]), (pair("New", true), vec![]));
    assert_eq!(
        told(&renamed, &entries),
        [
            (id(1), vec![name("B"), name("A")]),
            (id(2), vec![name("A")]),
        ]
    );
    let disabled = states((pair("Old", true), vec![]), (pair("Old", false), vec![]));
    assert_eq!(told(&disabled, &entries), [(id(2), vec![])]);
}

#[test]
fn the_only_object_of_a_type_is_known_by_the_activity() {
    let policy = |who: &str| {
        object(
            ObjectType::AuthorizationPolicy,
            1,
            ObjectState::Live,
            json!({"allowInvitesFrom": who}),
        )
    };
    let states = states(
        (vec![policy("everyone"), user(2, "a")], vec![]),
        (vec![policy("none"), user(2, "b")], vec![]),
    );
    let entries = taken(&[sent(
        1,
        20,
        "Update Authorization Policy",
        &app("A"),
        &["else"],
    )]);
    let told: BTreeMap<ObjectId, Vec<String>> = told(&states, &entries).into_iter().collect();
    assert_eq!(told[&id(1)], ["A: Update Authorization Policy"]);
    assert_eq!(told[&id(2)], Vec::<String>::new());
}

#[test]
fn a_flood_hides_nobody() {
    let states = states((vec![user(1, "a")], vec![]), (vec![user(1, "b")], vec![]));
    let one = id(1);
    let mut flood: Vec<Value> = (0..20)
        .map(|n| sent(n, 30 + n, "Update user", &app("Sync"), &[one.as_str()]))
        .collect();
    flood.push(sent(
        99,
        20,
        "Disable account",
        &app("Intruder"),
        &[one.as_str()],
    ));
    let entries = taken(&flood);
    let (base, target) = &states;
    let changes = diff(base, target, &Scope::default()).changes;
    let sought = Sought::of(&changes, base, target);
    let log = Log::new(&entries);
    let told = log.tell(&sought[0]);
    let ids: Vec<&str> = told.entries.iter().map(|entry| entry.id.as_str()).collect();
    assert_eq!(
        ids,
        [
            "Directory_19",
            "Directory_18",
            "Directory_17",
            "Directory_16",
            "Directory_99"
        ]
    );
    assert_eq!(told.more, 16);
    assert_eq!(Sought::window(&sought), Some((at(0), at(110))));
}

#[test]
fn the_log_is_kept_as_long_as_microsoft_says() {
    assert_eq!(kept(Licence::None), TimeDelta::days(7));
    assert_eq!(kept(Licence::P1), kept(Licence::P2));
    assert_eq!(kept(Licence::P2), TimeDelta::days(30));
}

proptest! {
    /// The order of reading, and reading twice, leave no trace; what is told is in
    /// time, about the object, and newest first.
    #[test]
    fn order_and_repetition_do_not_matter(
        made in prop::collection::vec((0_i64..40, -20_i64..130, 1_u8..4, 0_u8..3), 0..30),
        turn in 0_usize..30,
    ) {
        let mut seen = HashSet::new();
        let sent: Vec<Value> = made
            .iter()
            .filter(|(number, ..)| seen.insert(*number))
            .map(|(number, seconds, about, by)| {
                sent(*number, *seconds, "Update user", &app(&by.to_string()), &[id(*about).as_str()])
            })
            .collect();
        let mut turned = [sent.clone(), sent.clone()].concat();
        if !turned.is_empty() {
            let turn = turn % turned.len();
            turned.rotate_left(turn);
        }
        let (plain, turned) = (taken(&sent), taken(&turned));
        let states = states(
            (vec![user(1, "a"), user(2, "a")], vec![]),
            (vec![user(1, "b"), user(2, "b")], vec![]),
        );
        let (base, target) = &states;
        let changes = diff(base, target, &Scope::default()).changes;
        let sought = Sought::of(&changes, base, target);
        let (first, second) = (Log::new(&plain), Log::new(&turned));
        for one in &sought {
            let told = first.tell(one);
            prop_assert_eq!(&told, &second.tell(one));
            prop_assert!(told.entries.len() <= MOST);
            let met = plain.iter().filter(|entry| {
                entry.names(&one.id) && entry.time >= at(0) && entry.time <= at(110)
            });
            prop_assert_eq!(told.entries.len() + told.more, met.count());
            prop_assert!(told.entries.is_sorted_by(|a, b| a.time >= b.time));
            for entry in told.entries {
                prop_assert!(entry.names(&one.id) && entry.time >= at(0) && entry.time <= at(110));
            }
        }
    }
}
