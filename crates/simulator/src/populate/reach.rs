//! What surrounds users, groups and applications: administrative units, role assignments,
//! federated credentials, wide app role assignments, strengths and contexts.

use serde_json::json;
use uuid::Uuid;

use super::{Company, names};
use crate::catalog::{Kind, Relation};
use crate::state::grants::Assignment;
use crate::state::roles::RoleAssignment;
use crate::write::federated;

/// Roles that departments hand out over their own unit, and the whole company over itself.
const UNIT_ROLES: &[&str] = &[
    "729827e3-9c14-49f7-bb1b-9608f156bbb8",
    "fe930be7-5e62-47db-91af-98c3a49a38b1",
];
const GLOBAL_ADMINISTRATOR: &str = "62e90394-69f5-4237-9190-012177145e10";
const GLOBAL_READER: &str = "f2ef992c-3afb-46b9-b7cf-a126ee74c451";
/// Every so many applications, one is used by many people.
const WIDELY_USED: usize = 25;
/// The most people assigned to a widely used application.
const MOST_USERS: usize = 2_500;
/// The most members of one unit, so that a unit is never as large as the company.
const MOST_MEMBERS: usize = 5_000;

pub(super) fn extend(company: &mut Company<'_>) {
    let principals = own_principals(company);
    units(company);
    roles(company);
    assignments(company, &principals);
    credentials(company);
    strengths(company);
    contexts(company);
}

/// Service principals of the company's own applications that define roles or are open to all.
fn own_principals(company: &Company<'_>) -> Vec<Uuid> {
    let tenant = company.tenant_id;
    company
        .state
        .all(Kind::ServicePrincipal)
        .values()
        .filter(|object| object.text("appOwnerOrganizationId").as_deref() == Some(tenant))
        .map(|object| object.id)
        .collect()
}

fn units(company: &mut Company<'_>) {
    for (n, (department, _)) in names::DEPARTMENTS.iter().enumerate() {
        let unit = company.add(
            Kind::AdministrativeUnit,
            json!({
                "displayName": format!("AU {department}"),
                "description": format!("People and groups of {department}"),
                "visibility": if n % 3 == 2 { json!("HiddenMembership") } else { json!(null) },
            }),
        );
        let mut members: Vec<Uuid> = company.staff[n]
            .iter()
            .take(MOST_MEMBERS)
            .copied()
            .collect();
        members.extend(company.cloud_groups.iter().skip(n).step_by(7).take(3));
        company
            .state
            .link_many(Relation::Members, Kind::AdministrativeUnit, unit, members);
        if let (Some(head), Some(role)) = (company.staff[n].first(), UNIT_ROLES.get(n % 2)) {
            let (head, role) = (*head, guid(role));
            company.state.roles.assign(RoleAssignment {
                role,
                principal: head,
                unit: Some(unit),
            });
        }
    }
    company.add(
        Kind::AdministrativeUnit,
        json!({
            "displayName": "AU Guests",
            "description": "Everyone from outside",
            "membershipType": "Dynamic",
            "membershipRule": "(user.userType -eq \"Guest\")",
            "membershipRuleProcessingState": "On",
        }),
    );
}

fn roles(company: &mut Company<'_>) {
    for account in company.break_glass.clone() {
        assign_role(company, GLOBAL_ADMINISTRATOR, account);
    }
    let reader = company.employees[company.employees.len() / 2];
    assign_role(company, GLOBAL_READER, reader);
    let groups: Vec<(Uuid, String)> = company
        .state
        .all(Kind::Group)
        .values()
        .filter(|group| group.flag("isAssignableToRole"))
        .map(|group| (group.id, group.display_name()))
        .collect();
    for (group, name) in groups {
        let role = match name.as_str() {
            "Application Administrators" => "9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3",
            "Privileged Role Holders" => "194ae4cb-b126-40b2-bd5b-6091b380977d",
            _ => continue,
        };
        assign_role(company, role, group);
    }
}

