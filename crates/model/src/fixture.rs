//! Small tenants for the tests of this crate.

use chrono::DateTime;
use serde_json::{Value, json};

use crate::catalogue::{LinkKind, ObjectType};
use crate::id::ObjectId;
use crate::object::{Link, Object, ObjectState};
use crate::snapshot::{Completeness, Content, Kind, Method};

pub(crate) fn id(n: u8) -> ObjectId {
    ObjectId::parse(&format!("00000000-0000-4000-8000-0000000000{n:02x}")).expect("valid")
}

/// An object with id `n` and the given further properties.
pub(crate) fn object(
    object_type: ObjectType,
    n: u8,
    state: ObjectState,
    mut body: Value,
) -> Object {
    body["id"] = json!(id(n).as_str());
    Object::from_body(object_type, state, body.as_object().expect("object")).expect("well-formed")
}

pub(crate) fn link(kind: LinkKind, source: u8, target: u8) -> Link {
    Link {
        kind,
        source: id(source),
        target: id(target),
    }
}

/// Content in which every kind is complete.
pub(crate) fn content(objects: Vec<Object>, links: Vec<Link>) -> Content {
    let completeness = Kind::all()
        .into_iter()
        .map(|kind| Completeness::begun(kind, Method::SingleRead, DateTime::UNIX_EPOCH));
    Content {
        objects,
        links,
        completeness: completeness.collect(),
    }
    .sorted()
}

pub(crate) fn group(n: u8) -> Object {
    object(
        ObjectType::Group,
        n,
        ObjectState::Live,
        json!({"displayName": format!("Group {n}"), "groupTypes": [], "securityEnabled": true}),
    )
}

pub(crate) fn user(n: u8, title: &str) -> Object {
    object(
        ObjectType::User,
        n,
        ObjectState::Live,
        json!({"displayName": format!("User {n}"), "jobTitle": title, "accountEnabled": true}),
    )
}

