//! Which application signs in to a tenant, and what it proves itself with.
//!
//! Owns the choice, as registrations hold it. What a proof's reference leads to
//! is read elsewhere and never held here.

/// The application that signs in to a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Application {
    /// The installation's multitenant application of the kind in question.
    Installation,
    /// An application that the registration names.
    Own {
        /// The application's client id.
        client_id: String,
        /// How it proves itself.
        proof: Proof,
    },
}

/// How an application proves itself, and where what it needs for that is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// What lies at the reference.
    pub kind: ProofKind,
    /// `env:NAME` or `file:PATH`; for a federated token also `workload-identity`.
    /// Never a value.
    pub reference: String,
}

/// What an application proves itself with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProofKind {
    /// A client secret.
    Secret,
    /// A certificate and its private key, PEM.
    Certificate,
    /// A token of another issuer that the application trusts (workload identity
    /// federation).
    FederatedToken,
}

impl ProofKind {
    /// What people call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Certificate => "certificate",
            Self::FederatedToken => "federated token",
        }
    }
}
