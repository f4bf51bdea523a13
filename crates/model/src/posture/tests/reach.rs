//! Who could delete for good.

use super::*;

const APPLICATIONS: &str = "9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3";

fn types(kinds: &[(u8, &str)]) -> HashMap<ObjectId, String> {
    let named = kinds.iter();
    named
        .map(|(n, kind)| (id(*n), format!("#microsoft.graph.{kind}")))
        .collect()
}

#[test]
fn holders_are_counted_once_and_through_groups() {
    let mut seen = guarded();
    seen.roles.as_mut().expect("known").extend([
        role(
            APPLICATIONS,
            "Application Administrator",
            &[
                "microsoft.directory/deletedItems.applications/delete",
                "microsoft.directory/applications/delete",
            ],
        ),
        role(
            id(80).as_str(),
            "Restorer",
            &[
                "microsoft.directory/deletedItems.users/restore",
                "microsoft.directory/users/delete",
            ],
        ),
        Role {
            enabled: false,
            ..role(id(81).as_str(), "Off", &[HARD_DELETE])
        },
        role(
            id(82).as_str(),
            "Custom",
            &["microsoft.directory/DeletedItems/allProperties/allTasks"],
        ),
        role(id(83).as_str(), "Held by nobody", &[HARD_DELETE]),
    ]);
    let mut held = vec![assignment(20, GLOBAL_ADMINISTRATOR, 1)];
    held.extend([
        assignment(21, APPLICATIONS, 1),
        assignment(22, APPLICATIONS, 40),
        assignment(23, APPLICATIONS, 50),
        assignment(24, APPLICATIONS, 60),
        assignment(25, id(80).as_str(), 2),
        assignment(26, id(81).as_str(), 3),
        assignment(27, id(82).as_str(), 5),
    ]);
    seen.assignments = Ok(held);
    seen.principals = Ok(Principals {
        types: types(&[
            (1, "user"),
            (40, "group"),
            (50, "servicePrincipal"),
            (2, "user"),
            (3, "user"),
            (4, "user"),
            (5, "user"),
        ]),
        members: [(id(40), [id(1), id(4)].into())].into(),
    });
    let posture = judge(&seen);
    let roles = posture.holders.roles.as_ref().expect("known");
    let told: Vec<_> = roles
        .iter()
        .map(|role| {
            (
                role.name.as_str(),
                role.users.len(),
                role.groups,
                role.service_principals.len(),
                role.others,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("Global Administrator", 1, 0, 0, 0),
            ("Application Administrator", 2, 1, 1, 1),
            ("Custom", 1, 0, 0, 0),
        ]
    );
    let people = posture.checks.iter().find(|it| it.kind.id == "few-people");
    let people = people.expect("it is there");
    assert_eq!(
        (people.status, people.sentence.as_str()),
        (
            NotKnown,
            "Not known: of 1 holder it could not be read what they are."
        )
    );
    assert_eq!(
        people.evidence[1],
        "Application Administrator: 2 users, among them the members of 1 group, 1 service principal, 1 of a kind that could not be looked up (microsoft.directory/deletedItems.applications/delete)"
    );
    // The service principal that holds a role.
    assert_eq!(bad(&seen)[1..], [("no-other-applications", Finding)]);
    seen.own = [id(50)].into();
    seen.assignments
        .as_mut()
        .expect("known")
        .retain(|one| one.id != id(24));
    assert_eq!(bad(&seen), []);
    let posture = judge(&seen);
    let people = posture.checks.iter().find(|it| it.kind.id == "few-people");
    let people = people.expect("it is there");
    assert_eq!(
        people.sentence,
        "2 people beside the break-glass accounts could delete something for good today."
    );
}

#[test]
fn many_people_are_a_finding() {
    for (last, expected) in [(5, &[][..]), (6, &[("few-people", Finding)][..])] {
        let change = |seen: &mut Seen| {
            let all: Vec<u8> = (1..=last).collect();
            seen.assignments = Ok(all
                .iter()
                .map(|n| assignment(20 + n, GLOBAL_ADMINISTRATOR, *n))
                .collect());
            let kinds: Vec<(u8, &str)> = all.iter().map(|n| (*n, "user")).collect();
            seen.principals.as_mut().expect("known").types = types(&kinds);
        };
        check(change, expected);
    }
}

#[test]
fn applications_count_by_their_permissions_but_for_rewinds_own() {
    let granted = |n: u8, permission: &str| Granted {
        principal: id(n),
        name: format!("App {n}"),
        permission: permission.to_owned(),
    };
    let mut seen = guarded();
    seen.granted = Ok(vec![
        granted(70, "User.Read.All"),
        granted(71, "User.DeleteRestore.All"),
    ]);
    seen.own = [id(71)].into();
    assert_eq!(bad(&seen), []);
    let all = ["Group.ReadWrite.All", "AppRoleAssignment.ReadWrite.All"].map(|it| granted(72, it));
    seen.granted.as_mut().expect("known").extend(all);
    let posture = judge(&seen);
    let found: Vec<&Check> = posture.with(Status::Finding).collect();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].kind.id, "no-other-applications");
    assert_eq!(
        found[0].evidence,
        [
            "\"App 72\" holds Group.ReadWrite.All (groups), AppRoleAssignment.ReadWrite.All (anything, since it can give itself a permission)"
        ]
    );
}
