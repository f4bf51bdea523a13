//! The commands that call a gateway, one module for each kind of resource.
//!
//! Owns what each command asks, prints and exits with. Nothing here decides
//! what a service would: no difference is computed, no plan is judged.

pub(crate) mod access;
pub(crate) mod audit;
pub(crate) mod deleted;
pub(crate) mod diff;
pub(crate) mod keys;
pub(crate) mod protect;
pub(crate) mod restore;
pub(crate) mod signals;
pub(crate) mod snapshot;
pub(crate) mod store;
pub(crate) mod tenant;
