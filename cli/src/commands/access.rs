//! `rewind access …`: who may do what, as it is granted in the store.

use proto::json::to_json;
use proto::v1;
use proto::v1::grant::Holder;
use runtime::exit;
use serde_json::Value;

use crate::args::{AccessCommand, Global, GrantAccess, RevokeAccess};
use crate::client::{PAGE, all_pages, required};
use crate::failure::Failure;
use crate::output::Output;
use crate::session::Session;
use crate::table::table;
use crate::text::{time, word};

/// Runs one of the commands.
pub(crate) async fn run(
    command: &AccessCommand,
    global: &Global,
    output: Output,
) -> Result<u8, Failure> {
    match command {
        AccessCommand::List => list(global, output).await,
        AccessCommand::Grant(args) => grant(args, global, output).await,
        AccessCommand::Revoke(args) => revoke(args, global, output).await,
    }
}

async fn list(global: &Global, output: Output) -> Result<u8, Failure> {
    let session = Session::open(global, output).await?;
    let client = &session.client;
    let grants = all_pages(|page_token| async move {
        let request = client.unary(v1::ListGrantsRequest {
            page_size: PAGE,
            page_token,
        });
        let answer = client.grants().list_grants(request).await?.into_inner();
        Ok((answer.grants, answer.next_page_token))
    })
    .await?;
    output.result(
        || Value::Array(grants.iter().map(|grant| to_json("Grant", grant)).collect()),
        || rows(&grants),
    )?;
    Ok(exit::DONE)
}

async fn grant(args: &GrantAccess, global: &Global, output: Output) -> Result<u8, Failure> {
    let holders = [
        args.name.clone().map(Holder::Caller),
        args.subject.clone().map(Holder::Subject),
        args.claim.clone().map(Holder::Claim),
    ];
    let grant = v1::Grant {
        holder: holders.into_iter().flatten().next(),
        roles: args
            .role
            .iter()
            .map(|role| role.in_contract().into())
            .collect(),
        tenant_ids: args.for_tenant.iter().map(ToString::to_string).collect(),
        every_tenant: args.every_tenant,
        ..v1::Grant::default()
    };
    let session = Session::open(global, output).await?;
    let request = v1::CreateGrantRequest {
        grant: Some(grant),
        request_id: session.client.request_id(),
    };
    let request = session.client.unary(request);
    let answer = session.client.grants().create_grant(request).await;
    let grant = required(answer, |answer| answer.grant)?;
    output.result(
        || to_json("Grant", &grant),
        || rows(std::slice::from_ref(&grant)),
    )?;
    Ok(exit::DONE)
}

async fn revoke(args: &RevokeAccess, global: &Global, output: Output) -> Result<u8, Failure> {
    let session = Session::open(global, output).await?;
    let name = match args.grant.starts_with("grants/") {
        true => args.grant.clone(),
        false => format!("grants/{}", args.grant),
    };
    let request = session.client.unary(v1::DeleteGrantRequest {
        name: name.clone(),
        request_id: session.client.request_id(),
    });
    let answer = session.client.grants().delete_grant(request).await?;
    let answer = answer.into_inner();
    output.result(
        || to_json("DeleteGrantResponse", &answer),
        || format!("{name} is taken back"),
    )?;
    Ok(exit::DONE)
}

fn rows(grants: &[v1::Grant]) -> String {
    let row = |grant: &v1::Grant| {
        let holder = match &grant.holder {
            Some(Holder::Caller(name)) => format!("name {name}"),
            Some(Holder::Subject(subject)) => format!("subject {subject}"),
            Some(Holder::Claim(value)) => format!("claim {value}"),
            None => String::new(),
        };
        let roles = grant.roles().map(|role| word(role.as_str_name(), "ROLE_"));
        let tenants = match grant.every_tenant {
            true => "all".to_owned(),
            false => grant.tenant_ids.join(", "),
        };
        [
            grant.name.clone(),
            holder,
            roles.collect::<Vec<_>>().join(", "),
            tenants,
            model::person::shown(&grant.author).to_owned(),
            time(grant.create_time.as_ref()),
        ]
    };
    let heading = ["GRANT", "HOLDER", "ROLES", "TENANTS", "BY", "GRANTED"];
    table(heading, grants.iter().map(row))
}
