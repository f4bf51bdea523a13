//! What grant controls make sure of.

use serde_json::{Value, json};

use super::super::controls::{Controls, Strengths};
use super::*;

const CUSTOM: &str = "aaaaaaaa-0000-4000-8000-000000000001";

fn strengths(combinations: Option<&[&str]>) -> Strengths {
    let mut seen = guarded();
    seen.strengths = match combinations {
        None => unread(None),
        Some(combinations) => Ok(vec![named(
            ObjectType::AuthenticationStrengthPolicy,
            CUSTOM,
            json!({"allowedCombinations": combinations}),
        )]),
    };
    Strengths::of(&seen)
}

#[track_caller]
fn check(controls: Value, strengths: &Strengths, resist: Option<bool>, device: bool) {
    let policy = json!({"grantControls": controls});
    let found = Controls::of(&policy, strengths);
    assert_eq!(
        (found.resist_phishing(), found.need_device()),
        (resist, device),
        "{policy}"
    );
}

#[test]
fn one_of_several_makes_sure_of_what_each_does_and_all_of_what_any_does() {
    let known = strengths(Some(&[]));
    let strong = json!({"id": "00000000-0000-0000-0000-000000000004"});
    for (operator, controls, resist, device) in [
        ("AND", json!(["compliantDevice"]), true, true),
        ("OR", json!(["compliantDevice"]), false, false),
        ("AND", json!(["mfa"]), true, false),
        ("OR", json!(["mfa"]), false, false),
        ("OR", json!([]), true, false),
        ("AND", json!([]), true, false),
        ("AND", json!(["mfa", "domainJoinedDevice"]), true, true),
    ] {
        let controls = json!({"operator": operator, "builtInControls": controls, "authenticationStrength": strong});
        check(controls, &known, Some(resist), device);
    }
    let only = |operator: &str, controls: Value| json!({"operator": operator, "builtInControls": controls, "authenticationStrength": null});
    let either = json!(["compliantDevice", "domainJoinedDevice"]);
    check(only("OR", either.clone()), &known, Some(false), true);
    check(
        only("OR", json!(["compliantDevice", "compliantApplication"])),
        &known,
        Some(false),
        false,
    );
    check(only("OR", json!(["block"])), &known, Some(true), true);
    check(
        only("AND", json!(["futureControl"])),
        &known,
        Some(false),
        false,
    );
    check(only("OR", json!([])), &known, Some(false), false);
    check(Value::Null, &known, Some(false), false);
    let terms = json!({"operator": "OR", "builtInControls": either, "termsOfUse": ["t"]});
    check(terms, &known, Some(false), false);
}

#[test]
fn a_strength_is_strong_where_every_combination_is() {
    let by_id = |id: &str| json!({"operator": "OR", "authenticationStrength": {"id": id}});
    let table: [(&[&str], bool); 6] = [
        (&["fido2"], true),
        (
            &[
                "fido2",
                "windowsHelloForBusiness",
                "x509CertificateMultiFactor",
            ],
            true,
        ),
        (&["fido2", "password,sms"], false),
        (&["fido2", "deviceBasedPush"], false),
        (&["newMethod"], false),
        (&[], false),
    ];
    for (combinations, expected) in table {
        let known = strengths(Some(combinations));
        check(by_id(&CUSTOM.to_uppercase()), &known, Some(expected), false);
        let told = json!({"operator": "OR", "authenticationStrength": {"id": CUSTOM, "allowedCombinations": combinations}});
        if !combinations.is_empty() {
            check(told, &strengths(None), Some(expected), false);
        }
    }
    let unknown = strengths(None);
    check(by_id(CUSTOM), &unknown, None, false);
    check(
        by_id("00000000-0000-0000-0000-000000000004"),
        &unknown,
        Some(true),
        false,
    );
    check(
        by_id("00000000-0000-0000-0000-000000000002"),
        &strengths(Some(&["fido2"])),
        Some(false),
        false,
    );
}

#[test]
fn a_custom_strength_that_could_not_be_looked_up_is_not_known() {
    let custom = |policy: &mut Value| {
        policy["grantControls"]["authenticationStrength"] = json!({"id": CUSTOM});
    };
    let policies = vec![policy(10, custom), workstations(11)];
    let change = |seen: &mut Seen| {
        seen.policies = Ok(policies);
        seen.strengths = unread(Some("Policy.Read.All"));
    };
    super::check(change, &[("phishing-resistant", NotKnown)]);
}

#[test]
fn a_workstation_is_what_the_filter_of_a_blocking_policy_lets_through() {
    for (mode, rule, kept) in [
        ("exclude", "device.extensionAttribute1 -eq \"PAW\"", true),
        (
            "exclude",
            "(device.deviceId -in [\"a\"]) -or (device.extensionAttribute1 -eq \"PAW\")",
            true,
        ),
        ("exclude", "device.extensionAttribute1 -ne \"PAW\"", false),
        ("include", "device.extensionAttribute1 -ne \"PAW\"", true),
        (
            "include",
            "device.extensionAttribute1 -ne \"PAW\" -and device.model -notContains \"X\"",
            true,
        ),
        ("include", "device.extensionAttribute1 -eq \"PAW\"", false),
        (
            "include",
            "-not (device.extensionAttribute1 -eq \"PAW\")",
            false,
        ),
        ("exclude", "", false),
        ("other", "device.extensionAttribute1 -eq \"PAW\"", false),
    ] {
        let filtered = |n, control: &str| {
            policy(n, |policy| {
                policy["grantControls"] = json!({"operator": "OR", "builtInControls": [control]});
                policy["conditions"]["devices"] =
                    json!({"deviceFilter": {"mode": mode, "rule": rule}});
            })
        };
        let expected: &[(&str, Status)] = if kept {
            &[]
        } else {
            &[("secure-workstation", Finding)]
        };
        let policies = vec![policy(10, |_| {}), filtered(11, "block")];
        super::check(|seen| seen.policies = Ok(policies), expected);
        let policies = vec![policy(10, |_| {}), filtered(11, "mfa")];
        super::check(
            |seen| seen.policies = Ok(policies),
            &[("secure-workstation", Finding)],
        );
    }
    // One that blocks everybody keeps everything out.
    let block = vec![policy(10, |policy| {
        policy["grantControls"] = json!({"operator": "OR", "builtInControls": ["block"]});
    })];
    super::check(|seen| seen.policies = Ok(block), &[]);
}
