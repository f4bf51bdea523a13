//! The command line: every flag and argument of `rewind`.
//!
//! Owns what may be written and checks its shape, so that a malformed argument
//! fails before any call. It never asks a server and never prints.

mod audit;
mod requests;
mod tenants;
pub(crate) mod value;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use model::TenantId;

pub(crate) use audit::{AuditCommand, AuditKind, ListAudit, Outcome, VerifyAudit};
pub(crate) use requests::{
    AcceptedRisk, AccessCommand, AddTenant, Added, Against, ApplyPlan, ApplyProtection,
    ApprovePlan, CaState, ChangeKind, CopySnapshots, CreateDiff, DeletedCommand, DiffCommand,
    EraseKeys, ExportDiff, ExportFormat, ExportKeys, ExportSnapshot, GrantAccess, HoldSnapshot,
    HowDeep, ImportKeys, KeysCommand, ListFailures, ListSignals, MakePlan, Named, OneReport,
    OneTenant, PlanOrRestore, PlanProtection, ProtectCommand, ProtectionArgs, RedeliverSignal,
    Relationships, RepairSnapshots, ReportFormat, RestoreCommand, RevokeAccess, SearchSnapshot,
    Severity, ShowDiff, ShowPosture, ShowSignal, ShowSnapshot, SignalsCommand, SnapshotCommand,
    StoreCommand, TakeSnapshot, TenantCommand, UpdateTenant, VerifySnapshots, Waiting,
    WatchSignals, Webhook,
};

pub(crate) use tenants::{
    ApproveChange, CancelChange, ChangeCommand, Filter, ImportTenants, ListGuarded, Offboard,
    OneChange, Overview,
};

/// Backs up Microsoft Entra ID tenants, shows what changed, puts it back.
#[derive(Debug, Parser)]
#[command(
    name = "rewind",
    version,
    propagate_version = true,
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags that every command takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// The gateway to call
    #[arg(
        long,
        global = true,
        env = "REWIND_GATEWAY",
        value_name = "URL",
        default_value = "http://127.0.0.1:8443",
        value_parser = value::http_url,
        help_heading = "Global options"
    )]
    pub(crate) gateway: String,
    /// The file that holds the bearer token
    #[arg(
        long,
        global = true,
        env = "REWIND_TOKEN_FILE",
        value_name = "FILE",
        help_heading = "Global options"
    )]
    pub(crate) token_file: Option<PathBuf>,
    /// The tenant that bare ids belong to; not needed where there is only one
    #[arg(
        long,
        global = true,
        env = "REWIND_TENANT",
        value_name = "TENANT",
        value_parser = value::tenant,
        help_heading = "Global options"
    )]
    pub(crate) tenant: Option<TenantId>,
    /// How results are printed
    #[arg(
        long,
        global = true,
        value_name = "FORMAT",
        default_value = "table",
        help_heading = "Global options"
    )]
    pub(crate) output: Format,
    /// Shows no progress
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) no_progress: bool,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// For programs: the protobuf JSON of the answer, lists as one array.
    Json,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Shows everything in one process with a practice tenant: snapshot, attack, report, restore, verify
    Demo(DemoArgs),
    /// Runs all four services in one process with a file store
    Up(UpArgs),
    /// Runs the practice tenant alone
    Simulate(SimulateArgs),
    /// Registers tenants and tells whether they can be served
    #[command(subcommand)]
    Tenant(TenantCommand),
    /// Takes and shows snapshots
    #[command(subcommand)]
    Snapshot(SnapshotCommand),
    /// Tells what changed since a snapshot
    #[command(subcommand)]
    Diff(DiffCommand),
    /// Plans restores, applies plans, and tells how they went
    #[command(subcommand)]
    Restore(RestoreCommand),
    /// Tells what lies in a tenant's recycle bins
    #[command(subcommand)]
    Deleted(DeletedCommand),
    /// Looks after the keys that open the tenants' data
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Tells what in a tenant somebody should look at
    #[command(subcommand)]
    Signals(SignalsCommand),
    /// Tells how well a tenant is guarded against hard deletion
    #[command(subcommand)]
    Protect(ProtectCommand),
    /// Says who may do what
    #[command(subcommand)]
    Access(AccessCommand),
    /// Tells who called the gateway, about what and with which outcome
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Looks after the object store
    #[command(subcommand)]
    Store(StoreCommand),
}

/// Arguments of `rewind demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Users in the practice tenant
    #[arg(long, value_name = "N")]
    pub(crate) users: Option<usize>,
    /// Leaves everything running afterwards
    #[arg(long)]
    pub(crate) keep: bool,
}

