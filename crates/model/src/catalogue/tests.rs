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
    assert!(
        TYPES
            .iter()
            .all(|spec| spec.rank <= rank(ObjectType::ConditionalAccessPolicy))
    );
}

/// The shared data directory, where this machine has one.
fn shared_data() -> Option<PathBuf> {
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
            assert!(
                properties.contains(property.name),
                "{}.{} is not in the schema",
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
    }
    println!("{checked} properties checked against the v1.0 schema");
}
