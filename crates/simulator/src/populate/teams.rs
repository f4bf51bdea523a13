//! Groups of every sort, with owners, members and nesting.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Company, names};
use crate::catalog::{Kind, Relation};
use crate::write::lifecycle::security_identifier;

/// The sorts of groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    Microsoft365,
    Security,
    RoleAssignable,
    DynamicMembers,
    DynamicGuests,
    Synced,
    MailSecurity,
    Distribution,
}

/// Name of the group that all policies exclude.
pub(super) const EXCLUSION: &str = "CA Exclusions - Emergency Access";

pub(super) fn form(company: &mut Company<'_>, total: usize) {
    let mut plan: Vec<(String, Sort)> = [
        (EXCLUSION, Sort::RoleAssignable),
        ("Privileged Role Holders", Sort::RoleAssignable),
        ("All Employees", Sort::DynamicMembers),
        ("IT Helpdesk", Sort::Security),
        ("VPN Users", Sort::Security),
        ("Finance Team", Sort::Microsoft365),
        ("AD File Share Readers", Sort::Synced),
        ("Accounts Payable Approvers", Sort::MailSecurity),
        ("Company Announcements", Sort::Distribution),
        ("External Guests", Sort::DynamicGuests),
        ("Research Team", Sort::Microsoft365),
        ("Laboratory Access", Sort::Security),
        ("Conditional Access Pilot", Sort::Security),
        ("Application Administrators", Sort::RoleAssignable),
    ]
    .into_iter()
    .map(|(name, sort)| (name.to_owned(), sort))
    .collect();
    for (department, _) in names::DEPARTMENTS {
        plan.push((format!("SEC {department} Files"), Sort::Security));
        plan.push((format!("{department} Department"), Sort::Microsoft365));
    }
    for n in 0.. {
        if plan.len() >= total {
            break;
        }
        let project = names::PROJECTS[n % names::PROJECTS.len()];
        let round = n / names::PROJECTS.len() + 1;
        let sort = match n % 12 {
            0..=5 => Sort::Microsoft365,
            11 => Sort::Synced,
            _ => Sort::Security,
        };
        plan.push((format!("Project {project} {round}"), sort));
    }
    plan.truncate(total);
    for (n, (name, sort)) in plan.iter().enumerate() {
        let id = group(company, name, *sort, n);
        staff(company, id, name, *sort, n);
    }
    nest(company);
}

fn group(company: &mut Company<'_>, name: &str, sort: Sort, n: usize) -> Uuid {
    let id = company.ids.guid();
    let nick: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    let address = format!("{}@{}", nick.to_lowercase(), company.domain);
    let created = company.past_date();
    let mut group = json!({
        "displayName": name,
        "description": format!("{name} (group {n})"),
        "mailNickname": nick,
        "mailEnabled": matches!(sort, Sort::Microsoft365 | Sort::MailSecurity | Sort::Distribution),
        "securityEnabled": !matches!(sort, Sort::Microsoft365 | Sort::Distribution),
        "createdDateTime": created,
        "renewedDateTime": created,
        "securityIdentifier": security_identifier(id),
    });
    if group["mailEnabled"] == true {
        group["mail"] = address.clone().into();
        group["proxyAddresses"] = json!([format!("SMTP:{address}")]);
    }
    match sort {
        Sort::Microsoft365 => {
            group["groupTypes"] = json!(["Unified"]);
            group["visibility"] = if n.is_multiple_of(3) {
                "Public"
            } else {
                "Private"
            }
            .into();
        }
        Sort::RoleAssignable => {
            group["isAssignableToRole"] = true.into();
            group["visibility"] = "Private".into();
        }
        Sort::DynamicMembers => dynamic(&mut group, "(user.userType -eq \"Member\")"),
        Sort::DynamicGuests => dynamic(&mut group, "(user.userType -eq \"Guest\")"),
        Sort::Synced => {
            group["onPremisesSyncEnabled"] = true.into();
            group["onPremisesDomainName"] = "ad.harbourlane.example".into();
            group["onPremisesNetBiosName"] = "HARBOURLANE".into();
            group["onPremisesSamAccountName"] = name.into();
            group["onPremisesLastSyncDateTime"] = "2026-01-02T04:00:00Z".into();
            group["onPremisesSecurityIdentifier"] =
                format!("S-1-5-21-1004336348-1177238915-682003330-{}", 9000 + n).into();
        }
        Sort::Security | Sort::MailSecurity | Sort::Distribution => {}
    }
    company.add_as(Kind::Group, id, group);
    id
}

fn dynamic(group: &mut Value, rule: &str) {
    group["groupTypes"] = json!(["DynamicMembership"]);
    group["membershipRule"] = rule.into();
    group["membershipRuleProcessingState"] = "On".into();
}

fn staff(company: &mut Company<'_>, id: Uuid, name: &str, sort: Sort, n: usize) {
    let department = names::DEPARTMENTS
        .iter()
        .position(|(department, _)| name.contains(department))
        .unwrap_or_else(|| match name {
            _ if name.starts_with("IT ") || sort == Sort::RoleAssignable => 1,
            _ => n % names::DEPARTMENTS.len(),
        });
    let colleagues = company.staff[department].clone();
    let mut members: Vec<Uuid> = match sort {
        Sort::DynamicMembers => company.employees.clone(),
        Sort::DynamicGuests => company.guests.clone(),
        Sort::RoleAssignable if name == EXCLUSION => company.break_glass.clone(),
        Sort::RoleAssignable => colleagues.iter().take(3).copied().collect(),
        _ if name.contains("Department") || name.contains("Files") || name.ends_with("Team") => {
            colleagues.clone()
        }
        _ => {
            let size = 4 + company.ids.below(20);
            let employees = company.employees.len();
            (0..size)
                .map(|_| company.employees[company.ids.below(employees)])
                .collect()
        }
    };
    if sort == Sort::Microsoft365 && n % 4 == 1 {
        members.extend(company.guests.first());
    }
    company
        .state
        .link_many(Relation::Members, Kind::Group, id, members);
    if !matches!(
        sort,
        Sort::Synced | Sort::DynamicMembers | Sort::DynamicGuests
    ) {
        // The department's head, and a colleague who covers.
        for owner in colleagues
            .iter()
            .take(if sort == Sort::Microsoft365 { 2 } else { 1 })
        {
            company
                .state
                .link_ids(Relation::Owners, Kind::Group, id, *owner);
        }
    }
    if matches!(sort, Sort::Security | Sort::Microsoft365) {
        company.cloud_groups.push(id);
    }
}

/// Puts some security groups into others.
fn nest(company: &mut Company<'_>) {
    let security: Vec<Uuid> = company
        .cloud_groups
        .iter()
        .copied()
        .filter(|id| {
            company
                .state
                .object(Kind::Group, *id)
                .is_some_and(|group| group.flag("securityEnabled"))
        })
        .collect();
    for pair in security.chunks_exact(2) {
        company
            .state
            .link_ids(Relation::Members, Kind::Group, pair[1], pair[0]);
    }
}
