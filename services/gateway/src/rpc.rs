//! TenantService, as far as messages go.
//!
//! Owns the turning of messages into calls and of results into messages. The
//! door has checked caller and tenant before.

use crate::check_tenant::check_tenant;
use crate::config::Backends;
use crate::error::GatewayError;
use crate::guarded;
use crate::request::Passage;
use crate::tenants::{Create, Registry};
use model::TenantId;
use proto::v1::tenant_service_server::TenantService;
use proto::v1::{
    CheckTenantRequest, CheckTenantResponse, CreateTenantRequest, CreateTenantResponse,
    GetTenantRequest, GetTenantResponse, ListTenantOverviewsRequest, ListTenantOverviewsResponse,
    ListTenantsRequest, ListTenantsResponse, UpdateTenantRequest, UpdateTenantResponse,
};
use tonic::{Request, Response, Status};

/// The service.
#[derive(Debug)]
pub(crate) struct Service {
    registry: Registry,
    backends: Backends,
}

impl Service {
    pub(crate) fn new(registry: Registry, backends: Backends) -> Self {
        Self { registry, backends }
    }
}

/// Who calls; the door leaves it with every request.
pub(crate) fn passage<T>(request: &Request<T>) -> Result<Passage, GatewayError> {
    let passage = request.extensions().get::<Passage>().cloned();
    passage.ok_or_else(|| GatewayError::Internal("a call came past the door".to_owned()))
}

fn tenant(name: &str) -> Result<TenantId, GatewayError> {
    proto::name::parse_tenant("name", name)
        .map_err(|_| GatewayError::invalid("name", "tenants/GUID is expected"))
}

#[tonic::async_trait]
impl TenantService for Service {
    async fn create_tenant(
        &self,
        request: Request<CreateTenantRequest>,
    ) -> Result<Response<CreateTenantResponse>, Status> {
        passage(&request)?;
        let request = request.into_inner();
        let tenant = request
            .tenant
            .ok_or_else(|| GatewayError::invalid("tenant", "a tenant is expected"))?;
        let what = match request.validate_only {
            true => Create::OnlyTell,
            false => Create::Keep,
        };
        let (record, already_registered) = self.registry.create(tenant, what).await?;
        Ok(Response::new(CreateTenantResponse {
            tenant: Some(self.registry.message(&record)),
            already_registered,
        }))
    }

    async fn update_tenant(
        &self,
        request: Request<UpdateTenantRequest>,
    ) -> Result<Response<UpdateTenantResponse>, Status> {
        let passage = passage(&request)?;
        let request = request.into_inner();
        let id = tenant(&request.name)?;
        // What waits is stored first: where that fails, nothing has taken effect.
        let settings = self.registry.guarded(&id, &request).await?;
        let pending_change = match settings.is_empty() {
            true => None,
            false => {
                let snapshotter = self.backends.snapshotter.of(id.as_str());
                let (settings, request_id) = (settings.clone(), request.request_id.clone());
                let change =
                    guarded::propose(snapshotter, &id, settings, request_id, &passage).await?;
                Some(change)
            }
        };
        let (record, left) = self.registry.update(&id, &request).await?;
        if left != settings {
            // Somebody changed the tenant in between, so that something else would wait.
            return Err(GatewayError::Moved(id).into());
        }
        Ok(Response::new(UpdateTenantResponse {
            tenant: Some(self.registry.message(&record)),
            pending_change,
        }))
    }

    async fn get_tenant(
        &self,
        request: Request<GetTenantRequest>,
    ) -> Result<Response<GetTenantResponse>, Status> {
        passage(&request)?;
        let record = self
            .registry
            .get(&tenant(&request.into_inner().name)?)
            .await?;
        Ok(Response::new(GetTenantResponse {
            tenant: Some(self.registry.message(&record)),
        }))
    }

    async fn list_tenants(
        &self,
        request: Request<ListTenantsRequest>,
    ) -> Result<Response<ListTenantsResponse>, Status> {
        let passage = passage(&request)?;
        let request = request.into_inner();
        let page = self.registry.list(&passage.caller, &request).await?;
        Ok(Response::new(ListTenantsResponse {
            tenants: page.items,
            next_page_token: page.next_page_token,
        }))
    }

    async fn list_tenant_overviews(
        &self,
        request: Request<ListTenantOverviewsRequest>,
    ) -> Result<Response<ListTenantOverviewsResponse>, Status> {
        let passage = passage(&request)?;
        let index = self.registry.index();
        let answer = index.list(&passage.caller, request.get_ref()).await?;
        Ok(Response::new(answer))
    }

    async fn check_tenant(
        &self,
        request: Request<CheckTenantRequest>,
    ) -> Result<Response<CheckTenantResponse>, Status> {
        let passage = passage(&request)?;
        let record = self
            .registry
            .get(&tenant(&request.into_inner().name)?)
            .await?;
        Ok(Response::new(
            check_tenant(&self.backends, self.registry.installed(), &record, &passage).await,
        ))
    }
}
