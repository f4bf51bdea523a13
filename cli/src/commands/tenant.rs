//! `rewind tenant …`: registers tenants and tells whether they can be served.

pub(crate) mod change;
mod import;
mod lifecycle;
mod overview;

use std::collections::BTreeSet;

use model::ProofKind;
use model::drift::InvalidWatch;
use model::error::reason;
use proto::json::to_json;
use proto::v1;
use runtime::exit;
use serde_json::Value;

use crate::args::value::reference;
use crate::args::{AddTenant, Filter, Global, OneTenant, TenantCommand, UpdateTenant, Webhook};
use crate::client::{PAGE, all_pages, required};
use crate::commands::signals::min_severity;
use crate::failure::Failure;
use crate::output::Output;
use crate::session::Session;
use crate::table::{fields, table};
use crate::text::{time, word};

/// Runs one of the commands.
pub(crate) async fn run(
    command: &TenantCommand,
    global: &Global,
    output: Output,
) -> Result<u8, Failure> {
    match command {
        TenantCommand::Add(args) => add(args, global, output).await,
        TenantCommand::List(filter) => list(filter, global, output).await,
        TenantCommand::Show(args) => show(args, global, output).await,
        TenantCommand::Check(args) => check(args, global, output).await,
        TenantCommand::Update(args) => update(args, global, output).await,
        TenantCommand::Import(args) => import::run(args, global, output).await,
        TenantCommand::Overview(args) => overview::run(args, global, output).await,
        TenantCommand::Suspend(args) => lifecycle::suspend(args, global, output).await,
        TenantCommand::Resume(args) => lifecycle::resume(args, global, output).await,
        TenantCommand::Offboard(args) => lifecycle::offboard(args, global, output).await,
        TenantCommand::Certificate(args) => lifecycle::certificate(args, global, output).await,
        TenantCommand::Change(command) => change::run(command, global, output).await,
    }
}

async fn add(args: &AddTenant, global: &Global, output: Output) -> Result<u8, Failure> {
    let reader = application(
        args.reader_client_id.as_deref(),
        [
            ("--reader-secret", args.reader_secret.as_deref()),
            ("--reader-certificate", args.reader_certificate.as_deref()),
            ("--workload-identity", args.workload_identity.as_deref()),
        ],
    )?;
    let writer = application(
        args.writer_client_id.as_deref(),
        [
            ("--writer-secret", args.writer_secret.as_deref()),
            ("--writer-certificate", args.writer_certificate.as_deref()),
            (
                "--writer-workload-identity",
                args.writer_workload_identity.as_deref(),
            ),
        ],
    )?;
    let tenant = v1::Tenant {
        id: args.id.to_string(),
        display_name: args.name.clone(),
        cloud: args.cloud.name().to_owned(),
        graph_url: args.graph_url.clone().unwrap_or_default(),
        login_url: args.login_url.clone().unwrap_or_default(),
        reader,
        writer,
        break_glass_ids: args.break_glass.clone(),
        retention: args.retention.clone().unwrap_or_default(),
        drift_watch: watched(args.watched.of_drift())?.unwrap_or_default(),
        audit_watch: watched(args.watched.of_audit())?.unwrap_or_default(),
        approval: args.approval.clone().unwrap_or_default(),
        webhook: webhook(&args.webhook)?,
        groups: args.sorted.groups.clone(),
        labels: args.sorted.labels.iter().cloned().collect(),
        schedule: args.sorted.schedule.clone().unwrap_or_default(),
        ..Default::default()
    };
    let session = Session::open(global, output).await?;
    let request = v1::CreateTenantRequest {
        tenant: Some(tenant),
        request_id: session.client.request_id(),
        validate_only: false,
    };
    let tenant = required(
        session
            .client
            .tenants()
            .create_tenant(session.client.unary(request))
            .await,
        |answer| answer.tenant,
    )?;
    print(&tenant, &output)?;
    Ok(exit::DONE)
}

