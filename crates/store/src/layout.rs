//! Where everything lies: every key of the store is made here and nowhere else.
//!
//! A path's variable parts are validated identifiers, so that no key leaves its
//! tenant's folder.

use chrono::{DateTime, Utc};
use model::{PlanId, ReportId, SnapshotId, TenantId};
use object_store::path::Path;

use crate::error::StoreError;

/// A folder of create-only documents inside a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Area {
    /// Difference reports.
    Reports,
    /// Restore plans, journals and results.
    Restores,
    /// Approvals of restore plans.
    Approvals,
    /// Signals.
    Signals,
    /// How far what goes on from day to day has come.
    Cursors,
    /// Which object was made anew in place of which.
    Lineage,
    /// What became of signals on their way to a webhook.
    Deliveries,
    /// How well the tenant was guarded after each daily snapshot.
    Posture,
    /// Who did what: one hash chain per writer, written by [`crate::audit`] alone.
    Audit,
    /// What somebody asked for that protects less, and what became of it.
    Changes,
    /// How the tenant is, in short.
    Summary,
    /// Which snapshots were read out as a whole.
    Exports,
}

impl Area {
    /// All areas.
    pub const ALL: [Self; 12] = [
        Self::Reports,
        Self::Restores,
        Self::Approvals,
        Self::Signals,
        Self::Cursors,
        Self::Lineage,
        Self::Deliveries,
        Self::Posture,
        Self::Audit,
        Self::Changes,
        Self::Summary,
        Self::Exports,
    ];

    /// The folder's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Reports => "reports",
            Self::Restores => "restores",
            Self::Approvals => "approvals",
            Self::Signals => "signals",
            Self::Cursors => "cursors",
            Self::Lineage => "lineage",
            Self::Deliveries => "deliveries",
            Self::Posture => "posture",
            Self::Audit => "audit",
            Self::Changes => "changes",
            Self::Summary => "summary",
            Self::Exports => "exports",
        }
    }
}

/// The document that makes a report visible; an empty one says that it was given up.
pub const REPORT: &str = "report";

/// The cursor, among the [cursors](Area::Cursors), that has numbered documents: how far
/// the tenant's audit log was read, and by whom.
pub const AUDIT: &str = "audit";

/// The one among the [summaries](Area::Summary) that has numbered documents.
pub const OVERVIEW: &str = "overview";

/// What is kept of the erasures of tenants, beside the tenants.
#[must_use]
pub fn erasures() -> Path {
    Path::from("installation/erasures")
}

/// What is kept of the erasures of one tenant.
#[must_use]
pub fn erasures_of(tenant: &TenantId) -> Path {
    Path::from(format!("installation/erasures/{tenant}"))
}

/// A document about one erasure: that it was begun, or its certificate.
#[must_use]
pub(crate) fn erasure_document(tenant: &TenantId, change: u32, name: &str) -> Path {
    Path::from(format!("installation/erasures/{tenant}/{change:06}/{name}"))
}

/// The marks of guarded changes that have not come to an end, of all tenants.
#[must_use]
pub fn open_changes() -> Path {
    Path::from("installation/changes")
}

/// The mark of one of them.
#[must_use]
pub(crate) fn open_change(tenant: &TenantId, number: u32) -> Path {
    Path::from(format!("installation/changes/{tenant}/{number:06}"))
}

/// The folder of all tenants.
#[must_use]
pub fn tenants() -> Path {
    Path::from("tenants")
}

/// The folder of everything that is one tenant's.
#[must_use]
pub fn tenant(tenant: &TenantId) -> Path {
    Path::from(format!("tenants/{tenant}"))
}

/// The numbered versions of the installation's grants.
#[must_use]
pub fn grants() -> Path {
    Path::from("installation/grants")
}

/// One version of the installation's grants.
#[must_use]
pub fn grants_at(version: u64) -> Path {
    Path::from(format!("installation/grants/{version:010}.json"))
}

/// The files of one trial of the store.
pub(crate) fn probe(trial: &str) -> Path {
    Path::from(format!("probe/{trial}"))
}

/// The numbered versions of a tenant's registration.
#[must_use]
pub fn registrations(tenant: &TenantId) -> Path {
    Path::from(format!("tenants/{tenant}/tenant"))
}

/// One version of a tenant's registration.
#[must_use]
pub fn registration(tenant: &TenantId, version: u64) -> Path {
    Path::from(format!("tenants/{tenant}/tenant/{version:010}.json"))
}

