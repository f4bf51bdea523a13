//! What a tenant has beside its objects and cannot change: licences, roles, the audit log.
//!
//! Read-only.

use serde_json::{Value, json};

use crate::catalog::Kind;
use crate::http::permission;
use crate::http::reply::{GraphError, Reply};
use crate::http::{Call, audits};
use crate::tenant::{Actor, Licence, Tenant};
use crate::write::actions;

/// Built-in directory roles: template id and name.
pub(crate) const ROLES: &[(&str, &str)] = &[
    (
        "62e90394-69f5-4237-9190-012177145e10",
        "Global Administrator",
    ),
    ("f2ef992c-3afb-46b9-b7cf-a126ee74c451", "Global Reader"),
    (
        "194ae4cb-b126-40b2-bd5b-6091b380977d",
        "Security Administrator",
    ),
    ("5d6b6bb7-de71-4623-b4af-96380a352509", "Security Reader"),
    (
        "b1be1c3e-b65d-4f19-8427-f6fa0d97feb9",
        "Conditional Access Administrator",
    ),
    ("fe930be7-5e62-47db-91af-98c3a49a38b1", "User Administrator"),
    (
        "729827e3-9c14-49f7-bb1b-9608f156bbb8",
        "Helpdesk Administrator",
    ),
    (
        "c4e39bd9-1100-46d3-8c65-fb160da0071f",
        "Authentication Administrator",
    ),
    (
        "7be44c8a-adaf-4e2a-84d6-ab2649e08a13",
        "Privileged Authentication Administrator",
    ),
    (
        "e8611ab8-c189-46e8-94e1-60213ab1f814",
        "Privileged Role Administrator",
    ),
    (
        "9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3",
        "Application Administrator",
    ),
    (
        "158c047a-c907-4556-b7ef-446551a6b5f7",
        "Cloud Application Administrator",
    ),
    (
        "29232cdf-9323-42fd-ade2-1d097af3e4de",
        "Exchange Administrator",
    ),
    (
        "f28a1f50-f6e7-4571-818b-6a12f2af6b6c",
        "SharePoint Administrator",
    ),
    (
        "b0f54661-2d74-4c50-afa3-1ec803f12efe",
        "Billing Administrator",
    ),
    (
        "966707d0-3269-4727-9be2-8c3a10f19b9d",
        "Password Administrator",
    ),
    (
        "fdd7a751-b60b-444a-984c-02652fe8fa1c",
        "Groups Administrator",
    ),
    (
        "d29b2b05-8046-44ba-8758-1e26182fcf32",
        "Directory Synchronization Accounts",
    ),
];

/// `GET` of anything that is not an object collection.
pub(crate) fn answer(
    tenant: &Tenant,
    actor: &Actor,
    call: &Call,
    path: &[&str],
    raw: &[&str],
) -> Result<Reply, GraphError> {
    match path {
        ["subscribedskus"] => {
            permission::any(
                actor,
                &[
                    "LicenseAssignment.Read.All",
                    "Organization.Read.All",
                    "Directory.Read.All",
                ],
            )?;
            let used = tenant.state.read().all(Kind::User).len();
            Ok(collection(call, "subscribedSkus", skus(tenant, used)))
        }
        ["directoryroletemplates"] => {
            permission::roles(actor)?;
            let templates = ROLES
                .iter()
                .map(|(id, name)| json!({ "id": id, "deletedDateTime": null, "description": name, "displayName": name }))
                .collect();
            Ok(collection(call, "directoryRoleTemplates", templates))
        }
        ["directoryroles"] => {
            permission::roles(actor)?;
            Ok(collection(call, "directoryRoles", Vec::new()))
        }
        ["rolemanagement", "directory", "roledefinitions"] => {
            permission::roles(actor)?;
            let definitions = ROLES
                .iter()
                .map(|(id, name)| role_definition(id, name))
                .collect();
            Ok(collection(
                call,
                "roleManagement/directory/roleDefinitions",
                definitions,
            ))
        }
        ["rolemanagement", "directory", "roledefinitions", id] => {
            permission::roles(actor)?;
            let (id, name) = ROLES
                .iter()
                .find(|(held, _)| held == id)
                .ok_or_else(|| GraphError::not_found(id))?;
            Ok(entity(
                call,
                "roleManagement/directory/roleDefinitions",
                role_definition(id, name),
            ))
        }
        ["auditlogs", "directoryaudits"] => {
            permission::any(actor, &["AuditLog.Read.All"])?;
            audits::list(tenant, call)
        }
        ["auditlogs", "directoryaudits", _] => {
            permission::any(actor, &["AuditLog.Read.All"])?;
            let shown = audits::Shown::of(tenant);
            let state = tenant.state.read();
            let found = state
                .audits
                .iter()
                .find(|audit| audit.id == raw[2] && shown.holds(audit))
                .ok_or_else(|| GraphError::not_found(raw[2]))?;
            Ok(entity(call, "auditLogs/directoryAudits", found.to_json()))
        }
        _ => Err(GraphError::no_segment(
            raw.first().copied().unwrap_or_default(),
        )),
    }
}

