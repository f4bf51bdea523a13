//! The main job: snapshot, attack, report, restore, verify; on the generated
//! tenant and on the real Conditional Access sets.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use proto::v1::*;
use simulator::attack::{self, AttackTarget, Deed, DeedKind};
use simulator::{Population, live_differences};
use store::object_store::memory::InMemory;

use crate::sandbox::{Sandbox, TENANT};
use crate::shared;

/// Runs the whole story on what the sandbox's tenant holds.
async fn back_to_the_snapshot(sandbox: &Sandbox) -> anyhow::Result<()> {
    sandbox.register(sandbox.registration()).await?;
    let checked = sandbox.check().await?;
    assert!(
        checked.can_snapshot && checked.can_restore,
        "{:?}",
        checked.items
    );

    let snapshot = sandbox.snapshot().await?;
    assert_eq!(
        snapshot.state(),
        SnapshotState::Complete,
        "{:?}",
        snapshot.kinds
    );
    let before = sandbox.simulator.dump(TENANT);

    let (quiet, none) = sandbox.report(&snapshot.name).await?;
    assert_eq!(
        none,
        [],
        "nothing changed yet; not compared: {:?}",
        quiet.not_compared
    );

    let target = AttackTarget::practice(&sandbox.graph.url(), TENANT);
    let mut deeds = attack::run(&target).await?;
    deeds.extend(attack::run_beyond(&target).await?);
    assert!(deeds.len() > 10, "the intruder did too little: {deeds:#?}");

    let (report, changes) = sandbox.report(&snapshot.name).await?;
    assert_eq!(report.not_compared, Vec::<String>::new());
    assert_same(&deeds, &changes);

    let (plan, steps, exclusions) = sandbox.plan(sandbox.rollback(&snapshot.name)).await?;
    assert_eq!(plan.drift, Vec::<String>::new());
    assert_eq!(usize::try_from(plan.step_count)?, steps.len());
    let hard: BTreeSet<String> = deeds
        .iter()
        .filter(|deed| deed.kind == DeedKind::HardDeleted)
        .map(|deed| deed.id.clone())
        .collect();
    let whole = exclusions
        .iter()
        .filter(|exclusion| exclusion.part.is_empty());
    let excluded: BTreeSet<String> = whole
        .map(|exclusion| exclusion.object.clone().unwrap_or_default().id)
        .collect();
    assert_eq!(excluded, hard, "{exclusions:#?}");

    let restore = sandbox.apply(&plan.name).await?;
    let outcomes = sandbox.outcomes(&restore.name).await?;
    let bad: Vec<&Outcome> = outcomes
        .iter()
        .filter(|outcome| {
            !matches!(
                outcome.state(),
                OutcomeState::Applied | OutcomeState::AlreadyDone
            )
        })
        .collect();
    assert!(bad.is_empty(), "{bad:#?}");
    assert_eq!(restore.unexpected, Vec::<String>::new());
    assert_eq!(restore.state(), RestoreState::Succeeded);
    assert_eq!(outcomes.len(), steps.len(), "each step has one outcome");

    let (_, left) = sandbox.report(&snapshot.name).await?;
    let left: BTreeSet<String> = left
        .into_iter()
        .map(|change| change.object.unwrap_or_default().id)
        .collect();
    assert_eq!(left, hard, "nothing is left but what cannot come back");

    let after = sandbox.simulator.dump(TENANT);
    let differing: Vec<String> = live_differences(&before, &after)
        .into_iter()
        .filter(|sentence| !hard.iter().any(|id| sentence.contains(id.as_str())))
        .collect();
    assert_eq!(
        differing,
        Vec::<String>::new(),
        "object by object, links included"
    );
    Ok(())
}

/// What was found is what was done: the same objects, kinds, properties, links.
fn assert_same(deeds: &[Deed], changes: &[Change]) {
    type Facts = (String, BTreeSet<String>, BTreeSet<(String, String, String)>);
    let deleted: BTreeSet<&str> = deeds
        .iter()
        .filter(|deed| matches!(deed.kind, DeedKind::SoftDeleted | DeedKind::HardDeleted))
        .map(|deed| deed.id.as_str())
        .collect();
    let done: BTreeMap<String, Facts> = deeds
        .iter()
        .map(|deed| {
            let modified = deed.kind == DeedKind::Modified;
            let properties = deed
                .properties
                .iter()
                .filter(|_| modified)
                .cloned()
                .collect();
            // A link to an object that was deleted too is part of its deletion.
            let told = |(_, direction, target): &&(String, String, String)| {
                modified && !(direction == "removed" && deleted.contains(target.as_str()))
            };
            let links = deed.links.iter().filter(told).cloned().collect();
            (
                format!("{} {}", deed.object_type, deed.id),
                (format!("{:?}", deed.kind), properties, links),
            )
        })
        .collect();
    let found: BTreeMap<String, Facts> = changes
        .iter()
        .map(|change| {
            let object = change.object.clone().unwrap_or_default();
            let modified = change.kind() == ChangeKind::Modified;
            let property = |path: &String| path.split('.').next().unwrap_or_default().to_owned();
            let properties = change
                .attributes
                .iter()
                .filter(|_| modified)
                .map(|attribute| property(&attribute.path))
                .collect();
            let links = change.links.iter().filter(|_| modified).map(|link| {
                let relation = link
                    .relation
                    .split('/')
                    .next_back()
                    .unwrap_or_default()
                    .to_owned();
                let direction = if link.direction() == LinkDirection::Added {
                    "added"
                } else {
                    "removed"
                };
                (relation, direction.to_owned(), link.target_id.clone())
            });
            (
                format!("{} {}", object.r#type, object.id),
                (format!("{:?}", change.kind()), properties, links.collect()),
            )
        })
        .collect();
    assert_eq!(found, done);
}

#[tokio::test]
async fn a_generated_tenant_comes_back() -> anyhow::Result<()> {
    let sandbox = Sandbox::start(Arc::new(InMemory::new())).await?;
    sandbox.tenant.populate(&Population {
        users: 400,
        groups: 60,
        seed: 11,
    });
    back_to_the_snapshot(&sandbox).await
}

#[tokio::test]
async fn a_tenant_with_real_policies_comes_back() -> anyhow::Result<()> {
    let Some(data) = shared::data() else {
        return Ok(());
    };
    let sandbox = Sandbox::start(Arc::new(InMemory::new())).await?;
    sandbox.tenant.populate(&Population {
        users: 250,
        groups: 40,
        seed: 5,
    });
    let parts = [
        "ca/j0eyv-ConditionalAccessBaseline",
        "dumps/scubagear-stub-2023",
        "dumps/azure-cli-recordings/objects",
        "dumps/microsoft-info/servicePrincipals.graph-shape.json",
    ];
    for part in parts {
        load(&sandbox, &data.join(part))?;
    }
    for (graph_type, least) in [
        ("conditionalAccessPolicy", 36),
        ("group", 36),
        ("namedLocation", 3),
        ("servicePrincipal", 1000),
    ] {
        assert!(
            sandbox.tenant.count(graph_type) >= least,
            "{} of {graph_type}",
            sandbox.tenant.count(graph_type)
        );
    }
    back_to_the_snapshot(&sandbox).await
}

fn load(sandbox: &Sandbox, path: &Path) -> anyhow::Result<()> {
    let report = sandbox.tenant.load(path)?;
    shared::say(&format!(
        "{}: {report:?}",
        path.file_name().unwrap_or_default().display()
    ));
    Ok(())
}
