//! Applications and service principals.
//!
//! Password and key credentials are compared by their public parts (id, hint,
//! dates) and never written by a plain update.

use super::{
    Cardinality, Class, DeletedPaths, Lane, LinkKind, LinkRead, LinkSpec, ObjectType, Property,
    Reading, Shape, TypeSpec, Write, copied, object, read_only, scalar, set, volatile,
};

/// `application`.
pub static APPLICATION: TypeSpec = TypeSpec {
    object_type: ObjectType::Application,
    name: "application",
    entities: &["application"],
    list_path: "/applications",
    select: true,
    page_size: Some(999),
    reading: Reading::List,
    delta_path: Some("/applications/delta"),
    deleted: Some(DeletedPaths {
        list_path: "/directory/deletedItems/microsoft.graph.application",
        item_path: "/directory/deletedItems",
        distorted: &[],
    }),
    lane: Lane::Directory,
    properties: &[
        set("addIns"),
        object("api").written(Write::DisableFirst),
        set("appRoles").written(Write::DisableFirst),
        object("authenticationBehaviors"),
        scalar("defaultRedirectUri"),
        scalar("description"),
        scalar("displayName"),
        scalar("groupMembershipClaims"),
        set("identifierUris"),
        object("info").with_quirk(drop_logo_url),
        scalar("isDeviceOnlyAuthSupported"),
        scalar("isDisabled"),
        scalar("isFallbackPublicClient"),
        scalar("nativeAuthenticationApisEnabled"),
        scalar("notes"),
        object("optionalClaims"),
        object("parentalControlSettings"),
        object("publicClient"),
        object("requestSignatureVerification"),
        set("requiredResourceAccess"),
        scalar("samlMetadataUrl"),
        scalar("serviceManagementReference"),
        object("servicePrincipalLockConfiguration"),
        scalar("signInAudience"),
        object("spa"),
        set("tags"),
        scalar("tokenEncryptionKeyId"),
        object("web").with_quirk(drop_redirect_index),
        Property::new("keyCredentials", Class::Secret, Shape::Set),
        Property::new("passwordCredentials", Class::Secret, Shape::Set),
        read_only("appId"),
        read_only("applicationTemplateId"),
        read_only("certification"),
        read_only("createdDateTime"),
        read_only("disabledByMicrosoftStatus"),
        read_only("publisherDomain"),
        // Settable once, while null.
        read_only("uniqueName"),
        read_only("verifiedPublisher"),
        volatile("deletedDateTime"),
    ],
    inline: &[],
    ties: &[],
    relation: None,
    links: &[LinkSpec {
        kind: LinkKind::ApplicationOwners,
        name: "application/owners",
        relation: "owners",
        cardinality: Cardinality::Many,
        read: LinkRead::ExpandFirst,
        adds_per_write: 1,
    }],
    rank: 30,
    typed_writes: false,
    read_permissions: &["Application.Read.All"],
    write_permissions: &["Application.ReadWrite.All"],
};

/// `servicePrincipal`.
pub static SERVICE_PRINCIPAL: TypeSpec = TypeSpec {
    object_type: ObjectType::ServicePrincipal,
    name: "servicePrincipal",
    entities: &["servicePrincipal"],
    list_path: "/servicePrincipals",
    select: true,
    page_size: Some(999),
    reading: Reading::List,
    delta_path: Some("/servicePrincipals/delta"),
    deleted: Some(DeletedPaths {
        list_path: "/directory/deletedItems/microsoft.graph.servicePrincipal",
        item_path: "/directory/deletedItems",
        distorted: &[],
    }),
    lane: Lane::Directory,
    properties: &[
        scalar("accountEnabled"),
        set("addIns"),
        set("alternativeNames"),
        scalar("appRoleAssignmentRequired"),
        scalar("description"),
        // Follows the application's as long as it is the same.
        scalar("displayName").never_cleared().set_by_services(),
        scalar("homepage"),
        scalar("loginUrl"),
        scalar("logoutUrl"),
        scalar("notes"),
        set("notificationEmailAddresses"),
        scalar("preferredSingleSignOnMode"),
        scalar("preferredTokenSigningKeyThumbprint"),
        set("replyUrls"),
        object("samlSingleSignOnSettings"),
        set("servicePrincipalNames"),
        set("tags"),
        scalar("tokenEncryptionKeyId"),
        Property::new("keyCredentials", Class::Secret, Shape::Set),
        Property::new("passwordCredentials", Class::Secret, Shape::Set),
        // Copied from the application registration, which for most service
        // principals is a publisher's in another tenant.
        copied("appDescription"),
        copied("appDisplayName"),
        Property::new("appRoles", Class::Copied, Shape::Set),
        copied("info"),
        Property::new("oauth2PermissionScopes", Class::Copied, Shape::Set),
        copied("signInAudience"),
        copied("verifiedPublisher"),
        read_only("appId"),
        read_only("appOwnerOrganizationId"),
        read_only("applicationTemplateId"),
        read_only("disabledByMicrosoftStatus"),
        Property::new(
            "resourceSpecificApplicationPermissions",
            Class::ReadOnly,
            Shape::Set,
        ),
        read_only("servicePrincipalType"),
        volatile("deletedDateTime"),
    ],
    inline: &[],
    ties: &[],
    relation: None,
    links: &[LinkSpec {
        kind: LinkKind::ServicePrincipalOwners,
        name: "servicePrincipal/owners",
        relation: "owners",
        cardinality: Cardinality::Many,
        read: LinkRead::ExpandFirst,
        adds_per_write: 1,
    }],
    rank: 40,
    typed_writes: false,
    read_permissions: &["Application.Read.All"],
    write_permissions: &["Application.ReadWrite.All"],
};

/// `info.logoUrl` is written by the service when a logo is uploaded; a PATCH
/// that names it is refused.
fn drop_logo_url(value: &mut serde_json::Value) {
    if let Some(info) = value.as_object_mut() {
        info.remove("logoUrl");
    }
}

/// `web.redirectUriSettings` repeats `redirectUris`; only entries with an index
/// of their own mean anything, and an empty list beside addresses is refused.
fn drop_redirect_index(value: &mut serde_json::Value) {
    let Some(web) = value.as_object_mut() else {
        return;
    };
    let indexed =
        |setting: &serde_json::Value| setting.get("index").is_some_and(|index| !index.is_null());
    let settings = web
        .get_mut("redirectUriSettings")
        .and_then(serde_json::Value::as_array_mut);
    let keep = settings.is_some_and(|settings| {
        settings.retain(indexed);
        !settings.is_empty()
    });
    if !keep {
        web.remove("redirectUriSettings");
    }
}
