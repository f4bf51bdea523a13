//! The intruder and the inspection of what it did.

use std::collections::BTreeSet;

use crate::support::{Bench, TENANT, shared_data};
use simulator::attack::{self, AttackTarget, DeedKind};
use simulator::{differences, live_differences};

#[tokio::test]
async fn on_a_practice_tenant_every_kind_of_deed_occurs_and_each_difference_has_its_deed() {
    let bench = Bench::populated(120, 30).await;
    let before = bench.simulator.dump(TENANT);
    let deeds = attack::run(&AttackTarget::practice(&bench.server.url(), TENANT))
        .await
        .unwrap();
    let after = bench.simulator.dump(TENANT);

    let done: BTreeSet<(String, DeedKind)> = deeds
        .iter()
        .map(|deed| (deed.object_type.clone(), deed.kind))
        .collect();
    for (object_type, kind) in [
        ("user", DeedKind::Modified),
        ("user", DeedKind::Added),
        ("user", DeedKind::SoftDeleted),
        ("user", DeedKind::HardDeleted),
        ("group", DeedKind::Modified),
        ("group", DeedKind::SoftDeleted),
        ("application", DeedKind::Modified),
        ("application", DeedKind::Added),
        ("application", DeedKind::SoftDeleted),
        ("servicePrincipal", DeedKind::Modified),
        ("servicePrincipal", DeedKind::Added),
        ("servicePrincipal", DeedKind::SoftDeleted),
        ("conditionalAccessPolicy", DeedKind::Modified),
        ("conditionalAccessPolicy", DeedKind::Added),
        ("conditionalAccessPolicy", DeedKind::SoftDeleted),
        ("namedLocation", DeedKind::Modified),
        ("namedLocation", DeedKind::SoftDeleted),
    ] {
        assert!(
            done.contains(&(object_type.to_owned(), kind)),
            "{object_type} {kind:?} did not occur"
        );
    }
    for relation in ["manager", "members", "owners"] {
        assert!(
            deeds
                .iter()
                .any(|deed| deed.links.iter().any(|link| link.0 == relation)),
            "{relation} did not change"
        );
    }
    let unique: BTreeSet<(&str, &str)> = deeds
        .iter()
        .map(|deed| (deed.object_type.as_str(), deed.id.as_str()))
        .collect();
    assert_eq!(unique.len(), deeds.len(), "one deed per object");

    // Every property that differs is in a deed, and every deed shows in the state.
    for object_type in [
        "user",
        "group",
        "application",
        "servicePrincipal",
        "conditionalAccessPolicy",
        "namedLocation",
    ] {
        let (old, new) = (
            &before["objects"][object_type],
            &after["objects"][object_type],
        );
        let names: BTreeSet<&String> = old
            .as_object()
            .unwrap()
            .keys()
            .chain(new.as_object().unwrap().keys())
            .collect();
        for id in names {
            let (from, to) = (&old[id], &new[id]);
            let deed = deeds
                .iter()
                .find(|deed| deed.object_type == object_type && deed.id == *id);
            if from == to {
                assert!(
                    deed.is_none_or(
                        |deed| deed.properties.is_empty() && deed.kind == DeedKind::Modified
                    ),
                    "{deed:?} left no trace"
                );
                continue;
            }
            let deed = deed.unwrap_or_else(|| panic!("{object_type} {id} changed without a deed"));
            if deed.kind == DeedKind::Modified {
                let changed: BTreeSet<&String> = from
                    .as_object()
                    .unwrap()
                    .keys()
                    .chain(to.as_object().unwrap().keys())
                    .filter(|name| from[name.as_str()] != to[name.as_str()])
                    .collect();
                assert_eq!(changed, deed.properties.iter().collect(), "{deed:?}");
            }
        }
    }
    assert!(!live_differences(&before, &after).is_empty());
    assert!(differences(&before, &after).len() > live_differences(&before, &after).len());
    assert!(differences(&before, &before).is_empty());
}

#[tokio::test]
async fn a_tenant_loaded_from_a_real_export_can_be_attacked_too() {
    let Some(data) = shared_data() else {
        println!("skipped: no shared data");
        return;
    };
    let bench = Bench::empty().await;
    bench
        .tenant
        .load(&data.join("ca/j0eyv-ConditionalAccessBaseline"))
        .unwrap();
    let deeds = attack::run(&AttackTarget::practice(&bench.server.url(), TENANT))
        .await
        .unwrap();
    let kinds: BTreeSet<&str> = deeds.iter().map(|deed| deed.object_type.as_str()).collect();
    assert!(
        kinds.contains("conditionalAccessPolicy") && kinds.contains("group"),
        "{kinds:?}"
    );
    assert!(deeds.len() >= 10, "{deeds:#?}");
}

#[tokio::test]
async fn the_same_seed_makes_the_same_company_and_the_same_attack() {
    let (one, two) = (
        Bench::populated(60, 20).await,
        Bench::populated(60, 20).await,
    );
    assert_eq!(one.simulator.dump(TENANT), two.simulator.dump(TENANT));
    let target = |bench: &Bench| AttackTarget::practice(&bench.server.url(), TENANT);
    let (first, second) = (
        attack::run(&target(&one)).await.unwrap(),
        attack::run(&target(&two)).await.unwrap(),
    );
    assert_eq!(first, second);
}

#[tokio::test]
async fn beyond_the_six_types_each_deed_is_a_difference() {
    let bench = Bench::populated(120, 30).await;
    let target = AttackTarget::practice(&bench.server.url(), TENANT);
    let before = bench.simulator.dump(TENANT);
    let deeds = attack::run_beyond(&target).await.unwrap();
    let done: Vec<(&str, DeedKind)> = deeds
        .iter()
        .map(|deed| (deed.object_type.as_str(), deed.kind))
        .collect();
    assert_eq!(
        done,
        [
            ("application", DeedKind::Added),
            ("servicePrincipal", DeedKind::Added),
            ("oAuth2PermissionGrant", DeedKind::Added),
            ("oAuth2PermissionGrant", DeedKind::Modified),
            ("appRoleAssignment", DeedKind::Added),
            ("federatedIdentityCredential", DeedKind::Added),
            ("unifiedRoleAssignment", DeedKind::Added),
            ("authenticationMethodsPolicy", DeedKind::Modified),
            ("authorizationPolicy", DeedKind::Modified),
            ("authenticationStrengthPolicy", DeedKind::Modified),
            ("authenticationContextClassReference", DeedKind::Modified),
        ]
    );
    let found = live_differences(&before, &bench.simulator.dump(TENANT));
    assert_eq!(found.len(), deeds.len(), "{found:#?}");
    for (found, start) in found.iter().zip([
        "application ",
        "servicePrincipal ",
        "oAuth2PermissionGrant ",
        "oAuth2PermissionGrant ",
        "federatedIdentityCredential ",
        "authenticationStrengthPolicy ",
        "authenticationContextClassReference ",
        "policy authenticationMethodsPolicy: ",
        "policy authorizationPolicy: ",
        "appRoleAssignment ",
        "roleAssignment ",
    ]) {
        assert!(found.starts_with(start), "{found} is no {start}");
    }
    // The two attacks do not get in each other's way.
    assert!(attack::run(&target).await.unwrap().len() > 20);
}
