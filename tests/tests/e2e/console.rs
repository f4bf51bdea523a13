//! The console in a real browser: every page of a tenant with a history is opened, looked
//! at by axe-core, wide and narrow, light and dark, and pictured below `target/console`.

mod attack;
mod devtools;
mod story;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, ensure};
use chrono::TimeDelta;
use devtools::Chromium;
use graph::GraphWriter;
use model::call::HttpMethod;
use model::slot;
use proto::v1::*;
use runtime::{Clock, SystemClock};
use serde_json::{Value, json};
use simulator::{Population, TenantSpec};
use store::Area;
use store::object_store::memory::InMemory;

use crate::drift::{a_day, vault};
use crate::restore::{ids, patch, write};
use crate::sandbox::{self, Sandbox, TENANT, TOKEN, parent};

const POPULATION: Population = Population {
    users: 240,
    groups: 30,
    seed: 6,
};
/// Another tenant, with one snapshot,
const SECOND: &str = "5a1d0000-0000-4000-8000-000000000002";
/// others likewise, and the last one that was just registered.
const OTHERS: [(&str, &str); 4] = [
    (SECOND, "Fabrikam Health"),
    ("5a1d0000-0000-4000-8000-000000000003", "Adventure Works"),
    ("5a1d0000-0000-4000-8000-000000000004", "Tailspin Toys"),
    (LAST, "<b>Northwind</b> & Söhne"),
];
const LAST: &str = "5a1d0000-0000-4000-8000-000000000005";
/// How many users change from day to day.
const DAYS: [usize; 6] = [3, 12, 7, 0, 24, 9];
/// What somebody may call a user to play tricks.
const EVIL: &str = "<script>document.title='x'</script> \u{202e}evil";

fn target() -> PathBuf {
    let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
    temporary.parent().expect("below target").to_owned()
}

/// Where `cargo xtask test` puts axe-core.
fn axe() -> anyhow::Result<String> {
    let tools = std::fs::read_dir(target().join("tools"))?;
    let folder = tools
        .filter_map(Result::ok)
        .find(|entry| entry.file_name().to_string_lossy().starts_with("axe-core-"))
        .context("`cargo xtask test` installs axe-core")?;
    let file = folder.path().join("node_modules/axe-core/axe.min.js");
    Ok(std::fs::read_to_string(file)?)
}

/// A week of a tenant, and its neighbours.
async fn a_week(sandbox: &Sandbox) -> anyhow::Result<()> {
    sandbox.tenant.populate(&POPULATION);
    sandbox
        .register(Tenant {
            display_name: "Contoso Ltd".to_owned(),
            ..sandbox.registration()
        })
        .await?;
    let vault = vault(sandbox).await?;
    let intruder = sandbox::intruder(&sandbox.graph)?;
    let users = ids(sandbox, "user", |body| {
        body["onPremisesSyncEnabled"] != json!(true)
    });
    let today = SystemClock.now();
    for (n, changes) in DAYS.into_iter().enumerate() {
        for user in &users[..changes] {
            let body = json!({"jobTitle": format!("Consultant of day {n}")});
            patch(&intruder, format!("/users/{user}"), body).await?;
        }
        if n + 1 == DAYS.len() {
            last_day(&intruder, &users).await?;
        }
        let days = i64::try_from(DAYS.len() - 1 - n)?;
        let day = today - TimeDelta::days(days);
        let slot = slot::daily(day.date_naive());
        a_day(sandbox, day, async || match n {
            0 => Ok(vault.manifest(&slot).await.is_ok()),
            _ => Ok(vault
                .list_ids(Area::Cursors)
                .await?
                .contains(&slot.to_string())),
        })
        .await?;
    }
    let evil = json!({"displayName": EVIL, "department": "x".repeat(60)});
    patch(&intruder, format!("/users/{}", users[0]), evil).await?;
    for (id, name) in OTHERS {
        let tenant = sandbox.simulator.add_tenant(TenantSpec::practice(id));
        tenant.populate(&Population {
            users: 40,
            ..POPULATION
        });
        sandbox
            .register(Tenant {
                id: id.to_owned(),
                display_name: name.to_owned(),
                ..sandbox.registration()
            })
            .await?;
        if id != LAST {
            sandbox.snapshot_of(&format!("tenants/{id}")).await?;
        }
    }
    Ok(())
}

