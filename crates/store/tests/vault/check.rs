//! What a check of the store finds on stores that keep their word, and on such
//! that do not.

use std::collections::HashMap;
use std::sync::Arc;

use futures::TryStreamExt;
use store::check::{Finding, Outcome, Place, Property};
use store::object_store::ObjectStore;
use store::object_store::path::Path;
use store::{StoreError, Vault};
use testkit::store::{GoogleStore, Keeps, Lie, LyingStore, Server, Versions};

use crate::backends::{opened, tools};
use crate::{kek, memory};

async fn checked(store: &Arc<dyn ObjectStore>) -> Vec<Finding> {
    let vault = Vault::new(Arc::clone(store), kek(1));
    vault.check().await.unwrap()
}

#[track_caller]
fn seen(findings: &[Finding], place: Place, property: Property) -> Outcome {
    let mut found = findings
        .iter()
        .filter(|finding| (finding.place, finding.property) == (place, property));
    let finding = found.next().unwrap();
    assert!(found.next().is_none(), "told once: {findings:?}");
    finding.outcome
}

#[track_caller]
fn whole(findings: &[Finding]) {
    let lacking =
        |finding: &&Finding| finding.property.is_needed() && finding.outcome != Outcome::Ok;
    assert_eq!(findings.iter().find(lacking), None, "{findings:?}");
    assert_eq!(
        findings.iter().filter(|f| f.property.is_needed()).count(),
        8
    );
}

async fn nothing_stays(store: &Arc<dyn ObjectStore>) {
    let left: Vec<_> = store
        .list(Some(&Path::from("probe")))
        .try_collect()
        .await
        .unwrap();
    assert_eq!(left, []);
}

/// A store without versions or locks, on which everything is removed.
async fn plain(store: &Arc<dyn ObjectStore>) {
    let findings = checked(store).await;
    whole(&findings);
    for (place, property, outcome) in [
        (Place::Data, Property::Delete, Outcome::Ok),
        (Place::Data, Property::Versioning, Outcome::Ok),
        (Place::Data, Property::Immutability, Outcome::Failed),
        (Place::Data, Property::Cleanup, Outcome::Ok),
        (Place::Keys, Property::Cleanup, Outcome::Ok),
    ] {
        assert_eq!(seen(&findings, place, property), outcome, "{findings:?}");
    }
    let versions = findings.iter().find(|f| f.property == Property::Versioning);
    assert!(versions.unwrap().detail.starts_with("off"), "{versions:?}");
    nothing_stays(store).await;
}

#[tokio::test]
async fn memory_is_a_plain_store() {
    plain(&memory()).await;
}

#[tokio::test]
async fn a_disk_is_a_plain_store() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file://{}", folder.path().display());
    plain(&opened(&url, &HashMap::new())).await;
}

#[tokio::test]
async fn a_bucket_of_s3_is_told_by_its_versions() {
    let server = Server::moto(&tools());
    server.make_bucket("plain", Versions::None);
    plain(&opened("s3://plain/x", &server.settings())).await;

    server.make_bucket("versions", Versions::Kept);
    let store = opened("s3://versions/x", &server.settings());
    versions_stay(&checked(&store).await);
}

/// Fit for data, not for keys.
#[track_caller]
fn versions_stay(findings: &[Finding]) {
    for (place, property, outcome) in [
        (Place::Data, Property::ConditionalCreate, Outcome::Ok),
        (Place::Data, Property::CreateRace, Outcome::Ok),
        (Place::Data, Property::Versioning, Outcome::Ok),
        (Place::Data, Property::Immutability, Outcome::Unknown),
        (Place::Keys, Property::Erasure, Outcome::Failed),
    ] {
        assert_eq!(seen(findings, place, property), outcome, "{findings:?}");
    }
    let versions = findings.iter().find(|f| f.property == Property::Versioning);
    assert!(versions.unwrap().detail.starts_with("on"), "{versions:?}");
}

