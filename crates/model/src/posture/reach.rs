//! Who could delete for good today.
//!
//! Owns which roles and application permissions allow it, and the counting of those who
//! hold them. Only active assignments are seen: whoever is merely eligible in
//! Privileged Identity Management is not among them.
//!
//! Sources: "Microsoft Entra built-in roles" (which roles allow which action);
//! "Permanently delete an item (directory object)" and "What's new in Microsoft Graph",
//! which differ in whether an application may purge users and groups: whatever one of
//! them grants counts here.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::table::{APPLICATIONS, HARD_DELETE, PEOPLE};
use super::{Answer, Answers, Known, Principals, Role, Seen, Status, count};
use crate::id::ObjectId;
use crate::object::Object;

/// The most people beside the break-glass accounts who may be able to: Microsoft
/// advises fewer than five Global Administrators ("Best practices for Microsoft Entra
/// roles").
pub const MOST_PEOPLE: usize = 4;

/// What application permissions of Microsoft Graph let an application delete for good.
/// The last two let it give itself any of the others.
const PERMISSIONS: [(&str, &str); 7] = [
    ("User.DeleteRestore.All", "users"),
    ("User.ReadWrite.All", "users"),
    ("Group.ReadWrite.All", "groups"),
    (
        "Application.ReadWrite.All",
        "applications and service principals",
    ),
    ("Directory.ReadWrite.All", "users and groups"),
    (
        "RoleManagement.ReadWrite.Directory",
        "anything, since it can give itself a role",
    ),
    (
        "AppRoleAssignment.ReadWrite.All",
        "anything, since it can give itself a permission",
    ),
];

/// Who could delete for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holders {
    /// The roles that allow it, and who holds each; those of all kinds first.
    pub roles: Known<Vec<RoleHolders>>,
    /// The applications with a permission that allows it, Rewind's own left out: what
    /// each is called and what it holds.
    pub applications: Known<Vec<(String, BTreeSet<String>)>>,
}

/// Who holds one role that allows to delete for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleHolders {
    /// What the role is called.
    pub name: String,
    /// The role, as policies name it.
    pub template: ObjectId,
    /// The actions with which it allows it.
    pub actions: Vec<String>,
    /// The users who hold it, also through groups.
    pub users: BTreeSet<ObjectId>,
    /// How many groups hold it.
    pub groups: usize,
    /// The service principals that hold it.
    pub service_principals: BTreeSet<ObjectId>,
    /// Holders of which nobody knows what they are.
    pub others: usize,
}

/// Whether an action is to delete something for good. Some are about one kind alone,
/// such as `microsoft.directory/deletedItems.groups/delete`.
fn deletes_for_good(action: &str) -> bool {
    let action = action.to_ascii_lowercase();
    let mut parts = action.split('/');
    let about = (parts.next(), parts.next());
    let bin = matches!(about, (Some("microsoft.directory"), Some(entity))
        if entity == "deleteditems" || entity.starts_with("deleteditems."));
    bin && matches!(parts.next_back(), Some("delete" | "alltasks"))
}

/// Counts them.
pub(super) fn holders(seen: &Seen) -> Holders {
    Holders {
        roles: role_holders(seen),
        applications: applications(seen),
    }
}

impl Holders {
    /// The roles that somebody holds; `None` where that is not known.
    pub(super) fn templates(&self) -> Option<BTreeSet<ObjectId>> {
        let roles = self.roles.as_ref().ok()?.iter();
        Some(roles.map(|role| role.template.clone()).collect())
    }
}

fn role_holders(seen: &Seen) -> Known<Vec<RoleHolders>> {
    let roles = seen.roles.as_ref().map_err(Clone::clone)?;
    let assignments = seen.assignments.as_ref().map_err(Clone::clone)?;
    let principals = seen.principals.as_ref().map_err(Clone::clone)?;
    let allowing = roles.iter().filter(|role| role.enabled);
    let mut found: Vec<RoleHolders> = allowing
        .filter_map(|role| holders_of(role, assignments, principals))
        .collect();
    found.sort_by_key(|role| {
        let all = role.actions.iter().any(|action| action == HARD_DELETE);
        (!all, role.name.clone())
    });
    Ok(found)
}

/// `None` where the role does not allow it, or nobody holds it.
fn holders_of(role: &Role, assignments: &[Object], principals: &Principals) -> Option<RoleHolders> {
    let actions = role
        .actions
        .iter()
        .filter(|action| deletes_for_good(action));
    let mut found = RoleHolders {
        name: role.name.clone(),
        template: role.template.clone(),
        actions: actions.cloned().collect(),
        users: BTreeSet::new(),
        groups: 0,
        service_principals: BTreeSet::new(),
        others: 0,
    };
    if found.actions.is_empty() {
        return None;
    }
    let held: BTreeSet<ObjectId> = assignments
        .iter()
        .filter_map(|assignment| {
            let body = assignment.body();
            let id = |name: &str| ObjectId::parse(body.get(name).and_then(Value::as_str)?).ok();
            (id("roleDefinitionId")? == role.id)
                .then(|| id("principalId"))
                .flatten()
        })
        .collect();
    if held.is_empty() {
        return None;
    }
    for holder in held {
        if kind_of(&holder, principals) == Some("group") {
            found.groups += 1;
            let members = principals.members.get(&holder).into_iter().flatten();
            members.for_each(|member| found.add(member, principals));
        } else {
            found.add(&holder, principals);
        }
    }
    Some(found)
}

