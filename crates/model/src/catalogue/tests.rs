use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::*;

#[test]
fn names_are_unique_and_reversible() {
    for spec in TYPES {
        assert_eq!(ObjectType::from_name(spec.name), Some(spec.object_type));
        assert!(std::ptr::eq(spec.object_type.spec(), spec));
        let names: HashSet<_> = spec
            .properties
            .iter()
            .map(|property| property.name)
            .collect();
        assert_eq!(
            names.len(),
            spec.properties.len(),
            "a property of {} is listed twice",
            spec.name
        );
    }
    for kind in LinkKind::ALL {
        assert_eq!(LinkKind::from_name(kind.name()), Some(kind));
        assert_eq!(
            kind.spec().name,
            format!("{}/{}", kind.source_type().name(), kind.spec().relation)
        );
    }
}

#[test]
fn rank_puts_what_is_referred_to_before_what_refers() {
    let rank = |object_type: ObjectType| object_type.spec().rank;
    assert!(rank(ObjectType::Application) < rank(ObjectType::ServicePrincipal));
    assert!(rank(ObjectType::NamedLocation) < rank(ObjectType::ConditionalAccessPolicy));
    let groups = [
        &[ObjectType::User, ObjectType::Group][..],
        &[ObjectType::Application],
        &[ObjectType::ServicePrincipal],
        &[ObjectType::AdministrativeUnit],
        &[
            ObjectType::OAuth2PermissionGrant,
            ObjectType::AppRoleAssignment,
            ObjectType::RoleAssignment,
            ObjectType::FederatedIdentityCredential,
        ],
        &[
            ObjectType::AuthenticationMethodsPolicy,
            ObjectType::AuthorizationPolicy,
            ObjectType::Organization,
        ],
        &[
            ObjectType::NamedLocation,
            ObjectType::AuthenticationContextClassReference,
            ObjectType::AuthenticationStrengthPolicy,
        ],
        &[ObjectType::ConditionalAccessPolicy],
    ];
    for pair in groups.windows(2) {
        let (before, after) = (pair[0].iter(), pair[1].iter());
        let last = before.map(|one| rank(*one)).max();
        assert!(
            last < after.map(|one| rank(*one)).min(),
            "{:?} before {:?}",
            pair[0],
            pair[1]
        );
    }
    assert_eq!(
        groups.iter().map(|group| group.len()).sum::<usize>(),
        TYPES.len()
    );
}

#[test]
fn the_way_to_an_object_follows_from_how_its_type_is_read() {
    let id = |text: &str| crate::ObjectId::parse(text).expect("is an id");
    for spec in TYPES {
        let contained = matches!(spec.reading, Reading::Contained { .. });
        assert_eq!(contained, spec.list_path.contains("{owner}"));
        if let Reading::Contained { owner, relation } = spec.reading {
            let list = format!("{}/{{owner}}/{relation}", owner.spec().list_path);
            assert_eq!(spec.list_path, list);
            assert!(!spec.select && spec.deleted.is_none() && spec.delta_path.is_none());
        }
        let ties = spec.ties.iter().filter(|tie| **tie != OWNER);
        assert!(ties.copied().all(|name| spec.property(name).is_some()));
        let inline = spec.inline.iter();
        assert!(inline.copied().all(|name| spec.property(name).is_some()));
    }
    let check = |path: String, expected: &str| assert_eq!(path, expected);
    check(USER.item_path(&id("a")), "/users/a");
    check(
        AUTHORIZATION_POLICY.item_path(&id("authorizationPolicy")),
        "/policies/authorizationPolicy",
    );
    check(
        APP_ROLE_ASSIGNMENT.contained_path(&id("o"), &id("a")),
        "/servicePrincipals/o/appRoleAssignedTo/a",
    );
    check(
        FEDERATED_IDENTITY_CREDENTIAL.contained_list_path(&id("o")),
        "/applications/o/federatedIdentityCredentials",
    );
}

/// What the tables of the new types leave out, each for a reason that stands
/// where the table is.
const LEFT_OUT: [(&str, &str); 1] = [("organization", "mobileDeviceManagementAuthority")];

/// The shared data directory, where this machine has one.
pub(crate) fn shared_data() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(3)?;
    Some(root.join("shared/data")).filter(|path| path.is_dir())
}

