//! What a busy tenant may take, and that the book agrees with the cache.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// What an entry of the tests takes.
const EACH: u64 = 1_000;

/// A cache for that many entries, which all weigh the same unless they say more.
fn cache(entries: u64) -> Shared<u64> {
    Shared::new(entries * EACH, Traffic::default(), |weight| {
        *weight - ENTRY_BYTES
    })
}

fn tenant(n: u32) -> TenantId {
    testkit::store::tenant(n)
}

async fn add(cache: &Shared<u64>, n: u32, id: usize, weight: u64) -> u64 {
    cache
        .get_or(&tenant(n), &id.to_string(), async { Ok(weight) })
        .await
        .expect("made")
}

/// Which of the first entries of a tenant are there.
async fn kept(cache: &Shared<u64>, n: u32, entries: usize) -> Vec<usize> {
    cache.cache.run_pending_tasks().await;
    let mut kept = Vec::new();
    for id in 0..entries {
        if cache.get(&tenant(n), &id.to_string()).await.is_some() {
            kept.push(id);
        }
    }
    kept
}

/// What the book says that each tenant keeps.
fn weights(cache: &Shared<u64>) -> HashMap<TenantId, u64> {
    let pages = cache.book.pages.lock();
    let weight = |(tenant, page): (&TenantId, &Page)| {
        let sum = page.entries.values().map(|(_, weight)| weight).sum::<u64>();
        assert_eq!(page.weight, sum);
        (tenant.clone(), sum)
    };
    pages.tenants.iter().map(weight).collect()
}

#[tokio::test]
async fn a_busy_tenant_leaves_a_quiet_ones_entries_in_place() {
    let cache = cache(16);
    for id in 0..4 {
        add(&cache, 1, id, EACH).await;
    }
    for id in 0..400 {
        add(&cache, 2, id, EACH * (1 + id as u64 % 4)).await;
    }
    assert_eq!(kept(&cache, 1, 4).await, [0, 1, 2, 3]);
    assert_eq!(
        kept(&cache, 2, 400).await,
        [399],
        "the last is as heavy as a share"
    );
    add(&cache, 2, 400, EACH).await;
    add(&cache, 2, 401, EACH).await;
    assert_eq!(
        kept(&cache, 2, 402).await,
        [400, 401],
        "what came first goes first"
    );
}

#[tokio::test]
async fn what_is_heavier_than_a_share_is_made_and_not_kept() {
    let cache = cache(16);
    add(&cache, 1, 0, EACH).await;
    assert_eq!(add(&cache, 2, 0, EACH * 4 + 1).await, EACH * 4 + 1);
    assert_eq!(kept(&cache, 2, 1).await, [0; 0]);
    assert_eq!(add(&cache, 2, 0, EACH * 4).await, EACH * 4);
    cache.insert(&tenant(2), "0", EACH * 4 + 1).await;
    assert_eq!(
        kept(&cache, 2, 1).await,
        [0; 0],
        "the value before is no more"
    );
    assert_eq!(kept(&cache, 1, 1).await, [0]);
}

#[tokio::test]
async fn a_tenant_alone_may_fill_it_and_makes_room_when_another_comes() {
    let cache = cache(16);
    for id in 0..16 {
        add(&cache, 1, id, EACH).await;
    }
    assert_eq!(kept(&cache, 1, 16).await.len(), 16);
    add(&cache, 2, 0, EACH).await;
    assert_eq!(kept(&cache, 2, 1).await, [0]);
    assert_eq!(kept(&cache, 1, 16).await, (1..16).collect::<Vec<_>>());
    add(&cache, 1, 16, EACH).await;
    assert_eq!(kept(&cache, 1, 17).await, [13, 14, 15, 16]);
}

