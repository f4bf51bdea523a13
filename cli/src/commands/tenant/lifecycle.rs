//! `rewind tenant suspend`, `resume`, `offboard` and `certificate`.
//!
//! Owns the question that a person answers before a tenant's end is asked for.

use proto::json::to_json;
use proto::v1;
use runtime::exit;
use serde_json::Value;

use super::change;
use crate::args::{Global, Offboard, OneTenant};
use crate::client::required;
use crate::failure::Failure;
use crate::output::Output;
use crate::session::Session;
use crate::table::fields;
use crate::text::{size, tame, time, word};

/// Asks that a tenant be suspended.
pub(super) async fn suspend(
    args: &OneTenant,
    global: &Global,
    output: Output,
) -> Result<u8, Failure> {
    let session = Session::open(global, output).await?;
    let name = proto::name::tenant(&session.tenant(args.tenant.as_ref()).await?);
    let client = &session.client;
    let request = client.unary(v1::SuspendTenantRequest {
        name,
        request_id: client.request_id(),
    });
    let answer = client
        .lifecycle()
        .suspend_tenant(request)
        .await?
        .into_inner();
    match &answer.change {
        Some(asked) => change::pending(asked, &output),
        None => {
            output.result(|| to_json("SuspendTenantResponse", &answer), String::new)?;
            output.note("the tenant is suspended already");
            Ok(exit::DONE)
        }
    }
}

/// Serves a tenant again.
pub(super) async fn resume(
    args: &OneTenant,
    global: &Global,
    output: Output,
) -> Result<u8, Failure> {
    let session = Session::open(global, output).await?;
    let name = proto::name::tenant(&session.tenant(args.tenant.as_ref()).await?);
    let client = &session.client;
    let request = client.unary(v1::ResumeTenantRequest {
        name,
        request_id: client.request_id(),
    });
    let answer = client
        .lifecycle()
        .resume_tenant(request)
        .await?
        .into_inner();
    output.result(
        || to_json("ResumeTenantResponse", &answer),
        || {
            fields([
                ("Name", answer.name.clone()),
                ("State", "active".to_owned()),
            ])
        },
    )?;
    Ok(exit::DONE)
}

/// Asks for the end of a tenant.
pub(super) async fn offboard(
    args: &Offboard,
    global: &Global,
    output: Output,
) -> Result<u8, Failure> {
    let named = args.tenant.tenant.as_ref().or(global.tenant.as_ref());
    let tenant = named.ok_or_else(|| Failure::usage("the tenant to offboard must be named"))?;
    let confirm = match &args.confirm {
        Some(typed) => typed.clone(),
        None if output.interactive => output.ask(&format!(
            "nothing of tenant {tenant} can be read once it is offboarded; type its id or its name to ask for it:"
        )),
        None => {
            return Err(Failure::usage(
                "--confirm must repeat the tenant's id or name, since nobody can be asked",
            ));
        }
    };
    let session = Session::open(global, output).await?;
    let client = &session.client;
    let request = client.unary(v1::OffboardTenantRequest {
        name: proto::name::tenant(tenant),
        confirm,
        without_export: args.without_export,
        request_id: client.request_id(),
    });
    let answer = client.lifecycle().offboard_tenant(request).await;
    let asked = required(answer, |answer| answer.change)?;
    change::pending(&asked, &output)
}

/// Prints the certificates of a tenant's erasure.
pub(super) async fn certificate(
    args: &OneTenant,
    global: &Global,
    output: Output,
) -> Result<u8, Failure> {
    let session = Session::open(global, output).await?;
    let parent = proto::name::tenant(&session.tenant(args.tenant.as_ref()).await?);
    let request = session.client.unary(v1::ListErasuresRequest { parent });
    let answer = session.client.lifecycle().list_erasures(request).await?;
    let certificates = answer.into_inner().certificates;
    output.result(
        || {
            let all = certificates.iter();
            Value::Array(all.map(|it| to_json("ErasureCertificate", it)).collect())
        },
        || {
            if certificates.is_empty() {
                return "(none)".to_owned();
            }
            let all: Vec<String> = certificates.iter().map(certified).collect();
            all.join("\n\n")
        },
    )?;
    match certificates.is_empty() {
        true => Ok(exit::NOT_FOUND),
        false => Ok(exit::DONE),
    }
}

/// A certificate for a person.
fn certified(it: &v1::ErasureCertificate) -> String {
    let or_dash = |text: &str| match text.is_empty() {
        true => "-".to_owned(),
        false => text.to_owned(),
    };
    let keys = it.keys.iter();
    let keys: Vec<String> = keys
        .map(|key| format!("{}: {}", key.number, key.public_key_digest))
        .collect();
    let head = fields([
        ("Certificate", it.name.clone()),
        ("Tenant", it.display_name.clone()),
        (
            "Done",
            word(it.kind().as_str_name(), "GUARDED_CHANGE_KIND_"),
        ),
        (
            "Asked by",
            format!("{}, {}", it.author, time(it.request_time.as_ref())),
        ),
        (
            "Approved by",
            format!("{}, {}", it.approver, time(it.approve_time.as_ref())),
        ),
        ("Change", it.change_hash.clone()),
        ("Keys deleted", time(it.erase_time.as_ref())),
        ("Key digests", or_dash(&keys.join(", "))),
        ("Erasure", format!("{}: {}", it.proof, it.proof_detail)),
        ("In the copies", or_dash(&it.copy_proof)),
        ("Exported", or_dash(&it.exported_snapshot)),
        (
            "Remaining",
            format!(
                "{} files, {}",
                it.remaining_file_count,
                size(it.remaining_bytes)
            ),
        ),
    ]);
    let remains = it.remains.iter();
    let remains: Vec<String> = remains.map(|text| format!("  - {}", tame(text))).collect();
    format!("{head}\n\nWhat remains:\n{}", remains.join("\n"))
}
