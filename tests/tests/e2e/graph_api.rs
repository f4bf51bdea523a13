//! The API of Microsoft Entra Backup and Recovery, over the whole house.

use std::sync::Arc;

use proto::v1::*;
use reqwest::header::{LOCATION, WWW_AUTHENTICATE};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use store::object_store::memory::InMemory;

use crate::approvals::require;
use crate::graph_schema::Schema;
use crate::restore::{cloud_user, ids, patch, property, scene};
use crate::sandbox::{STRANGER, Sandbox, TENANT, TOKEN, parent};

/// A client of the API.
struct Client {
    http: reqwest::Client,
    base: String,
    schema: Schema,
}

impl Client {
    fn new(sandbox: &Sandbox) -> anyhow::Result<Self> {
        Ok(Self {
            http: reqwest::Client::new(),
            base: format!("{}/{TENANT}/v1.0/directory/recovery", sandbox.gateway),
            schema: Schema::load()?,
        })
    }

    fn request(&self, method: Method, url: &str) -> RequestBuilder {
        let url = match url.starts_with("http") {
            true => url.to_owned(),
            false => format!("{}/{url}", self.base),
        };
        self.http
            .request(method, url)
            .bearer_auth(TOKEN)
            .header("prefer", "include-unknown-enum-members")
    }

    /// One resource, which is as its type says.
    async fn one(&self, url: &str, kind: &str) -> anyhow::Result<Value> {
        let answer = self.request(Method::GET, url).send().await?;
        let value: Value = json_of(answer, StatusCode::OK).await?;
        self.schema.check(kind, &value)?;
        Ok(value)
    }

    /// A page, all of which is as its type says.
    async fn page(&self, url: &str, kind: &str) -> anyhow::Result<(Vec<Value>, Value)> {
        let answer = self.request(Method::GET, url).send().await?;
        let mut body = json_of(answer, StatusCode::OK).await?;
        let rows = body["value"].take();
        let rows = rows.as_array().cloned().unwrap_or_default();
        for row in &rows {
            self.schema.check(kind, row)?;
        }
        Ok((rows, body))
    }

    /// Makes a job and answers where it is.
    async fn make(&self, url: &str, body: &Value) -> anyhow::Result<String> {
        let request = self.request(Method::POST, url).json(body);
        let answer = request.send().await?;
        let location = answer.headers().get(LOCATION).cloned();
        let job = json_of(answer, StatusCode::ACCEPTED).await?;
        self.schema.check("recoveryJobBase", &job)?;
        let location = location.ok_or_else(|| anyhow::anyhow!("no location"))?;
        Ok(location.to_str()?.to_owned())
    }
}

async fn json_of(answer: Response, status: StatusCode) -> anyhow::Result<Value> {
    let (told, text) = (answer.status(), answer.text().await?);
    anyhow::ensure!(told == status, "{told}: {text}");
    Ok(serde_json::from_str(&text)?)
}

fn of_users() -> Value {
    json!({ "filteringCriteria": {
        "@odata.type": "#microsoft.graph.entraRecoveryServices.recoveryJobEntityNamesFilter",
        "entityTypes": ["user"],
    }})
}

/// Waits for the newest report.
async fn await_report(sandbox: &Sandbox) -> anyhow::Result<()> {
    let request = ListReportsRequest {
        parent: parent(),
        ..ListReportsRequest::default()
    };
    let reports = sandbox.diffs().list_reports(request).await?.into_inner();
    let name = reports.reports[0].name.clone();
    let mut diffs = sandbox.diffs();
    let watch = diffs.watch_report(WatchReportRequest { name }).await?;
    let mut watch = watch.into_inner();
    while watch.message().await?.is_some() {}
    Ok(())
}

