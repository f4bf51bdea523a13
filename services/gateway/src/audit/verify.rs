//! Walks chains from end to end and tells what is wrong with them.
//!
//! Owns who vouches for what: the checkpoints in the installation's chains for the
//! tenants' chains, and the beginnings of the installation's chains for one another.

use std::collections::{BTreeMap, BTreeSet};

use model::TenantId;
use prost::Message;
use proto::convert::time;
use proto::v1::{
    AuditChain, AuditEntry, AuditFlaw, AuditFlawKind, AuditHead, AuditKind, AuditRecord,
    AuditVerification,
};
use store::audit::{Chains, Entry, Flaw, FlawKind, Witness};
use store::{StoreError, Vault};

/// Whose chains a head is of; empty for the installation's.
type Whose = String;

/// What the installation's chains vouch for.
#[derive(Debug, Default)]
struct Witnesses {
    seen: BTreeMap<(Whose, String), Vec<Witness>>,
    /// The processes that told each chain's end.
    told_by: BTreeMap<(Whose, String), BTreeSet<String>>,
    /// The processes that ended all their chains.
    closed: BTreeSet<String>,
    /// Whether all could be read.
    complete: bool,
}

impl Witnesses {
    async fn read(installation: &Chains) -> Result<Self, StoreError> {
        let mut witnesses = Self {
            complete: true,
            ..Self::default()
        };
        let listed = installation.list().await?;
        for (writer, numbers) in &listed.chains {
            let mut damaged = false;
            let seen = |entry: &Entry| match record(entry) {
                Some(record) => witnesses.take(writer, record),
                None => damaged = true,
            };
            let flaws = installation.walk(writer, numbers, &[], seen).await?;
            witnesses.complete &= flaws.is_empty() && !damaged;
        }
        Ok(witnesses)
    }

    fn take(&mut self, writer: &str, record: AuditRecord) {
        for entry in record.entries {
            let others = entry.start.map(|start| start.others).unwrap_or_default();
            let checkpoint = entry.checkpoint.unwrap_or_default();
            if checkpoint.closed {
                self.closed.insert(writer.to_owned());
            }
            for head in others.into_iter().chain(checkpoint.heads) {
                self.add(writer, head);
            }
        }
    }

    fn add(&mut self, by: &str, head: AuditHead) {
        let key = (head.tenant, head.writer);
        let by = by.to_owned();
        self.told_by.entry(key.clone()).or_default().insert(by);
        let witness = Witness {
            number: u64::try_from(head.number).unwrap_or_default(),
            hash: blake3::Hash::from_hex(&head.hash).ok(),
        };
        self.seen.entry(key).or_default().push(witness);
    }

    fn of(&self, whose: &str, writer: &str) -> &[Witness] {
        let seen = self.seen.get(&(whose.to_owned(), writer.to_owned()));
        seen.map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether the process that writes a chain ended it.
    fn is_closed(&self, whose: &str, writer: &str) -> bool {
        if whose.is_empty() {
            return self.closed.contains(writer);
        }
        let by = self.told_by.get(&(whose.to_owned(), writer.to_owned()));
        by.is_some_and(|by| by.intersection(&self.closed).next().is_some())
    }

    fn writers(&self, whose: &str) -> impl Iterator<Item = &String> {
        let of_it = self.seen.keys().filter(move |(of, _)| of == whose);
        of_it.map(|(_, writer)| writer)
    }
}

/// Walks the chains of a tenant, or the installation's.
///
/// # Errors
/// `NotFound` where the tenant is not registered; `Key` where its chains cannot be read
/// any more; `Unavailable`.
pub(super) async fn verify(
    vault: &Vault,
    tenant: Option<&TenantId>,
) -> Result<AuditVerification, StoreError> {
    let installation = vault.installation_audit().await?;
    let (whose, chains) = match tenant {
        Some(tenant) => (tenant.to_string(), vault.tenant(tenant).await?.audit()),
        None => (Whose::new(), installation.clone()),
    };
    // Before the chains are listed: what is witnessed later is not in the list.
    let witnesses = Witnesses::read(&installation).await?;
    let mut listed = chains.list().await?;
    for writer in witnesses.writers(&whose) {
        listed.chains.entry(writer.clone()).or_default();
    }
    let mut verification = AuditVerification {
        witnesses_complete: witnesses.complete,
        ..AuditVerification::default()
    };
    for (writer, numbers) in &listed.chains {
        let of_it = witnesses.of(&whose, writer);
        let mut chain = AuditChain {
            writer: writer.clone(),
            last_number: number(numbers.last().copied().unwrap_or_default()),
            closed: witnesses.is_closed(&whose, writer),
            ..AuditChain::default()
        };
        chain.witnessed_number = match whose.is_empty() && chain.closed {
            // A chain that ends with its own end has all of it.
            true => chain.last_number,
            false => number(of_it.iter().map(|it| it.number).max().unwrap_or_default()),
        };
        let mut unread = Vec::new();
        let seen = |entry: &Entry| match record(entry) {
            Some(record) => tell(&mut chain, &record),
            None => unread.push(entry.number),
        };
        let flaws = match chains.walk(writer, numbers, of_it, seen).await {
            Ok(flaws) => flaws,
            // Witnessed under a name that no chain has.
            Err(StoreError::Invalid(_)) => continue,
            Err(error) => return Err(error),
        };
        let unread = unread.into_iter().map(|number| Flaw {
            kind: FlawKind::Altered,
            number,
            detail: format!("file {number} tells nothing that this version understands"),
        });
        let flaws = flaws.into_iter().chain(unread);
        let flaws = flaws.map(|flaw| message(writer, &flaw));
        verification.flaws.extend(flaws);
        verification.chains.push(chain);
    }
    verification
        .flaws
        .extend(listed.foreign.into_iter().map(|path| AuditFlaw {
            kind: AuditFlawKind::Foreign.into(),
            detail: format!("{path} is no file of a chain"),
            ..AuditFlaw::default()
        }));
    Ok(verification)
}

fn record(entry: &Entry) -> Option<AuditRecord> {
    let record = AuditRecord::decode(entry.body.clone()).ok()?;
    record.time.as_ref().and_then(time)?;
    Some(record)
}

fn tell(chain: &mut AuditChain, record: &AuditRecord) {
    chain.last_time = record.time;
    chain.entry_count += i64::try_from(record.entries.len()).unwrap_or(i64::MAX);
    let is_start = |entry: &&AuditEntry| entry.kind() == AuditKind::Start;
    if let Some(start) = record.entries.iter().find(is_start) {
        chain.start_time = start.time;
        let version = start.start.as_ref().map(|start| &start.program_version);
        chain.program_version = version.cloned().unwrap_or_default();
    }
}

fn message(writer: &str, flaw: &Flaw) -> AuditFlaw {
    let kind = match flaw.kind {
        FlawKind::Missing => AuditFlawKind::Missing,
        FlawKind::Altered => AuditFlawKind::Altered,
        FlawKind::Broken => AuditFlawKind::Broken,
        FlawKind::Cut => AuditFlawKind::Cut,
        FlawKind::Replaced => AuditFlawKind::Replaced,
    };
    AuditFlaw {
        writer: writer.to_owned(),
        number: number(flaw.number),
        kind: kind.into(),
        detail: flaw.detail.clone(),
    }
}

fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
