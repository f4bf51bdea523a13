//! Storage for tests: a store that fails on demand, sample content, servers to
//! store on, and the contract that every backend of the vault must keep.

pub mod contract;
mod faults;
mod google;
mod lies;
mod meter;
mod sample;
mod servers;

pub use faults::{Fault, FaultStore, Gate, tamper};
pub use google::{GoogleStore, Keeps};
pub use lies::{Lie, LyingStore};
pub use meter::MeterStore;
pub use sample::{content, meta, moment, record, tenant};
pub use servers::{Server, Versions};
