//! What a policy's grant controls make sure of.
//!
//! Owns the reading of demands for the question what everybody has fulfilled who got
//! through: with "one of the selected controls" only what each of them makes sure of.
//! A control that is not known makes sure of nothing.
//!
//! Source: the resource pages of `conditionalAccessGrantControls` and
//! `authenticationStrengthPolicy`.

use std::collections::HashMap;

use serde_json::Value;

use super::{Known, Seen};
use crate::lockout::texts;
use crate::object::Object;

/// The combinations that cannot be phished, as the built-in strength
/// "Phishing-resistant MFA" allows them.
const RESISTANT: [&str; 3] = [
    "windowsHelloForBusiness",
    "fido2",
    "x509CertificateMultiFactor",
];
/// The built-in strength of that name.
pub(super) const PHISHING_RESISTANT: &str = "00000000-0000-0000-0000-000000000004";

/// The authentication strengths of a tenant, by id: what each allows.
pub(super) struct Strengths(Known<HashMap<String, Vec<String>>>);

/// One demand, as far as a posture asks.
#[derive(Debug)]
enum Control {
    /// Nobody gets through.
    Block,
    /// An authentication strength; whether it cannot be phished, where that is known.
    Strength(Option<bool>),
    /// A compliant or hybrid joined device.
    Device,
    /// Something else.
    Other,
}

/// What a policy asks for.
#[derive(Debug)]
pub(super) struct Controls {
    all: Vec<Control>,
    /// Whether one of them is enough.
    one_is_enough: bool,
}

impl Strengths {
    pub(super) fn of(seen: &Seen) -> Self {
        let allowed = |strength: &Object| {
            let body = Value::Object(strength.body());
            let combinations = texts(&body, "/allowedCombinations");
            let combinations = combinations.into_iter().map(str::to_owned).collect();
            (strength.id.as_str().to_ascii_lowercase(), combinations)
        };
        let all = seen.strengths.as_ref();
        Self(
            all.map(|all| all.iter().map(allowed).collect())
                .map_err(Clone::clone),
        )
    }

    /// Whether a strength, as a policy shows it, allows only what cannot be phished;
    /// `None` where that is not known.
    fn resists(&self, shown: &Value) -> Option<bool> {
        let only = |combinations: &[&str]| {
            !combinations.is_empty() && combinations.iter().all(|one| RESISTANT.contains(one))
        };
        let id = shown.get("id").and_then(Value::as_str)?;
        if id == PHISHING_RESISTANT {
            return Some(true);
        }
        let told = texts(shown, "/allowedCombinations");
        if !told.is_empty() {
            return Some(only(&told));
        }
        let known = self.0.as_ref().ok()?;
        // One that is not there makes sure of nothing.
        let held = known.get(&id.to_ascii_lowercase()).map(Vec::as_slice);
        let held: Vec<&str> = held
            .unwrap_or_default()
            .iter()
            .map(String::as_str)
            .collect();
        Some(only(&held))
    }
}

impl Controls {
    pub(super) fn of(policy: &Value, strengths: &Strengths) -> Self {
        let nothing = Value::Null;
        let controls = policy.get("grantControls").unwrap_or(&nothing);
        let built_in = texts(controls, "/builtInControls").into_iter();
        let built_in = built_in.map(|control| match control {
            "block" => Control::Block,
            "compliantDevice" | "domainJoinedDevice" => Control::Device,
            _ => Control::Other,
        });
        let others = ["/customAuthenticationFactors", "/termsOfUse"];
        let others = others.iter().flat_map(|place| texts(controls, place));
        let others = others.map(|_| Control::Other);
        let strength = controls.get("authenticationStrength");
        let strength = strength.filter(|it| it.is_object());
        let strength = strength.map(|it| Control::Strength(strengths.resists(it)));
        Self {
            all: built_in.chain(others).chain(strength).collect(),
            // Where nothing is said, the weaker of the two.
            one_is_enough: controls.get("operator").is_none_or(|it| it != "AND"),
        }
    }

    /// Whether it asks for anything at all.
    pub(super) fn ask_for_something(&self) -> bool {
        !self.all.is_empty()
    }

    /// Whether nobody gets through.
    pub(super) fn block(&self) -> bool {
        self.all.iter().any(|one| matches!(one, Control::Block))
    }

    /// Whether everybody who got through signed in with what cannot be phished; `None`
    /// where that is not known.
    pub(super) fn resist_phishing(&self) -> Option<bool> {
        self.make_sure(|control| match control {
            Control::Block => Some(true),
            Control::Strength(resists) => *resists,
            Control::Device | Control::Other => Some(false),
        })
    }

    /// Whether everybody who got through was on a managed device.
    pub(super) fn need_device(&self) -> bool {
        let sure = |control: &Control| Some(matches!(control, Control::Block | Control::Device));
        self.make_sure(sure) == Some(true)
    }

    fn make_sure(&self, sure: impl Fn(&Control) -> Option<bool>) -> Option<bool> {
        let each = || self.all.iter().map(&sure);
        // The answer that decides by itself, and the one where none does.
        let (decides, else_) = if self.one_is_enough {
            (false, !self.all.is_empty())
        } else {
            (true, false)
        };
        if each().any(|one| one == Some(decides)) {
            Some(decides)
        } else if each().any(|one| one.is_none()) {
            None
        } else {
            Some(else_)
        }
    }
}
