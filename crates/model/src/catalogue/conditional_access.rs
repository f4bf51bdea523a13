//! Conditional Access policies and named locations.
//!
//! Both are read whole, without `$select`, since a property that the table
//! does not know must not be lost. Neither has a delta function.

use serde_json::{Value, json};

use super::{
    DeletedPaths, Distortion, Lane, ObjectType, Reading, TypeSpec, Write, object, read_only,
    scalar, set, volatile,
};

/// `conditionalAccessPolicy`.
pub static CONDITIONAL_ACCESS_POLICY: TypeSpec = TypeSpec {
    object_type: ObjectType::ConditionalAccessPolicy,
    name: "conditionalAccessPolicy",
    entities: &["conditionalAccessPolicy"],
    list_path: "/identity/conditionalAccess/policies",
    select: false,
    page_size: None,
    reading: Reading::List,
    delta_path: None,
    deleted: Some(DeletedPaths {
        list_path: "/identity/conditionalAccess/deletedItems/policies",
        item_path: "/identity/conditionalAccess/deletedItems/policies",
        distorted: &[],
    }),
    lane: Lane::ConditionalAccess,
    properties: &[
        object("conditions")
            .written(Write::Whole)
            .with_spelling(order_flags),
        scalar("description"),
        scalar("displayName"),
        object("grantControls")
            .written(Write::Whole)
            .with_quirk(strength_by_id),
        object("sessionControls").written(Write::Whole),
        scalar("state"),
        read_only("createdDateTime"),
        // Graph answers 400 "1118: TemplateId is a read-only field".
        read_only("templateId"),
        volatile("deletedDateTime"),
        volatile("modifiedDateTime"),
    ],
    inline: &[],
    ties: &[],
    relation: None,
    links: &[],
    rank: 90,
    typed_writes: false,
    read_permissions: &["Policy.Read.All"],
    write_permissions: &[
        "Policy.Read.All",
        "Policy.ReadWrite.ConditionalAccess",
        "Application.Read.All",
    ],
};

/// `namedLocation`: IP ranges or countries.
pub static NAMED_LOCATION: TypeSpec = TypeSpec {
    object_type: ObjectType::NamedLocation,
    name: "namedLocation",
    entities: &["ipNamedLocation", "countryNamedLocation"],
    list_path: "/identity/conditionalAccess/namedLocations",
    select: false,
    page_size: None,
    reading: Reading::List,
    delta_path: None,
    deleted: Some(DeletedPaths {
        list_path: "/identity/conditionalAccess/deletedItems/namedLocations",
        item_path: "/identity/conditionalAccess/deletedItems/namedLocations",
        // A trusted location comes back untrusted.
        distorted: &[("isTrusted", Distortion::RestoredFalse)],
    }),
    lane: Lane::ConditionalAccess,
    properties: &[
        set("countriesAndRegions"),
        scalar("countryLookupMethod"),
        scalar("displayName"),
        scalar("includeUnknownCountriesAndRegions"),
        set("ipRanges"),
        scalar("isTrusted"),
        read_only("createdDateTime"),
        volatile("deletedDateTime"),
        volatile("modifiedDateTime"),
    ],
    inline: &[],
    ties: &[],
    relation: None,
    links: &[],
    rank: 80,
    typed_writes: true,
    read_permissions: &["Policy.Read.All"],
    write_permissions: &["Policy.Read.All", "Policy.ReadWrite.ConditionalAccess"],
};

/// Graph expands the strength with its name, dates and combinations, which are
/// another object's; on writing it accepts the id alone.
fn strength_by_id(value: &mut Value) {
    let Some(controls) = value.as_object_mut() else {
        return;
    };
    let id = controls
        .get("authenticationStrength")
        .and_then(|strength| strength.get("id"))
        .cloned();
    match id {
        Some(id) => controls.insert("authenticationStrength".to_owned(), json!({ "id": id })),
        None => controls.remove("authenticationStrength"),
    };
}

/// `guestOrExternalUserTypes` is a set of flags joined by commas, in no fixed
/// order.
fn order_flags(value: &mut Value) {
    for key in [
        "includeGuestsOrExternalUsers",
        "excludeGuestsOrExternalUsers",
    ] {
        let flags = value.pointer_mut(&format!("/users/{key}/guestOrExternalUserTypes"));
        if let Some(flags) = flags
            && let Some(text) = flags.as_str()
        {
            let mut names: Vec<&str> = text.split(',').map(str::trim).collect();
            names.sort_unstable();
            *flags = Value::String(names.join(","));
        }
    }
}
