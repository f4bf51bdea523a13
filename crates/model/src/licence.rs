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
        let text = |value: &Value, key: &str| {
            value
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        skus.iter()
            .filter(|sku| {
                matches!(
                    text(sku, "capabilityStatus").as_str(),
                    "Enabled" | "Warning"
                )
            })
            .filter_map(|sku| sku.get("servicePlans").and_then(Value::as_array))
            .flatten()
            .filter(|plan| text(plan, "provisioningStatus") == "Success")
            .map(
                |plan| match text(plan, "servicePlanId").to_ascii_lowercase().as_str() {
                    AAD_PREMIUM_P2 => Self::P2,
                    AAD_PREMIUM => Self::P1,
                    _ => Self::None,
                },
            )
            .max()
            .unwrap_or(Self::None)
    }
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
}
