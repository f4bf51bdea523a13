//! Where the installation's audit chains lie: those of what belongs to no tenant.

use std::sync::Arc;

use super::Vault;
use crate::audit::Chains;
use crate::data_key::installation;
use crate::error::StoreError;
use crate::layout;

impl Vault {
    /// The chains that tell what belongs to no tenant. They are sealed with a key of
    /// their own, which is made when it is first asked for.
    ///
    /// # Errors
    /// `Key` where that key cannot be had; `Corrupt`; `Unavailable`.
    pub async fn installation_audit(&self) -> Result<Chains, StoreError> {
        let open = || async {
            let key = installation::open(self.keys.as_ref(), &self.wraps).await?;
            Ok::<_, StoreError>(Arc::new(key))
        };
        let key = self.installation.get_or_try_init(open).await?;
        Ok(Chains::new(
            Arc::clone(&self.store),
            Arc::clone(key),
            layout::installation_audit(),
        ))
    }
}
