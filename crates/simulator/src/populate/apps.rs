//! Applications, service principals, grants and role assignments.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Company, names};
use crate::catalog::{Kind, Relation};
use crate::state::grants::{Assignment, Grant};
use crate::write::service_principals::{MICROSOFT_TENANT, copied};

const GRAPH: &str = "00000003-0000-0000-c000-000000000000";

/// Microsoft's own applications that every tenant has: app id and name.
const FIRST_PARTY: &[(&str, &str)] = &[
    (GRAPH, "Microsoft Graph"),
    (
        "00000002-0000-0000-c000-000000000000",
        "Windows Azure Active Directory",
    ),
    (
        "00000002-0000-0ff1-ce00-000000000000",
        "Office 365 Exchange Online",
    ),
    (
        "00000003-0000-0ff1-ce00-000000000000",
        "Office 365 SharePoint Online",
    ),
    (
        "797f4846-ba00-4fd7-ba43-dac1f8f63013",
        "Windows Azure Service Management API",
    ),
    ("1fec8e78-bce4-4aaf-ab1b-5451cc387264", "Microsoft Teams"),
    ("c44b4083-3bb0-49c1-b47d-974e53cbdf3c", "Azure Portal"),
];

/// Application permissions of Microsoft Graph: id and value.
const GRAPH_ROLES: &[(&str, &str)] = &[
    ("df021288-bdef-4463-88db-98f22de89214", "User.Read.All"),
    ("5b567255-7703-4780-807c-7be8301ae99b", "Group.Read.All"),
    ("7ab1d382-f21e-4acd-a863-ba3e13f7da61", "Directory.Read.All"),
    ("b633e1c5-b582-4048-a93e-9f11b44c7e96", "Mail.Send"),
];

/// Further ones, which no generated application holds.
const MORE_GRAPH_ROLES: &[(&str, &str)] = &[(
    "eccc023d-eccf-4e7b-9683-8813ab36cecc",
    "User.DeleteRestore.All",
)];

const GRAPH_SCOPES: &[(&str, &str)] = &[
    ("e1fe6dd8-ba31-4d61-89e7-88639da4683d", "User.Read"),
    ("37f7f235-527c-4136-accd-4a02d197296e", "openid"),
];

pub(super) fn deploy(company: &mut Company<'_>, total: usize) {
    let graph = first_party(company);
    for n in 0..total {
        let application = application(company, n);
        let principal = principal(company, application);
        let owner = company.staff[1][n % company.staff[1].len()];
        let second = company.staff[2][n % company.staff[2].len()];
        company
            .state
            .link_ids(Relation::Owners, Kind::Application, application, owner);
        if n.is_multiple_of(2) {
            company
                .state
                .link_ids(Relation::Owners, Kind::Application, application, second);
        }
        company
            .state
            .link_ids(Relation::Owners, Kind::ServicePrincipal, principal, owner);
        relations(company, n, principal, graph);
    }
}

fn entitlement(id: &str, value: &str) -> Value {
    json!({
        "allowedMemberTypes": ["Application"],
        "description": value,
        "displayName": value,
        "id": id,
        "isEnabled": true,
        "origin": "Application",
        "value": value,
    })
}

fn scope(id: &str, value: &str) -> Value {
    json!({
        "adminConsentDescription": format!("Allows {value}"),
        "adminConsentDisplayName": value,
        "id": id,
        "isEnabled": true,
        "type": "User",
        "userConsentDescription": null,
        "userConsentDisplayName": null,
        "value": value,
    })
}