#[test]
fn every_property_and_link_is_in_the_schema() {
    let Some(data) = shared_data() else {
        println!("skipped: the shared data is not on this machine");
        return;
    };
    let text =
        std::fs::read_to_string(data.join("graph-schema/v1.0.json")).expect("schema is readable");
    let schema: serde_json::Value = serde_json::from_str(&text).expect("schema is JSON");
    let members = |entity: &str, part: &str| {
        let mut names = HashSet::new();
        let mut entity = Some(entity.to_owned());
        while let Some(name) = entity {
            let entry = &schema[&name];
            names.extend(
                entry[part]
                    .as_object()
                    .into_iter()
                    .flat_map(|map| map.keys().cloned()),
            );
            entity = entry["base"].as_str().map(str::to_owned);
        }
        names
    };
    let mut checked = 0;
    for spec in TYPES {
        let properties: HashSet<_> = spec
            .entities
            .iter()
            .flat_map(|entity| members(entity, "properties"))
            .collect();
        let navigation: HashSet<_> = spec
            .entities
            .iter()
            .flat_map(|entity| members(entity, "navigation"))
            .collect();
        for property in spec.properties {
            // What comes inline is a relation there, and no property.
            let inline = spec.inline.contains(&property.name);
            let (place, other) = if inline {
                (&navigation, &properties)
            } else {
                (&properties, &navigation)
            };
            assert!(
                place.contains(property.name) && !other.contains(property.name),
                "{}.{} is not in the schema, or not as what it is said to be",
                spec.name,
                property.name
            );
            checked += 1;
        }
        for link in spec.links {
            assert!(
                navigation.contains(link.relation),
                "{} is not in the schema",
                link.name
            );
        }
        if let Reading::Contained { owner, relation } = spec.reading {
            let contained = owner.spec().entities.iter();
            assert!(
                contained
                    .flat_map(|entity| members(entity, "navigation"))
                    .any(|name| name == relation),
                "{} is not in the schema",
                spec.list_path
            );
        }
    }
    let mut left_out = Vec::new();
    for spec in TYPES.iter().filter(|spec| !spec.object_type.is_essential()) {
        for name in spec
            .entities
            .iter()
            .flat_map(|entity| members(entity, "properties"))
        {
            if name != "id" && spec.property(&name).is_none() {
                left_out.push(format!("{}.{name}", spec.name));
            }
        }
    }
    let named = LEFT_OUT.map(|(owner, name)| format!("{owner}.{name}"));
    assert_eq!(left_out, named, "what the tables leave out");
    println!("{checked} properties checked against the v1.0 schema");
}

/// A path of the permission table, and a method.
type Place = (String, &'static str);

/// Where a type is read, and where it is written.
fn permission_places(spec: &TypeSpec) -> (Place, Vec<Place>) {
    let list = spec.list_path.replace("{owner}", "{id}").to_lowercase();
    let item = match spec.reading {
        Reading::Singleton => list.clone(),
        Reading::List | Reading::Contained { .. } => format!("{list}/{{id}}"),
    };
    let read = (list.clone(), "GET");
    let write = vec![(item.clone(), "PATCH"), (item, "DELETE"), (list, "POST")];
    (read, write)
}

#[test]
fn every_permission_is_documented_where_it_is_needed() {
    let Some(data) = shared_data() else {
        println!("skipped: the shared data is not on this machine");
        return;
    };
    let text = std::fs::read_to_string(data.join("graph-schema/permissions-by-path.json"))
        .expect("permissions are readable");
    let table: serde_json::Value = serde_json::from_str(&text).expect("permissions are JSON");
    let documented = |(path, method): &(String, &str), permission: &str| {
        table["paths"][path][method]["Application"]
            .as_array()
            .is_some_and(|names| names.iter().any(|name| name == permission))
    };
    for spec in TYPES {
        let (read, write) = permission_places(spec);
        for permission in spec.read_permissions {
            assert!(
                documented(&read, permission),
                "{permission} does not read {}",
                spec.name
            );
        }
        assert!(!spec.read_permissions.is_empty() && !spec.write_permissions.is_empty());
        for permission in spec.write_permissions {
            assert!(
                write.iter().any(|place| documented(place, permission)),
                "{permission} does not write {}",
                spec.name
            );
        }
    }
}

fn repository(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    let path = root.expect("a crate is in a repository").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_page_of_the_types_is_up_to_date() {
    assert!(
        repository("docs/types.md") == page::markdown(),
        "docs/types.md is not what the catalogue says; run `cargo xtask docs`"
    );
}

#[test]
fn the_readme_names_the_permissions_and_types() {
    let readme = repository("README.md");
    let check = |app: &str, permissions: Vec<&str>| {
        let names: Vec<String> = permissions.iter().map(|one| format!("`{one}`")).collect();
        let row = format!("| {app} | {} |", names.join(", "));
        assert!(
            readme.lines().any(|line| line == row),
            "README.md needs the row\n{row}"
        );
    };
    check("reader", permissions::reader());
    check("reader, optional", permissions::AUDIT_LOG[..1].to_vec());
    check("writer", permissions::writer());
    check("writer, optional", permissions::writer_optional());
    assert!(permissions::reader().contains(&permissions::AUDIT_LOG[1]));
}

/// What is stored was sorted in this order; a new name goes to the end.
#[test]
fn the_storage_order_of_types_and_links_stands() {
    assert_eq!(
        ObjectType::ALL.map(ObjectType::name),
        [
            "user",
            "group",
            "application",
            "servicePrincipal",
            "namedLocation",
            "conditionalAccessPolicy",
            "oAuth2PermissionGrant",
            "appRoleAssignment",
            "authenticationMethodsPolicy",
            "authorizationPolicy",
            "authenticationStrengthPolicy",
            "authenticationContextClassReference",
            "organization",
            "administrativeUnit",
            "unifiedRoleAssignment",
            "federatedIdentityCredential",
        ]
    );
    assert_eq!(
        LinkKind::ALL.map(LinkKind::name),
        [
            "group/members",
            "group/owners",
            "application/owners",
            "servicePrincipal/owners",
            "user/manager",
            "user/sponsors",
            "administrativeUnit/members",
        ]
    );
    // Runs are sorted by the variants, lists by the places in `ALL`: both are one.
    assert!(ObjectType::ALL.is_sorted() && LinkKind::ALL.is_sorted());
    assert!((0..).zip(ObjectType::ALL).all(|(at, it)| it as usize == at));
    assert!((0..).zip(LinkKind::ALL).all(|(at, it)| it as usize == at));
}
