//! The story of the demonstration in a browser: an intruder's deeds are found by a report,
//! some are chosen, put back after a word is typed, and found put back.

use anyhow::ensure;
use model::call::HttpMethod;
use serde_json::json;

use super::devtools::Chromium;
use super::sign_in;
use crate::restore::{cloud_user, ids, patch, property, scene, write};
use crate::sandbox::TENANT;

/// The button that sends the form of the page.
const SEND: &str = "document.querySelector('main form button.primary').click()";

/// Whether the page says something.
async fn says(browser: &mut Chromium, text: &str) -> anyhow::Result<()> {
    let all = browser
        .run("document.querySelector('main').textContent")
        .await?;
    let all = all.as_str().unwrap_or_default();
    ensure!(all.contains(text), "{text} is not in {all}");
    Ok(())
}

/// Types a word into the field that asks for it.
async fn type_in(browser: &mut Chromium, word: &str) -> anyhow::Result<()> {
    let script = format!(
        "{{ const field = document.getElementById('typed'); field.value = '{word}';
            field.dispatchEvent(new Event('input')); }}"
    );
    browser.run(&script).await.map(|_| ())
}

#[tokio::test]
async fn an_attack_is_found_chosen_and_put_back() -> anyhow::Result<()> {
    let (sandbox, _, intruder) = scene().await?;
    let users = ids(&sandbox, "user", cloud_user);
    let [changed, deleted, left] = &users[..3] else {
        anyhow::bail!("three users are needed")
    };
    let before = property(&sandbox, "user", changed, "jobTitle");
    for user in [changed, left] {
        let title = json!({"jobTitle": "<i>Intruder</i>"});
        patch(&intruder, format!("/users/{user}"), title).await?;
    }
    let path = format!("/users/{deleted}");
    write(&intruder, HttpMethod::Delete, path, None).await?;

    let mut browser = Chromium::start().await?;
    browser.look(1440, "light").await?;
    sign_in(&mut browser, &sandbox).await?;
    let page = |rest: &str| format!("{}/tenants/{TENANT}{rest}", sandbox.gateway);

    // The bin tells of the deletion.
    browser.open(&page("/deleted")).await?;
    says(&mut browser, deleted).await?;

    // A report tells of all three, by type and one by one.
    browser.open(&page("/reports/new")).await?;
    browser.follow(SEND).await?;
    browser
        .until("document.getElementById('changes') !== null")
        .await?;
    for user in [changed, deleted, left] {
        says(&mut browser, user).await?;
    }
    says(&mut browser, "<i>Intruder</i>").await?;
    let report = browser.run("location.href").await?;
    let filtered = "document.querySelector('.kinds a').click()";
    browser.follow(filtered).await?;
    let kind = browser.run("location.search").await?;
    ensure!(kind == "?kind=modified", "{kind}");
    says(&mut browser, changed).await?;
    browser.open(report.as_str().unwrap_or_default()).await?;

    // Two of them are chosen.
    for user in [changed, deleted] {
        let choose = format!("document.querySelector('input[name=id][value=\"{user}\"]').click()");
        browser.run(&choose).await?;
    }
    browser
        .follow("document.querySelector('.choose button').click()")
        .await?;
    let named = browser.run("document.getElementById('ids').value").await?;
    let named: Vec<&str> = named.as_str().unwrap_or_default().lines().collect();
    ensure!(named.len() == 2, "{named:?}");
    browser.follow(SEND).await?;

    // The plan writes nothing before the word is typed.
    browser
        .until("document.getElementById('typed') !== null")
        .await?;
    let disabled = "document.querySelector('[data-confirm]').disabled";
    ensure!(browser.run(disabled).await? == json!(true));
    type_in(&mut browser, "practice").await?;
    ensure!(
        browser.run(disabled).await? == json!(true),
        "in this very case"
    );
    ensure!(property(&sandbox, "user", changed, "jobTitle") != before);
    type_in(&mut browser, "Practice").await?;
    browser
        .follow("document.querySelector('[data-confirm]').click()")
        .await?;
    browser
        .until("document.querySelector('h1 .badge.good') !== null")
        .await?;
    says(&mut browser, "found everything as planned").await?;
    ensure!(property(&sandbox, "user", changed, "jobTitle") == before);
    ensure!(ids(&sandbox, "user", |_| true).contains(deleted));
    let other = property(&sandbox, "user", left, "jobTitle");
    ensure!(other == "<i>Intruder</i>", "it was not chosen: {other}");

    // The way back is a plan, too.
    let back = "[...document.querySelectorAll('.commands button')].at(-1).click()";
    browser.follow(back).await?;
    browser
        .until("document.getElementById('typed') !== null")
        .await?;
    says(&mut browser, "Move to the recycle bin").await?;
    ensure!(browser.complaints.is_empty(), "{:?}", browser.complaints);
    Ok(())
}
