//! Erases a tenant, and certifies it.
//!
//! What is kept of a tenant is sealed with the key that is deleted, so that what has to
//! be known afterwards is written beside the tenants, before: whoever finds it there
//! without a certificate goes on. To repeat any part of it does no harm.

use model::TenantId;
use proto::convert::timestamp;
use proto::json::{from_json, to_json};
use proto::v1::{ErasedKey, ErasureCertificate, GuardedChangeKind, GuardedStepKind};
use store::check::Outcome;
use store::{Finding, KeyError, StoreError, TenantState, TenantVault};

use super::journal::Journal;
use super::{ChangeError, tell};
use crate::{Context, Error};

/// The message as it is stored.
const CERTIFICATE: &str = "ErasureCertificate";

/// Notes what is about to be erased.
pub(super) async fn begin(
    context: &Context,
    vault: &TenantVault,
    there: &Journal,
) -> Result<(), Error> {
    let (deps, tenant) = (&context.deps, vault.id());
    let record = deps.vault.registered(tenant).await?;
    let approved = there.last(GuardedStepKind::Approved);
    let keys = deps.vault.public_keys(tenant).await?;
    let key = |(number, public): (u32, String)| ErasedKey {
        number: i32::try_from(number).unwrap_or(i32::MAX),
        public_key_digest: blake3::hash(public.as_bytes()).to_hex().to_string(),
    };
    let change = &there.change;
    let begun = ErasureCertificate {
        name: format!("{}/erasures/{}", proto::name::tenant(tenant), there.number),
        display_name: record.name,
        kind: change.kind,
        author: change.author.clone(),
        request_time: change.create_time,
        approver: approved.map(|it| it.by.clone()).unwrap_or_default(),
        approve_time: approved.and_then(|it| it.time),
        change_hash: change.hash.clone(),
        exported_snapshot: change.exported_snapshot.clone(),
        keys: keys.into_iter().map(key).collect(),
        ..ErasureCertificate::default()
    };
    // The last that can be told to those who watch the tenant.
    tell::erasing(context, vault, there).await?;
    let content = text(&begun).into();
    deps.vault
        .begin_erasure(tenant, there.number, content)
        .await?;
    Ok(())
}

/// Deletes the keys, here and beside the copies, and certifies it.
pub(super) async fn finish(context: &Context, tenant: &TenantId, number: u32) -> Result<(), Error> {
    let deps = &context.deps;
    let missing = || ChangeError::Missing(number);
    let begun = deps.vault.begun_erasure(tenant, number).await?;
    let mut certificate = read(number, &begun.ok_or_else(missing)?)?;
    let now = deps.clock.now();
    let copy = match &deps.copies {
        None => None,
        Some(copies) => Some(copies.erase_keys(tenant, now).await?.proof),
    };
    let done = deps.vault.erase_keys(tenant, now).await?;
    if certificate.kind() == GuardedChangeKind::Offboard {
        end_service(context, tenant, number).await?;
    }
    let remains = deps.vault.remains(tenant).await?;
    certificate.erase_time = Some(timestamp(now));
    certificate.proof = word(&done.proof).to_owned();
    certificate.proof_detail = done.proof.detail.clone();
    certificate.copy_proof = copy.as_ref().map_or("", word).to_owned();
    certificate.remaining_file_count = i64::try_from(remains.files).unwrap_or(i64::MAX);
    certificate.remaining_bytes = i64::try_from(remains.bytes).unwrap_or(i64::MAX);
    certificate.remains = left(&done.proof, copy.as_ref(), remains);
    let content = text(&certificate).into();
    deps.vault.certify_erasure(tenant, number, content).await?;
    deps.vault.unmark_change(tenant, number).await?;
    tracing::warn!(%tenant, number, author = certificate.author, approver = certificate.approver, proof = certificate.proof, "a tenant was erased");
    Ok(())
}

/// What an erasure leaves, in a sentence each.
fn left(proof: &Finding, copy: Option<&Finding>, remains: store::Remains) -> Vec<String> {
    let mut left = vec![
        format!(
            "{} files of {} bytes, most of them encrypted with the deleted keys: they stay until they are deleted in the store, or until their object lock ends",
            remains.files, remains.bytes
        ),
        "the registration with its names and the references to credentials, this certificate, and what was logged".to_owned(),
        "recovery bundles that were made of the keys, and exports: whoever has one still reads what it opens".to_owned(),
    ];
    if proof.outcome != Outcome::Ok {
        left.push("the store of the keys may keep earlier versions of what was deleted: they have to be removed there".to_owned());
    }
    match copy {
        Some(proof) if proof.outcome != Outcome::Ok => left.push(
            "the store of the copies' keys may keep earlier versions of what was deleted: they have to be removed there".to_owned(),
        ),
        Some(_) => left.push("the copies of the files, which nobody opens either".to_owned()),
        None => {}
    }
    left
}

/// Sees to it that the tenant is served no more.
async fn end_service(context: &Context, tenant: &TenantId, number: u32) -> Result<(), Error> {
    let vault = &context.deps.vault;
    loop {
        let Some(mut record) = vault.tenant_record(tenant).await? else {
            return Ok(());
        };
        if record.value.state == TenantState::Offboarded {
            return Ok(());
        }
        record.value.state = TenantState::Offboarded;
        record.value.change = Some(number);
        match vault.update_tenant(&record).await {
            Err(StoreError::Changed { .. }) => {}
            other => return Ok(other?),
        }
    }
}

/// A tenant's certificates, the newest first.
///
/// # Errors
/// `STORE_CORRUPT`; `STORE_UNAVAILABLE`.
pub(crate) async fn certificates(
    context: &Context,
    tenant: &TenantId,
) -> Result<Vec<ErasureCertificate>, Error> {
    let vault = &context.deps.vault;
    let mut found = Vec::new();
    for number in vault.certified_erasures(tenant).await?.into_iter().rev() {
        if let Some(content) = vault.erasure_certificate(tenant, number).await? {
            found.push(read(number, &content)?);
        }
    }
    Ok(found)
}

/// When an erasure was carried out; `None` where it has no certificate.
pub(super) async fn certified(
    context: &Context,
    tenant: &TenantId,
    number: u32,
) -> Result<Option<Option<prost_types::Timestamp>>, Error> {
    let found = context.deps.vault.erasure_certificate(tenant, number);
    match found.await? {
        Some(content) => Ok(Some(read(number, &content)?.erase_time)),
        None => Ok(None),
    }
}

/// Whether a tenant's keys are gone.
pub(crate) async fn is_erased(context: &Context, tenant: &TenantId) -> Result<bool, Error> {
    match context.deps.vault.public_keys(tenant).await {
        Ok(_) => Ok(false),
        Err(StoreError::Key(KeyError::Erased)) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

fn word(finding: &Finding) -> &'static str {
    match finding.outcome {
        Outcome::Ok => "ok",
        Outcome::Failed => "failed",
        Outcome::Unknown => "unknown",
    }
}

fn text(certificate: &ErasureCertificate) -> Vec<u8> {
    format!("{:#}\n", to_json(CERTIFICATE, certificate)).into_bytes()
}

fn read(number: u32, content: &[u8]) -> Result<ErasureCertificate, ChangeError> {
    from_json(CERTIFICATE, content).map_err(|error| ChangeError::Damaged {
        number,
        detail: error.to_string(),
    })
}
