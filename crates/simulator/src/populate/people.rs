//! Users: employees with managers, guests with sponsors, emergency accounts.

use std::collections::HashMap;

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Company, names};
use crate::catalog::{Kind, Relation};
use crate::http::singletons::SKU_P2;
use crate::write::lifecycle::security_identifier;

/// One in this many employees is synchronised from Active Directory.
const SYNCED_EVERY: usize = 40;
/// One in this many users is a guest.
const GUEST_EVERY: usize = 30;
/// How many people report to one team lead.
const TEAM: usize = 9;

pub(super) fn hire(company: &mut Company<'_>, total: usize) {
    for n in 1..=2 {
        let id = break_glass(company, n);
        company.break_glass.push(id);
    }
    let guests = (total / GUEST_EVERY).max(2);
    let employees = total - guests - 2;
    let mut taken: HashMap<String, usize> = HashMap::new();
    let mut leads: Vec<Vec<Uuid>> = vec![Vec::new(); names::DEPARTMENTS.len()];
    let mut sizes = vec![0usize; names::DEPARTMENTS.len()];
    let mut chief = None;
    for n in 0..employees {
        // The first people head the departments; later ones are spread unevenly.
        let departments = names::DEPARTMENTS.len();
        let department = if n <= departments {
            n.saturating_sub(1)
        } else {
            company
                .ids
                .below(departments)
                .min(company.ids.below(departments))
        };
        let job = match (n, sizes[department]) {
            (0, _) => "Chief Executive",
            (_, 0) => names::DEPARTMENTS[department].1[0],
            _ => {
                let jobs = &names::DEPARTMENTS[department].1[1..];
                company.ids.pick(jobs)
            }
        };
        let synced = n > departments && n % SYNCED_EVERY == SYNCED_EVERY / 2;
        let id = employee(company, &mut taken, department, job, synced, n);
        let manager = if n == 0 {
            None
        } else {
            leads[department].last().copied().or(chief)
        };
        if let Some(manager) = manager {
            company
                .state
                .link_ids(Relation::Manager, Kind::User, id, manager);
        }
        if n == 0 {
            chief = Some(id);
        } else {
            if sizes[department].is_multiple_of(TEAM) && !synced {
                leads[department].push(id);
            }
            sizes[department] += 1;
        }
        company.employees.push(id);
        if !synced {
            company.staff[department].push(id);
        }
    }
    for n in 0..guests {
        let id = guest(company, n);
        let sponsor = company.employees[1 + n % (company.employees.len() - 1)];
        company
            .state
            .link_ids(Relation::Sponsors, Kind::User, id, sponsor);
        company.guests.push(id);
    }
}

fn break_glass(company: &mut Company<'_>, n: usize) -> Uuid {
    let id = company.ids.guid();
    let upn = format!("emergency{n}@{}", company.domain);
    let created = company.past_date();
    company.add_as(
        Kind::User,
        id,
        json!({
            "accountEnabled": true,
            "displayName": format!("Emergency Access {n}"),
            "userPrincipalName": upn,
            "mailNickname": format!("emergency{n}"),
            "userType": "Member",
            "passwordPolicies": "DisablePasswordExpiration",
            "usageLocation": "NO",
            "createdDateTime": created,
            "securityIdentifier": security_identifier(id),
            "identities": [{ "signInType": "userPrincipalName", "issuer": company.domain, "issuerAssignedId": upn }],
        }),
    );
    id
}