/// A body as Graph sends it, with a value for every property of the table; of the
/// types that not every tenant is backed up for.
pub(crate) fn body(object_type: ObjectType) -> Value {
    match object_type {
        ObjectType::OAuth2PermissionGrant => json!({
            "clientId": id(1).as_str(), "consentType": "Principal", "principalId": id(2).as_str(),
            "resourceId": id(3).as_str(), "scope": "User.Read Mail.Read"}),
        ObjectType::AppRoleAssignment => json!({
            "@rewind.owner": id(3).as_str(), "appRoleId": id(4).as_str(), "principalId": id(2).as_str(),
            "principalType": "User", "principalDisplayName": "Adele", "resourceId": id(3).as_str(),
            "resourceDisplayName": "Payroll", "createdDateTime": "2026-01-01T00:00:00Z",
            "deletedDateTime": "2026-01-01T00:00:00Z"}),
        ObjectType::AuthenticationMethodsPolicy => json!({
            "displayName": "Authentication Methods Policy", "description": "tenant-wide",
            "lastModifiedDateTime": "2026-01-01T00:00:00Z", "policyVersion": "1.5",
            "policyMigrationState": "preMigration", "reconfirmationInDays": 0,
            "registrationEnforcement": {"authenticationMethodsRegistrationCampaign": {
                "snoozeDurationInDays": 1, "state": "disabled", "excludeTargets": [{"id": "x", "targetType": "group"}]}},
            "authenticationMethodConfigurations@odata.context": "x",
            "authenticationMethodConfigurations": [
                {"@odata.type": "#microsoft.graph.fido2AuthenticationMethodConfiguration", "id": "Fido2",
                 "state": "enabled", "includeTargets@odata.context": "x",
                 "includeTargets": [{"targetType": "group", "id": "all_users"}]},
                {"@odata.type": "#microsoft.graph.smsAuthenticationMethodConfiguration", "id": "Sms", "state": "disabled"}]}),
        ObjectType::AuthorizationPolicy => json!({
            "displayName": "Authorization Policy", "description": "who may do what",
            "deletedDateTime": "2026-01-01T00:00:00Z", "allowInvitesFrom": "everyone",
            "allowEmailVerifiedUsersToJoinOrganization": true, "allowUserConsentForRiskyApps": true,
            "allowedToSignUpEmailBasedSubscriptions": true, "allowedToUseSSPR": true,
            "blockMsolPowerShell": true, "guestUserRoleId": "10dae51f-b6af-4016-8d66-8c2a99b929b3",
            "defaultUserRolePermissions": {"allowedToCreateApps": true, "permissionGrantPoliciesAssigned": ["a", "b"]}}),
        ObjectType::AuthenticationStrengthPolicy => json!({
            "displayName": "Strong", "description": "keys", "policyType": "custom",
            "requirementsSatisfied": "mfa", "createdDateTime": "2026-01-01T00:00:00Z",
            "modifiedDateTime": "2026-01-01T00:00:00Z", "allowedCombinations": ["fido2", "password,sms"],
            "combinationConfigurations": [{"@odata.type": "#microsoft.graph.fido2CombinationConfiguration",
                "id": id(7).as_str(), "appliesToCombinations": ["fido2"], "allowedAAGUIDs": ["x"]}]}),
        ObjectType::AuthenticationContextClassReference => json!({
            "displayName": "Contracts", "description": "for contracts", "isAvailable": true}),
        ObjectType::Organization => json!({
            "displayName": "Contoso", "city": "Bern", "country": "Schweiz", "countryLetterCode": "CH",
            "createdDateTime": "2020-01-01T00:00:00Z", "defaultUsageLocation": "CH",
            "onPremisesSyncEnabled": true, "onPremisesLastSyncDateTime": "2026-01-01T00:00:00Z",
            "partnerTenantType": "microsoftSupport", "postalCode": "3000", "preferredLanguage": "de",
            "state": "BE", "street": "Weg 1", "tenantType": "AAD", "deletedDateTime": "2026-01-01T00:00:00Z",
            "businessPhones": ["1"], "marketingNotificationEmails": ["m@contoso.com"],
            "securityComplianceNotificationMails": ["s@contoso.com"],
            "securityComplianceNotificationPhones": ["2"], "technicalNotificationMails": ["t@contoso.com"],
            "privacyProfile": {"contactEmail": "p@contoso.com", "statementUrl": "https://contoso.com/p"},
            "verifiedDomains": [{"name": "contoso.com", "isDefault": true}, {"name": "contoso.ch", "isDefault": false}],
            "assignedPlans": [{"service": "exchange", "assignedDateTime": "2026-01-01T00:00:00Z"}],
            "provisionedPlans": [{"service": "exchange"}]}),
        ObjectType::AdministrativeUnit => json!({
            "displayName": "Branch", "description": "the branch", "membershipRule": "true",
            "membershipRuleProcessingState": "On", "membershipType": "Assigned", "visibility": "Public",
            "isMemberManagementRestricted": true, "deletedDateTime": "2026-01-01T00:00:00Z"}),
        ObjectType::RoleAssignment => json!({
            "principalId": id(2).as_str(), "roleDefinitionId": id(8).as_str(), "directoryScopeId": "/",
            "appScopeId": "/", "condition": "x", "principalOrganizationId": id(9).as_str()}),
        ObjectType::FederatedIdentityCredential => json!({
            "@rewind.owner": id(5).as_str(), "name": "deploy", "description": "pipeline",
            "issuer": "https://ci.example.com", "subject": "repo:main", "audiences": ["api://AzureADTokenExchange"]}),
        other => panic!("{other} has fixtures of its own"),
    }
}

/// A live object with such a body.
pub(crate) fn full(object_type: ObjectType, n: u8) -> Object {
    object(object_type, n, ObjectState::Live, body(object_type))
}

/// The types that such a body is for.
pub(crate) fn further() -> impl Iterator<Item = ObjectType> {
    let types = ObjectType::ALL.into_iter();
    types.filter(|object_type| !object_type.is_essential())
}
