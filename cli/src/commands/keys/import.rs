//! `rewind keys import`: a tenant's keys, taken back from a recovery bundle.
//!
//! It works on the store itself, since after the loss of the wrapping key no
//! service starts. It is the one command that holds keys in the open, in its own
//! memory; it must never write one down, nor send one anywhere.

use std::path::Path;

use runtime::config::{Environment, Source};
use runtime::exit;
use secrecy::SecretString;
use serde_json::json;
use store::{AfterErasure, Holder, Imported, Place, StoreError, Vault};

use crate::args::{Global, ImportKeys};
use crate::failure::{AtStore, Failure};
use crate::output::Output;
use crate::table::fields;

/// Imports the bundle of the tenant that `--tenant` names.
pub(super) async fn run(args: &ImportKeys, global: &Global, output: Output) -> Result<u8, Failure> {
    let tenant = global
        .tenant
        .as_ref()
        .ok_or_else(|| Failure::usage("--tenant must name the tenant of the bundle"))?;
    let bundle = read(&args.bundle, "recovery bundle")?;
    let identity = String::from_utf8(read(&args.identity, "identity file")?)
        .map(SecretString::from)
        .map_err(|_| Failure::usage("--identity takes an age identity file"))?;
    let key = match (&args.key_file, &args.key_vault_key) {
        (Some(path), _) => Holder::File(path.clone()),
        (None, Some(key)) => Holder::KeyVault(key.clone()),
        (None, None) => return Err(Failure::usage("--key-file or --key-vault-key is needed")),
    };
    let place = Place {
        store_url: args.store.clone(),
        keys_url: args.keys_url.clone(),
        key,
        old_key: None,
        setting: &|name| Environment.get(name),
    };
    let after = if args.undo_erasure {
        AfterErasure::Undo
    } else {
        AfterErasure::Refuse
    };
    runtime::tls::install_provider();
    let import = async {
        let vault = Vault::unchecked(&place)?;
        vault.import_keys(tenant, &bundle, &identity, after).await
    };
    let done = import
        .await
        .map_err(|error: StoreError| Failure::Store(AtStore(error)))?;
    let name = proto::name::tenant(tenant);
    let Imported {
        written,
        standing,
        opened,
    } = done;
    output.result(
        || json!({"name": name, "writtenCount": written, "standingCount": standing, "openedCount": opened}),
        || {
            fields([
                ("Name", name.clone()),
                ("Keys written", written.to_string()),
                ("Keys there already", standing.to_string()),
                ("Documents tried", opened.to_string()),
            ])
        },
    )?;
    output.note(
        "when the services run again, `rewind keys rewrap` deletes what the lost key wrapped",
    );
    Ok(exit::DONE)
}

fn read(path: &Path, what: &str) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|source| Failure::Local {
        context: format!("the {what} {} cannot be read", path.display()),
        source,
    })
}
