//! The endpoint of one tenant, in a Microsoft cloud or at hosts of its own.
//!
//! Owns the URLs that follow from it. A token is asked for the Graph of the
//! same endpoint and no other.

use model::{Cloud, TenantId};
use url::Url;

use crate::error::GraphError;

fn fixed(url: &str) -> Url {
    Url::parse(url).expect("invariant: the table holds URLs")
}

/// One tenant's Graph, and the application that talks to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The version root, such as `https://graph.microsoft.com/v1.0`.
    pub graph_url: Url,
    /// The host that issues tokens, such as `https://login.microsoftonline.com`.
    pub login_url: Url,
    /// The tenant.
    pub tenant: TenantId,
    /// The application (client) id.
    pub client_id: String,
}

impl Endpoint {
    /// A tenant in one of Microsoft's clouds.
    #[must_use]
    pub fn in_cloud(cloud: Cloud, tenant: TenantId, client_id: String) -> Self {
        Self {
            graph_url: fixed(cloud.graph_url()),
            login_url: fixed(cloud.login_url()),
            tenant,
            client_id,
        }
    }

    /// A tenant as it is registered: in a cloud by name, or with Graph and login
    /// hosts of its own.
    ///
    /// # Errors
    /// [`GraphError::Refused`] where the cloud is not known or a host is no URL.
    pub fn of(
        tenant: &TenantId,
        cloud: &str,
        hosts: (Option<&str>, Option<&str>),
        client_id: &str,
    ) -> Result<Self, GraphError> {
        let refused = |what: String| GraphError::Refused {
            what,
            path: "/".to_owned(),
        };
        let known =
            Cloud::from_name(cloud).ok_or_else(|| refused(format!("{cloud:?} is no cloud")))?;
        let host = |text: Option<&str>, usual: Url| {
            text.map_or(Ok(usual), |text| {
                Url::parse(text)
                    .map_err(|error| refused(format!("a host of the tenant is no URL: {error}")))
            })
        };
        Ok(Self {
            graph_url: host(hosts.0, fixed(known.graph_url()))?,
            login_url: host(hosts.1, fixed(known.login_url()))?,
            tenant: tenant.clone(),
            client_id: client_id.to_owned(),
        })
    }

    /// The version root as text, without a slash at the end.
    pub(crate) fn root(&self) -> String {
        self.graph_url.as_str().trim_end_matches('/').to_owned()
    }

    /// Where this tenant's tokens are issued.
    pub(crate) fn token_url(&self) -> String {
        format!(
            "{}/{}/oauth2/v2.0/token",
            self.login_url.as_str().trim_end_matches('/'),
            self.tenant
        )
    }

    /// What a token is asked for: everything consented to on this Graph.
    pub(crate) fn token_scope(&self) -> String {
        format!("{}/.default", self.graph_url.origin().ascii_serialization())
    }

    /// Whether both hosts are this machine, which no proxy can reach.
    pub(crate) fn is_loopback(&self) -> bool {
        [&self.graph_url, &self.login_url]
            .into_iter()
            .all(|url| match url.host() {
                Some(url::Host::Domain(name)) => name == "localhost",
                Some(url::Host::Ipv4(address)) => address.is_loopback(),
                Some(url::Host::Ipv6(address)) => address.is_loopback(),
                None => false,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_from_the_clouds_own_login_for_its_own_graph() {
        let tenant = TenantId::parse("00000000-0000-0000-0000-00000000000a").unwrap();
        let check = |cloud: Cloud, login: &str, graph: &str| {
            assert_eq!(Cloud::from_name(cloud.name()), Some(cloud));
            let endpoint = Endpoint::of(&tenant, cloud.name(), (None, None), "app").unwrap();
            assert_eq!(
                endpoint,
                Endpoint::in_cloud(cloud, tenant.clone(), "app".to_owned())
            );
            assert_eq!(endpoint.token_scope(), format!("https://{graph}/.default"));
            assert_eq!(endpoint.root(), format!("https://{graph}/v1.0"));
            assert_eq!(
                endpoint.token_url(),
                format!("https://{login}/{tenant}/oauth2/v2.0/token")
            );
            assert!(!endpoint.is_loopback());
        };
        check(
            Cloud::Global,
            "login.microsoftonline.com",
            "graph.microsoft.com",
        );
        check(
            Cloud::UsGov,
            "login.microsoftonline.us",
            "graph.microsoft.us",
        );
        check(
            Cloud::UsGovDod,
            "login.microsoftonline.us",
            "dod-graph.microsoft.us",
        );
        check(
            Cloud::China,
            "login.chinacloudapi.cn",
            "microsoftgraph.chinacloudapi.cn",
        );

        let hosts = (
            Some("http://127.0.0.1:8444/v1.0"),
            Some("http://127.0.0.1:8444"),
        );
        let custom = Endpoint::of(&tenant, "global", hosts, "app").unwrap();
        assert_eq!(custom.token_scope(), "http://127.0.0.1:8444/.default");
        assert!(custom.is_loopback());
        assert!(Endpoint::of(&tenant, "mars", (None, None), "app").is_err());
    }
}
