//! LifecycleService, and what the gateway asks for.

use model::TenantId;
use proto::name;
use proto::v1::guarded_change_service_server::GuardedChangeService;
use proto::v1::lifecycle_service_server::LifecycleService;
use proto::v1::{
    ApproveGuardedChangeRequest, ApproveGuardedChangeResponse, CancelGuardedChangeRequest,
    CancelGuardedChangeResponse, GetGuardedChangeRequest, GetGuardedChangeResponse, GuardedChange,
    GuardedChangeKind, ListErasuresRequest, ListErasuresResponse, ListGuardedChangesRequest,
    ListGuardedChangesResponse, OffboardTenantRequest, OffboardTenantResponse,
    ProposeChangeRequest, ProposeChangeResponse, ResumeTenantRequest, ResumeTenantResponse,
    SuspendTenantRequest, SuspendTenantResponse,
};
use runtime::caller;
use runtime::page::After;
use runtime::status::status;
use store::{Area, StoreError, TenantState, TenantVault};
use tonic::{Request, Response, Status};

use super::propose::{self, Asked};
use super::{ChangeError, decide, erase, journal};
use crate::read::READ;
use crate::rpc::Rpc;
use crate::{Context, Error, keys};

fn refuse(error: Error) -> Status {
    status(&error)
}

/// Who calls, with the request's id.
pub(crate) fn asked<T>(request: &Request<T>, request_id: &str) -> Asked {
    Asked {
        author: caller::of(request),
        request_id: request_id.to_owned(),
    }
}

/// The change that a name is of, with the vault that it is in.
async fn named(context: &Context, full_name: &str) -> Result<(TenantVault, u32), Error> {
    let (tenant, number) = name::parse_guarded_change("name", full_name)?;
    Ok((context.deps.vault.tenant(&tenant).await?, number))
}

/// A tenant's changes, newest first.
async fn list(
    context: &Context,
    request: ListGuardedChangesRequest,
) -> Result<ListGuardedChangesResponse, Error> {
    let tenant = name::parse_tenant("parent", &request.parent)?;
    let after = After::read(request.page_size, &request.page_token)?;
    let before: Option<u32> = after.key.as_ref().and_then(|key| key.parse().ok());
    let vault = context.deps.vault.tenant(&tenant).await?;
    let now = context.deps.clock.now();
    let mut numbers = journal::numbers(&vault).await?;
    numbers.retain(|number| before.is_none_or(|before| *number < before));
    let mut changes: Vec<GuardedChange> = Vec::new();
    let mut last = 0;
    for number in numbers.into_iter().rev() {
        let there = match super::load(context, &vault, number).await {
            // Its document is not there yet.
            Err(Error::Change(ChangeError::Missing(_))) => continue,
            other => other?,
        };
        if request.open && !there.is_open(now) {
            continue;
        }
        if changes.len() == after.limit {
            return Ok(ListGuardedChangesResponse {
                changes,
                next_page_token: After::token(&last.to_string()),
            });
        }
        last = number;
        changes.push(there.message(now));
    }
    Ok(ListGuardedChangesResponse {
        changes,
        next_page_token: String::new(),
    })
}

/// Serves a tenant again, whose data can be opened.
async fn resume(context: &Context, tenant: &TenantId) -> Result<(), Error> {
    let vault = &context.deps.vault;
    loop {
        // Whose keys are gone is not served.
        vault.tenant(tenant).await?;
        let Some(mut record) = vault.tenant_record(tenant).await? else {
            let what = format!("tenant {tenant}");
            return Err(StoreError::NotFound { what }.into());
        };
        if record.value.state == TenantState::Active {
            return Ok(());
        }
        record.value.state = TenantState::Active;
        record.value.change = None;
        match vault.update_tenant(&record).await {
            Err(StoreError::Changed { .. }) => {}
            Err(error) => return Err(error.into()),
            Ok(()) => {
                tracing::info!(%tenant, "a tenant was resumed");
                context.news.ring(tenant);
                return Ok(());
            }
        }
    }
}

/// Asks for the end of a tenant.
async fn offboard(
    context: &Context,
    request: &OffboardTenantRequest,
    asked: Asked,
) -> Result<GuardedChange, Error> {
    let tenant = name::parse_tenant("name", &request.name)?;
    keys::confirmed(context, &tenant, &request.confirm).await?;
    let vault = context.deps.vault.tenant(&tenant).await?;
    let exported = match request.without_export {
        true => String::new(),
        false => exported(&vault).await?,
    };
    let kind = GuardedChangeKind::Offboard;
    propose::erase(context, &vault, asked, kind, exported).await
}

