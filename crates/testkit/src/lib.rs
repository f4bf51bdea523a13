//! Placeholder.

pub mod directory;
pub mod store;