/// The version number in the key of a registration.
#[must_use]
pub fn registration_version(path: &Path) -> Option<u64> {
    path.filename()?
        .strip_suffix(".json")
        .filter(|digits| digits.len() == 10)?
        .parse()
        .ok()
}

/// A tenant's wrapped data keys.
#[must_use]
pub fn data_keys(tenant: &TenantId) -> Path {
    Path::from(format!("tenants/{tenant}/keys"))
}

/// One data key under one wrap.
#[must_use]
pub fn data_key(tenant: &TenantId, number: u32, wrap: &str) -> Path {
    Path::from(format!("tenants/{tenant}/keys/{number}/{wrap}.json"))
}

/// The mark that a tenant was erased, beside its wrapped data keys.
#[must_use]
pub fn erasure(tenant: &TenantId) -> Path {
    Path::from(format!("tenants/{tenant}/keys/erased"))
}

/// The number and the wrap in the key of a tenant's data key.
pub(crate) fn data_key_of(tenant: &TenantId, path: &Path) -> Option<(u32, String)> {
    let mut parts = path.prefix_match(&data_keys(tenant))?;
    let number = parts.next()?.as_ref().parse().ok()?;
    let wrap = parts.next()?.as_ref().strip_suffix(".json")?.to_owned();
    parts.next().is_none().then_some((number, wrap))
}

/// Who ran or runs a slot.
#[must_use]
pub fn claims(tenant: &TenantId, slot: &SnapshotId) -> Path {
    Path::from(format!("tenants/{tenant}/claims/{slot}"))
}

/// One attempt at a slot.
#[must_use]
pub fn claim(tenant: &TenantId, slot: &SnapshotId, attempt: u32) -> Path {
    Path::from(format!("tenants/{tenant}/claims/{slot}/{attempt:06}"))
}

/// The mark that an attempt ended before its expiry.
#[must_use]
pub fn claim_release(tenant: &TenantId, slot: &SnapshotId, attempt: u32) -> Path {
    Path::from(format!(
        "tenants/{tenant}/claims/{slot}/{attempt:06}.released"
    ))
}

/// All claims of a tenant.
#[must_use]
pub fn all_claims(tenant: &TenantId) -> Path {
    Path::from(format!("tenants/{tenant}/claims"))
}

/// The slot that a claim's key is about.
pub(crate) fn claimed_slot(tenant: &TenantId, path: &Path) -> Option<SnapshotId> {
    slot_below(&all_claims(tenant), path)
}

/// The slot in a key below a folder of slots.
fn slot_below(folder: &Path, path: &Path) -> Option<SnapshotId> {
    let slot = path.prefix_match(folder)?.next()?;
    SnapshotId::parse(slot.as_ref()).ok()
}

/// The marks of restores that have the tenant's Conditional Access quota.
#[must_use]
pub fn lane(tenant: &TenantId) -> Path {
    Path::from(format!("tenants/{tenant}/lane"))
}

/// Before every mark that counts at a time or later, and after all others.
pub(crate) fn lane_from(tenant: &TenantId, now: DateTime<Utc>) -> Path {
    Path::from(format!("tenants/{tenant}/lane/{}", lane_time(now)))
}

/// A restore's mark, which counts until a time.
#[must_use]
pub fn lane_mark(tenant: &TenantId, until: DateTime<Utc>, restore: &PlanId) -> Path {
    let until = lane_time(until);
    Path::from(format!("tenants/{tenant}/lane/{until}-{restore}"))
}

/// The mark that a restore's mark counts no more.
#[must_use]
pub fn lane_mark_end_of(mark: &Path) -> Path {
    Path::from(format!("{mark}.ended"))
}

/// The restore that a mark's name holds, and whether the name is that of its end.
pub(crate) fn lane_mark_of(name: &str) -> Option<(PlanId, bool)> {
    let (_, restore) = name.split_once('-')?;
    let end = restore.strip_suffix(".ended");
    let restore = PlanId::parse(end.unwrap_or(restore)).ok()?;
    Some((restore, end.is_some()))
}

/// A time as names hold it, in an order that is that of time.
fn lane_time(at: DateTime<Utc>) -> impl std::fmt::Display {
    at.format("%Y%m%dT%H%M%S%3f")
}

/// A tenant's runs.
#[must_use]
pub fn runs(tenant: &TenantId) -> Path {
    Path::from(format!("tenants/{tenant}/runs"))
}

/// A run: immutable data, named by the hash of its encrypted bytes.
#[must_use]
pub fn run(tenant: &TenantId, hash: &blake3::Hash) -> Path {
    Path::from(format!(
        "tenants/{tenant}/runs/{}.parquet.age",
        hash.to_hex()
    ))
}

