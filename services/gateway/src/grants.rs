//! Granting, taking back and listing.
//!
//! Owns the rule that nobody grants more than they hold, and the turning of grants into
//! messages and back. The door has seen to it that an operator of every tenant calls.

use crate::auth::grants::{Grants, in_contract, of_contract, tenants};
use crate::error::GatewayError;
use crate::request::Passage;
use crate::rpc::passage;
use model::TenantId;
use model::grant::{Grant, Holder, Role as Word, Scope};
use proto::v1::grant_service_server::GrantService;
use proto::v1::{
    CreateGrantRequest, CreateGrantResponse, DeleteGrantRequest, DeleteGrantResponse,
    ListGrantsRequest, ListGrantsResponse, Role, grant,
};
use runtime::page::{self, Order};
use runtime::{Clock, Ids};
use std::collections::BTreeSet;
use std::sync::Arc;
use store::StoreError;
use tonic::{Request, Response, Status};

/// What the names of grants begin with.
const NAMES: &str = "grants/";
/// The longest text by which a holder is known.
const LONGEST: usize = 256;
/// How many grants there are at most: all of them are one record.
const MOST: usize = 10_000;

/// The service.
#[derive(Debug)]
pub(crate) struct Service {
    grants: Grants,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
}

impl Service {
    pub(crate) fn new(grants: Grants, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> Self {
        Self { grants, clock, ids }
    }

    async fn create(
        &self,
        passage: &Passage,
        request: CreateGrantRequest,
    ) -> Result<Grant, GatewayError> {
        let asked = request
            .grant
            .ok_or_else(|| GatewayError::invalid("grant", "a grant is expected"))?;
        let grant = Grant {
            id: self.id(&request.request_id),
            holder: holder(asked.holder.clone())?,
            roles: BTreeSet::new(),
            scope: scope(&asked)?,
            author: passage.whole.name.clone(),
            created_at: self.clock.now(),
        };
        let roles: BTreeSet<Role> = asked.roles().collect();
        let words = roles.iter().map(|role| of_contract(*role));
        let words: Option<BTreeSet<_>> = words.collect();
        let words = words.filter(|words| !words.is_empty()).ok_or_else(|| {
            GatewayError::invalid(
                "grant.roles",
                "at least one role is expected, and each known",
            )
        })?;
        if !passage.whole.holds(&roles, &tenants(&grant.scope)) {
            return Err(GatewayError::Denied);
        }
        let grant = Grant {
            roles: words,
            ..grant
        };
        self.add(grant).await
    }

    /// Adds a grant; one that the same request made before is answered as it is.
    async fn add(&self, grant: Grant) -> Result<Grant, GatewayError> {
        loop {
            let mut grants = (*self.grants.read().await?).clone();
            if let Some(before) = grants.value.iter().find(|it| it.id == grant.id) {
                let same = (&before.holder, &before.roles, &before.scope)
                    == (&grant.holder, &grant.roles, &grant.scope);
                return match same {
                    true => Ok(before.clone()),
                    false => Err(GatewayError::invalid(
                        "request_id",
                        "another grant was made by this request",
                    )),
                };
            }
            if grants.value.len() >= MOST {
                return Err(GatewayError::invalid("grant", "there are 10,000 already"));
            }
            grants.value.push(grant.clone());
            match self.grants.write(&grants).await {
                Ok(()) => {
                    tell("a grant is given", &grant, &grant.author);
                    return Ok(grant);
                }
                Err(StoreError::Changed { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn delete(&self, passage: &Passage, name: &str) -> Result<(), GatewayError> {
        let id = name.strip_prefix(NAMES).filter(|id| !id.is_empty());
        let id = id.ok_or_else(|| GatewayError::invalid("name", "grants/ID is expected"))?;
        loop {
            let mut grants = (*self.grants.read().await?).clone();
            let Some(at) = grants.value.iter().position(|it| it.id == id) else {
                return Ok(());
            };
            let gone = grants.value.remove(at);
            let roles: BTreeSet<Role> = gone.roles.iter().map(|role| in_contract(*role)).collect();
            // Nobody takes back more than they hold, as nobody grants more.
            if !passage.whole.holds(&roles, &tenants(&gone.scope)) {
                return Err(GatewayError::Denied);
            }
            match self.grants.write(&grants).await {
                Ok(()) => {
                    tell("a grant is taken back", &gone, &passage.whole.name);
                    return Ok(());
                }
                Err(StoreError::Changed { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The same id for the same request.
    fn id(&self, request_id: &str) -> String {
        let seed = match request_id {
            "" => self.ids.uuid().to_string(),
            given => given.to_owned(),
        };
        blake3::hash(seed.as_bytes()).to_hex()[..16].to_owned()
    }
}

/// A change of who may do what is never without a line in the log.
fn tell(what: &str, grant: &Grant, by: &str) {
    let roles: Vec<_> = grant.roles.iter().map(|role| role.as_str()).collect();
    let tenants = match &grant.scope {
        Scope::All => "all".to_owned(),
        Scope::Only(tenants) => tenants.len().to_string(),
    };
    if grant.roles.contains(&Word::Approver) {
        // Whoever gives themselves a second person could do alone what two have to.
        tracing::warn!(
            grant = grant.id,
            holder = grant.holder.text(),
            by,
            "a grant lets somebody approve: {what}"
        );
    }
    tracing::info!(
        grant = grant.id,
        holder = grant.holder.text(),
        roles = roles.join(","),
        tenants,
        by,
        "{what}"
    );
}

fn holder(asked: Option<grant::Holder>) -> Result<Holder, GatewayError> {
    let (field, holder) = match asked {
        Some(grant::Holder::Caller(name)) => ("grant.caller", Holder::Caller(name)),
        Some(grant::Holder::Subject(subject)) => ("grant.subject", Holder::Subject(subject)),
        Some(grant::Holder::Claim(value)) => ("grant.claim", Holder::Claim(value)),
        None => {
            let problem = "one of caller, subject and claim is expected";
            return Err(GatewayError::invalid("grant.holder", problem));
        }
    };
    let text = holder.text();
    if text.trim().is_empty() || text.len() > LONGEST || text.chars().any(char::is_control) {
        let problem = "1 to 256 bytes of text are expected";
        return Err(GatewayError::invalid(field, problem));
    }
    Ok(holder)
}

fn scope(asked: &proto::v1::Grant) -> Result<Scope, GatewayError> {
    const FIELD: &str = "grant.tenant_ids";
    if asked.every_tenant != asked.tenant_ids.is_empty() {
        let problem = "either tenants are expected, or every_tenant";
        return Err(GatewayError::invalid(FIELD, problem));
    }
    if asked.every_tenant {
        return Ok(Scope::All);
    }
    let ids = asked.tenant_ids.iter().map(|id| TenantId::parse(id));
    let ids: Result<BTreeSet<_>, _> = ids.collect();
    ids.map(Scope::Only)
        .map_err(|_| GatewayError::invalid(FIELD, "the GUIDs of tenants are expected"))
}

fn message(stored: &Grant) -> proto::v1::Grant {
    let holder = match &stored.holder {
        Holder::Caller(name) => grant::Holder::Caller(name.clone()),
        Holder::Subject(subject) => grant::Holder::Subject(subject.clone()),
        Holder::Claim(value) => grant::Holder::Claim(value.clone()),
    };
    let (tenant_ids, every_tenant) = match &stored.scope {
        Scope::All => (Vec::new(), true),
        Scope::Only(ids) => (ids.iter().map(TenantId::to_string).collect(), false),
    };
    let roles = stored.roles.iter().map(|role| in_contract(*role).into());
    proto::v1::Grant {
        name: format!("{NAMES}{}", stored.id),
        holder: Some(holder),
        roles: roles.collect(),
        tenant_ids,
        every_tenant,
        author: stored.author.clone(),
        create_time: Some(proto::convert::timestamp(stored.created_at)),
    }
}

#[tonic::async_trait]
impl GrantService for Service {
    async fn list_grants(
        &self,
        request: Request<ListGrantsRequest>,
    ) -> Result<Response<ListGrantsResponse>, Status> {
        passage(&request)?;
        let request = request.into_inner();
        let grants = self.grants.read().await.map_err(GatewayError::from)?;
        let mut all: Vec<_> = grants.value.iter().map(message).collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        let page = page::paginate_by_key(
            all,
            request.page_size,
            &request.page_token,
            Order::Ascending,
            |grant| &grant.name,
        )
        .map_err(crate::tenants::invalid_page)?;
        Ok(Response::new(ListGrantsResponse {
            grants: page.items,
            next_page_token: page.next_page_token,
        }))
    }

    async fn create_grant(
        &self,
        request: Request<CreateGrantRequest>,
    ) -> Result<Response<CreateGrantResponse>, Status> {
        let passage = passage(&request)?;
        let grant = self.create(&passage, request.into_inner()).await?;
        Ok(Response::new(CreateGrantResponse {
            grant: Some(message(&grant)),
        }))
    }

    async fn delete_grant(
        &self,
        request: Request<DeleteGrantRequest>,
    ) -> Result<Response<DeleteGrantResponse>, Status> {
        let passage = passage(&request)?;
        self.delete(&passage, &request.into_inner().name).await?;
        Ok(Response::new(DeleteGrantResponse {}))
    }
}
