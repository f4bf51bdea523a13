//! Storage for tests: stores that fail on demand or by a seed, sample content, servers to
//! store on, and the contract that every backend of the vault must keep.

pub mod contract;
mod faults;
mod google;
mod lies;
mod meter;
mod sample;
mod servers;
mod storm;

pub use faults::{Fault, FaultStore, Gate, tamper};
pub use google::{GoogleStore, Keeps};
pub use lies::{Lie, LyingStore};
pub use meter::MeterStore;
pub use sample::{content, meta, moment, record, tenant};
pub use servers::{Server, Versions};
pub use storm::{Lag, Storm, StormStore, Struck, Weather};