/// What a principal is: `user`.
fn kind_of<'a>(id: &ObjectId, principals: &'a Principals) -> Option<&'a str> {
    principals.types.get(id)?.rsplit('.').next()
}

impl RoleHolders {
    fn add(&mut self, holder: &ObjectId, principals: &Principals) {
        match kind_of(holder, principals) {
            Some("user") => {
                self.users.insert(holder.clone());
            }
            Some("servicePrincipal") => {
                self.service_principals.insert(holder.clone());
            }
            // A group in a group gives nothing: only direct members hold its roles.
            Some("group") => {}
            _ => self.others += 1,
        }
    }
}

fn applications(seen: &Seen) -> Known<Vec<(String, BTreeSet<String>)>> {
    let granted = seen.granted.as_ref().map_err(Clone::clone)?;
    let mut found: BTreeMap<(&str, &ObjectId), BTreeSet<String>> = BTreeMap::new();
    for one in granted {
        let allows = PERMISSIONS.iter().any(|(name, _)| *name == one.permission);
        if allows && !seen.own.contains(&one.principal) {
            let held = found
                .entry((one.name.as_str(), &one.principal))
                .or_default();
            held.insert(one.permission.clone());
        }
    }
    let named = found.into_iter();
    Ok(named
        .map(|((name, _), held)| (name.to_owned(), held))
        .collect())
}

/// Answers the checks about who could.
pub(super) fn answers(seen: &Seen, holders: &Holders) -> Answers {
    Answers::from([
        (PEOPLE, people(seen, holders)),
        (APPLICATIONS, other_applications(seen, holders)),
    ])
}

fn people(seen: &Seen, holders: &Holders) -> Answer {
    let roles = match &holders.roles {
        Ok(roles) => roles,
        Err(unread) => return Answer::unknown(unread),
    };
    let all: BTreeSet<&ObjectId> = roles.iter().flat_map(|role| &role.users).collect();
    let others = all
        .iter()
        .filter(|id| !seen.registered.contains(id))
        .count();
    let sentence = format!(
        "{} beside the break-glass accounts could delete something for good today.",
        count(others, "person", "people")
    );
    let evidence = roles.iter().map(told);
    let eligible =
        "who is only eligible for a role, in Privileged Identity Management, is not counted";
    let unknown: usize = roles.iter().map(|role| role.others).sum();
    let answer = if others > MOST_PEOPLE {
        Answer::finding(sentence)
    } else if unknown > 0 {
        Answer {
            remedy: Some("Grant the reader application Directory.Read.All, if it lacks that; principals of a partner's tenant stay unknown and are reviewed under Settings > Partner relationships.".to_owned()),
            ..Answer::new(
                Status::NotKnown,
                format!("Not known: of {} it could not be read what they are.", count(unknown, "holder", "holders")),
            )
        }
    } else {
        Answer::good(sentence)
    };
    answer.told(evidence.chain([eligible.to_owned()]))
}

fn told(role: &RoleHolders) -> String {
    let mut who = vec![count(role.users.len(), "user", "users")];
    if role.groups > 0 {
        let groups = count(role.groups, "group", "groups");
        who.push(format!("among them the members of {groups}"));
    }
    let applications = role.service_principals.len();
    if applications > 0 {
        who.push(count(
            applications,
            "service principal",
            "service principals",
        ));
    }
    if role.others > 0 {
        who.push(format!(
            "{} of a kind that could not be looked up",
            role.others
        ));
    }
    format!(
        "{}: {} ({})",
        role.name,
        who.join(", "),
        role.actions.join(", ")
    )
}

fn other_applications(seen: &Seen, holders: &Holders) -> Answer {
    let applications = match &holders.applications {
        Ok(applications) => applications,
        Err(unread) => return Answer::unknown(unread),
    };
    let roles = match &holders.roles {
        Ok(roles) => roles,
        Err(unread) => return Answer::unknown(unread),
    };
    let mut evidence: Vec<String> = applications
        .iter()
        .map(|(name, held)| {
            let reach = PERMISSIONS.iter().filter(|(name, _)| held.contains(*name));
            let reach: Vec<String> = reach
                .map(|(name, reach)| format!("{name} ({reach})"))
                .collect();
            format!("\"{name}\" holds {}", reach.join(", "))
        })
        .collect();
    let by_role = roles.iter().flat_map(|role| {
        let ids = role.service_principals.iter();
        ids.filter(|id| !seen.own.contains(id))
            .map(|id| format!("service principal {id} holds the role {}", role.name))
    });
    evidence.extend(by_role);
    if evidence.is_empty() {
        let sentence =
            "No application but Rewind's own holds a permission or a role to delete for good.";
        return Answer::good(sentence);
    }
    let sentence = format!(
        "{} beside Rewind's own could delete something for good, whatever action is protected.",
        count(evidence.len(), "application", "applications")
    );
    Answer::finding(sentence).told(evidence)
}