/// What the last day's signals tell: many users disabled, and some deleted.
async fn last_day(intruder: &GraphWriter, users: &[String]) -> anyhow::Result<()> {
    for user in &users[40..80] {
        let off = json!({"accountEnabled": false});
        patch(intruder, format!("/users/{user}"), off).await?;
    }
    for user in &users[80..83] {
        write(intruder, HttpMethod::Delete, format!("/users/{user}"), None).await?;
    }
    Ok(())
}

/// A page and how its pictures are called.
struct Stop {
    name: &'static str,
    path: String,
}

/// Every page, in the order in which somebody comes to them.
async fn tour(sandbox: &Sandbox) -> anyhow::Result<Vec<Stop>> {
    let newest = slot::daily(SystemClock.now().date_naive()).to_string();
    let base = format!("{}/snapshots/{newest}", parent());
    let (report, changes) = sandbox.report(&base).await?;
    ensure!(!changes.is_empty(), "the report tells of the evil name");
    let (plan, steps, _) = sandbox.plan(sandbox.rollback(&base)).await?;
    ensure!(!steps.is_empty(), "and the plan of putting it back");
    let restore = sandbox.apply(&plan.name).await?;
    let user = ids(sandbox, "user", |body| {
        body["onPremisesSyncEnabled"] != json!(true)
    })
    .swap_remove(0);
    let group = ids(sandbox, "group", |_| true).swap_remove(0);
    let tenant = format!("/{}", parent());
    let snapshot = format!("/{base}");
    let stop = |name, path: String| Stop { name, path };
    Ok(vec![
        stop("overview", "/".to_owned()),
        stop("overview-search", "/?q=northwind&order=name".to_owned()),
        stop("register", "/tenants/new".to_owned()),
        stop("tenant", tenant.clone()),
        stop("snapshots", format!("{tenant}/snapshots")),
        stop("snapshot", snapshot.clone()),
        stop("browse", format!("{snapshot}/objects")),
        stop("search", format!("{snapshot}/objects?q=a&type=user")),
        stop("object", format!("{snapshot}/objects/{group}?type=group")),
        stop("history", format!("{tenant}/objects/user/{user}/history")),
        stop("reports", format!("{tenant}/reports")),
        stop("report-new", format!("{tenant}/reports/new")),
        stop("report", format!("/{}", report.name)),
        stop("restores", format!("{tenant}/restores")),
        stop("restore-new", format!("{tenant}/restores/new")),
        stop(
            "plan",
            format!(
                "{tenant}/restores/{}",
                plan.name.rsplit('/').next().unwrap_or_default()
            ),
        ),
        stop("restore", format!("/{}", restore.name)),
        stop("deleted", format!("{tenant}/deleted")),
        stop("protection", format!("{tenant}/protection")),
        stop("signals", format!("{tenant}/signals")),
        stop("changes", format!("{tenant}/changes?all=1")),
        stop("settings", format!("{tenant}/settings")),
        stop("check", format!("{tenant}/check")),
        stop("not-found", format!("{tenant}/snapshots/20200101-daily")),
    ])
}

async fn sign_in(browser: &mut Chromium, sandbox: &Sandbox) -> anyhow::Result<()> {
    browser.open(&format!("{}{}", sandbox.gateway, "/")).await?;
    let path = browser.run("location.pathname").await?;
    ensure!(path == "/login", "nobody is signed in: {path}");
    let fill = format!("document.getElementById('token').value = '{TOKEN}'");
    browser.run(&fill).await?;
    browser
        .follow("document.querySelector('main form button').click()")
        .await
}

/// What axe-core finds serious on the page that is open.
async fn barriers(browser: &mut Chromium, axe: &str) -> anyhow::Result<Vec<Value>> {
    browser.run(&format!("{axe}; true")).await?;
    let run = "axe.run(document, {resultTypes: ['violations']}).then((found) => found.violations
        .filter((it) => ['serious', 'critical'].includes(it.impact))
        .map((it) => ({rule: it.id, help: it.help, at: it.nodes.slice(0, 3).map((node) => node.html + ' ' + node.failureSummary)})))";
    let found = browser.run(run).await?;
    Ok(found.as_array().cloned().unwrap_or_default())
}