fn collection(call: &Call, name: &str, value: Vec<Value>) -> Reply {
    Reply::json(
        200,
        &json!({ "@odata.context": call.context(name), "value": value }),
    )
}

fn entity(call: &Call, name: &str, mut value: Value) -> Reply {
    value["@odata.context"] = call.context(&format!("{name}/$entity")).into();
    Reply::json(200, &value)
}

/// The SKU that carries Entra ID P2 in this simulator.
pub(crate) const SKU_P2: &str = "06ebc4ee-1bb5-47dd-8120-11324bc54e06";
const SKU_P1: &str = "05e9a617-0261-4cee-bb44-138d3ef5d965";
const PLAN_P1: &str = "41781fb2-bc02-4b7c-bd55-b576c07bb09d";
const PLAN_P2: &str = "eec0eb4f-6444-4f95-aba0-50c24d67f998";

fn skus(tenant: &Tenant, used: usize) -> Vec<Value> {
    let licence = tenant.spec.licence;
    let capability = match licence {
        Licence::Suspended => "Suspended",
        _ => "Enabled",
    };
    let provisioning = match licence {
        Licence::Disabled => "Disabled",
        _ => "Success",
    };
    let plan = |id: &str, name: &str| {
        json!({
            "servicePlanId": id,
            "servicePlanName": name,
            "provisioningStatus": provisioning,
            "appliesTo": "User",
        })
    };
    let p1 = plan(PLAN_P1, "AAD_PREMIUM");
    let (sku, part, plans) = match licence {
        Licence::None => return Vec::new(),
        Licence::P1 => (SKU_P1, "SPE_E3", vec![p1]),
        Licence::P2 | Licence::Suspended | Licence::Disabled => {
            (SKU_P2, "SPE_E5", vec![p1, plan(PLAN_P2, "AAD_PREMIUM_P2")])
        }
    };
    vec![json!({
        "id": format!("{}_{sku}", tenant.spec.id),
        "accountId": tenant.spec.id,
        "accountName": tenant.spec.display_name,
        "appliesTo": "User",
        "capabilityStatus": capability,
        "consumedUnits": used,
        "skuId": sku,
        "skuPartNumber": part,
        "subscriptionIds": [],
        "prepaidUnits": { "enabled": used + 25, "suspended": 0, "warning": 0, "lockedOut": 0 },
        "servicePlans": plans,
    })]
}

fn role_definition(id: &str, name: &str) -> Value {
    json!({
        "id": id,
        "description": name,
        "displayName": name,
        "isBuiltIn": true,
        "isEnabled": true,
        "resourceScopes": ["/"],
        "templateId": id,
        "version": "1",
        "rolePermissions": [{ "allowedResourceActions": actions::allowed(id), "condition": null }],
    })
}
