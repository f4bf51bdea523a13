//! Snapshots that hold only what changed since the one before.

use std::collections::BTreeMap;

use model::diff::{Scope, diff};
use model::snapshot::{Change, Changes, Completeness, Content, Kind, Method};
use model::{Link, LinkKind, Object, ObjectId, ObjectState, ObjectType, SnapshotId};
use proptest::prelude::*;
use store::{Announced, Draft, IdRange, Manifest, RunKind, Taken, TenantVault};
use testkit::store::{meta, moment};

use crate::{memory, opened};

fn id(family: &str, n: u8) -> ObjectId {
    ObjectId::parse(&format!("{family}{n}")).unwrap()
}

fn user(n: u8, state: ObjectState, department: u8) -> Object {
    let json = format!(r#"{{"id":"u{n}","displayName":"User {n}","department":"{department}"}}"#);
    Object::from_json(ObjectType::User, state, &json).unwrap()
}

fn member(group: u8, user: u8) -> Link {
    Link {
        kind: LinkKind::GroupMembers,
        source: id("g", group),
        target: id("u", user),
    }
}

fn sponsor(user: u8, by: u8) -> Link {
    Link {
        kind: LinkKind::UserSponsors,
        source: id("u", user),
        target: id("u", by),
    }
}

fn change() -> impl Strategy<Value = Change> {
    let state = || prop_oneof![3 => Just(ObjectState::Live), 1 => Just(ObjectState::Deleted)];
    let (group, number) = (|| 0..3_u8, || 0..6_u8);
    prop_oneof![
        6 => (number(), state(), 0..2_u8).prop_map(|(n, state, dept)| Change::Put(user(n, state, dept))),
        1 => number().prop_map(|n| Change::Gone(ObjectType::User, id("u", n))),
        6 => (group(), number()).prop_map(|(g, u)| Change::Linked(member(g, u))),
        2 => (group(), number()).prop_map(|(g, u)| Change::Unlinked(member(g, u))),
        1 => Just(Change::Reread(Kind::Objects(ObjectType::User))),
        1 => Just(Change::Reread(Kind::Deleted(ObjectType::User))),
        1 => Just(Change::Reread(Kind::Links(LinkKind::GroupMembers))),
        1 => group().prop_map(|g| Change::RereadLinksOf(LinkKind::GroupMembers, id("g", g))),
    ]
}

/// What is said on one day, and how completely each kind was read.
#[derive(Debug, Clone, Default)]
struct Day {
    changes: Vec<Change>,
    completeness: Vec<Completeness>,
}

impl From<Vec<Change>> for Day {
    fn from(changes: Vec<Change>) -> Self {
        Self {
            changes,
            ..Self::default()
        }
    }
}

/// A record of a kind that was read at some time.
fn record(kind: Kind, problem: Option<&str>) -> Completeness {
    Completeness {
        problem: problem.map(str::to_owned),
        ..Completeness::begun(kind, Method::Delta, moment(0))
    }
}

fn day() -> impl Strategy<Value = Day> {
    let kinds = [
        Kind::Objects(ObjectType::User),
        Kind::Deleted(ObjectType::User),
    ];
    // Complete, broken off, or not asked for.
    let reading =
        prop_oneof![3 => Just(Some(None)), 1 => Just(Some(Some("broke off"))), 1 => Just(None)];
    let readings = (reading.clone(), reading);
    (prop::collection::vec(change(), 0..12), readings).prop_map(move |(changes, (live, bin))| Day {
        changes,
        completeness: kinds
            .into_iter()
            .zip([live, bin])
            .filter_map(|(kind, reading)| Some(record(kind, reading?)))
            .collect(),
    })
}

/// Commits each day's changes on top of the day before; the manifests.
async fn commit_days(vault: &TenantVault, days: &[Day]) -> Vec<Manifest> {
    let mut manifests: Vec<Manifest> = Vec::new();
    for (day, said) in days.iter().enumerate() {
        let Day {
            changes,
            completeness,
        } = said.clone();
        let draft = Draft::default();
        changes.into_iter().for_each(|change| draft.apply(change));
        let taken = Taken {
            completeness,
            ..Taken::default()
        };
        let mut meta = meta("20261120-daily", "a", i64::try_from(day).unwrap() * 100);
        meta.id = SnapshotId::parse(&format!("day-{day:03}")).unwrap();
        let manifest = vault
            .commit(&meta, draft, taken, manifests.last(), &|| meta.finished)
            .await
            .unwrap();
        manifests.push(manifest);
    }
    manifests
}

/// What the same statements add up to in memory, day by day.
fn expected(days: &[Day]) -> Vec<(Vec<Object>, Vec<Link>)> {
    let mut before = (Vec::new(), Vec::new());
    let mut all = Vec::new();
    for day in days {
        let mut state = Changes::default();
        let (objects, links) = before.clone();
        objects
            .into_iter()
            .map(Change::Put)
            .chain(links.into_iter().map(Change::Linked))
            .chain(day.changes.iter().cloned())
            .for_each(|change| state.apply(change));
        before = state.into_rows(&day.completeness);
        all.push(before.clone());
    }
    all
}

async fn check(days: Vec<Day>) {
    let (_, vault) = opened(memory()).await;
    let manifests = commit_days(&vault, &days).await;
    for (day, (manifest, (objects, links))) in manifests.iter().zip(expected(&days)).enumerate() {
        assert_eq!(vault.manifest(manifest.id()).await.unwrap(), *manifest);
        assert_eq!(
            vault.read_objects(manifest).await.unwrap(),
            objects,
            "day {day}"
        );
        assert_eq!(
            vault.read_links(manifest).await.unwrap(),
            links,
            "day {day}"
        );
        let content = vault.read(manifest).await.unwrap();
        check_parts(&vault, manifest, &content).await;
        let visible: BTreeMap<LinkKind, u64> =
            content
                .links
                .iter()
                .fold(BTreeMap::new(), |mut counts, link| {
                    *counts.entry(link.kind).or_default() += 1;
                    counts
                });
        let counted: BTreeMap<LinkKind, u64> = manifest
            .link_counts
            .iter()
            .map(|count| (count.kind, count.count))
            .collect();
        assert_eq!(counted, visible, "day {day}");
        assert_eq!(
            manifest.object_count(),
            content.objects.len() as u64,
            "day {day}"
        );
    }
    check_between(&vault, &manifests).await;
}

/// What two snapshots are narrowed down to differs as the whole does.
async fn check_between(vault: &TenantVault, manifests: &[Manifest]) {
    let scopes = [
        Scope::default(),
        Scope {
            types: [ObjectType::Group].into(),
            ids: [id("g", 1), id("u", 1)].into(),
        },
    ];
    let pairs = manifests.iter().zip(manifests.iter().skip(1));
    let ends = manifests.first().zip(manifests.last());
    for (base, target) in pairs.chain(ends).chain(ends.map(|(a, b)| (b, a))) {
        let whole = (
            vault.read(base).await.unwrap(),
            vault.read(target).await.unwrap(),
        );
        for scope in &scopes {
            let narrow = vault.between(base, target, scope).await.unwrap();
            assert_eq!(
                diff(&narrow.base, &narrow.target, scope),
                diff(&whole.0, &whole.1, scope),
                "{} to {}, {scope:?}",
                base.id(),
                target.id()
            );
        }
    }
}

/// What is read in parts is what the whole holds.
async fn check_parts(vault: &TenantVault, manifest: &Manifest, content: &Content) {
    let ids: Vec<ObjectId> = (0..6).map(|n| id("u", n)).collect();
    let users = vault.objects(manifest, ObjectType::User, &ids).await;
    assert_eq!(users.unwrap(), content.objects);
    let all = vault.objects_of(manifest, ObjectType::User, IdRange::default());
    assert_eq!(all.await.unwrap(), content.objects);
    let keys = vault.keys(manifest).await.unwrap();
    let keys: Vec<&ObjectId> = keys.iter().map(|key| &key.id).collect();
    let there: Vec<&ObjectId> = content.objects.iter().map(|object| &object.id).collect();
    assert_eq!(keys, there);
    for source in (0..3).map(|n| id("g", n)) {
        let held = content.links.iter().filter(|link| link.source == source);
        let links = vault.links_from(manifest, &source).await.unwrap();
        assert_eq!(links, held.cloned().collect::<Vec<_>>());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn days_of_changes_add_up_to_the_state(
        days in prop::collection::vec(day(), 1..12),
    ) {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(check(days));
    }
}

#[tokio::test]
async fn what_a_complete_reading_misses_takes_its_links_away() {
    let (live, bin) = (
        Kind::Objects(ObjectType::User),
        Kind::Deleted(ObjectType::User),
    );
    for (broken, links) in [(None, 1), (Some("broke off"), 2)] {
        let (_, vault) = opened(memory()).await;
        let first = vec![
            Change::Put(user(1, ObjectState::Live, 0)),
            Change::Put(user(2, ObjectState::Live, 0)),
            Change::Linked(member(0, 1)),
            Change::Linked(member(0, 2)),
        ];
        // All users are read again, while the groups only follow changes.
        let next = Day {
            changes: vec![
                Change::Reread(live),
                Change::Reread(bin),
                Change::Put(user(1, ObjectState::Live, 0)),
            ],
            completeness: vec![record(live, broken), record(bin, None)],
        };
        let manifests = commit_days(&vault, &[first.into(), next]).await;
        let content = vault.read(&manifests[1]).await.unwrap();
        assert_eq!(content.links.len(), links, "{broken:?}");
    }
}

#[tokio::test]
async fn drift_is_what_differs_and_was_not_announced() {
    let all = [
        Kind::Objects(ObjectType::User),
        Kind::Links(LinkKind::GroupMembers),
    ];
    let (live, first) = (
        ObjectState::Live,
        (1..=4)
            .map(|n| Change::Put(user(n, ObjectState::Live, 0)))
            .chain((1..=4).map(|n| Change::Linked(member(n % 2, n)))),
    );
    let policy = |n: u8| {
        let json = format!(r#"{{"id":"p{n}"}}"#);
        Change::Put(Object::from_json(ObjectType::ConditionalAccessPolicy, live, &json).unwrap())
    };
    // Of four users one stays, one changes, one goes, and one comes; and so the links.
    let next = [
        Change::Reread(all[0]),
        Change::Reread(all[1]),
        policy(1),
        Change::Put(user(1, live, 0)),
        Change::Put(user(2, live, 1)),
        Change::Put(user(4, live, 0)),
        Change::Put(user(5, live, 0)),
        Change::Linked(member(1, 1)),
        Change::Linked(member(0, 4)),
        Change::Linked(member(0, 5)),
    ];
    type Announcements = &'static [(&'static str, u8)];
    let cases: [(&[Kind], Announcements, u64); 6] = [
        (&[], &[], 0),
        (&all[..1], &[], 3),
        (&all[..1], &[("u", 2), ("u", 5)], 1),
        // The links of 2 and 3 went, that of 5 came.
        (&all[1..], &[], 3),
        (&all[1..], &[("u", 3)], 2),
        (&all, &[("g", 0), ("g", 1)], 3),
    ];
    for (kinds, ids, drift) in cases {
        let (_, vault) = opened(memory()).await;
        let first: Vec<Change> = first.clone().collect();
        let manifests = commit_days(&vault, &[first.into()]).await;
        let draft = Draft::default();
        next.iter().cloned().for_each(|change| draft.apply(change));
        let taken = Taken {
            announced: Announced {
                kinds: kinds.iter().copied().collect(),
                ids: ids.iter().map(|(family, n)| id(family, *n)).collect(),
            },
            ..Taken::default()
        };
        let meta = meta("20261121-daily", "a", 100);
        let manifest = vault
            .commit(&meta, draft, taken, manifests.last(), &|| meta.finished)
            .await;
        assert_eq!(manifest.unwrap().lineage.drift, drift, "{kinds:?} {ids:?}");
    }
}

fn runs(manifest: &Manifest, kind: RunKind) -> usize {
    manifest.runs.iter().filter(|run| run.kind == kind).count()
}

#[tokio::test]
async fn a_chain_holds_changes_only_and_is_merged_when_it_is_long_or_heavy() {
    let (_, vault) = opened(memory()).await;
    let first: Vec<Change> = (0..200)
        .map(|n| Change::Put(user(n, ObjectState::Live, 0)))
        .collect();
    let mut days: Vec<Day> = vec![Day::from(first)];
    // Nothing changed, although everything was read again.
    days.push(
        std::iter::once(Change::Reread(Kind::Objects(ObjectType::User)))
            .chain((0..200).map(|n| Change::Put(user(n, ObjectState::Live, 0))))
            .collect::<Vec<_>>()
            .into(),
    );
    for day in 1..=9_u8 {
        days.push(vec![Change::Put(user(day, ObjectState::Live, day))].into());
    }
    days.push(
        (0..60)
            .map(|n| Change::Put(user(n, ObjectState::Live, 99)))
            .collect::<Vec<_>>()
            .into(),
    );
    let manifests = commit_days(&vault, &days).await;
    let lengths: Vec<usize> = manifests
        .iter()
        .map(|manifest| runs(manifest, RunKind::Objects))
        .collect();
    assert_eq!(lengths, [1, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 1]);
    let day = &manifests[2];
    let change = &day.runs[1];
    assert_eq!((change.kind, change.rows), (RunKind::Objects, 1));
    // A base serves all the snapshots of its chain.
    assert_eq!(day.runs[0], manifests[0].runs[0]);
    assert_eq!(
        day.lineage.since.as_ref(),
        Some(manifests[1].id()),
        "a snapshot names the one that it goes on from"
    );
}

#[tokio::test]
async fn changes_that_add_up_to_much_of_the_base_make_a_new_one() {
    let (_, vault) = opened(memory()).await;
    let users = |range: std::ops::Range<u8>, department| -> Vec<Change> {
        range
            .map(|n| Change::Put(user(n, ObjectState::Live, department)))
            .collect()
    };
    let days = [
        users(0..100, 0),
        users(0..10, 1),
        users(10..20, 1),
        users(0..5, 2),
        Vec::new(),
        users(50..51, 1),
        users(0..1, 3),
    ]
    .map(Day::from);
    let manifests = commit_days(&vault, &days).await;
    let rows: Vec<Vec<u64>> = manifests
        .iter()
        .map(|manifest| {
            let objects = manifest.runs.iter();
            let objects = objects.filter(|run| run.kind == RunKind::Objects);
            objects.map(|run| run.rows).collect()
        })
        .collect();
    let expected: [&[u64]; 7] = [
        &[100],
        &[100, 10],
        &[100, 10, 10],
        &[100, 10, 10, 5],
        &[100, 10, 10, 5],
        // One more than a quarter.
        &[100],
        &[100, 1],
    ];
    assert_eq!(rows, expected);
}

#[tokio::test]
async fn links_that_are_little_beside_the_objects_are_not_written_anew() {
    // Half of the links move; what they take is much or little of the whole.
    for (text, expected) in [(0, [20].as_slice()), (200, &[20, 20, 20])] {
        let (_, vault) = opened(memory()).await;
        let user = |n: u8| {
            let noise: String = (0..text)
                .map(|part: u8| blake3::hash(&[n, part]).to_hex().to_string())
                .collect();
            let json = format!(r#"{{"id":"u{n}","aboutMe":"{noise}"}}"#);
            Object::from_json(ObjectType::User, ObjectState::Live, &json).unwrap()
        };
        let first = (0..20).map(user).map(Change::Put);
        let first = first.chain((0..20).map(|n| Change::Linked(member(0, n))));
        let moved = |from: u8, to: u8| -> Vec<Change> {
            let gone = (0..10).map(move |n| Change::Unlinked(member(from, n)));
            gone.chain((0..10).map(move |n| Change::Linked(member(to, n))))
                .collect()
        };
        let days = [first.collect(), moved(0, 1), moved(1, 2)].map(Day::from);
        let manifests = commit_days(&vault, &days).await;
        let rows: Vec<u64> = manifests[2]
            .runs
            .iter()
            .filter(|run| run.kind == RunKind::Links)
            .map(|run| run.rows)
            .collect();
        assert_eq!(rows, expected, "{text} hashes in each object");
    }
}

#[tokio::test]
async fn what_the_next_snapshot_needs_is_told() {
    let (_, vault) = opened(memory()).await;
    let days = vec![
        vec![
            Change::Put(user(1, ObjectState::Live, 0)),
            Change::Put(user(2, ObjectState::Deleted, 0)),
            Change::Linked(sponsor(1, 4)),
            Change::Linked(member(1, 1)),
            Change::Linked(sponsor(2, 4)),
        ],
        vec![
            Change::Put(user(3, ObjectState::Deleted, 0)),
            Change::Put(user(2, ObjectState::Live, 0)),
            Change::Linked(sponsor(0, 4)),
            Change::Unlinked(sponsor(2, 4)),
        ],
    ];
    let days: Vec<Day> = days.into_iter().map(Day::from).collect();
    let manifests = commit_days(&vault, &days).await;
    let past = vault.past(&manifests[1]).await.unwrap();
    assert_eq!(
        past.bin.into_iter().collect::<Vec<_>>(),
        [(ObjectType::User, id("u", 3))]
    );
    assert_eq!(
        past.sources,
        BTreeMap::from([(LinkKind::UserSponsors, vec![id("u", 0), id("u", 1)])])
    );
}
