//! `rewind keys erase`: the end of a tenant's keys.
//!
//! Owns the question that a person answers first. It never erases a tenant that
//! was not named, nor calls one erased whose key the store may keep.

use proto::json::to_json;
use proto::v1::{self, StoreOutcome};
use runtime::exit;

use crate::args::{EraseKeys, Global};
use crate::commands::tenant::change;
use crate::failure::Failure;
use crate::output::Output;
use crate::session::Session;
use crate::table::fields;
use crate::text::word;

/// Erases the tenant that `--tenant` names.
pub(super) async fn run(args: &EraseKeys, global: &Global, output: Output) -> Result<u8, Failure> {
    let tenant = global
        .tenant
        .as_ref()
        .ok_or_else(|| Failure::usage("--tenant must name the tenant to erase"))?;
    let confirm = match &args.confirm {
        Some(typed) => typed.clone(),
        None if output.interactive => output.ask(&format!(
            "nothing of tenant {tenant} can be read afterwards; type its id or its name to erase it:"
        )),
        None => {
            return Err(Failure::usage(
                "--confirm must repeat the tenant's id or name, since nobody can be asked",
            ));
        }
    };
    let session = Session::open(global, output).await?;
    let client = &session.client;
    let request = client.unary(v1::EraseKeysRequest {
        name: proto::name::tenant(tenant),
        confirm,
        request_id: client.request_id(),
    });
    let answer = client.keys().erase_keys(request).await?.into_inner();
    if let Some(pending) = &answer.pending_change {
        return change::pending(pending, &output);
    }
    let proof = answer
        .proof
        .as_ref()
        .ok_or(Failure::Answer("an erasure was not tried"))?;
    output.result(
        || to_json("EraseKeysResponse", &answer),
        || {
            fields([
                ("Name", answer.name.clone()),
                ("Deleted", answer.deleted_count.to_string()),
                (
                    "Erasure",
                    word(proof.outcome().as_str_name(), "STORE_OUTCOME_"),
                ),
                ("Detail", proof.detail.clone()),
            ])
        },
    )?;
    output.note("a recovery bundle of the tenant, or a copy of the keys' store, still opens its files: destroy those too");
    if proof.outcome() == StoreOutcome::Ok {
        return Ok(exit::DONE);
    }
    output.warning(&format!(
        "the store of the keys may keep what was deleted: remove every earlier version below {}/keys/ there",
        answer.name
    ));
    Ok(exit::WARNINGS)
}