#[tokio::test]
async fn what_goes_in_and_out_is_counted() {
    let cache = cache(16);
    let traffic = cache.book.traffic.clone();
    let told = || {
        let counters = [&traffic.hits, &traffic.misses, &traffic.evictions];
        (counters.map(|counter| counter.get()), traffic.weight.get())
    };
    for id in [0, 1, 0, 0] {
        add(&cache, 1, id, EACH).await;
    }
    assert_eq!(told(), ([2, 2, 0], 2_000));
    add(&cache, 2, 0, EACH * 3).await;
    add(&cache, 2, 1, EACH * 2).await;
    assert_eq!(told(), ([2, 4, 1], 4_000), "one of its own made room");
    cache.forget(&tenant(2), "1").await;
    cache.cache.run_pending_tasks().await;
    assert_eq!(told(), ([2, 4, 1], 2_000));
    let both = tokio::join!(add(&cache, 1, 2, EACH), add(&cache, 1, 2, EACH));
    assert_eq!(both, (EACH, EACH));
    assert_eq!(told(), ([3, 5, 1], 3_000), "whoever joins a load has a hit");
}

#[tokio::test]
async fn where_all_is_full_whoever_keeps_most_gives_way() {
    let cache = cache(16);
    add(&cache, 5, 0, EACH).await;
    for id in 0..50 {
        for busy in 1..=4 {
            add(&cache, busy, id, EACH).await;
        }
    }
    assert_eq!(
        kept(&cache, 5, 1).await,
        [0],
        "four fill it, and a fifth is there"
    );
    let weights = weights(&cache);
    assert_eq!(weights.values().sum::<u64>(), EACH * 16);
    for n in 1..=4 {
        assert!(weights[&tenant(n)] >= EACH * 3, "{weights:?}");
    }
}

#[tokio::test]
async fn a_value_that_is_replaced_or_forgotten_weighs_no_more() {
    let cache = cache(16);
    for weight in [EACH, EACH * 3, EACH * 2] {
        cache.insert(&tenant(1), "0", weight).await;
    }
    cache.cache.run_pending_tasks().await;
    assert_eq!(weights(&cache), [(tenant(1), EACH * 2)].into());
    cache.forget(&tenant(1), "0").await;
    cache.cache.run_pending_tasks().await;
    assert_eq!(weights(&cache), HashMap::new());
}

#[tokio::test]
async fn those_who_wait_for_a_load_that_is_given_up_make_it_themselves() {
    let cache = cache(16);
    let tenant = tenant(1);
    let mut given_up = Box::pin(cache.get_or(&tenant, "0", std::future::pending()));
    assert!(futures::poll!(&mut given_up).is_pending());
    let mut waits = Box::pin(cache.get_or(&tenant, "0", async { Ok(EACH) }));
    assert!(futures::poll!(&mut waits).is_pending());
    drop(given_up);
    assert_eq!(waits.await.expect("made"), EACH);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_at_once_keep_the_book_in_order() {
    let cache = cache(64);
    let made = Arc::new(AtomicUsize::new(0));
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..8_usize {
        let (cache, made) = (cache.clone(), Arc::clone(&made));
        tasks.spawn(async move {
            for turn in 0..500_usize {
                let id = (task * 7 + turn * 13) % 40;
                let owner = tenant(1 + u32::try_from(id % 3).expect("small"));
                let make = async {
                    made.fetch_add(1, Ordering::Relaxed);
                    tokio::task::yield_now().await;
                    Ok(EACH * (1 + id as u64 % 5))
                };
                match turn % 5 {
                    0 => cache.insert(&owner, &id.to_string(), EACH).await,
                    1 => cache.forget(&owner, &id.to_string()).await,
                    // Given up halfway.
                    2 => {
                        let id = id.to_string();
                        let load = cache.get_or(&owner, &id, make);
                        let ended = futures::poll!(Box::pin(load));
                        drop(ended);
                    }
                    _ => {
                        cache
                            .get_or(&owner, &id.to_string(), make)
                            .await
                            .expect("made");
                    }
                }
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.expect("no panic");
    }
    cache.cache.run_pending_tasks().await;
    assert!(made.load(Ordering::Relaxed) > 0);
    let weights = weights(&cache);
    let entries = cache.cache.iter().map(|(_, kept)| kept.place.weight);
    assert_eq!(weights.values().sum::<u64>(), entries.sum::<u64>());
    assert!(weights.values().sum::<u64>() <= 64 * EACH);
    for (tenant, weight) in weights {
        assert!(weight <= 64 * EACH / SHARES, "{tenant}: {weight}");
    }
}