/// What is watched, as flags say.
fn watched(told: Result<Option<String>, InvalidWatch>) -> Result<Option<String>, Failure> {
    told.map_err(|error| Failure::usage(error.to_string()))
}

/// Where signals are sent, as its flags say.
fn webhook(args: &Webhook) -> Result<Option<v1::Webhook>, Failure> {
    let (Some(url), Some(secret)) = (&args.webhook, &args.webhook_secret) else {
        return Ok(None);
    };
    let secret = reference("--webhook-secret", ProofKind::Secret, secret);
    Ok(Some(v1::Webhook {
        url: url.clone(),
        secret_ref: secret.map_err(Failure::usage)?,
        min_severity: min_severity(args.webhook_severity).into(),
        since_time: None,
    }))
}

async fn update(args: &UpdateTenant, global: &Global, output: Output) -> Result<u8, Failure> {
    let drift_watch = watched(args.watched.of_drift())?;
    let audit_watch = watched(args.watched.of_audit())?;
    let named = args.no_break_glass || !args.break_glass.is_empty();
    let break_glass = named.then(|| v1::BreakGlassAccounts {
        ids: args.break_glass.clone(),
    });
    let webhook = match args.no_webhook {
        true => Some(v1::Webhook::default()),
        false => webhook(&args.webhook)?,
    };
    let groups = (args.no_groups || !args.sorted.groups.is_empty()).then(|| v1::TenantGroups {
        names: args.sorted.groups.clone(),
    });
    let labels = (args.no_labels || !args.sorted.labels.is_empty()).then(|| v1::TenantLabels {
        labels: args.sorted.labels.iter().cloned().collect(),
    });
    let wanted = v1::UpdateTenantRequest {
        drift_watch,
        audit_watch,
        approval: args.approval.clone(),
        break_glass,
        webhook,
        retention: args.retention.clone(),
        display_name: args.name.clone(),
        groups,
        labels,
        schedule: args.sorted.schedule.clone(),
        ..v1::UpdateTenantRequest::default()
    };
    if wanted == v1::UpdateTenantRequest::default() {
        return Err(Failure::usage("nothing to change is named"));
    }
    let session = Session::open(global, output).await?;
    let name = proto::name::tenant(&session.tenant(args.tenant.tenant.as_ref()).await?);
    let request = session.client.unary(v1::UpdateTenantRequest {
        name,
        request_id: session.client.request_id(),
        ..wanted
    });
    let answer = session.client.tenants().update_tenant(request).await;
    let answer = answer?.into_inner();
    let tenant = answer
        .tenant
        .ok_or(Failure::Answer("it names no resource"))?;
    print(&tenant, &output)?;
    match &answer.pending_change {
        Some(pending) => Ok(change::waits(pending, &output)),
        None => Ok(exit::DONE),
    }
}

