//! The arguments of `rewind audit`.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::value;

/// `rewind audit …`
#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Lists who called, about what and with which outcome, newest first
    List(ListAudit),
    /// Tells whether anything that was written down is missing or was changed
    Verify(VerifyAudit),
}

/// Arguments of `rewind audit list`.
#[derive(Debug, Args)]
pub(crate) struct ListAudit {
    /// What belongs to no tenant, in place of what belongs to one
    #[arg(long)]
    pub(crate) installation: bool,
    /// At most how many
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: u32,
    /// Only what is at most as old
    #[arg(long, value_name = "DURATION", value_parser = value::duration)]
    pub(crate) since: Option<Duration>,
    /// Only what is at least as old
    #[arg(long, value_name = "DURATION", value_parser = value::duration)]
    pub(crate) until: Option<Duration>,
    /// Only calls of this caller
    #[arg(long, value_name = "NAME", value_parser = value::text)]
    pub(crate) caller: Option<String>,
    /// Only calls of this method, such as TakeSnapshot
    #[arg(long, value_name = "METHOD", value_parser = value::text)]
    pub(crate) method: Option<String>,
    /// Only calls that ended so
    #[arg(long, value_name = "OUTCOME")]
    pub(crate) outcome: Option<Outcome>,
    /// Only these kinds
    #[arg(long = "kind", value_name = "KIND", num_args = 1.., value_delimiter = ',')]
    pub(crate) kinds: Vec<AuditKind>,
}

/// Arguments of `rewind audit verify`.
#[derive(Debug, Args)]
pub(crate) struct VerifyAudit {
    /// The chains of the installation, in place of those of a tenant
    #[arg(long)]
    pub(crate) installation: bool,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Outcome {
    /// It was answered
    Succeeded,
    /// It failed
    Failed,
    /// It was refused
    Denied,
    /// Nobody knows, since the gateway ended or could not write before it was over
    Unknown,
}

/// What an entry tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AuditKind {
    /// A call that changed nothing
    Read,
    /// A call that was to change something
    Mutation,
    /// A call that was refused
    Denial,
    /// A process of the gateway began
    Start,
    /// A process of the gateway told how far it has come
    Checkpoint,
    /// Entries were lost
    Lost,
}
