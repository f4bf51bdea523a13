//! What a tenant has one of.

use serde_json::{Value, json};

use super::{Move, Mutator};

pub(super) const MOVES: &[(usize, Move)] = &[
    (2, change_method),
    (1, change_methods),
    (2, change_authorization),
    (1, change_organization),
];

const METHODS: &str = "/policies/authenticationMethodsPolicy";

fn change_method(m: &mut Mutator<'_>) -> Option<String> {
    let held = m.read(|state| {
        state.settings.methods["authenticationMethodConfigurations"]
            .as_array()
            .cloned()
            .unwrap_or_default()
    });
    if held.is_empty() {
        return None;
    }
    let chosen = m.ids.pick(&held).clone();
    let mut body = json!({ "@odata.type": chosen["@odata.type"] });
    if m.ids.chance(700) {
        body["state"] = if m.ids.chance(500) {
            "enabled"
        } else {
            "disabled"
        }
        .into();
    } else {
        body["excludeTargets"] = json!([{ "id": m.ids.guid(), "targetType": "group" }]);
    }
    let id = chosen["id"].as_str()?;
    let path = format!("{METHODS}/authenticationMethodConfigurations/{id}");
    m.write("PATCH", &path, Some(&body))
}

fn change_methods(m: &mut Mutator<'_>) -> Option<String> {
    let days = if m.ids.chance(200) {
        Value::Null
    } else {
        json!(m.ids.below(180))
    };
    m.write(
        "PATCH",
        METHODS,
        Some(&json!({ "reconfirmationInDays": days })),
    )
}

fn change_authorization(m: &mut Mutator<'_>) -> Option<String> {
    let body = match m.ids.below(4) {
        0 => {
            let inviters = ["none", "adminsAndGuestInviters", "everyone"];
            json!({ "allowInvitesFrom": m.ids.pick(&inviters) })
        }
        1 => json!({ "allowedToUseSSPR": m.ids.chance(500) }),
        2 => json!({ "blockMsolPowerShell": m.ids.chance(500) }),
        _ => json!({ "defaultUserRolePermissions": { "allowedToCreateApps": m.ids.chance(500) } }),
    };
    m.write("PATCH", "/policies/authorizationPolicy", Some(&body))
}

fn change_organization(m: &mut Mutator<'_>) -> Option<String> {
    let path = format!("/organization/{}", m.tenant.spec.id);
    let mail = format!("{}@{}", m.word(), m.tenant.domain);
    let body = json!({ "technicalNotificationMails": [mail] });
    m.write("PATCH", &path, Some(&body))
}
