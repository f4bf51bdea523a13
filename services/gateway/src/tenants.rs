//! Registering, changing and showing tenants.
//!
//! Owns what is done with a registration once the caller may ask for it. Lists
//! are filtered by the caller's tenants before anything else is looked at.

use crate::auth::Caller;
use crate::consent::Applications;
use crate::error::GatewayError;
use crate::guarded::{self, Update};
use crate::overview::{Choice, Index};
use crate::registration::{self, CustomClouds};
use crate::webhook;
use futures::{StreamExt, TryStreamExt};
use model::{ErrorKind, TenantId};
use proto::v1::{GuardedSetting, ListTenantsRequest, Tenant, UpdateTenantRequest};
use runtime::Clock;
use runtime::page::{self, Order, Page};
use std::sync::Arc;
use store::{StoreError, TenantRecord, Vault};

/// How many registrations are read at a time.
const AT_A_TIME: usize = 16;

/// What is done with a registration that comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Create {
    /// It is kept.
    Keep,
    /// It is only told whether it could be.
    OnlyTell,
}

/// The registered tenants.
#[derive(Debug, Clone)]
pub(crate) struct Registry {
    vault: Vault,
    clock: Arc<dyn Clock>,
    clouds: CustomClouds,
    installed: Applications,
    index: Index,
}

impl Registry {
    pub(crate) fn new(
        vault: Vault,
        clock: Arc<dyn Clock>,
        clouds: CustomClouds,
        installed: Applications,
    ) -> Self {
        let index = Index::new(vault.clone(), Arc::clone(&clock));
        Self {
            vault,
            clock,
            clouds,
            installed,
            index,
        }
    }

    /// How all tenants are.
    pub(crate) fn index(&self) -> &Index {
        &self.index
    }

    /// The installation's own applications.
    pub(crate) fn installed(&self) -> &Applications {
        &self.installed
    }

    /// A registration as an answer.
    pub(crate) fn message(&self, record: &TenantRecord) -> Tenant {
        registration::message(record, &self.installed, self.clock.now())
    }