fn assign_role(company: &mut Company<'_>, role: &str, principal: Uuid) {
    company.state.roles.assign(RoleAssignment {
        role: guid(role),
        principal,
        unit: None,
    });
}

fn guid(text: &str) -> Uuid {
    Uuid::parse_str(text).expect("invariant: ids in this module are GUIDs")
}

/// Opens some applications to many people: more than an expanded relation shows, and the first
/// to more than a page holds where there are so many.
fn assignments(company: &mut Company<'_>, principals: &[Uuid]) {
    for (n, principal) in principals.iter().step_by(WIDELY_USED).enumerate() {
        let wanted = if n == 0 { MOST_USERS } else { 21 + n * 13 % 60 };
        let role = company
            .state
            .object(Kind::ServicePrincipal, *principal)
            .and_then(|object| {
                let roles = object.value("appRoles");
                Uuid::parse_str(roles[0]["id"].as_str()?).ok()
            })
            .unwrap_or_default();
        let created = company.past_date();
        let first = n * 31 % company.employees.len();
        let people = company.employees.iter().cycle().skip(first);
        let people: Vec<Uuid> = people
            .take(wanted.min(company.employees.len()))
            .copied()
            .collect();
        for who in people {
            if company.state.grants.is_assigned(who, *principal, role) {
                continue;
            }
            let own = company.ids.guid();
            company.state.grants.assign(
                own,
                Assignment {
                    principal: who,
                    resource: *principal,
                    role,
                    created: created.clone(),
                },
            );
        }
    }
}

fn credentials(company: &mut Company<'_>) {
    let applications: Vec<Uuid> = company
        .state
        .all(Kind::Application)
        .keys()
        .copied()
        .collect();
    for (n, application) in applications.iter().enumerate().step_by(4) {
        // One application uses all that it may have.
        let count = if n == 0 { 20 } else { 1 + n % 3 };
        for at in 0..count {
            let id = company.ids.guid();
            let body = json!({
                "name": format!("deploy-{at}"),
                "issuer": "https://token.actions.example",
                "subject": format!("repo:harbourlane/app-{n}:environment:stage{at}"),
                "description": if at == 0 { json!("Deployment pipeline") } else { json!(null) },
                "audiences": ["api://AzureADTokenExchange"],
            });
            let map = body.as_object().cloned().unwrap_or_default();
            let credential = federated::whole(id, &map);
            company.state.federated.put(*application, id, credential);
        }
    }
}

fn strengths(company: &mut Company<'_>) {
    let wanted: [(&str, &[&str]); 2] = [
        ("Security keys only", &["fido2"]),
        (
            "Staff sign-in",
            &[
                "windowsHelloForBusiness",
                "fido2",
                "password,microsoftAuthenticatorPush",
            ],
        ),
    ];
    for (name, combinations) in wanted {
        let (id, created) = (company.ids.guid().to_string(), company.past_date());
        let configurations = if combinations.len() == 1 {
            json!([{
                "@odata.type": "#microsoft.graph.fido2CombinationConfiguration",
                "id": company.ids.guid().to_string(),
                "appliesToCombinations": ["fido2"],
                "allowedAAGUIDs": ["de1e552d-db1d-4423-a619-566b625cdc84"],
            }])
        } else {
            json!([])
        };
        let strength = json!({
            "id": id,
            "createdDateTime": created,
            "modifiedDateTime": created,
            "displayName": name,
            "description": format!("{name}, as the company wants it"),
            "policyType": "custom",
            "requirementsSatisfied": "mfa",
            "allowedCombinations": combinations,
            "combinationConfigurations": configurations,
        });
        company.state.strengths.insert(id, strength);
    }
}

fn contexts(company: &mut Company<'_>) {
    for (number, name, published) in [
        (1, "Confidential documents", true),
        (2, "Privileged administration", true),
        (3, "Trial", false),
    ] {
        let context = json!({
            "id": format!("c{number}"),
            "displayName": name,
            "description": format!("Asked for by: {}", name.to_lowercase()),
            "isAvailable": published,
        });
        company.state.settings.contexts.insert(number, context);
    }
}