/// The hash in the key of a run.
pub(crate) fn run_hash(path: &Path) -> Option<blake3::Hash> {
    let name = path.filename()?.strip_suffix(".parquet.age")?;
    blake3::Hash::from_hex(name).ok()
}

/// A tenant's snapshots.
#[must_use]
pub fn snapshots(tenant: &TenantId) -> Path {
    Path::from(format!("tenants/{tenant}/snapshots"))
}

/// The file whose existence makes a snapshot.
#[must_use]
pub fn manifest(tenant: &TenantId, slot: &SnapshotId) -> Path {
    Path::from(format!("tenants/{tenant}/snapshots/{slot}/manifest"))
}

/// The slot that a key below the snapshots is about.
pub(crate) fn snapshot_slot(tenant: &TenantId, path: &Path) -> Option<SnapshotId> {
    slot_below(&snapshots(tenant), path)
}

/// What was decided about a snapshot.
#[must_use]
pub fn fates(tenant: &TenantId, slot: &SnapshotId) -> Path {
    Path::from(format!("tenants/{tenant}/snapshots/{slot}/fate"))
}

/// One decision, from 1 on.
#[must_use]
pub fn fate(tenant: &TenantId, slot: &SnapshotId, number: u32) -> Path {
    Path::from(format!(
        "tenants/{tenant}/snapshots/{slot}/fate/{number:06}"
    ))
}

/// The number in the key of a decision.
pub(crate) fn fate_number(path: &Path) -> Option<u32> {
    let mut parts: Vec<_> = path.parts().collect();
    let number = parts.pop()?;
    let number = number
        .as_ref()
        .parse()
        .ok()
        .filter(|_| number.as_ref().len() == 6);
    number.filter(|_| parts.last().is_some_and(|folder| folder.as_ref() == "fate"))
}

/// One area of a tenant.
#[must_use]
pub fn area(tenant: &TenantId, area: Area) -> Path {
    Path::from(format!("tenants/{tenant}/{}", area.name()))
}

/// The folder, inside a report's, of the names of its snapshots.
const REPORT_MARKS: &str = "of";

/// The mark that a report is of a snapshot.
#[must_use]
pub fn report_mark(tenant: &TenantId, report: &ReportId, snapshot: &SnapshotId) -> Path {
    Path::from(format!(
        "tenants/{tenant}/reports/{report}/{REPORT_MARKS}/{snapshot}"
    ))
}

/// What a file of a report is to the vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ReportPart {
    /// What makes the report visible.
    Head,
    /// The mark that it is of a snapshot.
    Mark(SnapshotId),
    /// Anything else.
    Content,
}

/// The report that a file is of, and as what.
pub(crate) fn report_part(tenant: &TenantId, path: &Path) -> Option<(ReportId, ReportPart)> {
    let inside = path.prefix_match(&area(tenant, Area::Reports))?;
    let parts: Vec<String> = inside.map(|part| part.as_ref().to_owned()).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let (id, name) = parts.split_first()?;
    let part = match name {
        [REPORT] => ReportPart::Head,
        [REPORT_MARKS, snapshot] => ReportPart::Mark(SnapshotId::parse(snapshot).ok()?),
        _ => ReportPart::Content,
    };
    Some((ReportId::parse(id).ok()?, part))
}

/// What a file of a tenant is, by its path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Known {
    /// A version of the registration.
    Registration,
    /// A wrapped data key, or the mark of its erasure.
    DataKey,
    /// A claim on a slot, or its end.
    Claim,
    /// A restore's mark, or its end.
    LaneMark,
    /// A run.
    Run(blake3::Hash),
    /// The manifest of a slot.
    Manifest(SnapshotId),
    /// A decision about a slot's snapshot.
    Fate(SnapshotId, u32),
    /// A document of one of the [areas](Area).
    Document,
}

