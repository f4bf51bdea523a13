//! What the next snapshot goes on from, against the fakes.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use graph::{Request, Scope, collect};
use model::snapshot::Kind;
use model::{Link, LinkKind, Object, ObjectId, ObjectState, ObjectType};
use store::object_store::memory::InMemory;
use store::object_store::{ObjectStore, ObjectStoreExt};
use store::{Announced, Draft, Kek, RunKind, Taken, Vault, layout};
use testkit::directory::FakeDirectory;
use testkit::store::{content, meta, record, tamper, tenant};

use super::*;

/// A tenant's vault over storage in memory, and the tenant.
struct World {
    store: Arc<dyn ObjectStore>,
    vault: TenantVault,
    directory: FakeDirectory,
}

impl World {
    async fn new() -> Self {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let vault = Vault::new(store.clone(), Arc::new(Kek::from_bytes([1; 32])));
        vault.create_tenant(&record(&tenant(1))).await.unwrap();
        Self {
            store,
            vault: vault.tenant(&tenant(1)).await.unwrap(),
            directory: FakeDirectory::new(content(20)),
        }
    }

    /// Takes the snapshot of a day as the service would, of the types in scope.
    async fn take(&self, day: u32, scope: Scope) -> Manifest {
        let (base, mode) = choose(&self.vault, 7).await.unwrap();
        let followed = matches!(mode, Mode::Since(_));
        let request = Request {
            scope,
            sleep: Arc::new(|_| Box::pin(std::future::ready(()))),
            ..Request::all(mode)
        };
        let (draft, now) = (Draft::default(), || DateTime::<Utc>::UNIX_EPOCH);
        let sink = |change| draft.apply(change);
        let outcome = collect(&self.directory, &request, &now, &|_| {}, &sink).await;
        let outcome = outcome.unwrap();
        let before = base.as_ref().map_or(0, |base| base.lineage.incremental);
        let taken = Taken {
            completeness: outcome.completeness,
            tokens: outcome.tokens,
            unsettled: outcome.unsettled,
            incremental: if followed { before + 1 } else { 0 },
            announced: Announced::default(),
        };
        let meta = meta(&format!("202611{day:02}-daily"), "a", i64::from(day) * 100);
        let manifest = self
            .vault
            .commit(&meta, draft, taken, base.as_ref(), &|| meta.finished)
            .await;
        manifest.unwrap()
    }

    /// Lets something change that the next snapshot has to tell.
    fn rename(&self, day: u32) {
        let mut users = self.directory.content().objects.into_iter();
        let user = users.find(|object| object.object_type == ObjectType::User);
        let mut body = user.unwrap().body();
        body.insert("department".to_owned(), format!("Day {day}").into());
        let user = Object::from_body(ObjectType::User, ObjectState::Live, &body);
        self.directory.put(user.unwrap());
    }

    /// A snapshot for each day, each with a change.
    async fn days(&self, days: std::ops::RangeInclusive<u32>) -> Vec<Manifest> {
        let mut manifests = Vec::new();
        for day in days {
            self.rename(day);
            manifests.push(self.take(day, Scope::all()).await);
        }
        manifests
    }

    /// What is chosen: the snapshot's id and the mode.
    async fn chosen(&self, reconcile_every: u32) -> (Option<String>, &'static str) {
        let (base, mode) = choose(&self.vault, reconcile_every).await.unwrap();
        let mode = match mode {
            Mode::Whole => "whole",
            Mode::Since(_) => "since",
            Mode::Reconcile(_) => "reconcile",
        };
        (base.map(|base| base.id().to_string()), mode)
    }

    /// Checks that a snapshot holds what the tenant is.
    async fn assert_true(&self, manifest: &Manifest) {
        let (found, expected) = (
            self.vault.read(manifest).await.unwrap(),
            self.directory.content(),
        );
        assert_eq!(found.objects, expected.objects);
        assert_eq!(found.links, expected.links);
    }
}

fn day(day: u32) -> Option<String> {
    Some(format!("202611{day:02}-daily"))
}

