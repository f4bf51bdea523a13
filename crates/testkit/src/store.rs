//! Storage for tests: a store that fails on demand, sample content, and the
//! contract that every backend of the vault must keep.

pub mod contract;
mod faults;
mod meter;
mod sample;

pub use faults::{Fault, FaultStore, Gate, tamper};
pub use meter::MeterStore;
pub use sample::{content, meta, moment, record, tenant};
