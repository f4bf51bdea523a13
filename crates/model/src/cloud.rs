//! The Microsoft clouds: their names, and where each issues tokens and has Graph.
//!
//! Facts: Microsoft's list of national cloud deployments. Tokens of one cloud
//! are worth nothing in another. This table opens no connection.

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

    /// Where tokens come from and administrators consent.
    #[must_use]
    pub fn login_url(self) -> &'static str {
        match self {
            Self::Global => "https://login.microsoftonline.com",
            Self::UsGov | Self::UsGovDod => "https://login.microsoftonline.us",
            Self::China => "https://login.chinacloudapi.cn",
        }
    }

    /// The root of Graph v1.0.
    #[must_use]
    pub fn graph_url(self) -> &'static str {
        match self {
            Self::Global => "https://graph.microsoft.com/v1.0",
            Self::UsGov => "https://graph.microsoft.us/v1.0",
            Self::UsGovDod => "https://dod-graph.microsoft.us/v1.0",
            Self::China => "https://microsoftgraph.chinacloudapi.cn/v1.0",
        }
    }
}
