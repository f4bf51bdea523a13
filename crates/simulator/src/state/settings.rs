//! What a tenant has one of: organisation, tenant-wide policies, authentication contexts.
//!
//! Whole documents as the wire shows them. What may be written is decided on the write side.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Tenant-wide documents.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub organization: Value,
    pub authorization: Value,
    /// The authentication methods policy, its configurations inline.
    pub methods: Value,
    /// Authentication contexts by number: 1 is `c1`.
    pub contexts: BTreeMap<u8, Value>,
    /// The context, by number, that protects an action, by the action's name.
    pub protected: BTreeMap<&'static str, u8>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            organization: Value::Null,
            authorization: authorization(),
            methods: methods(),
            contexts: BTreeMap::new(),
            protected: BTreeMap::new(),
        }
    }
}

/// The organisation of a new tenant.
pub(crate) fn organization(id: &str, name: &str, domain: &str) -> Value {
    json!({
        "id": id,
        "deletedDateTime": null,
        "businessPhones": [],
        "city": null,
        "country": null,
        "countryLetterCode": "NO",
        "createdDateTime": "2021-03-01T08:00:00Z",
        "defaultUsageLocation": "NO",
        "displayName": name,
        "marketingNotificationEmails": [],
        "mobileDeviceManagementAuthority": "intune",
        "onPremisesLastSyncDateTime": null,
        "onPremisesSyncEnabled": null,
        "partnerTenantType": null,
        "postalCode": null,
        "preferredLanguage": "en",
        "securityComplianceNotificationMails": [],
        "securityComplianceNotificationPhones": [],
        "state": null,
        "street": null,
        "technicalNotificationMails": [format!("it@{domain}")],
        "tenantType": "AAD",
        "privacyProfile": null,
        "assignedPlans": [],
        "provisionedPlans": [],
        "verifiedDomains": [{
            "capabilities": "Email, OfficeCommunicationsOnline",
            "isDefault": true,
            "isInitial": true,
            "name": domain,
            "type": "Managed",
        }],
    })
}

fn authorization() -> Value {
    json!({
        "id": "authorizationPolicy",
        "allowInvitesFrom": "adminsAndGuestInviters",
        "allowedToSignUpEmailBasedSubscriptions": false,
        "allowedToUseSSPR": true,
        "allowEmailVerifiedUsersToJoinOrganization": false,
        "allowUserConsentForRiskyApps": null,
        "blockMsolPowerShell": true,
        "displayName": "Authorization Policy",
        "description": "Used to manage authorization related settings across the company.",
        "guestUserRoleId": "2af84b1e-32c8-42b7-82bc-daa82404023b",
        "defaultUserRolePermissions": {
            "allowedToCreateApps": false,
            "allowedToCreateSecurityGroups": false,
            "allowedToCreateTenants": false,
            "allowedToReadBitlockerKeysForOwnedDevice": true,
            "allowedToReadOtherUsers": true,
            "permissionGrantPoliciesAssigned": [],
        },
    })
}

fn methods() -> Value {
    json!({
        "id": "authenticationMethodsPolicy",
        "displayName": "Authentication Methods Policy",
        "description": "The tenant-wide policy that controls which authentication methods are allowed",
        "lastModifiedDateTime": "2026-01-05T09:00:00Z",
        "policyVersion": "1.5",
        "policyMigrationState": "migrationComplete",
        "reconfirmationInDays": null,
        "registrationEnforcement": {
            "authenticationMethodsRegistrationCampaign": {
                "snoozeDurationInDays": 1,
                "enforceRegistrationAfterAllowedSnoozes": true,
                "state": "default",
                "excludeTargets": [],
                "includeTargets": [{
                    "id": "all_users",
                    "targetType": "group",
                    "targetedAuthenticationMethod": "microsoftAuthenticator",
                }],
            },
        },
        "authenticationMethodConfigurations": configurations(),
    })
}

/// The configurations of a new tenant, in the order in which the service lists them.
pub(crate) fn configurations() -> Vec<Value> {
    let everyone =
        json!([{ "targetType": "group", "id": "all_users", "isRegistrationRequired": false }]);
    let one = |id: &str, state: &str, more: Value| {
        let mut name = id.to_owned();
        name[..1].make_ascii_lowercase();
        if id == "QRCodePin" {
            "qrCodePin".clone_into(&mut name);
        }
        let mut configuration = json!({
            "@odata.type": format!("#microsoft.graph.{name}AuthenticationMethodConfiguration"),
            "id": id,
            "state": state,
            "excludeTargets": [],
            "includeTargets": everyone,
        });
        for (name, value) in more.as_object().into_iter().flatten() {
            configuration[name] = value.clone();
        }
        configuration
    };
    let feature = || {
        json!({
            "state": "default",
            "includeTarget": { "targetType": "group", "id": "all_users" },
            "excludeTarget": { "targetType": "group", "id": "00000000-0000-0000-0000-000000000000" },
        })
    };
    vec![
        one(
            "Fido2",
            "enabled",
            json!({
                "isSelfServiceRegistrationAllowed": true,
                "isAttestationEnforced": true,
                "defaultPasskeyProfile": null,
                "keyRestrictions": { "isEnforced": false, "enforcementType": "block", "aaGuids": [] },
            }),
        ),
        one(
            "MicrosoftAuthenticator",
            "enabled",
            json!({
                "isSoftwareOathEnabled": false,
                "featureSettings": {
                    "displayAppInformationRequiredState": feature(),
                    "displayLocationInformationRequiredState": feature(),
                },
                "includeTargets": [{
                    "targetType": "group", "id": "all_users", "isRegistrationRequired": false,
                    "authenticationMode": "any",
                }],
            }),
        ),
        one(
            "Sms",
            "disabled",
            json!({ "includeTargets": [{
                "targetType": "group", "id": "all_users", "isRegistrationRequired": false, "isUsableForSignIn": true,
            }] }),
        ),
        one(
            "TemporaryAccessPass",
            "enabled",
            json!({
                "defaultLifetimeInMinutes": 60,
                "defaultLength": 8,
                "minimumLifetimeInMinutes": 60,
                "maximumLifetimeInMinutes": 480,
                "isUsableOnce": true,
            }),
        ),
        one("SoftwareOath", "enabled", json!({})),
        one(
            "Voice",
            "disabled",
            json!({ "isOfficePhoneAllowed": false }),
        ),
        one(
            "Email",
            "enabled",
            json!({ "allowExternalIdToUseEmailOtp": "default", "includeTargets": [] }),
        ),
        one(
            "X509Certificate",
            "disabled",
            json!({
                "certificateUserBindings": [{
                    "x509CertificateField": "PrincipalName", "userProperty": "onPremisesUserPrincipalName",
                    "priority": 1, "trustAffinityLevel": "low",
                }],
                "certificateAuthorityScopes": [],
                "issuerHintsConfiguration": { "state": "disabled" },
                "crlValidationConfiguration": {
                    "state": "disabled",
                    "exemptedCertificateAuthoritiesSubjectKeyIdentifiers": [],
                },
                "authenticationModeConfiguration": {
                    "x509CertificateAuthenticationDefaultMode": "x509CertificateSingleFactor",
                    "x509CertificateDefaultRequiredAffinityLevel": "low",
                    "rules": [],
                },
            }),
        ),
        one("VerifiableCredentials", "disabled", json!({})),
        one(
            "QRCodePin",
            "disabled",
            json!({ "standardQRCodeLifetimeInDays": 365, "pinLength": 8 }),
        ),
    ]
}
