//! `rewind keys …`: recovery bundles, re-wrapping, rotation, erasure.
//!
//! Owns the files that bundles are written to. It never overwrites one, and
//! never sees a key that is not encrypted.

mod erase;
mod import;

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Error, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use model::TenantId;
use proto::json::to_json;
use proto::v1;
use runtime::exit;
use serde_json::{Value, json};

use crate::args::value::recipient;
use crate::args::{ExportKeys, Global, KeysCommand};
use crate::client::{PAGE, all_pages, required};
use crate::failure::Failure;
use crate::output::Output;
use crate::session::Session;
use crate::table::{fields, table};

/// Runs one of the commands.
pub(crate) async fn run(
    command: &KeysCommand,
    global: &Global,
    output: Output,
) -> Result<u8, Failure> {
    match command {
        KeysCommand::Export(args) => export(args, global, output).await,
        KeysCommand::Rewrap => rewrap(global, output).await,
        KeysCommand::Rotate => rotate(global, output).await,
        KeysCommand::Erase(args) => erase::run(args, global, output).await,
        KeysCommand::Import(args) => import::run(args, global, output).await,
    }
}

/// Does something for the tenant that `--tenant` names, or for each tenant. Where
/// there are several, one that fails does not keep the others from it.
///
/// # Errors
/// The failure of the only tenant.
async fn each<T>(
    session: &Session,
    global: &Global,
    mut work: impl AsyncFnMut(String) -> Result<T, Failure>,
) -> Result<(Vec<T>, u8), Failure> {
    let tenants = tenants(session, global).await?;
    let (mut done, mut code) = (Vec::new(), exit::DONE);
    for tenant in &tenants {
        let name = proto::name::tenant(tenant);
        match work(name.clone()).await {
            Ok(one) => done.push(one),
            Err(failure) if tenants.len() == 1 => return Err(failure),
            Err(failure) => {
                let reason = failure
                    .reason()
                    .map_or_else(String::new, |reason| format!(" [{reason}]"));
                let text = format!("{name}: {failure}{reason}");
                session.output.warning(&text);
                code = exit::WARNINGS;
            }
        }
    }
    Ok((done, code))
}

async fn tenants(session: &Session, global: &Global) -> Result<Vec<TenantId>, Failure> {
    if let Some(tenant) = &global.tenant {
        return Ok(vec![tenant.clone()]);
    }
    let client = &session.client;
    let all = all_pages(|page_token| async move {
        let request = client.unary(v1::ListTenantsRequest {
            page_size: PAGE,
            page_token,
            ..v1::ListTenantsRequest::default()
        });
        let answer = client.tenants().list_tenants(request).await?.into_inner();
        Ok((answer.tenants, answer.next_page_token))
    })
    .await?;
    let id = |tenant: &v1::Tenant| {
        TenantId::parse(&tenant.id).map_err(|_| Failure::Answer("a tenant has no valid id"))
    };
    all.iter().map(id).collect()
}

async fn export(args: &ExportKeys, global: &Global, output: Output) -> Result<u8, Failure> {
    for text in &args.recipients {
        recipient(text).map_err(Failure::usage)?;
    }
    let session = Session::open(global, output).await?;
    make_folder(&args.to)?;
    let client = &session.client;
    let (written, code) = each(&session, global, async |name: String| {
        let tenant = name.trim_start_matches("tenants/");
        let path = args.to.join(format!("rewind-keys-{tenant}.age"));
        let request = client.unary(v1::ExportKeysRequest {
            name: name.clone(),
            recipients: args.recipients.clone(),
        });
        let bundle = client
            .keys()
            .export_keys(request)
            .await?
            .into_inner()
            .bundle;
        if bundle.is_empty() {
            return Err(Failure::Answer("a recovery bundle is empty"));
        }
        write(&path, &bundle)?;
        Ok([name, path.display().to_string()])
    })
    .await?;
    output.result(
        || {
            let one = |[name, path]: &[String; 2]| json!({"name": name, "path": path});
            Value::Array(written.iter().map(one).collect())
        },
        || table(["TENANT", "BUNDLE"], written.iter().cloned()),
    )?;
    Ok(code)
}

fn make_folder(folder: &Path) -> Result<(), Failure> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|source| Failure::Local {
        context: format!("the folder {} cannot be made", folder.display()),
        source,
    })
}

/// Writes a file that only its owner may read. It appears whole or not at all,
/// and never in the place of another.
fn write(path: &Path, content: &[u8]) -> Result<(), Failure> {
    let mut staged = path.as_os_str().to_owned();
    staged.push(".part");
    let staged = PathBuf::from(staged);
    // What an export that was cut short left is not worth keeping.
    let cleared = match std::fs::remove_file(&staged) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    let create = || {
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&staged)?;
        file.write_all(content)?;
        file.sync_all()?;
        let linked = std::fs::hard_link(&staged, path).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => Error::new(
                error.kind(),
                "there is a file of that name, which may be the only one that opens older data",
            ),
            _ => error,
        });
        std::fs::remove_file(&staged)?;
        linked?;
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()
    };
    cleared
        .and_then(|()| create())
        .map_err(|source| Failure::Local {
            context: format!("the recovery bundle {} cannot be written", path.display()),
            source,
        })
}

async fn rewrap(global: &Global, output: Output) -> Result<u8, Failure> {
    let session = Session::open(global, output).await?;
    let client = &session.client;
    let (done, code) = each(&session, global, async |name| {
        let request = client.unary(v1::RewrapKeysRequest {
            name,
            request_id: client.request_id(),
        });
        required(client.keys().rewrap_keys(request).await, |answer| {
            answer.rewrapping
        })
    })
    .await?;
    output.result(
        || Value::Array(done.iter().map(|one| to_json("Rewrapping", one)).collect()),
        || {
            let row = |one: &v1::Rewrapping| {
                [
                    one.name.clone(),
                    one.written_count.to_string(),
                    one.deleted_count.to_string(),
                ]
            };
            table(["TENANT", "WRITTEN", "DELETED"], done.iter().map(row))
        },
    )?;
    Ok(code)
}

async fn rotate(global: &Global, output: Output) -> Result<u8, Failure> {
    let session = Session::open(global, output).await?;
    let name = proto::name::tenant(&session.tenant(None).await?);
    let client = &session.client;
    let request = client.unary(v1::RotateKeyRequest {
        name,
        request_id: client.request_id(),
    });
    let answer = client.keys().rotate_key(request).await?.into_inner();
    output.result(
        || to_json("RotateKeyResponse", &answer),
        || {
            fields([
                ("Name", answer.name.clone()),
                ("Key", answer.number.to_string()),
            ])
        },
    )?;
    output.note("recovery bundles that were exported before do not open what is sealed from now on: export them again");
    Ok(exit::DONE)
}
