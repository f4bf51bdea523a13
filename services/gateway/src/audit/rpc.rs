//! AuditService, as far as messages go.
//!
//! The door has checked caller and tenant before, but for what concerns the whole
//! installation: that is for callers who may see every tenant.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use proto::v1::audit_service_server::AuditService;
use proto::v1::{
    AuditVerification, ListAuditEntriesRequest, ListAuditEntriesResponse,
    ListInstallationAuditEntriesRequest, ListInstallationAuditEntriesResponse, VerifyAuditRequest,
    VerifyAuditResponse, VerifyInstallationAuditRequest, VerifyInstallationAuditResponse,
};
use store::Vault;
use tonic::{Request, Response, Status};

use super::keeper::Place;
use super::list::Lister;
use super::verify::verify;
use crate::auth::Tenants;
use crate::error::GatewayError;
use crate::rpc::passage;

/// When a walk may be asked for again while there is another.
const AGAIN: Duration = Duration::from_secs(10);

/// The service.
#[derive(Debug)]
pub(crate) struct Service {
    vault: Vault,
    lister: Lister,
    verifying: Arc<Mutex<HashSet<Place>>>,
}

/// The turn of a place whose chains are walked, until it is dropped.
#[derive(Debug)]
struct Turn {
    place: Place,
    verifying: Arc<Mutex<HashSet<Place>>>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.verifying.lock().remove(&self.place);
    }
}

impl Service {
    pub(crate) fn new(vault: Vault) -> Self {
        Self {
            vault,
            lister: Lister::default(),
            verifying: Arc::default(),
        }
    }

    /// Walks the chains of a place, of which there is one walk at a time.
    async fn walk(&self, place: Place) -> Result<AuditVerification, GatewayError> {
        if !self.verifying.lock().insert(place.clone()) {
            return Err(GatewayError::Limited(AGAIN));
        }
        let turn = Turn {
            place,
            verifying: Arc::clone(&self.verifying),
        };
        Ok(verify(&self.vault, turn.place.as_ref()).await?)
    }
}

/// Lets nobody pass who may not see every tenant.
fn whole_installation<T>(request: &Request<T>) -> Result<(), GatewayError> {
    match passage(request)?.caller.tenants {
        Tenants::All => Ok(()),
        Tenants::Only(_) => Err(GatewayError::Denied),
    }
}

fn tenant(parent: &str) -> Result<model::TenantId, GatewayError> {
    proto::name::parse_tenant("parent", parent)
        .map_err(|_| GatewayError::invalid("parent", "tenants/GUID is expected"))
}

#[tonic::async_trait]
impl AuditService for Service {
    async fn list_audit_entries(
        &self,
        request: Request<ListAuditEntriesRequest>,
    ) -> Result<Response<ListAuditEntriesResponse>, Status> {
        passage(&request)?;
        let request = request.into_inner();
        let tenant = tenant(&request.parent)?;
        let chains = self
            .vault
            .tenant(&tenant)
            .await
            .map_err(GatewayError::from)?;
        let place = Some(tenant);
        let (size, token) = (request.page_size, &request.page_token);
        let listed = self
            .lister
            .list(&place, &chains.audit(), request.filter, size, token)
            .await?;
        Ok(Response::new(ListAuditEntriesResponse {
            entries: listed.entries,
            next_page_token: listed.next_page_token,
            unreadable_count: listed.unreadable,
        }))
    }

    async fn verify_audit(
        &self,
        request: Request<VerifyAuditRequest>,
    ) -> Result<Response<VerifyAuditResponse>, Status> {
        passage(&request)?;
        let tenant = tenant(&request.into_inner().parent)?;
        let verification = Some(self.walk(Some(tenant)).await?);
        Ok(Response::new(VerifyAuditResponse { verification }))
    }

    async fn list_installation_audit_entries(
        &self,
        request: Request<ListInstallationAuditEntriesRequest>,
    ) -> Result<Response<ListInstallationAuditEntriesResponse>, Status> {
        whole_installation(&request)?;
        let request = request.into_inner();
        let chains = self.vault.installation_audit().await;
        let chains = chains.map_err(GatewayError::from)?;
        let (size, token) = (request.page_size, &request.page_token);
        let listed = self
            .lister
            .list(&None, &chains, request.filter, size, token)
            .await?;
        Ok(Response::new(ListInstallationAuditEntriesResponse {
            entries: listed.entries,
            next_page_token: listed.next_page_token,
            unreadable_count: listed.unreadable,
        }))
    }

    async fn verify_installation_audit(
        &self,
        request: Request<VerifyInstallationAuditRequest>,
    ) -> Result<Response<VerifyInstallationAuditResponse>, Status> {
        whole_installation(&request)?;
        let verification = Some(self.walk(None).await?);
        Ok(Response::new(VerifyInstallationAuditResponse {
            verification,
        }))
    }
}
