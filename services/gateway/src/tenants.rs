//! Registering, changing and showing tenants.
//!
//! Owns what is done with a registration once the caller may ask for it. Lists
//! are filtered by the caller's tenants before anything else is looked at.

use crate::auth::Caller;
use crate::consent::Applications;
use crate::error::GatewayError;
use crate::registration::{self, CustomClouds};
use crate::webhook;
use futures::{StreamExt, TryStreamExt};
use model::{ErrorKind, TenantId};
use proto::v1::{Tenant, UpdateTenantRequest};
use runtime::Clock;
use runtime::page::{self, Order, Page};
use std::sync::Arc;
use store::{StoreError, TenantRecord, Vault};

/// How many registrations are read at a time.
const AT_A_TIME: usize = 16;

/// The registered tenants.
#[derive(Debug, Clone)]
pub(crate) struct Registry {
    vault: Vault,
    clock: Arc<dyn Clock>,
    clouds: CustomClouds,
    installed: Applications,
}

impl Registry {
    pub(crate) fn new(
        vault: Vault,
        clock: Arc<dyn Clock>,
        clouds: CustomClouds,
        installed: Applications,
    ) -> Self {
        Self {
            vault,
            clock,
            clouds,
            installed,
        }
    }

    /// The installation's own applications.
    pub(crate) fn installed(&self) -> &Applications {
        &self.installed
    }

    /// A registration as an answer.
    pub(crate) fn message(&self, record: &TenantRecord) -> Tenant {
        registration::message(record, &self.installed)
    }

    /// Registers a tenant. The same registration again succeeds.
    ///
    /// # Errors
    /// Invalid or Denied where it is not fit, Conflict where the tenant is
    /// registered with other content.
    pub(crate) async fn create(&self, tenant: Tenant) -> Result<TenantRecord, GatewayError> {
        let record = registration::record(tenant, self.clouds, &self.installed, self.clock.now())?;
        match self.vault.create_tenant(&record).await {
            Ok(()) => Ok(record),
            Err(StoreError::Exists { .. }) => {
                let existing = self.get(&record.id).await?;
                if registration::is_same(&record, &existing) {
                    Ok(existing)
                } else {
                    Err(GatewayError::Registered(record.id))
                }
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Changes what a request names; whoever changes something else meanwhile loses
    /// nothing.
    ///
    /// # Errors
    /// Invalid where it is not fit; NotFound where there is none.
    pub(crate) async fn update(
        &self,
        tenant: &TenantId,
        request: &UpdateTenantRequest,
    ) -> Result<TenantRecord, GatewayError> {
        let drift_watch = request.drift_watch.as_deref();
        let drift_watch = drift_watch.map(|text| registration::watch("drift_watch", text));
        let drift_watch = drift_watch.transpose()?;
        let audit_watch = request.audit_watch.as_deref();
        let audit_watch = audit_watch.map(|text| registration::watch("audit_watch", text));
        let audit_watch = audit_watch.transpose()?;
        let approval = request.approval.as_deref();
        let approval = approval.map(|text| registration::approval("approval", text));
        let approval = approval.transpose()?;
        let break_glass = request.break_glass.as_ref();
        let break_glass =
            break_glass.map(|it| registration::break_glass("break_glass.ids", &it.ids));
        let break_glass = break_glass.transpose()?;
        let webhook = request.webhook.clone();
        let webhook = webhook.map(|told| self.webhook(told)).transpose()?;
        loop {
            let found = self.vault.tenant_record(tenant).await?;
            let mut record = found.ok_or_else(|| GatewayError::NotRegistered(tenant.clone()))?;
            let before = record.value.clone();
            if let Some(watch) = &drift_watch {
                record.value.drift_watch = watch.clone();
            }
            if let Some(watch) = &audit_watch {
                record.value.audit_watch = watch.clone();
            }
            if let Some(policy) = approval {
                record.value.approval = policy;
            }
            if let Some(accounts) = &break_glass {
                record.value.break_glass.clone_from(accounts);
            }
            if let Some(wanted) = &webhook {
                let before = record.value.webhook.as_ref();
                record.value.webhook = webhook::at_the_time_of(wanted.clone(), before);
            }
            if record.value == before {
                return Ok(before);
            }
            match self.vault.update_tenant(&record).await {
                Ok(()) => return Ok(record.value),
                Err(StoreError::Changed { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// A webhook as a request names it; one without a URL is none.
    fn webhook(&self, told: proto::v1::Webhook) -> Result<Option<store::Webhook>, GatewayError> {
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
        page_size: i32,
        page_token: &str,
    ) -> Result<Page<Tenant>, GatewayError> {
        let mut ids = self.vault.tenant_ids().await?;
        ids.retain(|id| caller.may_see(id));
        ids.sort();
        let page = page::paginate_by_key(
            ids,
            page_size,
            page_token,
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

pub(crate) fn invalid_page(error: page::PageError) -> GatewayError {
    let (field, problem) = match error {
        page::PageError::Size => ("page_size", "a number from 0 to 1000 is expected"),
        page::PageError::Token => ("page_token", "the token of an earlier answer is expected"),
    };
    GatewayError::invalid(field, problem)
}