    /// Registers a tenant, or only tells whether it could be registered. The same
    /// registration again succeeds. The registration, and whether it was there before.
    ///
    /// # Errors
    /// Invalid or Denied where it is not fit, Conflict where the tenant is
    /// registered with other content.
    pub(crate) async fn create(
        &self,
        tenant: Tenant,
        what: Create,
    ) -> Result<(TenantRecord, bool), GatewayError> {
        let record = registration::record(tenant, self.clouds, &self.installed, self.clock.now())?;
        if what == Create::OnlyTell {
            return match self.vault.tenant_record(&record.id).await? {
                None => Ok((record, false)),
                Some(found) => same(&record, found.value),
            };
        }
        match self.vault.create_tenant(&record).await {
            Ok(()) => {
                self.seen(&record.id).await;
                Ok((record, false))
            }
            Err(StoreError::Exists { .. }) => {
                let existing = self.get(&record.id).await?;
                same(&record, existing)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What of a request would protect less, and waits for a second person.
    ///
    /// # Errors
    /// Invalid where it is not fit; NotFound where there is none.
    pub(crate) async fn guarded(
        &self,
        tenant: &TenantId,
        request: &UpdateTenantRequest,
    ) -> Result<Vec<GuardedSetting>, GatewayError> {
        let update = Update::read(self, request)?;
        let before = self.get(tenant).await?;
        let mut wanted = before.clone();
        update.write(&mut wanted);
        Ok(guarded::parted(&before, wanted).1)
    }

    /// Changes what a request names; whoever changes something else meanwhile loses
    /// nothing. What would protect less stays as it is, and is answered beside.
    ///
    /// # Errors
    /// Invalid where it is not fit; NotFound where there is none.
    pub(crate) async fn update(
        &self,
        tenant: &TenantId,
        request: &UpdateTenantRequest,
    ) -> Result<(TenantRecord, Vec<GuardedSetting>), GatewayError> {
        let update = Update::read(self, request)?;
        loop {
            let found = self.vault.tenant_record(tenant).await?;
            let mut record = found.ok_or_else(|| GatewayError::NotRegistered(tenant.clone()))?;
            let before = record.value.clone();
            let mut wanted = before.clone();
            update.write(&mut wanted);
            let (now, guarded) = guarded::parted(&before, wanted);
            if now == before {
                return Ok((before, guarded));
            }
            record.value = TenantRecord {
                change: None,
                ..now
            };
            match self.vault.update_tenant(&record).await {
                Ok(()) => {
                    self.seen(tenant).await;
                    return Ok((record.value, guarded));
                }
                Err(StoreError::Changed { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Looks at a tenant for the overview, since it was changed here.
    async fn seen(&self, tenant: &TenantId) {
        if let Err(error) = self.index.look(tenant).await {
            let error = runtime::status::chain(&error);
            tracing::warn!(%tenant, error, "a tenant's overview could not be read");
        }
    }

    /// A webhook as a request names it; one without a URL is none.
    pub(crate) fn webhook(
        &self,
        told: proto::v1::Webhook,
    ) -> Result<Option<store::Webhook>, GatewayError> {
        if told.url.is_empty() {
            return Ok(None);
        }
        webhook::record("webhook", told, self.clouds, self.clock.now()).map(Some)
    }

    /// One registration.
    ///
    /// # Errors
    /// NotFound where there is none.
    pub(crate) async fn get(&self, tenant: &TenantId) -> Result<TenantRecord, GatewayError> {
        let found = self.vault.tenant_record(tenant).await?;
        found
            .map(|record| record.value)
            .ok_or_else(|| GatewayError::NotRegistered(tenant.clone()))
    }

    /// The caller's tenants, ordered by id. One whose registration is damaged
    /// is shown by its id alone rather than hidden.
    ///
    /// # Errors
    /// Invalid where the page is not valid; Unavailable.
    pub(crate) async fn list(
        &self,
        caller: &Caller,
        request: &ListTenantsRequest,
    ) -> Result<Page<Tenant>, GatewayError> {
        let choice = Choice::of_tenants(request)?;
        let mut ids = self.vault.tenant_ids().await?;
        ids.retain(|id| caller.may_see(id));
        ids.sort();
        if !choice.is_all() {
            let rows = self.index.rows(&ids).await?;
            let chosen = rows.into_iter().filter(|row| choice.holds(row));
            ids = chosen.map(|row| row.id.clone()).collect();
        }
        let page = page::paginate_by_key(
            ids,
            request.page_size,
            &request.page_token,
            Order::Ascending,
            TenantId::as_str,
        )
        .map_err(invalid_page)?;
        let shown = futures::stream::iter(page.items)
            .map(|id| self.shown(id))
            .buffered(AT_A_TIME);
        let items = shown
            .try_filter_map(|tenant| std::future::ready(Ok(tenant)))
            .try_collect()
            .await?;
        Ok(Page {
            items,
            next_page_token: page.next_page_token,
        })
    }

    /// A tenant in a list; `None` where its registration was cut short.
    async fn shown(&self, id: TenantId) -> Result<Option<Tenant>, GatewayError> {
        match self.vault.tenant_record(&id).await {
            Ok(record) => Ok(record.map(|record| self.message(&record.value))),
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                tracing::error!(tenant = %id, %error, "a registration is damaged");
                Ok(Some(Tenant {
                    name: proto::name::tenant(&id),
                    id: id.to_string(),
                    ..Tenant::default()
                }))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// The registration that is there, where it says the same.
fn same(
    record: &TenantRecord,
    existing: TenantRecord,
) -> Result<(TenantRecord, bool), GatewayError> {
    match registration::is_same(record, &existing) {
        true => Ok((existing, true)),
        false => Err(GatewayError::Registered(record.id.clone())),
    }
}

pub(crate) fn invalid_page(error: page::PageError) -> GatewayError {
    let (field, problem) = match error {
        page::PageError::Size => ("page_size", "a number from 0 to 1000 is expected"),
        page::PageError::Token => ("page_token", "the token of an earlier answer is expected"),
    };
    GatewayError::invalid(field, problem)
}