/// Arguments of `rewind up`.
#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    /// Where snapshots, keys and the token are kept
    #[arg(long, value_name = "DIR", default_value = "rewind-data")]
    pub(crate) data: PathBuf,
    /// Where the gateway listens: on loopback, since it speaks plain HTTP
    #[arg(
        long,
        value_name = "ADDRESS",
        default_value = "127.0.0.1:8443",
        value_parser = value::loopback
    )]
    pub(crate) listen: std::net::SocketAddr,
}

/// Arguments of `rewind simulate`.
#[derive(Debug, Args)]
pub(crate) struct SimulateArgs {
    /// Where the practice tenant listens
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8444")]
    pub(crate) listen: std::net::SocketAddr,
    /// Loads recorded or written objects; may be repeated
    #[arg(long, value_name = "FILE|DIR", num_args = 1..)]
    pub(crate) load: Vec<PathBuf>,
    /// Users to make up; 100 where nothing is loaded
    #[arg(long, value_name = "N")]
    pub(crate) users: Option<usize>,
    /// Groups to make up; 20 where nothing is loaded
    #[arg(long, value_name = "N")]
    pub(crate) groups: Option<usize>,
    /// Chooses what is made up; the same seed makes the same tenant
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Whether the limits that Microsoft documents are enforced
    #[arg(long, value_name = "LIMITS", default_value = "off")]
    pub(crate) throttle: Limits,
    /// The share of Graph requests that is spoilt at random, from 0 to 1
    #[arg(long, value_name = "RATE", default_value_t = 0.0, value_parser = value::share)]
    pub(crate) faults: f64,
    /// How many seconds reads may lag behind writes; for small tenants
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0, value_parser = value::seconds)]
    pub(crate) lag: f64,
}

/// The practice tenant's limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Limits {
    /// As Microsoft documents them.
    Documented,
    /// None.
    Off,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_practice_tenant_may_be_told_to_misbehave() {
        let words = "rewind simulate --throttle documented --faults 0.1 --lag 30";
        let cli = Cli::try_parse_from(words.split(' ')).expect("a command line");
        let Command::Simulate(args) = cli.command else {
            panic!("another command");
        };
        assert_eq!(
            (args.throttle, args.faults, args.lag),
            (Limits::Documented, 0.1, 30.0)
        );
    }

    fn tenant_add(flags: &str) -> Result<AddTenant, String> {
        let line =
            format!("rewind tenant add --id 0a1b2c3d-0000-4000-8000-00000000beef --name X {flags}");
        let cli = Cli::try_parse_from(line.split_whitespace()).map_err(|error| {
            let text = error.to_string();
            text.lines().next().unwrap_or_default().to_owned()
        })?;
        match cli.command {
            Command::Tenant(TenantCommand::Add(args)) => Ok(*args),
            other => Err(format!("{other:?}")),
        }
    }

    #[test]
    fn an_application_comes_with_exactly_one_proof_or_not_at_all() {
        let bare = tenant_add("").expect("the installation's applications");
        assert_eq!((bare.reader_client_id, bare.writer_client_id), (None, None));

        let args = tenant_add(
            "--reader-client-id r --workload-identity --writer-client-id w --writer-certificate file:w.pem",
        )
        .expect("one proof each");
        assert_eq!(args.workload_identity.as_deref(), Some("workload-identity"));
        assert_eq!(args.writer_certificate.as_deref(), Some("file:w.pem"));
        let args = tenant_add("--reader-client-id r --workload-identity=file:token")
            .expect("a token in a file");
        assert_eq!(args.workload_identity.as_deref(), Some("file:token"));

        for flags in [
            "--reader-client-id r",
            "--reader-secret env:A",
            "--reader-certificate file:a",
            "--workload-identity",
            "--writer-client-id w",
            "--writer-workload-identity",
            "--reader-client-id r --reader-secret env:A --reader-certificate file:a",
            "--reader-client-id r --reader-secret env:A --workload-identity",
            "--writer-client-id w --writer-secret env:A --writer-workload-identity",
            "--reader-client-id r --writer-secret env:A",
            "--cloud mars",
        ] {
            assert!(tenant_add(flags).is_err(), "{flags}");
        }
        for cloud in ["global", "usgov", "usgov-dod", "china"] {
            let args = tenant_add(&format!("--cloud {cloud}")).expect(cloud);
            assert_eq!(args.cloud.name(), cloud);
        }
    }
}