#[tokio::test]
async fn the_newest_snapshot_with_tokens_is_gone_on_from() {
    let world = World::new().await;
    assert_eq!(world.chosen(7).await, (None, "whole"));
    world.days(1..=3).await;
    let meta = meta("20261104-daily", "a", 400);
    world
        .vault
        .commit_content(&meta, &content(1))
        .await
        .unwrap();
    assert_eq!(world.chosen(7).await, (day(3), "since"));
    assert_eq!(world.chosen(3).await, (day(3), "reconcile"));
}

#[tokio::test]
async fn a_damaged_snapshot_is_passed_over() {
    for kind in [RunKind::Objects, RunKind::Links] {
        let world = World::new().await;
        let mut manifests = world.days(1..=2).await;
        let mut owner = world.directory.content().links.swap_remove(0);
        owner.kind = LinkKind::GroupOwners;
        world.directory.link(owner);
        manifests.extend(world.days(3..=3).await);
        assert_eq!(world.chosen(7).await, (day(3), "since"), "{kind:?}");
        let path = |manifest: &Manifest, newest: bool| {
            let mut runs = manifest.runs.iter().filter(|run| run.kind == kind);
            let run = if newest {
                runs.next_back()
            } else {
                runs.next()
            };
            layout::run(&tenant(1), &run.unwrap().hash)
        };

        // The newest change is missing; the snapshot before does not need it.
        let newest = path(&manifests[2], true);
        world.store.delete(&newest).await.unwrap();
        assert_eq!(world.chosen(7).await, (day(2), "since"), "{kind:?}");
        world.rename(4);
        let next = world.take(4, Scope::all()).await;
        assert_eq!(next.lineage.since.as_ref(), Some(manifests[1].id()));
        world.assert_true(&next).await;

        // All of them share the base.
        let base = path(&manifests[0], false);
        tamper(world.store.as_ref(), &base, |bytes| bytes[9] ^= 1).await;
        assert_eq!(world.chosen(7).await, (None, "whole"), "{kind:?}");
        let next = world.take(5, Scope::all()).await;
        assert_eq!(next.lineage.since, None);
        world.assert_true(&next).await;
    }
}

#[tokio::test]
async fn a_snapshot_of_an_older_catalogue_is_gone_on_from() {
    let world = World::new().await;
    let put = |object_type, json: &str| {
        let object = Object::from_json(object_type, ObjectState::Live, json);
        world.directory.put(object.unwrap());
    };
    // One type with change tracking, and links; one without.
    let unit = ObjectId::parse("00000003-0000-4000-8000-000000000000").unwrap();
    put(
        ObjectType::AdministrativeUnit,
        &format!(r#"{{"id":"{unit}","displayName":"North"}}"#),
    );
    put(
        ObjectType::ConditionalAccessPolicy,
        r#"{"id":"00000004-0000-4000-8000-000000000000","displayName":"MFA","state":"enabled"}"#,
    );
    world.directory.link(Link {
        kind: LinkKind::AdministrativeUnitMembers,
        source: unit,
        target: world.directory.content().links[0].target.clone(),
    });
    let new = [
        ObjectType::AdministrativeUnit,
        ObjectType::ConditionalAccessPolicy,
    ];
    let older = Scope {
        types: Scope::all()
            .types
            .into_iter()
            .filter(|object_type| !new.contains(object_type))
            .collect(),
        ..Scope::all()
    };
    let first = world.take(1, older).await;
    assert!(
        first
            .completeness
            .iter()
            .all(|record| !new.contains(&record.kind.object_type()))
    );
    world.rename(2);
    assert_eq!(world.chosen(7).await, (day(1), "since"));
    let second = world.take(2, Scope::all()).await;
    world.assert_true(&second).await;
    for kind in Kind::all() {
        assert!(
            !new.contains(&kind.object_type()) || second.has(kind),
            "{}",
            kind.name()
        );
    }
    let tracked = |manifest: &Manifest| {
        let mut tokens = manifest.tokens.iter();
        tokens.any(|token| token.object_type == ObjectType::AdministrativeUnit)
    };
    assert!(!tracked(&first) && tracked(&second));
}
