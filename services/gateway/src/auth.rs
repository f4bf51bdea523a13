//! Who calls.
//!
//! Owns the one way from what comes with a call to a [`Caller`]: a token or a client
//! certificate that an operator gave out, or a token of the OpenID issuer, for which
//! claims and the store's grants say what its bearer may do. Every refusal is the same.

mod caller;
pub(crate) mod certificate;
pub(crate) mod grants;
pub mod oidc;
pub mod roles;
mod tokens;

pub use caller::{Caller, Permit, Tenants};
pub use oidc::{Claims, Issuer};
pub use roles::Roles;
pub use tokens::{InvalidToken, Token, Tokens};

use crate::error::GatewayError;
use grants::Grants;
use http::header::AUTHORIZATION;
use http::{Extensions, HeaderMap};
use oidc::{Oidc, Refusal};
use std::sync::Arc;
use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo};

/// Knows callers.
#[derive(Debug)]
pub(crate) struct Authenticator {
    tokens: Tokens,
    oidc: Option<Oidc>,
    roles: Roles,
    grants: Grants,
}

impl Authenticator {
    pub(crate) fn new(tokens: Tokens, oidc: Option<Oidc>, roles: Roles, grants: Grants) -> Self {
        Self {
            tokens,
            oidc,
            roles,
            grants,
        }
    }

    /// Who calls, by the bearer token in the headers of a call.
    ///
    /// # Errors
    /// [`GatewayError::Unauthenticated`] where there is none that counts; where that
    /// cannot be told, because the issuer or the store is away.
    pub(crate) async fn authenticate(
        &self,
        headers: &HeaderMap,
    ) -> Result<Arc<Caller>, GatewayError> {
        let value = headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let (scheme, token) = value.split_once(' ').unwrap_or_default();
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(GatewayError::Unauthenticated);
        }
        self.authenticate_token(token.trim()).await
    }

    /// Who calls, by a token alone.
    ///
    /// # Errors
    /// As [`Authenticator::authenticate`].
    pub(crate) async fn authenticate_token(
        &self,
        token: &str,
    ) -> Result<Arc<Caller>, GatewayError> {
        if let Some(caller) = self.tokens.authenticate(token) {
            return Ok(caller);
        }
        let oidc = self.oidc.as_ref().ok_or(GatewayError::Unauthenticated)?;
        let identity = oidc
            .identity(token)
            .await
            .map_err(|refusal| match refusal {
                Refusal::Token(why) => {
                    tracing::debug!(why, "a token is refused");
                    GatewayError::Unauthenticated
                }
                Refusal::Away(_) => GatewayError::IssuerAway,
            })?;
        let mut permits = self.roles.of(&identity.values);
        match self.grants.of(&identity).await {
            Ok(granted) => permits.extend(granted),
            // What the token itself says still counts.
            Err(error) if permits.is_empty() => return Err(error),
            Err(_) => {}
        }
        Ok(Arc::new(Caller::with(identity.name, permits)))
    }

    /// Who calls, by the client certificate of the connection.
    pub(crate) fn certified(&self, extensions: &Extensions) -> Option<Arc<Caller>> {
        let tls = extensions.get::<TlsConnectInfo<TcpConnectInfo>>()?;
        let certificates = tls.peer_certs()?;
        self.tokens
            .certified(&certificate::names(certificates.first()?))
    }
}
