//! `rewind tenant …`: registers tenants and tells whether they can be served.

use model::error::reason;
use proto::json::to_json;
use proto::v1;
use runtime::exit;
use serde_json::Value;

use crate::args::value::secret_reference;
use crate::args::{AddTenant, Global, OneTenant, TenantCommand};
use crate::client::{PAGE, all_pages, required};
use crate::failure::Failure;
use crate::output::Output;
use crate::session::Session;
use crate::table::{fields, table};
use crate::text::time;

/// Runs one of the commands.
pub(crate) async fn run(
    command: &TenantCommand,
    global: &Global,
    output: Output,
) -> Result<u8, Failure> {
    match command {
        TenantCommand::Add(args) => add(args, global, output).await,
        TenantCommand::List => list(global, output).await,
        TenantCommand::Show(args) => show(args, global, output).await,
        TenantCommand::Check(args) => check(args, global, output).await,
    }
}

async fn add(args: &AddTenant, global: &Global, output: Output) -> Result<u8, Failure> {
    let reader = credential(
        "--reader-secret",
        &args.reader_client_id,
        &args.reader_secret,
    )?;
    let writer = match (&args.writer_client_id, &args.writer_secret) {
        (Some(client_id), Some(secret)) => Some(credential("--writer-secret", client_id, secret)?),
        _ => None,
    };
    let tenant = v1::Tenant {
        id: args.id.to_string(),
        display_name: args.name.clone(),
        cloud: args.cloud.name().to_owned(),
        graph_url: args.graph_url.clone().unwrap_or_default(),
        login_url: args.login_url.clone().unwrap_or_default(),
        reader: Some(reader),
        writer,
        break_glass_ids: args.break_glass.clone(),
        ..Default::default()
    };
    let session = Session::open(global, output).await?;
    let request = v1::CreateTenantRequest {
        tenant: Some(tenant),
        request_id: session.client.request_id(),
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

fn credential(
    flag: &'static str,
    client_id: &str,
    secret: &str,
) -> Result<v1::AppCredential, Failure> {
    let secret_ref = secret_reference(flag, secret).map_err(Failure::usage)?;
    Ok(v1::AppCredential {
        client_id: client_id.to_owned(),
        secret_ref,
    })
}

async fn list(global: &Global, output: Output) -> Result<u8, Failure> {
    let session = Session::open(global, output).await?;
    let client = &session.client;
    let tenants = all_pages(|page_token| async move {
        let request = client.unary(v1::ListTenantsRequest {
            page_size: PAGE,
            page_token,
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
                ]
            };
            table(
                ["ID", "NAME", "CLOUD", "REGISTERED"],
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
    let credential = |credential: Option<&v1::AppCredential>| {
        credential.map_or_else(
            || "-".to_owned(),
            |app| format!("{} ({})", app.client_id, app.secret_ref),
        )
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
            fields([
                ("Name", tenant.name.clone()),
                ("Display name", tenant.display_name.clone()),
                ("Cloud", tenant.cloud.clone()),
                ("Graph", or_dash(&tenant.graph_url)),
                ("Login", or_dash(&tenant.login_url)),
                ("Reader", credential(tenant.reader.as_ref())),
                ("Writer", credential(tenant.writer.as_ref())),
                ("Break glass", or_dash(&tenant.break_glass_ids.join(", "))),
                ("Registered", time(tenant.create_time.as_ref())),
            ])
        },
    )
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
    format!(
        "{}\n\n{verdict}",
        table(
            ["APPLICATION", "SUBJECT", "RESULT", "DETAIL"],
            answer.items.iter().map(row)
        )
    )
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