/// Returns the service principal of Microsoft Graph.
fn first_party(company: &mut Company<'_>) -> Uuid {
    let mut graph = Uuid::nil();
    for (app_id, name) in FIRST_PARTY {
        if let Some(known) = company.state.by_app_id(Kind::ServicePrincipal, app_id) {
            if *app_id == GRAPH {
                graph = known;
            }
            continue;
        }
        let mut principal = json!({
            "appId": app_id,
            "displayName": name,
            "appDisplayName": name,
            "appOwnerOrganizationId": MICROSOFT_TENANT,
            "servicePrincipalNames": [app_id],
            "signInAudience": "AzureADMultipleOrgs",
            "createdDateTime": "2021-03-01T08:00:00Z",
        });
        if *app_id == GRAPH {
            principal["appRoles"] = GRAPH_ROLES
                .iter()
                .chain(MORE_GRAPH_ROLES)
                .map(|(id, value)| entitlement(id, value))
                .collect();
            principal["oauth2PermissionScopes"] = GRAPH_SCOPES
                .iter()
                .map(|(id, value)| scope(id, value))
                .collect();
        }
        let id = company.add(Kind::ServicePrincipal, principal);
        if *app_id == GRAPH {
            graph = id;
        }
    }
    graph
}

fn application(company: &mut Company<'_>, n: usize) -> Uuid {
    let round = n / names::APPS.len();
    let base = names::APPS[n % names::APPS.len()];
    let name = if round == 0 {
        base.to_owned()
    } else {
        format!("{base} {}", round + 1)
    };
    let slug = name.to_lowercase().replace(' ', "-");
    let app_id = company.ids.guid();
    let created = company.past_date();
    let roles: Value = ["Reader", "Editor", "Approver"]
        .iter()
        .take(n % 4)
        .map(|role| {
            json!({
                "allowedMemberTypes": ["User"],
                "description": format!("{role} of {name}"),
                "displayName": role,
                "id": company.ids.guid().to_string(),
                "isEnabled": true,
                "origin": "Application",
                "value": format!("{slug}.{}", role.to_lowercase()),
            })
        })
        .collect();
    let scopes: Value = if n.is_multiple_of(3) {
        let mut own = scope(&company.ids.guid().to_string(), "access_as_user");
        own["userConsentDisplayName"] = format!("Use {name}").into();
        json!([own])
    } else {
        json!([])
    };
    let uris = if n.is_multiple_of(3) {
        json!([format!("api://{app_id}")])
    } else {
        json!([])
    };
    let redirects = [
        format!("https://{slug}.harbourlane.example/signin-oidc"),
        format!("https://{slug}-test.harbourlane.example/signin-oidc"),
    ];
    let redirects = &redirects[..1 + n % 2];
    let settings: Value = redirects
        .iter()
        .map(|uri| json!({ "uri": uri, "index": null }))
        .collect();
    let secret_id = company.ids.guid().to_string();
    let key_id = company.ids.guid().to_string();
    let passwords = json!([{
        "customKeyIdentifier": null,
        "displayName": "deployment",
        "endDateTime": "2027-06-30T00:00:00Z",
        "hint": &secret_id[..3],
        "keyId": secret_id,
        "secretText": null,
        "startDateTime": created,
    }]);
    let keys = if n % 5 == 2 {
        json!([{
            "customKeyIdentifier": "9F1B6E0C5A7D4F3B8E2A",
            "displayName": format!("CN={slug}"),
            "endDateTime": "2027-06-30T00:00:00Z",
            "key": "MIIBszCCAVmgAwIBAgIUSimulatedPublicKeyOnly",
            "keyId": key_id,
            "startDateTime": created,
            "type": "AsymmetricX509Cert",
            "usage": "Verify",
        }])
    } else {
        json!([])
    };
    let wanted: Value = GRAPH_SCOPES
        .iter()
        .take(1)
        .map(|(id, _)| json!({ "id": id, "type": "Scope" }))
        .chain(
            GRAPH_ROLES
                .iter()
                .take(n % 3)
                .map(|(id, _)| json!({ "id": id, "type": "Role" })),
        )
        .collect();
    company.add(
        Kind::Application,
        json!({
            "appId": app_id.to_string(),
            "displayName": name,
            "description": format!("{name} of the company"),
            "createdDateTime": created,
            "publisherDomain": company.domain,
            "signInAudience": "AzureADMyOrg",
            "identifierUris": uris,
            "appRoles": roles,
            "tags": if n.is_multiple_of(4) { json!(["internal", "HideApp"]) } else { json!(["internal"]) },
            "notes": format!("owned by team {}", n % 7),
            "groupMembershipClaims": if n % 6 == 1 { json!("SecurityGroup") } else { Value::Null },
            "api": {
                "acceptMappedClaims": null,
                "knownClientApplications": [],
                "requestedAccessTokenVersion": 2,
                "oauth2PermissionScopes": scopes,
                "preAuthorizedApplications": [],
            },
            "web": {
                "homePageUrl": format!("https://{slug}.harbourlane.example"),
                "logoutUrl": format!("https://{slug}.harbourlane.example/signout"),
                "redirectUris": redirects,
                "implicitGrantSettings": { "enableAccessTokenIssuance": false, "enableIdTokenIssuance": n % 2 == 1 },
                "redirectUriSettings": settings,
            },
            "spa": { "redirectUris": if n % 7 == 3 { json!([format!("https://{slug}.harbourlane.example/app")]) } else { json!([]) } },
            "requiredResourceAccess": [{ "resourceAppId": GRAPH, "resourceAccess": wanted }],
            "passwordCredentials": passwords,
            "keyCredentials": keys,
        }),
    )
}

