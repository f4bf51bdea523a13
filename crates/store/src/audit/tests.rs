use model::TenantId;
use object_store::memory::InMemory;
use object_store::{ObjectStoreExt, PutPayload};
use proptest::prelude::*;

use super::*;

const W: &str = "20261123T080000-aaaaaaaaaaaa";
const V: &str = "20261123T080000-bbbbbbbbbbbb";

fn key(n: u32) -> Arc<DataKey> {
    let tenant = TenantId::parse(&format!("{n:08x}-0000-4000-8000-000000000000")).unwrap();
    Arc::new(DataKey::generate(tenant))
}

/// Two tenants' chains over one store.
struct House {
    store: Arc<InMemory>,
    tenants: [Chains; 2],
}

impl House {
    fn new() -> Self {
        let store = Arc::new(InMemory::new());
        let tenants = [1, 2].map(|n| {
            let key = key(n);
            let folder = layout::area(key.tenant(), layout::Area::Audit);
            Chains::new(Arc::clone(&store) as Arc<dyn ObjectStore>, key, folder)
        });
        Self { store, tenants }
    }

    fn path(&self, tenant: usize, writer: &str, number: u64) -> Path {
        layout::audit_entry(&self.tenants[tenant].folder, writer, number).unwrap()
    }

    async fn bytes(&self, path: &Path) -> Vec<u8> {
        let found = self.store.get(path).await.unwrap();
        found.bytes().await.unwrap().to_vec()
    }

    async fn put(&self, path: &Path, bytes: Vec<u8>) {
        self.store.put(path, PutPayload::from(bytes)).await.unwrap();
    }

    /// What a walk along all chains of a tenant tells, with the writer of each flaw.
    async fn flaws(&self, tenant: usize, ends: &[(&str, Head)]) -> Vec<(String, FlawKind, u64)> {
        let chains = &self.tenants[tenant];
        let listed = chains.list().await.unwrap();
        let mut writers: Vec<&str> = listed.chains.keys().map(String::as_str).collect();
        writers.extend(ends.iter().map(|(writer, _)| *writer));
        writers.sort_unstable();
        writers.dedup();
        let mut flaws = Vec::new();
        for writer in writers {
            let numbers = listed.chains.get(writer).cloned().unwrap_or_default();
            let of_it = ends.iter().filter(|(told, _)| *told == writer);
            let witnesses: Vec<Witness> = of_it
                .map(|(_, end)| Witness {
                    number: end.number,
                    hash: Some(end.hash),
                })
                .collect();
            let found = chains.walk(writer, &numbers, &witnesses, |_| ()).await;
            let found = found.unwrap().into_iter();
            flaws.extend(found.map(|flaw| (writer.to_owned(), flaw.kind, flaw.number)));
        }
        flaws
    }
}

async fn write(chains: &Chains, writer: &str, files: u64) -> Head {
    let mut end = Head::NONE;
    for n in 1..=files {
        let body = format!("{writer} says {n}");
        end = chains.append(writer, end, body.as_bytes()).await.unwrap();
    }
    end
}

#[tokio::test]
async fn what_was_written_is_read_and_follows_on_what_was_before() {
    let house = House::new();
    let chains = &house.tenants[0];
    let end = write(chains, W, 5).await;
    write(chains, V, 2).await;
    let mut bodies = Vec::new();
    let seen = |entry: &Entry| bodies.push(String::from_utf8(entry.body.to_vec()).unwrap());
    let flaws = chains.walk(W, &[1, 2, 3, 4, 5], &[], seen).await.unwrap();
    assert_eq!(flaws, []);
    assert_eq!(bodies[4], format!("{W} says 5"));
    let (fourth, fifth) = (
        chains.read(W, 4).await.unwrap(),
        chains.read(W, 5).await.unwrap(),
    );
    assert_eq!(fifth.as_ref().unwrap().previous, fourth.unwrap().hash);
    assert_eq!(fifth.unwrap().hash, end.hash);
    assert_eq!(
        chains.read(W, 1).await.unwrap().unwrap().previous,
        Head::NONE.hash
    );
    assert_eq!(chains.read(W, 6).await.unwrap(), None);
    assert_eq!(chains.writers().await.unwrap(), [W, V]);
    let listed = chains.list().await.unwrap();
    assert_eq!(listed.chains[V], [1, 2]);
    assert!(house.tenants[1].list().await.unwrap().chains.is_empty());
}

#[tokio::test]
async fn a_repeated_file_is_added_once_and_a_foreign_one_is_not_believed() {
    let house = House::new();
    let chains = &house.tenants[0];
    let first = chains.append(W, Head::NONE, b"one").await.unwrap();
    assert_eq!(chains.append(W, Head::NONE, b"one").await.unwrap(), first);
    let error = chains.append(W, Head::NONE, b"other").await.unwrap_err();
    assert!(matches!(error, StoreError::Exists { .. }), "{error}");
    house.put(&house.path(0, V, 1), b"junk".to_vec()).await;
    let error = chains.append(V, Head::NONE, b"one").await.unwrap_err();
    assert!(matches!(error, StoreError::Exists { .. }), "{error}");
}

