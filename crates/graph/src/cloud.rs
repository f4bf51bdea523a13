//! The clouds in which Graph lives, and the endpoint of one tenant.
//!
//! Facts: Microsoft's list of national cloud deployments. Tokens of one cloud
//! are worth nothing in another.

use model::TenantId;
use url::Url;

use crate::error::GraphError;

/// A Microsoft cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cloud {
    /// The worldwide cloud, with GCC.
    Global,
    /// US Government L4 (GCC High).
    UsGov,
    /// US Department of Defense L5.
    UsGovDod,
    /// China, operated by 21Vianet.
    China,
}

impl Cloud {
    /// All clouds.
    pub const ALL: [Self; 4] = [Self::Global, Self::UsGov, Self::UsGovDod, Self::China];

    /// `global`, `usgov`, `usgov-dod` or `china`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::UsGov => "usgov",
            Self::UsGovDod => "usgov-dod",
            Self::China => "china",
        }
    }

    /// The reverse of [`Cloud::name`].
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cloud| cloud.name() == name)
    }

    /// Where tokens come from.
    #[must_use]
    pub fn login_url(self) -> Url {
        fixed(match self {
            Self::Global => "https://login.microsoftonline.com",
            Self::UsGov | Self::UsGovDod => "https://login.microsoftonline.us",
            Self::China => "https://login.chinacloudapi.cn",
        })
    }

    /// The root of Graph v1.0.
    #[must_use]
    pub fn graph_url(self) -> Url {
        fixed(match self {
            Self::Global => "https://graph.microsoft.com/v1.0",
            Self::UsGov => "https://graph.microsoft.us/v1.0",
            Self::UsGovDod => "https://dod-graph.microsoft.us/v1.0",
            Self::China => "https://microsoftgraph.chinacloudapi.cn/v1.0",
        })
    }
}

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
            graph_url: cloud.graph_url(),
            login_url: cloud.login_url(),
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
            graph_url: host(hosts.0, known.graph_url())?,
            login_url: host(hosts.1, known.login_url())?,
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
    fn names_are_reversible_and_scopes_name_the_clouds_own_graph() {
        let tenant = TenantId::parse("00000000-0000-0000-0000-00000000000a").unwrap();
        for cloud in Cloud::ALL {
            assert_eq!(Cloud::from_name(cloud.name()), Some(cloud));
            let endpoint = Endpoint::in_cloud(cloud, tenant.clone(), "app".to_owned());
            let host = cloud.graph_url().host_str().unwrap().to_owned();
            assert_eq!(endpoint.token_scope(), format!("https://{host}/.default"));
            assert!(endpoint.root().ends_with("/v1.0"));
            assert!(
                endpoint
                    .token_url()
                    .ends_with(&format!("/{tenant}/oauth2/v2.0/token"))
            );
            assert!(!endpoint.is_loopback());
        }
    }
}