fn principal(company: &mut Company<'_>, application: Uuid) -> Uuid {
    let Some(application) = company
        .state
        .object(Kind::Application, application)
        .cloned()
    else {
        return Uuid::nil();
    };
    let mut principal = copied(&application);
    principal.insert("appId".into(), application.value("appId"));
    principal.insert("appOwnerOrganizationId".into(), company.tenant_id.into());
    principal.insert(
        "createdDateTime".into(),
        application.value("createdDateTime"),
    );
    let mut tags = vec![json!("WindowsAzureActiveDirectoryIntegratedApp")];
    tags.extend(
        application
            .value("tags")
            .as_array()
            .into_iter()
            .flatten()
            .cloned(),
    );
    principal.insert("tags".into(), Value::Array(tags));
    principal.insert("accountEnabled".into(), true.into());
    company.add(Kind::ServicePrincipal, Value::Object(principal))
}

fn relations(company: &mut Company<'_>, n: usize, principal: Uuid, graph: Uuid) {
    company.state.grant(&Grant {
        client: principal,
        resource: graph,
        principal: None,
        scope: "User.Read openid".to_owned(),
    });
    let created = company.past_date();
    let assign = |company: &mut Company<'_>, who: Uuid, resource: Uuid, role: Uuid| {
        let own = company.ids.guid();
        let created = created.clone();
        company.state.grants.assign(
            own,
            Assignment {
                principal: who,
                resource,
                role,
                created,
            },
        );
    };
    for (role, _) in GRAPH_ROLES.iter().take(n % 3) {
        let role = Uuid::parse_str(role).expect("invariant: role ids in the table are GUIDs");
        assign(company, principal, graph, role);
    }
    let roles: Vec<Uuid> = company
        .state
        .object(Kind::ServicePrincipal, principal)
        .map(|object| object.value("appRoles"))
        .unwrap_or_default()
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|role| Uuid::parse_str(role["id"].as_str()?).ok())
        .collect();
    for (at, role) in roles.into_iter().enumerate() {
        let member = company.employees[(n * 5 + at) % company.employees.len()];
        assign(company, member, principal, role);
        if let Some(group) = company
            .cloud_groups
            .get(n % company.cloud_groups.len().max(1))
            .copied()
            && at == 0
        {
            assign(company, group, principal, role);
        }
    }
    if n.is_multiple_of(3) {
        let user = company.employees[n % company.employees.len()];
        company.state.grant(&Grant {
            client: principal,
            resource: graph,
            principal: Some(user),
            scope: "User.Read".to_owned(),
        });
    }
}
