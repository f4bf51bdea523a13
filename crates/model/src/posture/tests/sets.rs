//! Real Conditional Access sets, judged as they are and as if each policy were for the
//! context.

use std::fmt::Write as _;

use super::*;
use crate::catalogue::tests::shared_data;

/// The policies of a set.
fn read(folder: &std::path::Path) -> Vec<Object> {
    let text = std::fs::read_to_string(folder.join("conditionalAccessPolicies.json"));
    let set: Value = serde_json::from_str(&text.expect("readable")).expect("json");
    let policies = set["value"].as_array().or(set.as_array());
    let policies = policies.expect("a list").iter().enumerate();
    policies
        .map(|(n, policy)| {
            // Templates keep the policy one level down, and its name beside that.
            let mut body = policy.get("details").unwrap_or(policy).clone();
            if let Some(name) = policy.get("name") {
                body["displayName"] = name.clone();
            }
            let n = u8::try_from(n).expect("small sets");
            live(ObjectType::ConditionalAccessPolicy, n, body)
        })
        .collect()
}

/// The policy, enabled and for the context.
fn retargeted(policy: &Object) -> Object {
    let mut body = Value::Object(policy.body());
    body["state"] = json!("enabled");
    body["conditions"]["applications"] =
        json!({"includeAuthenticationContextClassReferences": [CONTEXT]});
    let body = body.as_object().expect("an object");
    Object::from_body(policy.object_type, policy.state, body).expect("well-formed")
}

fn judged(policies: Vec<Object>) -> Posture {
    judge(&Seen {
        policies: Ok(policies),
        ..guarded()
    })
}

#[test]
fn real_sets_are_judged() {
    let Some(data) = shared_data() else {
        println!("skipped: the shared data is not on this machine");
        return;
    };
    let mut told = String::new();
    let sets = std::fs::read_dir(data.join("ca")).expect("readable");
    let mut sets: Vec<_> = sets.map(|entry| entry.expect("an entry").path()).collect();
    sets.sort();
    for set in sets {
        let policies = read(&set);
        let name = set.file_name().expect("a name").to_string_lossy();
        writeln!(told, "# {name}: {} policies", policies.len()).expect("text");
        let posture = judged(policies.clone());
        writeln!(told, "As it is: {} of 100.", posture.score()).expect("text");
        for check in posture.with(Status::Finding) {
            writeln!(told, "  {}: {}", check.kind.id, check.sentence).expect("text");
        }
        writeln!(told, "Each policy alone, enabled and for the context:").expect("text");
        for policy in &policies {
            let posture = judged(vec![retargeted(policy)]);
            let good = posture.with(Status::Good).map(|check| check.kind.id);
            let of_interest = [
                "policy-for-everybody",
                "only-break-glass-excluded",
                "phishing-resistant",
                "managed-device",
                "secure-workstation",
            ];
            let good: Vec<&str> = good.filter(|id| of_interest.contains(id)).collect();
            let good = if good.is_empty() {
                "nothing".to_owned()
            } else {
                good.join(", ")
            };
            writeln!(told, "  {}: {good}", policy.name()).expect("text");
        }
    }
    insta::assert_snapshot!("real_sets", told);
}