#[tokio::test]
async fn the_last_number_is_found_from_anywhere_and_over_gaps() {
    let house = House::new();
    let chains = &house.tenants[0];
    assert_eq!(chains.last_number(W, 0).await.unwrap(), 0);
    let mut end = Head::NONE;
    for n in 1..=23 {
        end = chains.append(W, end, b"x").await.unwrap();
        for known in [0, n / 2, n - 1, n] {
            assert_eq!(chains.last_number(W, known).await.unwrap(), n, "{known}");
        }
    }
    for gap in [2, 3, 16, 22] {
        house.store.delete(&house.path(0, W, gap)).await.unwrap();
        assert_eq!(chains.last_number(W, 0).await.unwrap(), 23, "{gap}");
    }
}

#[tokio::test]
async fn what_no_gateway_writes_is_named() {
    let house = House::new();
    write(&house.tenants[0], W, 1).await;
    let folder = &house.tenants[0].folder;
    for stray in [
        format!("{folder}/{W}/1"),
        format!("{folder}/note"),
        format!("{folder}/{W}/0000000001/x"),
    ] {
        house.put(&Path::from(stray), Vec::new()).await;
    }
    let listed = house.tenants[0].list().await.unwrap();
    assert_eq!(listed.foreign.len(), 3, "{listed:?}");
    assert_eq!(listed.chains[W], [1]);
}

/// Whoever holds the key can write a file that opens, but no chain that follows.
#[tokio::test]
async fn a_file_that_an_insider_wrote_anew_breaks_the_chain_or_the_checkpoint() {
    let house = House::new();
    let chains = &house.tenants[0];
    let end = write(chains, W, 4).await;
    let forge = |number: u64, previous: blake3::Hash| {
        let path = house.path(0, W, number);
        let content = content(W, number, &previous, b"nothing happened");
        let sealed = seal::seal_document(&chains.key, &path, &content).unwrap();
        (path, sealed)
    };
    let previous = chains.read(W, 2).await.unwrap().unwrap().previous;
    let (path, sealed) = forge(2, previous);
    let before = house.bytes(&path).await;
    house.put(&path, sealed).await;
    assert_eq!(
        house.flaws(0, &[]).await,
        [(W.to_owned(), FlawKind::Broken, 3)]
    );
    house.put(&path, before).await;

    let previous = chains.read(W, 4).await.unwrap().unwrap().previous;
    let (path, sealed) = forge(4, previous);
    house.put(&path, sealed).await;
    assert_eq!(house.flaws(0, &[]).await, [], "nobody can know");
    assert_eq!(
        house.flaws(0, &[(W, end)]).await,
        [(W.to_owned(), FlawKind::Replaced, 4)]
    );
}

/// What somebody does who can write to the store.
#[derive(Debug, Clone)]
enum Attack {
    Flip { number: u64, at: usize, bit: u8 },
    Shorten { number: u64, by: usize },
    Remove { number: u64 },
    CutTail { keep: u64 },
    Swap { one: u64, other: u64 },
    Duplicate { number: u64 },
    ToOtherWriter { number: u64 },
    ToOtherTenant { number: u64 },
    RemoveChain,
}

const FILES: u64 = 6;

fn attacks() -> impl Strategy<Value = Attack> {
    let number = 1..=FILES;
    prop_oneof![
        (number.clone(), any::<prop::sample::Index>(), 0..8_u8).prop_map(|(number, at, bit)| {
            Attack::Flip {
                number,
                at: at.index(1 << 20),
                bit,
            }
        }),
        (number.clone(), 1..200_usize).prop_map(|(number, by)| Attack::Shorten { number, by }),
        (1..FILES).prop_map(|number| Attack::Remove { number }),
        (0..FILES).prop_map(|keep| Attack::CutTail { keep }),
        (1..FILES, 1..FILES).prop_map(|(one, by)| Attack::Swap {
            one,
            other: one % FILES + by.min(FILES - one % FILES),
        }),
        number
            .clone()
            .prop_map(|number| Attack::Duplicate { number }),
        number
            .clone()
            .prop_map(|number| Attack::ToOtherWriter { number }),
        number.prop_map(|number| Attack::ToOtherTenant { number }),
        Just(Attack::RemoveChain),
    ]
}