/// An application as its flags name it: those for a secret, a certificate and a
/// federated token, of which clap takes one.
fn application(
    client_id: Option<&str>,
    flags: [(&'static str, Option<&str>); 3],
) -> Result<Option<v1::AppCredential>, Failure> {
    let Some(client_id) = client_id else {
        return Ok(None);
    };
    let [secret, certificate, federated_token] = flags;
    let checked = |kind: ProofKind, (flag, text): (&'static str, Option<&str>)| {
        let text = text.map(|text| reference(flag, kind, text).map_err(Failure::usage));
        Ok::<_, Failure>(text.transpose()?.unwrap_or_default())
    };
    Ok(Some(v1::AppCredential {
        client_id: client_id.to_owned(),
        secret_ref: checked(ProofKind::Secret, secret)?,
        certificate_ref: checked(ProofKind::Certificate, certificate)?,
        federated_token_ref: checked(ProofKind::FederatedToken, federated_token)?,
        ..v1::AppCredential::default()
    }))
}

async fn list(filter: &Filter, global: &Global, output: Output) -> Result<u8, Failure> {
    let session = Session::open(global, output).await?;
    let client = &session.client;
    let tenants = all_pages(|page_token| async move {
        let request = client.unary(v1::ListTenantsRequest {
            page_size: PAGE,
            page_token,
            group: filter.group.clone().unwrap_or_default(),
            labels: filter.labels.clone(),
            text: filter.text.clone().unwrap_or_default(),
        });
        let answer = client.tenants().list_tenants(request).await?.into_inner();
        Ok((answer.tenants, answer.next_page_token))
    })
    .await?;
    output.result(
        || {
            Value::Array(
                tenants
                    .iter()
                    .map(|tenant| to_json("Tenant", tenant))
                    .collect(),
            )
        },
        || {
            let row = |tenant: &v1::Tenant| {
                [
                    tenant.id.clone(),
                    tenant.display_name.clone(),
                    tenant.cloud.clone(),
                    time(tenant.create_time.as_ref()),
                    state(tenant),
                    tenant.groups.join(", "),
                ]
            };
            table(
                ["ID", "NAME", "CLOUD", "REGISTERED", "STATE", "GROUPS"],
                tenants.iter().map(row),
            )
        },
    )?;
    Ok(exit::DONE)
}

async fn show(args: &OneTenant, global: &Global, output: Output) -> Result<u8, Failure> {
    let session = Session::open(global, output).await?;
    let name = proto::name::tenant(&session.tenant(args.tenant.as_ref()).await?);
    let request = session.client.unary(v1::GetTenantRequest { name });
    let tenant = required(
        session.client.tenants().get_tenant(request).await,
        |answer| answer.tenant,
    )?;
    print(&tenant, &output)?;
    Ok(exit::DONE)
}

fn print(tenant: &v1::Tenant, output: &Output) -> Result<(), Failure> {
    let credential =
        |credential: Option<&v1::AppCredential>| credential.map_or_else(|| "-".to_owned(), shown);
    let consent = |label: &'static str, app: Option<&v1::AppCredential>| {
        let url = app.map(|app| app.consent_url.clone()).unwrap_or_default();
        (!url.is_empty()).then_some((label, url))
    };
    let or_dash = |text: &str| {
        if text.is_empty() {
            "-".to_owned()
        } else {
            text.to_owned()
        }
    };
    output.result(
        || to_json("Tenant", tenant),
        || {
            let consents = [
                consent("Reader consent", tenant.reader.as_ref()),
                consent("Writer consent", tenant.writer.as_ref()),
            ];
            let rows = [
                ("Name", tenant.name.clone()),
                ("Display name", tenant.display_name.clone()),
                ("Cloud", tenant.cloud.clone()),
                ("Graph", or_dash(&tenant.graph_url)),
                ("Login", or_dash(&tenant.login_url)),
                ("Reader", credential(tenant.reader.as_ref())),
                ("Writer", credential(tenant.writer.as_ref())),
                ("Break glass", or_dash(&tenant.break_glass_ids.join(", "))),
                ("Retention", or_dash(&tenant.retention)),
                ("Drift watch", or_dash(&tenant.drift_watch)),
                ("Audit watch", or_dash(&tenant.audit_watch)),
                ("Approval", or_dash(&tenant.approval)),
                ("State", state(tenant)),
                ("Groups", or_dash(&tenant.groups.join(", "))),
                ("Labels", or_dash(&labels(tenant))),
                ("Schedule", or_dash(&schedule(tenant))),
                ("Registered", time(tenant.create_time.as_ref())),
            ];
            let webhook = tenant.webhook.as_ref().map(|it| ("Webhook", receiver(it)));
            fields(
                rows.into_iter()
                    .chain(webhook)
                    .chain(consents.into_iter().flatten()),
            )
        },
    )
}

/// Whether a tenant is served.
fn state(tenant: &v1::Tenant) -> String {
    word(tenant.state().as_str_name(), "TENANT_STATE_")
}

fn labels(tenant: &v1::Tenant) -> String {
    let mut labels: Vec<String> = tenant
        .labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    labels.sort();
    labels.join(", ")
}

/// When daily snapshots begin, and the next one.
fn schedule(tenant: &v1::Tenant) -> String {
    match &tenant.next_slot_time {
        None => tenant.schedule.clone(),
        Some(next) => format!("{} UTC, next {}", tenant.schedule, time(Some(next))),
    }
}

/// Where signals are sent, and which.
fn receiver(webhook: &v1::Webhook) -> String {
    let severity = word(webhook.min_severity().as_str_name(), "SEVERITY_");
    let (url, secret) = (&webhook.url, &webhook.secret_ref);
    format!("{url} ({secret}), from {severity} on")
}

/// An application with where what proves it is found.
fn shown(app: &v1::AppCredential) -> String {
    let references = [
        ("", &app.secret_ref),
        ("certificate ", &app.certificate_ref),
        ("federated token ", &app.federated_token_ref),
    ];
    let proof = references
        .iter()
        .find(|(_, reference)| !reference.is_empty())
        .map_or_else(
            || "of the installation".to_owned(),
            |(kind, reference)| format!("{kind}{reference}"),
        );
    format!("{} ({proof})", app.client_id)
}

async fn check(args: &OneTenant, global: &Global, output: Output) -> Result<u8, Failure> {
    let session = Session::open(global, output).await?;
    let name = proto::name::tenant(&session.tenant(args.tenant.as_ref()).await?);
    let request = session.client.unary(v1::CheckTenantRequest { name });
    let answer = session
        .client
        .tenants()
        .check_tenant(request)
        .await?
        .into_inner();
    output.result(
        || to_json("CheckTenantResponse", &answer),
        || check_table(&answer),
    )?;
    Ok(check_code(&answer))
}

fn check_table(answer: &v1::CheckTenantResponse) -> String {
    let row = |item: &v1::CheckItem| {
        let verdict = if item.ok {
            "ok".to_owned()
        } else {
            format!("failed [{}]", item.reason)
        };
        [
            item.app.clone(),
            item.subject.clone(),
            verdict,
            item.detail.clone(),
        ]
    };
    let yes_no = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    let verdict = fields([
        ("Can be backed up", yes_no(answer.can_snapshot)),
        ("Can be restored", yes_no(answer.can_restore)),
    ]);
    let found = table(
        ["APPLICATION", "SUBJECT", "RESULT", "DETAIL"],
        answer.items.iter().map(row),
    );
    [found, consents(answer), verdict]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("\n\n")
}

/// Once for each application: what to consent to, and where.
fn consents(answer: &v1::CheckTenantResponse) -> String {
    let of = |app: &str| {
        let lacking = || {
            answer
                .items
                .iter()
                .filter(|item| item.app == app && !item.consent_url.is_empty())
        };
        let url = &lacking().next()?.consent_url;
        let names: BTreeSet<&str> = lacking()
            .flat_map(|item| item.missing_permissions.iter().map(String::as_str))
            .collect();
        let names: Vec<&str> = names.into_iter().collect();
        let what = if names.is_empty() {
            "what Graph denies".to_owned()
        } else {
            names.join(", ")
        };
        Some(format!(
            "The {app} application lacks {what}.\nAdd it to the application's registration, then let an administrator consent: {url}"
        ))
    };
    let told: Vec<String> = ["reader", "writer"].into_iter().filter_map(of).collect();
    told.join("\n\n")
}

/// A missing licence or consent has a code of its own; where snapshots can be
/// taken all the same, other failures are warnings.
fn check_code(answer: &v1::CheckTenantResponse) -> u8 {
    let mut failed = answer.items.iter().filter(|item| !item.ok).peekable();
    let none_failed = failed.peek().is_none();
    if failed.any(|item| {
        matches!(
            item.reason.as_str(),
            reason::LICENCE_REQUIRED | reason::CONSENT_MISSING
        )
    }) {
        exit::LICENCE_OR_CONSENT
    } else if !answer.can_snapshot {
        exit::FAILED
    } else if none_failed {
        exit::DONE
    } else {
        exit::WARNINGS
    }
}

#[cfg(test)]
mod tests;
