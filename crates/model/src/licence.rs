//! Whether a tenant may be served: an active Entra ID P1 or P2 service plan.
//!
//! Facts: service plan ids as published in Microsoft's licensing reference;
//! capability and provisioning states as in the Graph `subscribedSku` resource.

use serde_json::Value;

/// Service plan `AAD_PREMIUM`.
pub const AAD_PREMIUM: &str = "41781fb2-bc02-4b7c-bd55-b576c07bb09d";
/// Service plan `AAD_PREMIUM_P2`.
pub const AAD_PREMIUM_P2: &str = "eec0eb4f-6444-4f95-aba0-50c24d67f998";

/// The Entra ID licence of a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Licence {
    /// No active premium plan.
    None,
    /// Entra ID P1.
    P1,
    /// Entra ID P2.
    P2,
}

impl Licence {
    /// `none`, `P1` or `P2`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::P1 => "P1",
            Self::P2 => "P2",
        }
    }

    /// The best active plan among `subscribedSkus`.
    ///
    /// A subscription counts while its `capabilityStatus` is `Enabled` or
    /// `Warning`; a plan inside it while its `provisioningStatus` is `Success`.
    #[must_use]
    pub fn from_subscribed_skus(skus: &[Value]) -> Self {
        plans(skus)
            .filter(Plan::is_active)
            .map(|plan| plan.licence)
            .max()
            .unwrap_or(Self::None)
    }
}

/// What was found of P1 and P2, in words: the active licence with the
/// subscription that brings it, else every plan that is there and does not
/// count, with the states that say why.
#[must_use]
pub fn found(skus: &[Value]) -> String {
    let active = plans(skus)
        .filter(Plan::is_active)
        .max_by_key(|plan| plan.licence);
    if let Some(plan) = active {
        return format!("Entra ID {}: {plan}", plan.licence.name());
    }
    let idle: Vec<String> = plans(skus).map(|plan| plan.to_string()).collect();
    if idle.is_empty() {
        "no subscription holds an Entra ID P1 or P2 plan".to_owned()
    } else {
        format!("no Entra ID P1 or P2 plan is active: {}", idle.join("; "))
    }
}

/// A premium plan inside a subscription.
struct Plan {
    licence: Licence,
    name: &'static str,
    sku: String,
    capability: String,
    provisioning: String,
}

impl Plan {
    fn is_active(&self) -> bool {
        matches!(self.capability.as_str(), "Enabled" | "Warning") && self.provisioning == "Success"
    }
}

impl std::fmt::Display for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} of subscription {} (subscription {}, plan {})",
            self.name, self.sku, self.capability, self.provisioning
        )
    }
}

fn plans(skus: &[Value]) -> impl Iterator<Item = Plan> {
    skus.iter().flat_map(|sku| {
        let plans = sku.get("servicePlans").and_then(Value::as_array);
        plans.into_iter().flatten().filter_map(|plan| {
            let (licence, name) = match text(plan, "servicePlanId").to_ascii_lowercase().as_str() {
                AAD_PREMIUM_P2 => (Licence::P2, "AAD_PREMIUM_P2"),
                AAD_PREMIUM => (Licence::P1, "AAD_PREMIUM"),
                _ => return None,
            };
            Some(Plan {
                licence,
                name,
                sku: text(sku, "skuPartNumber"),
                capability: text(sku, "capabilityStatus"),
                provisioning: text(plan, "provisioningStatus"),
            })
        })
    })
}

/// A word of an answer, fit to be shown.
fn text(value: &Value, key: &str) -> String {
    let word = value.get(key).and_then(Value::as_str).unwrap_or_default();
    if word.is_empty() {
        return "unknown".to_owned();
    }
    word.chars().filter(|c| !c.is_control()).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(capability: &str, plan: &str, provisioning: &str, expected: Licence) {
        let skus = [json!({"capabilityStatus": capability, "servicePlans": [
            {"servicePlanId": "00000000-0000-0000-0000-000000000001", "provisioningStatus": "Success"},
            {"servicePlanId": plan, "provisioningStatus": provisioning}]})];
        assert_eq!(
            Licence::from_subscribed_skus(&skus),
            expected,
            "{capability} {plan} {provisioning}"
        );
    }

    #[test]
    fn only_active_premium_plans_count() {
        check("Enabled", AAD_PREMIUM, "Success", Licence::P1);
        check("Warning", AAD_PREMIUM_P2, "Success", Licence::P2);
        check("Suspended", AAD_PREMIUM_P2, "Success", Licence::None);
        check("Enabled", AAD_PREMIUM_P2, "Disabled", Licence::None);
        check(
            "Enabled",
            "00000000-0000-0000-0000-000000000002",
            "Success",
            Licence::None,
        );
        assert_eq!(Licence::from_subscribed_skus(&[]), Licence::None);
    }

    #[test]
    fn what_was_found_tells_suspended_and_disabled_from_none() {
        let sku = |part: &str, capability: &str, plan: &str, provisioning: &str| {
            json!({"skuPartNumber": part, "capabilityStatus": capability, "servicePlans": [
                {"servicePlanId": "00000000-0000-0000-0000-000000000001", "provisioningStatus": "Success"},
                {"servicePlanId": plan, "provisioningStatus": provisioning}]})
        };
        let check = |skus: &[Value], expected: &str| assert_eq!(found(skus), expected);
        check(&[], "no subscription holds an Entra ID P1 or P2 plan");
        check(
            &[json!({"skuPartNumber": "O365_E3", "servicePlans": []})],
            "no subscription holds an Entra ID P1 or P2 plan",
        );
        check(
            &[
                sku("SPE_E3", "Enabled", AAD_PREMIUM, "Success"),
                sku("SPE_E5", "Warning", AAD_PREMIUM_P2, "Success"),
            ],
            "Entra ID P2: AAD_PREMIUM_P2 of subscription SPE_E5 (subscription Warning, plan Success)",
        );
        check(
            &[
                sku("SPE_E3", "Enabled", AAD_PREMIUM, "Disabled"),
                sku("SPE_E5", "Suspended", AAD_PREMIUM_P2, "Success"),
            ],
            "no Entra ID P1 or P2 plan is active: \
             AAD_PREMIUM of subscription SPE_E3 (subscription Enabled, plan Disabled); \
             AAD_PREMIUM_P2 of subscription SPE_E5 (subscription Suspended, plan Success)",
        );
        check(
            &[json!({"servicePlans": [{"servicePlanId": AAD_PREMIUM.to_uppercase()}]})],
            "no Entra ID P1 or P2 plan is active: \
             AAD_PREMIUM of subscription unknown (subscription unknown, plan unknown)",
        );
    }
}
