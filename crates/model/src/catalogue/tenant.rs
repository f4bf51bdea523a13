//! The tenant itself and the units it is administered in.
//!
//! Not collected: the organization's `mobileDeviceManagementAuthority`, which
//! Graph returns only on `$select` and takes from the device management service.

use super::{
    Cardinality, Class, DeletedPaths, Lane, LinkKind, LinkRead, LinkSpec, ObjectType, Property,
    Reading, Shape, TypeSpec, object, read_only, scalar, set, volatile,
};

/// `organization`: the tenant's own entry, one in a list.
pub static ORGANIZATION: TypeSpec = TypeSpec {
    object_type: ObjectType::Organization,
    name: "organization",
    entities: &["organization"],
    list_path: "/organization",
    select: false,
    page_size: None,
    reading: Reading::List,
    delta_path: None,
    deleted: None,
    lane: Lane::Directory,
    properties: &[
        set("marketingNotificationEmails"),
        object("privacyProfile"),
        set("securityComplianceNotificationMails"),
        set("securityComplianceNotificationPhones"),
        set("technicalNotificationMails"),
        Property::new("businessPhones", Class::ReadOnly, Shape::Set),
        read_only("city"),
        read_only("country"),
        read_only("countryLetterCode"),
        read_only("createdDateTime"),
        read_only("defaultUsageLocation"),
        read_only("displayName"),
        read_only("onPremisesSyncEnabled"),
        read_only("partnerTenantType"),
        read_only("postalCode"),
        read_only("preferredLanguage"),
        read_only("state"),
        read_only("street"),
        read_only("tenantType"),
        Property::new("verifiedDomains", Class::ReadOnly, Shape::Set),
        // They follow from the subscriptions, whose service moves the dates.
        volatile("assignedPlans"),
        volatile("provisionedPlans"),
        volatile("deletedDateTime"),
        volatile("onPremisesLastSyncDateTime"),
    ],
    inline: &[],
    ties: &[],
    relation: None,
    links: &[],
    rank: 64,
    typed_writes: false,
    read_permissions: &["Organization.Read.All"],
    write_permissions: &["Organization.ReadWrite.All"],
};

/// `administrativeUnit`.
pub static ADMINISTRATIVE_UNIT: TypeSpec = TypeSpec {
    object_type: ObjectType::AdministrativeUnit,
    name: "administrativeUnit",
    entities: &["administrativeUnit"],
    list_path: "/directory/administrativeUnits",
    select: true,
    page_size: Some(999),
    reading: Reading::List,
    delta_path: Some("/directory/administrativeUnits/delta"),
    deleted: Some(DeletedPaths {
        list_path: "/directory/deletedItems/microsoft.graph.administrativeUnit",
        item_path: "/directory/deletedItems",
        distorted: &[],
    }),
    lane: Lane::Directory,
    properties: &[
        scalar("description"),
        scalar("displayName").never_cleared(),
        scalar("membershipRule"),
        scalar("membershipRuleProcessingState"),
        scalar("membershipType"),
        scalar("visibility"),
        // "This property is immutable and can't be changed later."
        read_only("isMemberManagementRestricted"),
        volatile("deletedDateTime"),
    ],
    inline: &[],
    ties: &[],
    relation: None,
    links: &[LinkSpec {
        kind: LinkKind::AdministrativeUnitMembers,
        name: "administrativeUnit/members",
        relation: "members",
        cardinality: Cardinality::Many,
        read: LinkRead::PerOwner,
        adds_per_write: 1,
    }],
    rank: 45,
    typed_writes: false,
    read_permissions: &["AdministrativeUnit.Read.All"],
    write_permissions: &["AdministrativeUnit.ReadWrite.All"],
};