/// What a file of a tenant is; `None` for one that the vault never writes.
pub(crate) fn known(tenant: &TenantId, path: &Path) -> Option<Known> {
    let inside = path.prefix_match(&self::tenant(tenant))?;
    let parts: Vec<String> = inside.map(|part| part.as_ref().to_owned()).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let slot = |text: &str| SnapshotId::parse(text).ok();
    match parts[..] {
        ["tenant", _] => registration_version(path).map(|_| Known::Registration),
        ["keys", ..] if *path == erasure(tenant) => Some(Known::DataKey),
        ["keys", ..] => data_key_of(tenant, path).map(|_| Known::DataKey),
        ["claims", claimed, name] => {
            let attempt = name.strip_suffix(".released").unwrap_or(name);
            let is_claim = attempt.len() == 6 && attempt.parse::<u32>().is_ok();
            (is_claim && slot(claimed).is_some()).then_some(Known::Claim)
        }
        ["lane", name] => lane_mark_of(name).map(|_| Known::LaneMark),
        ["runs", name] => {
            let hash = blake3::Hash::from_hex(name.strip_suffix(".parquet.age")?).ok()?;
            // Of all spellings of a hash only one is a run's name.
            (run(tenant, &hash) == *path).then_some(Known::Run(hash))
        }
        ["snapshots", taken, "manifest"] => slot(taken).map(Known::Manifest),
        ["snapshots", taken, "fate", _] => Some(Known::Fate(slot(taken)?, fate_number(path)?)),
        [area, id, ref name @ ..] if !name.is_empty() => {
            let fits = Area::ALL.iter().any(|known| known.name() == area)
                && part("document id", id).is_ok()
                && name.iter().all(|name| part("document name", name).is_ok());
            fits.then_some(Known::Document)
        }
        _ => None,
    }
}

/// The documents of one report, restore or signal.
///
/// # Errors
/// `Invalid` where the id is not fit for a key.
pub fn documents(tenant: &TenantId, area: Area, id: &str) -> Result<Path, StoreError> {
    part("document id", id)?;
    Ok(Path::from(format!("tenants/{tenant}/{}/{id}", area.name())))
}

/// One document: `plan`, `page-00001`, `journal/000001`.
///
/// # Errors
/// `Invalid` where id or name are not fit for a key.
pub fn document(tenant: &TenantId, area: Area, id: &str, name: &str) -> Result<Path, StoreError> {
    part("document id", id)?;
    for piece in name.split('/') {
        part("document name", piece)?;
    }
    Ok(Path::from(format!(
        "tenants/{tenant}/{}/{id}/{name}",
        area.name()
    )))
}

/// The installation's wrapped data keys, which seal what belongs to no tenant.
#[must_use]
pub(crate) fn installation_keys() -> Path {
    Path::from("installation/keys")
}

/// One of them under one wrap.
#[must_use]
pub(crate) fn installation_key(number: u32, wrap: &str) -> Path {
    Path::from(format!("{}/{number}/{wrap}.json", installation_keys()))
}

/// The number and the wrap in the key of one of them.
pub(crate) fn installation_key_of(path: &Path) -> Option<(u32, String)> {
    let parts: Vec<_> = path.prefix_match(&installation_keys())?.collect();
    let [number, wrap] = &parts[..] else {
        return None;
    };
    let wrap = wrap.as_ref().strip_suffix(".json")?.to_owned();
    Some((number.as_ref().parse().ok()?, wrap))
}

/// The audit chains of what belongs to no tenant.
#[must_use]
pub fn installation_audit() -> Path {
    Path::from("audit")
}

/// One file of an audit chain, from 1 on.
///
/// # Errors
/// `Invalid` where the writer is not fit for a key.
pub(crate) fn audit_entry(chains: &Path, writer: &str, number: u64) -> Result<Path, StoreError> {
    part("audit writer", writer)?;
    Ok(Path::from(format!("{chains}/{writer}/{number:010}")))
}

/// The writer and the number in the key of a file of an audit chain; `None` where no
/// chain has such a file.
pub(crate) fn audit_place(chains: &Path, path: &Path) -> Option<(String, u64)> {
    let parts: Vec<_> = path.prefix_match(chains)?.collect();
    let [writer, number] = &parts[..] else {
        return None;
    };
    let (writer, number) = (writer.as_ref().to_owned(), number.as_ref().parse().ok()?);
    // Of all spellings of a number only one is a file's name.
    let place = audit_entry(chains, &writer, number).ok()?;
    (number > 0 && place == *path).then_some((writer, number))
}

/// Lowercase letters, digits, `T`, hyphens and inner dots, at most 80: what a
/// key's part may hold.
fn part(what: &str, text: &str) -> Result<(), StoreError> {
    let fits = (1..=80).contains(&text.len())
        && !text.starts_with('.')
        && text.bytes().all(|b| {
            b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.' | b'T')
        });
    if fits {
        return Ok(());
    }
    let shown: String = text.chars().take(80).collect();
    Err(StoreError::Invalid(format!(
        "{what} {shown:?} is not valid: lowercase letters, digits, hyphens and dots are expected"
    )))
}
