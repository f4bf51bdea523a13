//! The vault: tenants, keys, claims, snapshots and documents in object storage.
//!
//! Owns the layout of the store, the formats of its files, the commit protocol,
//! the audit chains and the encryption. It must never change a file that was written (a repair puts
//! back what was), delete one but by retention, by re-wrapping or by erasure, rest
//! correctness on a lock or a clock, let one tenant's key open another's data, or
//! put key material into an error, a log or a `Debug` text.
//!
//! The seam to storage is [`object_store::ObjectStore`] itself; faults, retries
//! and measurements are decorators of that trait.

pub mod audit;
pub mod backend;
mod blocking;
mod chance;
pub mod check;
mod data_key;
pub mod draft;
pub mod error;
mod file;
mod format;
pub mod keys;
pub mod layout;
pub mod manifest;
mod partial;
pub mod run;
mod seal;
pub mod tenant_record;
pub mod tenant_vault;
pub mod vault;

/// The stream type in the storage seam's signatures, for its decorators.
pub use futures::stream::BoxStream;
/// The version of the storage seam that the vault speaks, for its decorators.
pub use object_store;

pub use backend::open_store;
pub use check::Finding;
pub use data_key::{AfterErasure, Imported, Rewrapped};
pub use draft::Draft;
pub use error::{KeyError, StoreError};
pub use keys::{Kek, KeyVault, KeyWrap};
pub use layout::Area;
pub use manifest::{
    Fate, Head, Lineage, LinkCount, Manifest, RunFile, RunKind, SnapshotMeta, Trigger, TypeCount,
};
pub use run::{IdRange, Span};
pub use tenant_record::{InvalidSetting, Setting, TenantRecord, TenantState, Webhook};
pub use tenant_vault::{
    Announced, Aside, Between, Carried, Claim, Copied, Copying, Damage, DamageKind, Depth, Found,
    FoundPage, LaneMark, Listed, Match, Problem, Pruned, Query, Repaired, Taken, TenantVault,
    Verified,
};
pub use vault::{Copies, CopyPlace, Erased, Holder, Place, Remains, Vault, Versioned};