/// Pictures the page that is open as people see it, and tells what is wrong with it.
async fn look_at(browser: &mut Chromium, axe: &str, name: &str) -> anyhow::Result<Vec<String>> {
    let pictures = target().join("console");
    std::fs::create_dir_all(&pictures)?;
    let mut wrong = Vec::new();
    for (width, scheme) in [
        (1440, "light"),
        (1440, "dark"),
        (390, "dark"),
        (390, "light"),
    ] {
        browser.look(width, scheme).await?;
        let picture = format!("{name}-{width}-{scheme}.png");
        browser.picture(&pictures.join(&picture)).await?;
        let wider = "document.documentElement.scrollWidth > innerWidth";
        if browser.run(wider).await? == json!(true) {
            wrong.push(format!("{picture}: wider than the screen"));
        }
        if scheme == "light" || width == 1440 {
            for barrier in barriers(browser, axe).await? {
                wrong.push(format!("{picture}: {barrier:#}"));
            }
        }
    }
    browser.look(1440, "light").await?;
    Ok(wrong)
}

#[tokio::test]
async fn every_page_is_readable_wide_and_narrow_light_and_dark() -> anyhow::Result<()> {
    let sandbox = Sandbox::start(Arc::new(InMemory::new())).await?;
    a_week(&sandbox).await?;
    let stops = tour(&sandbox).await?;
    let axe = axe()?;
    let mut browser = Chromium::start().await?;
    browser.look(1440, "light").await?;
    // What looks for barriers finds them where there are any.
    browser.open("data:text/html,<img src=x>").await?;
    let found = barriers(&mut browser, &axe).await?;
    ensure!(
        found.iter().any(|it| it["rule"] == "image-alt"),
        "{found:?}"
    );
    browser.complaints.clear();

    browser.open(&format!("{}/login", sandbox.gateway)).await?;
    let mut wrong = look_at(&mut browser, &axe, "login").await?;
    sign_in(&mut browser, &sandbox).await?;
    for stop in &stops {
        browser
            .open(&format!("{}{}", sandbox.gateway, stop.path))
            .await?;
        let title = browser
            .run("document.querySelector('h1').textContent")
            .await?;
        ensure!(title != json!("Sign in"), "{}", stop.name);
        wrong.extend(look_at(&mut browser, &axe, stop.name).await?);
    }
    // The page of what is not there is told to the browser as such.
    let told = |complaint: &&String| !complaint.contains("20200101-daily");
    wrong.extend(browser.complaints.iter().filter(told).cloned());
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[tokio::test]
async fn a_snapshot_is_taken_and_found_by_hand() -> anyhow::Result<()> {
    let sandbox = Sandbox::start(Arc::new(InMemory::new())).await?;
    sandbox.tenant.populate(&POPULATION);
    sandbox.register(sandbox.registration()).await?;
    let mut browser = Chromium::start().await?;
    browser.look(1440, "light").await?;
    sign_in(&mut browser, &sandbox).await?;

    // The first stop of the keyboard leads past the navigation.
    browser.press("Tab", 9).await?;
    let focused = browser
        .run("document.activeElement.getAttribute('href')")
        .await?;
    ensure!(focused == "#content", "{focused}");

    browser
        .open(&format!("{}/tenants/{TENANT}", sandbox.gateway))
        .await?;
    browser
        .follow("document.querySelector('.commands button.primary').click()")
        .await?;
    // The page goes on by itself when the snapshot is there.
    browser
        .until("document.querySelector('h1 .badge.good') !== null")
        .await?;
    let ids = ids(&sandbox, "user", |_| true);
    let search = format!("document.getElementById('q').value = '{}'", ids[0]);
    browser.run(&search).await?;
    browser
        .follow("document.querySelector('form[role=search] button').click()")
        .await?;
    browser
        .follow("document.querySelector('tbody th a').click()")
        .await?;
    let text = browser
        .run("document.querySelector('main').textContent")
        .await?;
    ensure!(
        text.as_str().is_some_and(|text| text.contains(&ids[0])),
        "{text}"
    );

    browser
        .follow("document.querySelector('.account button').click()")
        .await?;
    browser
        .open(&format!("{}/tenants/{TENANT}", sandbox.gateway))
        .await?;
    let title = browser
        .run("document.querySelector('h1').textContent")
        .await?;
    ensure!(title == "Sign in", "{title}");
    ensure!(browser.complaints.is_empty(), "{:?}", browser.complaints);
    Ok(())
}