/// Carries an attack out, and answers where it has to be found: tenant, writer, kind
/// and number.
async fn attacked(house: &House, attack: &Attack) -> Vec<(usize, &'static str, FlawKind, u64)> {
    let path = |number| house.path(0, W, number);
    match *attack {
        Attack::Flip { number, at, bit } => {
            let mut bytes = house.bytes(&path(number)).await;
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            house.put(&path(number), bytes).await;
            vec![(0, W, FlawKind::Altered, number)]
        }
        Attack::Shorten { number, by } => {
            let mut bytes = house.bytes(&path(number)).await;
            bytes.truncate(bytes.len().saturating_sub(by));
            house.put(&path(number), bytes).await;
            vec![(0, W, FlawKind::Altered, number)]
        }
        Attack::Remove { number } => {
            house.store.delete(&path(number)).await.unwrap();
            vec![(0, W, FlawKind::Missing, number)]
        }
        Attack::CutTail { keep } => {
            for number in keep + 1..=FILES {
                house.store.delete(&path(number)).await.unwrap();
            }
            vec![(0, W, FlawKind::Cut, keep + 1)]
        }
        Attack::Swap { one, other } => {
            let (first, second) = (
                house.bytes(&path(one)).await,
                house.bytes(&path(other)).await,
            );
            house.put(&path(one), second).await;
            house.put(&path(other), first).await;
            match one == other {
                true => vec![],
                false => vec![
                    (0, W, FlawKind::Altered, one.min(other)),
                    (0, W, FlawKind::Altered, one.max(other)),
                ],
            }
        }
        Attack::Duplicate { number } => {
            let bytes = house.bytes(&path(number)).await;
            house.put(&path(FILES + 1), bytes).await;
            vec![(0, W, FlawKind::Altered, FILES + 1)]
        }
        Attack::ToOtherWriter { number } => {
            let bytes = house.bytes(&path(number)).await;
            house.put(&house.path(0, V, number), bytes).await;
            vec![(0, V, FlawKind::Altered, number)]
        }
        Attack::ToOtherTenant { number } => {
            let bytes = house.bytes(&path(number)).await;
            house.put(&house.path(1, W, number), bytes).await;
            vec![(1, W, FlawKind::Altered, number)]
        }
        Attack::RemoveChain => {
            for number in 1..=FILES {
                house.store.delete(&path(number)).await.unwrap();
            }
            vec![(0, W, FlawKind::Cut, 1)]
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_done_to_a_chain_is_found_and_named(attack in attacks()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let house = House::new();
            let mut ends = Vec::new();
            for tenant in 0..2 {
                for writer in [W, V] {
                    ends.push((tenant, writer, write(&house.tenants[tenant], writer, FILES).await));
                }
            }
            // What was there before stays found to be whole.
            let told = |tenant: usize| -> Vec<(&str, Head)> {
                let of_it = ends.iter().filter(|(of, ..)| *of == tenant);
                of_it.map(|(_, writer, end)| (*writer, *end)).collect()
            };
            for tenant in 0..2 {
                prop_assert_eq!(house.flaws(tenant, &told(tenant)).await, []);
            }
            let expected = attacked(&house, &attack).await;
            for tenant in 0..2 {
                let expected: Vec<_> = expected
                    .iter()
                    .filter(|(of, ..)| *of == tenant)
                    .map(|(_, writer, kind, number)| ((*writer).to_owned(), *kind, *number))
                    .collect();
                prop_assert_eq!(house.flaws(tenant, &told(tenant)).await, expected);
            }
            Ok(())
        })?;
    }
}

/// Chains of format 1, made once by other tools (`age`, BLAKE3 and XChaCha20-Poly1305 from
/// PyPI) as `docs/format.md` says; nothing writes them again.
#[tokio::test]
async fn chains_of_format_1_that_other_tools_made_are_read() {
    let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/audit-1");
    let kek = crate::keys::Kek::load(&golden.join("key")).unwrap();
    let store = InMemory::new();
    let mut folders = vec![golden.join("store")];
    while let Some(folder) = folders.pop() {
        for file in std::fs::read_dir(&folder).unwrap() {
            let path = file.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(golden.join("store")).unwrap();
            let bytes = std::fs::read(&path).unwrap();
            let place = Path::from(name.to_str().unwrap());
            store.put(&place, PutPayload::from(bytes)).await.unwrap();
        }
    }
    let vault = crate::Vault::new(Arc::new(store), Arc::new(kek));
    let tenant = TenantId::parse("11111111-0000-4000-8000-000000000000").unwrap();
    let of_tenant = vault.tenant(&tenant).await.unwrap().audit();
    let of_installation = vault.installation_audit().await.unwrap();
    let writer = "20261128T040000-0123456789ab";
    let cases: [(Chains, &[&str]); 2] = [
        (of_tenant, &["sealed with key 1", "", "sealed with key 2"]),
        (of_installation, &["of nobody", "a second line\nof it"]),
    ];
    for (chains, expected) in cases {
        let listed = chains.list().await.unwrap();
        assert_eq!(listed.chains.keys().collect::<Vec<_>>(), [writer]);
        let mut bodies = Vec::new();
        let seen = |entry: &Entry| bodies.push(String::from_utf8(entry.body.to_vec()).unwrap());
        let numbers = &listed.chains[writer];
        let flaws = chains.walk(writer, numbers, &[], seen).await.unwrap();
        assert_eq!(flaws, []);
        assert_eq!(bodies, expected);
    }
}
