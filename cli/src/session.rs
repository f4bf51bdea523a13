//! One command's dealings with a gateway.
//!
//! Owns the rule by which a command finds its tenant: the full name given, else
//! `--tenant`, else the installation's only one. It never guesses among several.

use model::TenantId;
use proto::v1;

use crate::args::Global;
use crate::args::value::is_in_the_clear;
use crate::client::Client;
use crate::failure::Failure;
use crate::output::Output;

/// A connection with what the global flags say.
pub(crate) struct Session {
    /// The gateway.
    pub(crate) client: Client,
    /// Where to print.
    pub(crate) output: Output,
    tenant: Option<TenantId>,
}

impl Session {
    /// Connects.
    ///
    /// # Errors
    /// [`Failure`] where there is no usable token or no gateway.
    pub(crate) async fn open(global: &Global, output: Output) -> Result<Self, Failure> {
        if is_in_the_clear(&global.gateway) {
            output.warning("the token crosses the network in the clear: the gateway's address begins with http://");
        }
        Ok(Self {
            client: Client::connect(global).await?,
            output,
            tenant: global.tenant.clone(),
        })
    }

    /// The tenant of a command; `named` is what a full name said.
    ///
    /// # Errors
    /// [`Failure::Usage`] where nothing says which of several tenants is meant.
    pub(crate) async fn tenant(&self, named: Option<&TenantId>) -> Result<TenantId, Failure> {
        if let Some(tenant) = named.or(self.tenant.as_ref()) {
            return Ok(tenant.clone());
        }
        let request = self.client.unary(v1::ListTenantsRequest {
            page_size: 2,
            ..v1::ListTenantsRequest::default()
        });
        let answer = self
            .client
            .tenants()
            .list_tenants(request)
            .await?
            .into_inner();
        match (&answer.tenants[..], answer.next_page_token.is_empty()) {
            ([only], true) => {
                TenantId::parse(&only.id).map_err(|_| Failure::Answer("a tenant has no valid id"))
            }
            ([], true) => Err(Failure::Usage {
                message: "no tenant is registered, or none that you may see".to_owned(),
                hint: Some("register one with `rewind tenant add`"),
            }),
            _ => Err(Failure::Usage {
                message: "there are several tenants and nothing says which is meant".to_owned(),
                hint: Some(
                    "pass --tenant, set REWIND_TENANT or give a full name; `rewind tenant list` shows them",
                ),
            }),
        }
    }
}

/// The tenant that two full names agree on.
///
/// # Errors
/// [`Failure::Usage`] where they belong to different tenants.
pub(crate) fn agreed<'a>(
    first: Option<&'a TenantId>,
    second: Option<&'a TenantId>,
) -> Result<Option<&'a TenantId>, Failure> {
    match (first, second) {
        (Some(a), Some(b)) if a != b => Err(Failure::usage(
            "the names given belong to different tenants",
        )),
        _ => Ok(first.or(second)),
    }
}

/// Checks that a scope is not larger than the contract allows.
///
/// # Errors
/// [`Failure::Usage`] where it is.
pub(crate) fn scope(types: &[String], ids: &[String]) -> Result<Option<v1::Scope>, Failure> {
    const MOST: usize = 10_000;
    if ids.len() > MOST {
        return Err(Failure::usage(format!(
            "{} ids are given; {MOST} are allowed",
            ids.len()
        )));
    }
    let everything = types.is_empty() && ids.is_empty();
    Ok((!everything).then(|| v1::Scope {
        types: types.to_vec(),
        ids: ids.to_vec(),
    }))
}
