//! Placeholder.

pub mod directory;
pub mod key_vault;
pub mod store;
pub mod time;
