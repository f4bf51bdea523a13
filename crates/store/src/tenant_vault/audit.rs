//! Where a tenant's audit chains lie.

use std::sync::Arc;

use super::TenantVault;
use crate::audit::Chains;
use crate::layout::{self, Area};

impl TenantVault {
    /// The chains that tell who did what about the tenant.
    #[must_use]
    pub fn audit(&self) -> Chains {
        let folder = layout::area(self.id(), Area::Audit);
        Chains::new(Arc::clone(&self.store), Arc::clone(&self.key), folder)
    }
}