/// Waits until the newest plan is made, or is not, and answers its restore.
async fn await_plan(sandbox: &Sandbox) -> anyhow::Result<Restore> {
    let newest = || async {
        let request = ListRestoresRequest {
            parent: parent(),
            ..ListRestoresRequest::default()
        };
        let all = sandbox
            .restores()
            .list_restores(request)
            .await?
            .into_inner();
        anyhow::Ok(all.restores[0].clone())
    };
    let name = newest().await?.plan;
    let mut restores = sandbox.restores();
    let watch = restores.watch_plan(WatchPlanRequest { name }).await?;
    let mut watch = watch.into_inner();
    while let Ok(Some(_)) = watch.message().await {}
    newest().await
}

/// Waits until a restore has ended.
async fn await_restore(sandbox: &Sandbox, name: &str) -> anyhow::Result<Restore> {
    loop {
        let request = WatchRestoreRequest {
            name: name.to_owned(),
        };
        let mut watch = sandbox
            .restores()
            .watch_restore(request)
            .await?
            .into_inner();
        while let Ok(Some(message)) = watch.message().await {
            let restore = message.restore.unwrap_or_default();
            if restore.end_time.is_some() {
                return Ok(restore);
            }
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_recovery_waits_for_a_second_person_and_begins_by_itself() -> anyhow::Result<()> {
    let (sandbox, _, intruder) = scene().await?;
    require(&sandbox, "on,changes=0").await?;
    let users = ids(&sandbox, "user", cloud_user);
    let users = &users[..3];
    let title = property(&sandbox, "user", &users[0], "jobTitle");
    for user in users {
        let change = json!({"jobTitle": "Changed"});
        patch(&intruder, format!("/users/{user}"), change).await?;
    }
    let client = Client::new(&sandbox)?;
    let (snapshots, _) = client.page("snapshots", "snapshot").await?;
    let id = snapshots[0]["id"].as_str().unwrap_or_default();
    let snapshot = client.one(&format!("snapshots/{id}"), "snapshot").await?;
    assert_eq!(snapshot["createdDateTime"], snapshots[0]["createdDateTime"]);

    let preview = format!("snapshots/{id}/recoveryPreviewJobs");
    let preview = client.make(&preview, &of_users()).await?;
    await_report(&sandbox).await?;
    let job = client.one(&preview, "recoveryPreviewJob").await?;
    assert_eq!(job["status"], "successful", "{job}");
    assert_eq!(job["totalChangedObjectsCalculated"], 3);
    assert_eq!(job["targetStateDateTime"], snapshot["createdDateTime"]);
    assert_eq!(job["filteringCriteria"], of_users()["filteringCriteria"]);
    let changes = format!("{preview}/microsoft.graph.entraRecoveryServices.getChanges");
    let (first, body) = client
        .page(
            &format!("{changes}?$top=2&$count=true"),
            "recoveryChangeObjectBase",
        )
        .await?;
    assert_eq!((first.len(), &body["@odata.count"]), (2, &json!(3)));
    assert_eq!(first[0]["recoveryAction"], "update");
    assert_eq!(first[0]["currentState"]["jobTitle"], "Changed");
    let next = body["@odata.nextLink"].as_str().unwrap_or_default();
    assert!(
        next.starts_with(&sandbox.gateway),
        "on the address of the client: {next}"
    );
    let (second, body) = client.page(next, "recoveryChangeObjectBase").await?;
    assert_eq!((second.len(), body.get("@odata.nextLink")), (1, None));
    let chosen = format!("{changes}?$filter=id eq '{}'&$skip=0", users[2]);
    let (chosen, _) = client.page(&chosen, "recoveryChangeObjectBase").await?;
    assert_eq!(chosen.len(), 1);

    let recovery = format!("snapshots/{id}/recoveryJobs");
    let recovery = client.make(&recovery, &of_users()).await?;
    let planned = await_plan(&sandbox).await?;
    let job = client.one(&recovery, "recoveryJob").await?;
    assert_eq!(job["status"], "initialized", "{job}");
    assert_eq!(job["totalChangedObjectsCalculated"], 3);
    let failures = format!("{recovery}/microsoft.graph.entraRecoveryServices.getFailedChanges");
    let early = client.request(Method::GET, &failures).send().await?;
    assert_eq!(early.status(), StatusCode::BAD_REQUEST, "not ended yet");
    assert_eq!(property(&sandbox, "user", &users[0], "jobTitle"), "Changed");

    let approval = ApprovePlanRequest {
        name: planned.plan.clone(),
        ..ApprovePlanRequest::default()
    };
    let mut second_person =
        proto::v1::restore_service_client::RestoreServiceClient::new(sandbox.second.clone());
    second_person.approve_plan(approval).await?;
    let restore = await_restore(&sandbox, &planned.name).await?;
    assert_eq!(restore.state(), RestoreState::Succeeded);
    assert_eq!(
        restore.applied_by,
        ["tests"],
        "in the name of who asked for it"
    );
    let approver = restore.approval.unwrap_or_default().approver;
    assert_eq!(approver, "approver");
    let job = client.one(&recovery, "recoveryJob").await?;
    assert_eq!(job["status"], "successful", "{job}");
    assert_eq!(
        (&job["totalObjectsModified"], &job["totalFailedChanges"]),
        (&json!(3), &json!(0))
    );
    assert_eq!(property(&sandbox, "user", &users[0], "jobTitle"), title);
    let (none, _) = client.page(&failures, "recoveryChangeObjectBase").await?;
    assert_eq!(none, Vec::<Value>::new());

    let (jobs, body) = client.page("jobs?$count=true", "recoveryJobBase").await?;
    assert_eq!(
        (jobs.len(), &body["@odata.count"]),
        (2, &json!(2)),
        "and none of a restore's own reports"
    );
    let of_kind = "jobs?$filter=isof('microsoft.graph.entraRecoveryServices.recoveryJob')";
    let (recoveries, _) = client.page(of_kind, "recoveryJob").await?;
    assert_eq!(recoveries.len(), 1);
    let cancel = format!(
        "jobs/{}/microsoft.graph.entraRecoveryServices.cancel",
        job["id"].as_str().unwrap_or_default()
    );
    let late = client.request(Method::POST, &cancel).send().await?;
    assert_eq!(late.status(), StatusCode::BAD_REQUEST, "ended already");
    Ok(())
}

#[tokio::test]
async fn a_waiting_recovery_is_cancelled_and_the_same_request_is_the_same_job() -> anyhow::Result<()>
{
    let (sandbox, _, intruder) = scene().await?;
    require(&sandbox, "on,changes=0").await?;
    let user = ids(&sandbox, "user", cloud_user).swap_remove(0);
    patch(
        &intruder,
        format!("/users/{user}"),
        json!({"jobTitle": "Changed"}),
    )
    .await?;
    let client = Client::new(&sandbox)?;
    let (snapshots, _) = client.page("snapshots", "snapshot").await?;
    let id = snapshots[0]["id"].as_str().unwrap_or_default();
    let mut locations = Vec::new();
    for _ in 0..2 {
        let request = client.request(Method::POST, &format!("snapshots/{id}/recoveryJobs"));
        let request = request.header("client-request-id", "7d1c2a54-9f5e-4a3b-8a51-2f4f1f0c9b11");
        let answer = request.send().await?;
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
        locations.push(answer.headers().get(LOCATION).cloned());
        await_plan(&sandbox).await?;
    }
    assert_eq!(locations[0], locations[1]);
    let job = locations[0]
        .as_ref()
        .map(|it| it.to_str())
        .transpose()?
        .unwrap_or_default();
    let guid = job.rsplit('/').next().unwrap_or_default();
    let cancel = format!("jobs/{guid}/microsoft.graph.entraRecoveryServices.cancel");
    let answer = client.request(Method::POST, &cancel).send().await?;
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    let name = await_plan(&sandbox).await?.name;
    await_restore(&sandbox, &name).await?;
    let job = client.one(job, "recoveryJob").await?;
    assert_eq!(job["status"], "abandoned", "{job}");
    assert_eq!(property(&sandbox, "user", &user, "jobTitle"), "Changed");
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_made_has_failed_and_stays_so() -> anyhow::Result<()> {
    let sandbox = Sandbox::start(Arc::new(InMemory::new())).await?;
    let none_to_write = Tenant {
        writer: None,
        ..sandbox.registration()
    };
    sandbox.register(none_to_write).await?;
    sandbox.snapshot().await?;
    let client = Client::new(&sandbox)?;
    let (snapshots, _) = client.page("snapshots", "snapshot").await?;
    let id = snapshots[0]["id"].as_str().unwrap_or_default();
    let job = client
        .make(&format!("snapshots/{id}/recoveryJobs"), &json!({}))
        .await?;
    let restore = await_plan(&sandbox).await?;
    let failure = restore
        .errand
        .unwrap_or_default()
        .failure
        .unwrap_or_default();
    assert_eq!(failure.reason, "CONSENT_MISSING", "{failure:?}");
    let told = client.one(&job, "recoveryJob").await?;
    assert_eq!(told["status"], "failed", "{told}");
    assert_eq!(told["@rewind.failureReason"], failure.reason);
    // Another process, which knows of it by the store alone.
    let (mut other, _stop) = sandbox.another_restorer().await?;
    let request = GetRestoreRequest { name: restore.name };
    let restore = other.get_restore(request).await?.into_inner().restore;
    let errand = restore.unwrap_or_default().errand.unwrap_or_default();
    assert_eq!(errand.failure.unwrap_or_default().reason, failure.reason);
    Ok(())
}

#[tokio::test]
async fn a_recovery_that_was_cut_short_goes_on_when_a_restorer_starts() -> anyhow::Result<()> {
    let (sandbox, _, intruder) = scene().await?;
    require(&sandbox, "on,changes=0").await?;
    let user = ids(&sandbox, "user", cloud_user).swap_remove(0);
    let title = property(&sandbox, "user", &user, "jobTitle");
    patch(
        &intruder,
        format!("/users/{user}"),
        json!({"jobTitle": "Changed"}),
    )
    .await?;
    let client = Client::new(&sandbox)?;
    let (snapshots, _) = client.page("snapshots", "snapshot").await?;
    let id = snapshots[0]["id"].as_str().unwrap_or_default();
    let job = client
        .make(&format!("snapshots/{id}/recoveryJobs"), &json!({}))
        .await?;
    let planned = await_plan(&sandbox).await?;
    let plan = Plan {
        name: planned.plan,
        ..Plan::default()
    };
    // A process that was killed after it had begun.
    crate::cancel::begun(&sandbox, &plan, &[1]).await?;
    let told = client.one(&job, "recoveryJob").await?;
    assert_eq!(told["status"], "running", "{told}");
    let (_other, _stop) = sandbox.another_restorer().await?;
    let restore = await_restore(&sandbox, &planned.name).await?;
    assert_eq!(restore.state(), RestoreState::Succeeded, "{restore:?}");
    assert_eq!(property(&sandbox, "user", &user, "jobTitle"), title);
    let told = client.one(&job, "recoveryJob").await?;
    assert_eq!(told["status"], "successful", "{told}");
    Ok(())
}

#[tokio::test]
async fn a_stranger_sees_nothing_of_it() -> anyhow::Result<()> {
    let (sandbox, _, _) = scene().await?;
    let url = format!(
        "{}/{TENANT}/v1.0/directory/recovery/snapshots",
        sandbox.gateway
    );
    let http = reqwest::Client::new();
    let answer = http.get(&url).send().await?;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert!(answer.headers().contains_key(WWW_AUTHENTICATE));
    let answer = http.get(&url).bearer_auth(STRANGER).send().await?;
    let body = json_of(answer, StatusCode::FORBIDDEN).await?;
    assert_eq!(body["error"]["code"], "Authorization_RequestDenied");
    assert_eq!(body["error"]["innerError"]["code"], "PERMISSION_DENIED");
    Ok(())
}
