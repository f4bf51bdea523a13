//! Snapshots of a tenant in a vault, each going on from the one before.

use std::sync::Arc;

use graph::{Mode, Outcome, Request, collect};
use model::diff::{Difference, Scope, diff};
use model::licence::Licence;
use model::snapshot::Content;
use model::{SnapshotId, TenantId};
use store::{
    Draft, Kek, Manifest, SnapshotMeta, Taken, TenantRecord, TenantState, TenantVault, Trigger,
    Vault,
};

use crate::world::{TENANT, World};

/// A vault and what was committed to it.
pub(crate) struct Chain {
    vault: TenantVault,
    pub(crate) newest: Option<Manifest>,
}

impl Chain {
    pub(crate) async fn new() -> Self {
        let memory = Arc::new(store::object_store::memory::InMemory::new());
        let vault = Vault::new(memory, Arc::new(Kek::from_bytes([7; 32])));
        let tenant = TenantId::parse(TENANT).expect("a tenant");
        let record: TenantRecord = testkit::store::record(&tenant);
        assert_eq!(record.state, TenantState::Active);
        vault.create_tenant(&record).await.expect("room");
        Self {
            vault: vault.tenant(&tenant).await.expect("registered"),
            newest: None,
        }
    }

    /// What differs between an earlier snapshot and the newest, as a report has it,
    /// and what was read for that.
    pub(crate) async fn report(&self, base: &Manifest) -> (Difference, Content, Content) {
        let target = self.newest.as_ref().expect("a snapshot");
        let scope = Scope::default();
        let between = self.vault.between(base, target, &scope).await;
        let between = between.expect("whole");
        let difference = diff(&between.base, &between.target, &scope);
        (difference, between.base, between.target)
    }

    /// Takes the next snapshot as the snapshotter does; what the vault then holds.
    pub(crate) async fn take(&mut self, world: &World) -> Content {
        let mode = match &self.newest {
            None => Mode::Whole,
            Some(base) => {
                let past = self.vault.past(base).await.expect("whole");
                Mode::Since(past)
            }
        };
        let request = Request {
            sleep: world.sleeper(),
            ..Request::all(mode)
        };
        let draft = Draft::default();
        let outcome: Outcome = collect(
            &world.reader(),
            &request,
            &world.clock(),
            &|_| {},
            &|change| draft.apply(change),
        )
        .await
        .expect("the tenant answers");
        let number = self
            .newest
            .as_ref()
            .map_or(0, |base| base.lineage.incremental + 1);
        let now = (world.clock())();
        let meta = SnapshotMeta {
            id: SnapshotId::parse(&format!("day-{number:03}")).expect("a slot"),
            attempt: "a".to_owned(),
            trigger: Trigger::OnDemand,
            started: now,
            finished: now,
            licence: Licence::P1,
        };
        let taken = Taken {
            completeness: outcome.completeness,
            tokens: outcome.tokens,
            unsettled: outcome.unsettled,
            incremental: number,
            ..Taken::default()
        };
        let manifest = self
            .vault
            .commit(&meta, draft, taken, self.newest.as_ref(), &|| now)
            .await
            .expect("room");
        let content = self.vault.read(&manifest).await.expect("whole");
        self.newest = Some(manifest);
        content
    }
}
