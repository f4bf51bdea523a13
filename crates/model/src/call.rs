//! A write to Graph as a value: what a plan shows is what the restorer sends.

use serde_json::Value;

/// The HTTP method of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HttpMethod {
    /// Create, add, restore.
    Post,
    /// Change.
    Patch,
    /// Replace a single-valued reference.
    Put,
    /// Soft-delete an object or remove a reference.
    Delete,
}

impl HttpMethod {
    /// The method in capitals.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }

    /// The reverse of [`HttpMethod::as_str`].
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Post, Self::Patch, Self::Put, Self::Delete]
            .into_iter()
            .find(|method| method.as_str() == name)
    }
}

/// One Graph request that changes something.
///
/// `{graph}` inside a body stands for the Graph version root of the tenant's
/// cloud, which only the sender knows (`@odata.id` values need it).
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The method.
    pub method: HttpMethod,
    /// The path below the version root, beginning with a slash.
    pub path: String,
    /// The JSON body, where there is one.
    pub body: Option<Value>,
}