#[tokio::test]
async fn a_container_of_azure_is_a_plain_store() {
    let server = Server::azurite(&tools());
    server.make_container("vault");
    plain(&opened("az://vault/x", &server.settings())).await;
}

#[tokio::test]
async fn a_bucket_of_google_is_told_by_what_it_keeps() {
    let server = GoogleStore::start(Keeps::Nothing).await;
    plain(&opened("gs://vault/x", &server.settings())).await;

    let server = GoogleStore::start(Keeps::Generations).await;
    let store = opened("gs://vault/x", &server.settings());
    versions_stay(&checked(&store).await);

    let server = GoogleStore::start(Keeps::Everything).await;
    let data = opened("gs://vault/x", &server.settings());
    let vault = Vault::new(data, kek(1)).with_key_store(memory());
    let findings = vault.check().await.unwrap();
    whole(&findings);
    for (place, property, outcome) in [
        (Place::Data, Property::Delete, Outcome::Failed),
        (Place::Data, Property::Versioning, Outcome::Unknown),
        (Place::Data, Property::Immutability, Outcome::Ok),
        (Place::Data, Property::Cleanup, Outcome::Unknown),
        (Place::Keys, Property::Erasure, Outcome::Ok),
        (Place::Keys, Property::Cleanup, Outcome::Ok),
    ] {
        assert_eq!(seen(&findings, place, property), outcome, "{findings:?}");
    }
}

#[tokio::test]
async fn a_store_that_lies_is_found_out() {
    for (lie, place, property) in [
        (Lie::Overwrites, Place::Data, Property::ConditionalCreate),
        (Lie::Overwrites, Place::Data, Property::CreateRace),
        (Lie::Overwrites, Place::Keys, Property::ConditionalCreate),
        (Lie::LetsRacersThrough, Place::Data, Property::CreateRace),
        (Lie::RemembersAbsence, Place::Data, Property::ReadAfterWrite),
        (Lie::RemembersAbsence, Place::Keys, Property::ReadAfterWrite),
        (Lie::ListsOneLess, Place::Data, Property::Listing),
        (Lie::ListsLate, Place::Data, Property::Listing),
        (Lie::IgnoresRanges, Place::Data, Property::RangedRead),
        (Lie::KeepsDeleted, Place::Data, Property::Delete),
        (Lie::KeepsDeleted, Place::Keys, Property::Erasure),
        (Lie::RefusesDelete, Place::Keys, Property::Erasure),
    ] {
        let store: Arc<dyn ObjectStore> = Arc::new(LyingStore::new(memory(), lie));
        let findings = checked(&store).await;
        assert_eq!(
            seen(&findings, place, property),
            Outcome::Failed,
            "{lie:?}: {findings:?}"
        );
    }
    // One that lets racers through is right about creates one after the other.
    let racy: Arc<dyn ObjectStore> = Arc::new(LyingStore::new(memory(), Lie::LetsRacersThrough));
    let findings = checked(&racy).await;
    let alone = seen(&findings, Place::Data, Property::ConditionalCreate);
    assert_eq!(alone, Outcome::Ok, "{findings:?}");
}

#[tokio::test]
async fn a_refusal_without_a_lock_is_not_called_one() {
    let store: Arc<dyn ObjectStore> = Arc::new(LyingStore::new(memory(), Lie::RefusesDelete));
    let findings = checked(&store).await;
    // It lets files be overwritten, so that there is none for certain.
    assert_eq!(
        seen(&findings, Place::Data, Property::Immutability),
        Outcome::Failed
    );
    assert_eq!(
        seen(&findings, Place::Data, Property::Cleanup),
        Outcome::Unknown
    );
}

#[tokio::test]
async fn a_store_out_of_reach_is_no_finding() {
    let lost: Arc<dyn ObjectStore> = Arc::new(LyingStore::new(memory(), Lie::IsAway));
    let vault = Vault::new(lost, kek(1));
    let error = vault.check().await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
}
