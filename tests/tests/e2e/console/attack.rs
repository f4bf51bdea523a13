//! The pages of a tenant after an attack: every kind of change, a plan in each state, what
//! lies in the bins, and signals.

use std::sync::Arc;

use anyhow::{Context, ensure};
use chrono::TimeDelta;
use model::slot;
use proto::v1::*;
use runtime::{Clock, SystemClock};
use simulator::attack::{self, AttackTarget};
use store::Area;
use store::object_store::memory::InMemory;

use super::devtools::Chromium;
use super::{POPULATION, axe, look_at, sign_in};
use crate::approvals::require;
use crate::drift::{a_day, signals, vault};
use crate::sandbox::{Sandbox, TENANT, parent};

/// Two days with an attack between them, and the name of the first one's snapshot.
async fn attacked(sandbox: &Sandbox) -> anyhow::Result<String> {
    sandbox.tenant.populate(&POPULATION);
    sandbox.register(sandbox.registration()).await?;
    let vault = vault(sandbox).await?;
    let today = SystemClock.now();
    let days = [today - TimeDelta::days(1), today];
    let slots = days.map(|day| slot::daily(day.date_naive()));
    a_day(sandbox, days[0], async || {
        Ok(vault.manifest(&slots[0]).await.is_ok())
    })
    .await?;
    let target = AttackTarget::practice(&sandbox.graph.url(), TENANT);
    attack::run(&target).await?;
    attack::run_beyond(&target).await?;
    let second = slots[1].to_string();
    a_day(sandbox, days[1], async || {
        Ok(vault.list_ids(Area::Cursors).await?.contains(&second))
    })
    .await?;
    Ok(format!("{}/snapshots/{}", parent(), slots[0]))
}

fn id(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or_default()
}

#[tokio::test]
async fn the_pages_of_an_attack_are_readable() -> anyhow::Result<()> {
    let sandbox = Sandbox::start(Arc::new(InMemory::new())).await?;
    let base = attacked(&sandbox).await?;
    let (report, changes) = sandbox.report(&base).await?;
    let chosen: Vec<String> = changes
        .iter()
        .take(3)
        .filter_map(|change| Some(format!("&id={}", change.object.as_ref()?.id)))
        .collect();
    let (plan, _, exclusions) = sandbox.plan(sandbox.rollback(&base)).await?;
    ensure!(!exclusions.is_empty(), "something cannot be put back");
    let users = CreatePlanRequest {
        scope: Some(Scope {
            types: vec!["user".to_owned()],
            ids: Vec::new(),
        }),
        ..sandbox.rollback(&base)
    };
    let (restored, _, _) = sandbox.plan(users).await?;
    sandbox.apply(&restored.name).await?;
    let (guard, _, _) = sandbox.protect("").await?;
    let raised = signals(&sandbox).await?;
    let signal = raised.first().context("an attack raises signals")?;
    let report = id(&report.name);
    let stops = [
        ("attack-report", format!("/reports/{report}")),
        (
            "attack-report-policies",
            format!("/reports/{report}?type=conditionalAccessPolicy&type=group"),
        ),
        ("attack-deleted", "/deleted".to_owned()),
        (
            "attack-restore-new",
            format!("/restores/new?report={report}{}", chosen.concat()),
        ),
        ("attack-plan", format!("/restores/{}", id(&plan.name))),
        (
            "attack-restore",
            format!("/restores/{}?outcomes=all", id(&restored.name)),
        ),
        ("attack-restores", "/restores".to_owned()),
        ("attack-signals", "/signals".to_owned()),
        ("attack-signal", format!("/signals/{}", id(&signal.name))),
        ("attack-guard", format!("/restores/{}", id(&guard.name))),
    ];
    let axe = axe()?;
    let mut browser = Chromium::start().await?;
    browser.look(1440, "light").await?;
    sign_in(&mut browser, &sandbox).await?;
    let mut wrong = Vec::new();
    for (name, path) in &stops {
        let url = format!("{}/tenants/{TENANT}{path}", sandbox.gateway);
        browser.open(&url).await?;
        wrong.extend(look_at(&mut browser, &axe, name).await?);
    }
    // The same plan, once a second person has to agree.
    require(&sandbox, "on,changes=0").await?;
    let url = format!("{}/tenants/{TENANT}{}", sandbox.gateway, stops[4].1);
    browser.open(&url).await?;
    let offered = "document.querySelector('[data-confirm]') !== null";
    ensure!(browser.run(offered).await? == false, "not before that");
    wrong.extend(look_at(&mut browser, &axe, "attack-plan-approval").await?);
    wrong.extend(browser.complaints.iter().cloned());
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}