/// The newest snapshot, which was read out as a whole; empty where there is none.
///
/// # Errors
/// [`ChangeError::NotExported`] where it was not.
async fn exported(vault: &TenantVault) -> Result<String, Error> {
    let (manifests, _) = vault.manifests().await?;
    let Some(newest) = manifests.first() else {
        return Ok(String::new());
    };
    let names = vault
        .list_names(Area::Exports, newest.id().as_str())
        .await?;
    if names.iter().any(|name| name == READ) {
        return Ok(name::snapshot(vault.id(), newest.id()));
    }
    Err(ChangeError::NotExported {
        tenant: vault.id().to_string(),
        snapshot: newest.id().to_string(),
    }
    .into())
}

#[tonic::async_trait]
impl LifecycleService for Rpc {
    async fn suspend_tenant(
        &self,
        request: Request<SuspendTenantRequest>,
    ) -> Result<Response<SuspendTenantResponse>, Status> {
        let asked = asked(&request, &request.get_ref().request_id);
        let tenant = name::parse_tenant("name", &request.get_ref().name)
            .map_err(|error| refuse(error.into()))?;
        let change = propose::suspend(self.context(), &tenant, asked).await;
        let change = change.map_err(refuse)?;
        Ok(Response::new(SuspendTenantResponse { change }))
    }

    async fn resume_tenant(
        &self,
        request: Request<ResumeTenantRequest>,
    ) -> Result<Response<ResumeTenantResponse>, Status> {
        let tenant = name::parse_tenant("name", &request.get_ref().name)
            .map_err(|error| refuse(error.into()))?;
        resume(self.context(), &tenant).await.map_err(refuse)?;
        Ok(Response::new(ResumeTenantResponse {
            name: name::tenant(&tenant),
        }))
    }

    async fn offboard_tenant(
        &self,
        request: Request<OffboardTenantRequest>,
    ) -> Result<Response<OffboardTenantResponse>, Status> {
        let asked = asked(&request, &request.get_ref().request_id);
        let change = offboard(self.context(), request.get_ref(), asked).await;
        Ok(Response::new(OffboardTenantResponse {
            change: Some(change.map_err(refuse)?),
        }))
    }

    async fn list_guarded_changes(
        &self,
        request: Request<ListGuardedChangesRequest>,
    ) -> Result<Response<ListGuardedChangesResponse>, Status> {
        let answer = list(self.context(), request.into_inner()).await;
        answer.map(Response::new).map_err(refuse)
    }

    async fn get_guarded_change(
        &self,
        request: Request<GetGuardedChangeRequest>,
    ) -> Result<Response<GetGuardedChangeResponse>, Status> {
        let found = async {
            let (vault, number) = named(self.context(), &request.get_ref().name).await?;
            super::load(self.context(), &vault, number).await
        };
        let there = found.await.map_err(refuse)?;
        let now = self.context().deps.clock.now();
        Ok(Response::new(GetGuardedChangeResponse {
            change: Some(there.message(now)),
        }))
    }

    async fn approve_guarded_change(
        &self,
        request: Request<ApproveGuardedChangeRequest>,
    ) -> Result<Response<ApproveGuardedChangeResponse>, Status> {
        let caller = caller::of(&request);
        let request = request.into_inner();
        let approved = async {
            let (vault, number) = named(self.context(), &request.name).await?;
            let hash = &request.change_hash;
            decide::approve(self.context(), &vault, number, caller, hash).await
        };
        let change = approved.await.map_err(refuse)?;
        Ok(Response::new(ApproveGuardedChangeResponse {
            change: Some(change),
        }))
    }

    async fn cancel_guarded_change(
        &self,
        request: Request<CancelGuardedChangeRequest>,
    ) -> Result<Response<CancelGuardedChangeResponse>, Status> {
        let caller = caller::of(&request);
        let request = request.into_inner();
        let cancelled = async {
            let (vault, number) = named(self.context(), &request.name).await?;
            let reason = &request.reason;
            decide::cancel(self.context(), &vault, number, caller, reason).await
        };
        let change = cancelled.await.map_err(refuse)?;
        Ok(Response::new(CancelGuardedChangeResponse {
            change: Some(change),
        }))
    }

    async fn list_erasures(
        &self,
        request: Request<ListErasuresRequest>,
    ) -> Result<Response<ListErasuresResponse>, Status> {
        let tenant = name::parse_tenant("parent", &request.get_ref().parent)
            .map_err(|error| refuse(error.into()))?;
        let found = erase::certificates(self.context(), &tenant).await;
        Ok(Response::new(ListErasuresResponse {
            certificates: found.map_err(refuse)?,
        }))
    }
}

#[tonic::async_trait]
impl GuardedChangeService for Rpc {
    async fn propose_change(
        &self,
        request: Request<ProposeChangeRequest>,
    ) -> Result<Response<ProposeChangeResponse>, Status> {
        let asked = asked(&request, &request.get_ref().request_id);
        let request = request.into_inner();
        let tenant =
            name::parse_tenant("parent", &request.parent).map_err(|error| refuse(error.into()))?;
        let change = propose::settings(self.context(), &tenant, asked, request.settings).await;
        Ok(Response::new(ProposeChangeResponse {
            change: Some(change.map_err(refuse)?),
        }))
    }
}