fn employee(
    company: &mut Company<'_>,
    taken: &mut HashMap<String, usize>,
    department: usize,
    job: &str,
    synced: bool,
    n: usize,
) -> Uuid {
    let id = company.ids.guid();
    let given = *company.ids.pick(names::GIVEN);
    let family = *company.ids.pick(names::FAMILY);
    let (city, country, place, street, post) = *company.ids.pick(names::OFFICES);
    let base = format!("{}.{}", given.to_lowercase(), family.to_lowercase());
    let count = taken.entry(base.clone()).or_default();
    *count += 1;
    let nick = if *count == 1 {
        base
    } else {
        format!("{base}{count}")
    };
    let upn = format!("{nick}@{}", company.domain);
    let created = company.past_date();
    let department = names::DEPARTMENTS[department].0;
    let mobile = format!(
        "+47 9{:02} {:02} {:03}",
        company.ids.below(100),
        company.ids.below(100),
        n % 1000
    );
    let mut user = json!({
        "accountEnabled": !company.ids.chance(15),
        "displayName": format!("{given} {family}"),
        "givenName": given,
        "surname": family,
        "userPrincipalName": upn,
        "mailNickname": nick,
        "mail": upn,
        "proxyAddresses": [format!("SMTP:{upn}")],
        "jobTitle": job,
        "department": department,
        "companyName": "Harbour Lane Instruments",
        "city": city,
        "country": country,
        "streetAddress": street,
        "postalCode": post,
        "officeLocation": format!("{city} {}", 1 + n % 6),
        "businessPhones": [format!("+47 55 {:02} {:02} {:02}", n / 10_000 % 100, n / 100 % 100, n % 100)],
        "mobilePhone": mobile,
        "employeeId": format!("E{n:06}"),
        "employeeType": "Employee",
        "employeeOrgData": { "costCenter": format!("CC{:03}", n % 37), "division": department },
        "preferredLanguage": "en-GB",
        "usageLocation": place,
        "userType": "Member",
        "createdDateTime": created,
        "signInSessionsValidFromDateTime": created,
        "lastPasswordChangeDateTime": created,
        "securityIdentifier": security_identifier(id),
        "assignedLicenses": [{ "disabledPlans": [], "skuId": SKU_P2 }],
        "identities": [{ "signInType": "userPrincipalName", "issuer": company.domain, "issuerAssignedId": upn }],
    });
    if n % 11 == 3 {
        user["otherMails"] = json!([format!("{nick}@private.example")]);
    }
    if synced {
        on_premises(&mut user, &nick, n);
    }
    company.add_as(Kind::User, id, user);
    id
}

fn on_premises(user: &mut Value, nick: &str, n: usize) {
    user["onPremisesSyncEnabled"] = true.into();
    user["onPremisesDomainName"] = "ad.harbourlane.example".into();
    user["onPremisesSamAccountName"] = nick.chars().take(20).collect::<String>().into();
    user["onPremisesUserPrincipalName"] = format!("{nick}@ad.harbourlane.example").into();
    user["onPremisesDistinguishedName"] =
        format!("CN={nick},OU=Staff,DC=ad,DC=harbourlane,DC=example").into();
    user["onPremisesSecurityIdentifier"] =
        format!("S-1-5-21-1004336348-1177238915-682003330-{}", 2000 + n).into();
    user["onPremisesLastSyncDateTime"] = "2026-01-02T04:00:00Z".into();
    user["onPremisesImmutableId"] = format!("c3luY2VkIHVzZXIg{n:04}").into();
}

fn guest(company: &mut Company<'_>, n: usize) -> Uuid {
    let id = company.ids.guid();
    let given = *company.ids.pick(names::GIVEN);
    let family = *company.ids.pick(names::FAMILY);
    let partner = names::PARTNERS[n % names::PARTNERS.len()];
    let local = format!("{}.{}{n}", given.to_lowercase(), family.to_lowercase());
    let nick = format!("{local}_{partner}#EXT#");
    let created = company.past_date();
    company.add_as(
        Kind::User,
        id,
        json!({
            "accountEnabled": true,
            "displayName": format!("{given} {family}"),
            "userPrincipalName": format!("{nick}@{}", company.domain),
            "mailNickname": nick,
            "mail": format!("{local}@{partner}"),
            "otherMails": [format!("{local}@{partner}")],
            "proxyAddresses": [format!("SMTP:{local}@{partner}")],
            "companyName": partner,
            "userType": "Guest",
            "creationType": "Invitation",
            "externalUserState": "Accepted",
            "externalUserStateChangeDateTime": created,
            "createdDateTime": created,
            "securityIdentifier": security_identifier(id),
            "identities": [{ "signInType": "federated", "issuer": "ExternalAzureAD", "issuerAssignedId": null }],
        }),
    );
    id
}
