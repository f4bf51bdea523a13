//! The flows of the product over a store in a storm: a thousand seeds each never
//! see a wrong answer nor lose a snapshot.
//!
//! A failing seed is printed; `STORM_SEED=n` runs it alone.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that fails by panicking is a good test, and one that measures says what"
)]

mod house;
mod reports;
mod restores;
mod snapshots;

use std::ops::Range;
use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use testkit::store::Struck;

/// A small seeded generator, so that a failing seed can be run again.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x0bad_5eed)
    }

    /// A number below `sides`.
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// Runs a flow with these seeds, each in a runtime of its own whose time stands
/// still and moves where somebody waits; what it counted, added up.
fn seeds<T: Default + std::ops::AddAssign>(
    seeds: Range<u64>,
    flow: impl AsyncFn(u64) -> (T, Struck),
) -> T {
    let only = seed_asked_for();
    let (mut ran, mut total, mut struck) = (0, T::default(), Struck::default());
    for seed in seeds.filter(|seed| only.is_none_or(|only| only == *seed)) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        let outcome = runtime.block_on(AssertUnwindSafe(flow(seed)).catch_unwind());
        runtime.shutdown_background();
        match outcome {
            Ok((counted, did)) => {
                total += counted;
                struck += did;
            }
            Err(panic) => {
                println!("the flow with STORM_SEED={seed} went wrong");
                std::panic::resume_unwind(panic);
            }
        }
        ran += 1;
    }
    println!("{ran} seeds: {struck:?}");
    total
}

#[expect(
    clippy::disallowed_methods,
    reason = "a person who repeats a failure says which"
)]
fn seed_asked_for() -> Option<u64> {
    std::env::var("STORM_SEED").ok()?.parse().ok()
}

/// Whether all seeds run, so that what they did can be counted.
fn all_run() -> bool {
    seed_asked_for().is_none()
}
