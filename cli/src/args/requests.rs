//! The commands that call a gateway.
//!
//! Owns their arguments. Names are read here, so that everything behind holds
//! ids that are known to be well formed.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use model::drift::{InvalidWatch, OfDrift, Switches, Table};
use model::watch::OfAudit;
use model::{PlanId, ReportId, RestoreId, SignalId, SnapshotId, TenantId};
use proto::name::{parse_plan, parse_report, parse_restore, parse_signal, parse_snapshot};
use runtime::credentials::WORKLOAD_IDENTITY;

use super::tenants::{ChangeCommand, Filter, ImportTenants, Offboard, Overview, Sorted};
use super::value;

/// What a resource argument named: a full name, or a bare id of some tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named<Id> {
    /// The tenant, where a full name was given.
    pub(crate) tenant: Option<TenantId>,
    /// The resource.
    pub(crate) id: Id,
}

macro_rules! named {
    ($function:ident, $id:ident, $parse:ident) => {
        fn $function(text: &str) -> Result<Named<$id>, String> {
            if !text.contains('/') {
                let id = $id::parse(text).map_err(|error| error.to_string())?;
                return Ok(Named { tenant: None, id });
            }
            let (tenant, id) = $parse("name", text).map_err(|error| error.to_string())?;
            Ok(Named {
                tenant: Some(tenant),
                id,
            })
        }
    };
}

named!(snapshot, SnapshotId, parse_snapshot);
named!(report, ReportId, parse_report);
named!(plan, PlanId, parse_plan);
named!(restore, RestoreId, parse_restore);
named!(signal, SignalId, parse_signal);

/// A plan's or a restore's name; a bare id is both, since a restore carries its
/// plan's id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PlanOrRestore {
    /// A plan's name or a bare id.
    Plan(Named<PlanId>),
    /// A restore's full name.
    Restore(Named<RestoreId>),
}

fn plan_or_restore(text: &str) -> Result<PlanOrRestore, String> {
    if text.contains("/restores/") {
        restore(text).map(PlanOrRestore::Restore)
    } else {
        plan(text).map(PlanOrRestore::Plan)
    }
}

/// The other state of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Against {
    /// The live tenant.
    Live,
    /// Another snapshot.
    Snapshot(Named<SnapshotId>),
}

fn against(text: &str) -> Result<Against, String> {
    if text == "live" {
        Ok(Against::Live)
    } else {
        snapshot(text).map(Against::Snapshot)
    }
}

/// Whether a command waits for the end of what it starts.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Waiting {
    /// Waits for the end and prints the finished resource (the default)
    #[arg(long, conflicts_with = "detach")]
    wait: bool,
    /// Returns at once
    #[arg(long)]
    pub(crate) detach: bool,
}

/// `rewind tenant …`
#[derive(Debug, Subcommand)]
pub(crate) enum TenantCommand {
    /// Registers a tenant
    Add(Box<AddTenant>),
    /// Lists the tenants that you may see
    List(Filter),
    /// Shows one tenant
    Show(OneTenant),
    /// Tries a tenant's credentials, licence and permissions
    Check(OneTenant),
    /// Changes settings of a registered tenant; what would protect less waits for a second person
    Update(Box<UpdateTenant>),
    /// Registers the tenants of a CSV file
    Import(ImportTenants),
    /// Tells how all tenants are, and which somebody should look at
    Overview(Overview),
    /// Asks that a tenant be suspended: nothing is collected, and what there is stays
    Suspend(OneTenant),
    /// Serves a suspended tenant again
    Resume(OneTenant),
    /// Asks that a tenant be erased for good, after an export
    Offboard(Offboard),
    /// Prints the certificate of a tenant's erasure
    Certificate(OneTenant),
    /// Shows, approves and cancels what was asked for and protects a tenant less
    #[command(subcommand)]
    Change(ChangeCommand),
}

/// Arguments of `rewind tenant update`.
#[derive(Debug, Args)]
pub(crate) struct UpdateTenant {
    #[command(flatten)]
    pub(crate) tenant: OneTenant,
    #[command(flatten)]
    pub(crate) watched: Watched,
    /// Which restore plans need a second person: off, on, or on with changes=N, conditional-access=off, privileged=off, expires=Nh
    #[arg(long, value_name = "POLICY", value_parser = value::approval)]
    pub(crate) approval: Option<String>,
    /// The only users that must keep their way in, in place of those registered
    #[arg(long, value_name = "ID", value_parser = value::object_id, num_args = 1.., value_delimiter = ',')]
    pub(crate) break_glass: Vec<String>,
    /// Names no users any more that must keep their way in
    #[arg(long, conflicts_with = "break_glass")]
    pub(crate) no_break_glass: bool,
    #[command(flatten)]
    pub(crate) webhook: Webhook,
    /// Sends signals nowhere any more
    #[arg(long, conflicts_with = "webhook")]
    pub(crate) no_webhook: bool,
    /// What people call it
    #[arg(long, value_name = "NAME", value_parser = value::text)]
    pub(crate) name: Option<String>,
    /// Which snapshots are kept, such as recent=5,weeks=4,months=12; also days, floor-days, minimum
    #[arg(long, value_name = "NAME=N,…", value_parser = value::retention)]
    pub(crate) retention: Option<String>,
    #[command(flatten)]
    pub(crate) sorted: Sorted,
    /// Takes it out of all groups
    #[arg(long, conflicts_with = "groups")]
    pub(crate) no_groups: bool,
    /// Takes all labels away
    #[arg(long, conflicts_with = "labels")]
    pub(crate) no_labels: bool,
}

/// What is watched after each daily snapshot, and in the audit log.
#[derive(Debug, Args)]
pub(crate) struct Watched {
    /// Whether each daily snapshot is compared with the one before [default: on]
    #[arg(long, value_name = "SWITCH")]
    drift_watch: Option<Switch>,
    /// From when on a rule raises a signal, or off; rules that are not named are as by default
    #[arg(long, value_name = "RULE=LIMIT", value_parser = value::rule::<OfDrift>, num_args = 1.., value_delimiter = ',')]
    drift_rule: Vec<String>,
    /// Whether the tenant's audit log is watched [default: on]
    #[arg(long, value_name = "SWITCH")]
    audit_watch: Option<Switch>,
    /// From how many on a rule of the audit log raises a signal, or off; rules that are not named are as by default
    #[arg(long, value_name = "RULE=NUMBER", value_parser = value::rule::<OfAudit>, num_args = 1.., value_delimiter = ',')]
    audit_rule: Vec<String>,
}

impl Watched {
    /// What is watched of drift, as the contract writes it; `None` where no flag says
    /// anything.
    ///
    /// # Errors
    /// Where a rule is named twice.
    pub(crate) fn of_drift(&self) -> Result<Option<String>, InvalidWatch> {
        text::<OfDrift>(self.drift_watch, &self.drift_rule)
    }

    /// The same of the audit log.
    ///
    /// # Errors
    /// As [`Watched::of_drift`].
    pub(crate) fn of_audit(&self) -> Result<Option<String>, InvalidWatch> {
        text::<OfAudit>(self.audit_watch, &self.audit_rule)
    }
}

fn text<T: Table>(on: Option<Switch>, rules: &[String]) -> Result<Option<String>, InvalidWatch> {
    if on.is_none() && rules.is_empty() {
        return Ok(None);
    }
    let switch = match on {
        Some(Switch::Off) => "off",
        Some(Switch::On) | None => "on",
    };
    let rules = rules.iter().map(String::as_str);
    let parts: Vec<&str> = std::iter::once(switch).chain(rules).collect();
    let watch: Switches<T> = parts.join(",").parse()?;
    Ok(Some(watch.to_string()))
}

/// Whether something is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    /// It is.
    On,
    /// It is not.
    Off,
}

/// `rewind signals …`
#[derive(Debug, Subcommand)]
pub(crate) enum SignalsCommand {
    /// Lists a tenant's signals, newest first
    List(ListSignals),
    /// Shows one signal with its evidence
    Show(ShowSignal),
    /// Prints signals as they are raised, one on each line
    Watch(WatchSignals),
    /// Sends a signal to the tenant's webhook once more
    Redeliver(RedeliverSignal),
}

/// Arguments of `rewind signals list`.
#[derive(Debug, Args)]
pub(crate) struct ListSignals {
    /// Only signals that are at least as severe
    #[arg(long, value_name = "SEVERITY")]
    pub(crate) severity: Option<Severity>,
    /// Only signals that are at most as old
    #[arg(long, value_name = "DURATION", value_parser = value::duration)]
    pub(crate) since: Option<Duration>,
    /// Only signals that were to be sent to the webhook and have not arrived
    #[arg(long)]
    pub(crate) undelivered: bool,
}

/// Arguments of `rewind signals watch`.
#[derive(Debug, Args)]
pub(crate) struct WatchSignals {
    /// Only signals that are at least as severe
    #[arg(long, value_name = "SEVERITY")]
    pub(crate) severity: Option<Severity>,
    /// First those that are at most as old
    #[arg(long, value_name = "DURATION", value_parser = value::duration)]
    pub(crate) since: Option<Duration>,
}

/// Arguments of `rewind signals redeliver`.
#[derive(Debug, Args)]
pub(crate) struct RedeliverSignal {
    /// A full name or a bare id
    #[arg(value_name = "SIGNAL", value_parser = signal)]
    pub(crate) signal: Named<SignalId>,
}

/// Where signals are sent.
#[derive(Debug, Args)]
pub(crate) struct Webhook {
    /// Sends each signal to this https URL
    #[arg(long, value_name = "URL", value_parser = value::webhook_url, requires = "webhook_secret")]
    pub(crate) webhook: Option<String>,
    /// Where what they are signed with is: env:NAME or file:PATH
    #[arg(long, value_name = "REFERENCE", requires = "webhook")]
    pub(crate) webhook_secret: Option<String>,
    /// Sends only signals that are at least as severe [default: low]
    #[arg(long, value_name = "SEVERITY", requires = "webhook")]
    pub(crate) webhook_severity: Option<Severity>,
}

/// How soon somebody should look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Severity {
    /// Worth knowing
    Low,
    /// Worth a look within days
    Medium,
    /// Worth a look today
    High,
    /// Worth waking somebody
    Critical,
}

/// Arguments of `rewind signals show`.
#[derive(Debug, Args)]
pub(crate) struct ShowSignal {
    /// A full name or a bare id
    #[arg(value_name = "SIGNAL", value_parser = signal)]
    pub(crate) signal: Named<SignalId>,
}

/// `rewind protect …`
#[derive(Debug, Subcommand)]
pub(crate) enum ProtectCommand {
    /// Reads a tenant and tells what guards it, what does not, and what to do
    Status(ShowPosture),
    /// Lists the postures that were kept after daily snapshots, newest first
    History,
    /// Plans the least that guards a tenant against hard deletion and shows the plan; nothing is written
    Plan(PlanProtection),
    /// Applies such a plan; where none is named, makes one, shows it and asks
    Apply(ApplyProtection),
}

/// Arguments of `rewind protect status`.
#[derive(Debug, Args)]
pub(crate) struct ShowPosture {
    /// The posture that was kept after this snapshot, or the newest one with `latest`, in place of the tenant as it is now
    #[arg(long, value_name = "SNAPSHOT", value_parser = snapshot)]
    pub(crate) snapshot: Option<Named<SnapshotId>>,
}

/// What a plan that protects is made with.
#[derive(Debug, Args)]
pub(crate) struct ProtectionArgs {
    /// Lets through only the devices that this rule describes, such as 'device.extensionAttribute1 -eq "PAW"'
    #[arg(long, value_name = "RULE", value_parser = value::text)]
    pub(crate) device_filter: Option<String>,
    /// Plans what would be left out for its risk; may be repeated
    #[arg(long = "accept-risk", value_name = "RISK", num_args = 1)]
    pub(crate) accepted_risks: Vec<AcceptedRisk>,
}

/// Arguments of `rewind protect plan`.
#[derive(Debug, Args)]
pub(crate) struct PlanProtection {
    #[command(flatten)]
    pub(crate) protection: ProtectionArgs,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
}

/// Arguments of `rewind protect apply`.
#[derive(Debug, Args)]
pub(crate) struct ApplyProtection {
    /// A full name or a bare id; a new plan is made where none is given
    #[arg(value_name = "PLAN", value_parser = plan_or_restore, conflicts_with_all = ["device_filter", "accepted_risks"])]
    pub(crate) plan: Option<PlanOrRestore>,
    /// Applies the plan that is made without asking
    #[arg(long, conflicts_with = "plan")]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) protection: ProtectionArgs,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
}

/// `rewind access …`
#[derive(Debug, Subcommand)]
pub(crate) enum AccessCommand {
    /// Lists what is granted
    List,
    /// Grants roles, to be held by callers with a token of the OpenID issuer
    Grant(GrantAccess),
    /// Takes a grant back
    Revoke(RevokeAccess),
}

/// Arguments of `rewind access grant`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("holder").required(true).args(["name", "subject", "claim"])))]
#[command(group(ArgGroup::new("scope").required(true).args(["for_tenant", "every_tenant"])))]
pub(crate) struct GrantAccess {
    /// To who is called so by the issuer
    #[arg(long, value_name = "NAME", value_parser = value::text)]
    pub(crate) name: Option<String>,
    /// To whom the issuer knows by this `sub`, or Entra ID by this object id
    #[arg(long, value_name = "ID", value_parser = value::text)]
    pub(crate) subject: Option<String>,
    /// To everybody whose token has this value in its claim of roles
    #[arg(long, value_name = "VALUE", value_parser = value::text)]
    pub(crate) claim: Option<String>,
    /// What they may do
    #[arg(long, value_name = "ROLE", required = true)]
    pub(crate) role: Vec<GrantedRole>,
    /// For this tenant
    #[arg(long, value_name = "GUID", value_parser = value::tenant)]
    pub(crate) for_tenant: Vec<TenantId>,
    /// For every tenant, also those registered later
    #[arg(long)]
    pub(crate) every_tenant: bool,
}

/// A role to be granted.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum GrantedRole {
    /// Sees snapshots, reports, plans and restores
    Reader,
    /// Also takes snapshots, and creates reports and restores
    Administrator,
    /// Approves what needs a second person
    Approver,
    /// Registers tenants and changes settings
    Operator,
}

impl GrantedRole {
    /// The role of the contract.
    pub(crate) fn in_contract(self) -> proto::v1::Role {
        match self {
            Self::Reader => proto::v1::Role::Reader,
            Self::Administrator => proto::v1::Role::Administrator,
            Self::Approver => proto::v1::Role::Approver,
            Self::Operator => proto::v1::Role::Operator,
        }
    }
}

/// Arguments of `rewind access revoke`.
#[derive(Debug, Args)]
pub(crate) struct RevokeAccess {
    /// The grant, as `rewind access list` names it
    #[arg(value_name = "GRANT", value_parser = value::text)]
    pub(crate) grant: String,
}

/// `rewind store …`
#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Tries whether the object store keeps what backups rest on
    Check,
}

/// Arguments of `rewind tenant add`.
#[derive(Debug, Args)]
pub(crate) struct AddTenant {
    /// The directory's GUID
    #[arg(long, value_name = "GUID", value_parser = value::tenant)]
    pub(crate) id: TenantId,
    /// What people call it
    #[arg(long, value_name = "NAME", value_parser = value::text)]
    pub(crate) name: String,
    /// The cloud that it is in
    #[arg(long, default_value = "global")]
    pub(crate) cloud: Cloud,
    /// A Graph version root of its own, where the server allows it
    #[arg(long, value_name = "URL", value_parser = value::http_url, requires = "login_url")]
    pub(crate) graph_url: Option<String>,
    /// A login host of its own, where the server allows it
    #[arg(long, value_name = "URL", value_parser = value::http_url, requires = "graph_url")]
    pub(crate) login_url: Option<String>,
    /// The application that reads; the installation's where none is named
    #[arg(long, value_name = "ID", value_parser = value::object_id, requires = "reader_proof")]
    pub(crate) reader_client_id: Option<String>,
    /// Where its secret is: env:NAME or file:PATH
    #[arg(
        long,
        value_name = "REFERENCE",
        group = "reader_proof",
        requires = "reader_client_id"
    )]
    pub(crate) reader_secret: Option<String>,
    /// Where its certificate and private key are, in PEM: file:PATH
    #[arg(
        long,
        value_name = "REFERENCE",
        group = "reader_proof",
        requires = "reader_client_id"
    )]
    pub(crate) reader_certificate: Option<String>,
    /// It trusts the identity that the platform gives to the services that read,
    /// or the issuer of the token in another file
    #[arg(
        long,
        value_name = "file:PATH",
        group = "reader_proof",
        requires = "reader_client_id",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = WORKLOAD_IDENTITY
    )]
    pub(crate) workload_identity: Option<String>,
    /// The application that restores; the installation's where neither is named
    #[arg(long, value_name = "ID", value_parser = value::object_id, requires = "writer_proof")]
    pub(crate) writer_client_id: Option<String>,
    /// Where its secret is: env:NAME or file:PATH
    #[arg(
        long,
        value_name = "REFERENCE",
        group = "writer_proof",
        requires = "writer_client_id"
    )]
    pub(crate) writer_secret: Option<String>,
    /// Where its certificate and private key are, in PEM: file:PATH
    #[arg(
        long,
        value_name = "REFERENCE",
        group = "writer_proof",
        requires = "writer_client_id"
    )]
    pub(crate) writer_certificate: Option<String>,
    /// It trusts the identity that the platform gives to the restorer, or the
    /// issuer of the token in another file
    #[arg(
        long,
        value_name = "file:PATH",
        group = "writer_proof",
        requires = "writer_client_id",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = WORKLOAD_IDENTITY
    )]
    pub(crate) writer_workload_identity: Option<String>,
    /// Users that must keep their way in
    #[arg(long, value_name = "ID", value_parser = value::object_id, num_args = 1.., value_delimiter = ',')]
    pub(crate) break_glass: Vec<String>,
    /// Which snapshots are kept, such as recent=5,weeks=4,months=12; also days, floor-days, minimum
    #[arg(long, value_name = "NAME=N,…", value_parser = value::retention)]
    pub(crate) retention: Option<String>,
    /// Which restore plans need a second person: off, on, or on with changes=N, conditional-access=off, privileged=off, expires=Nh [default: off]
    #[arg(long, value_name = "POLICY", value_parser = value::approval)]
    pub(crate) approval: Option<String>,
    #[command(flatten)]
    pub(crate) watched: Watched,
    #[command(flatten)]
    pub(crate) webhook: Webhook,
    #[command(flatten)]
    pub(crate) sorted: Sorted,
}

/// The clouds that Microsoft runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Cloud {
    /// The public cloud.
    Global,
    /// Azure Government.
    Usgov,
    /// Azure Government for the Department of Defense.
    UsgovDod,
    /// Azure China.
    China,
}

impl Cloud {
    /// The name on the wire.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Usgov => "usgov",
            Self::UsgovDod => "usgov-dod",
            Self::China => "china",
        }
    }
}

/// Names one tenant.
#[derive(Debug, Args)]
pub(crate) struct OneTenant {
    /// The tenant; --tenant where absent
    #[arg(value_name = "ID", id = "tenant_name", value_parser = value::tenant)]
    pub(crate) tenant: Option<TenantId>,
}

/// `rewind snapshot …`
#[derive(Debug, Subcommand)]
pub(crate) enum SnapshotCommand {
    /// Takes a snapshot now
    Take(TakeSnapshot),
    /// Lists a tenant's snapshots, newest first
    List,
    /// Shows one snapshot, or one object of it
    Show(ShowSnapshot),
    /// Finds objects of a snapshot by what they are called
    Search(SearchSnapshot),
    /// Writes a snapshot into a folder, for other programs
    Export(ExportSnapshot),
    /// Keeps a snapshot whatever retention says, or lifts that
    Hold(HoldSnapshot),
    /// Looks for damage in what is stored of a tenant; ends with 1 where there is any
    Verify(VerifySnapshots),
    /// Puts back damaged files that the copy of the store still has
    Repair(RepairSnapshots),
    /// Copies snapshots into the store that the server's settings name
    Copy(CopySnapshots),
}

/// Arguments of `rewind snapshot verify`.
#[derive(Debug, Args)]
pub(crate) struct VerifySnapshots {
    /// How closely the files are looked at
    #[arg(long, value_name = "DEPTH", default_value = "structure")]
    pub(crate) depth: HowDeep,
}

/// How closely stored files are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum HowDeep {
    /// That every file is there and begins and ends as it was written
    Structure,
    /// Every byte of every file
    EveryByte,
}

/// Arguments of `rewind snapshot repair`.
#[derive(Debug, Args)]
pub(crate) struct RepairSnapshots {
    /// Lets this snapshot go if it is still damaged in the end; may be repeated
    #[arg(long, value_name = "SNAPSHOT", value_parser = snapshot, num_args = 1)]
    pub(crate) drop: Vec<Named<SnapshotId>>,
}

/// Arguments of `rewind snapshot copy`.
#[derive(Debug, Args)]
pub(crate) struct CopySnapshots {
    /// A full name, a bare id or `latest`; all of the tenant's where absent
    #[arg(value_name = "SNAPSHOT", value_parser = snapshot)]
    pub(crate) snapshot: Option<Named<SnapshotId>>,
    /// Copies all of the tenant's snapshots (the default)
    #[arg(long, conflicts_with = "snapshot")]
    all: bool,
}

/// Arguments of `rewind snapshot hold`.
#[derive(Debug, Args)]
pub(crate) struct HoldSnapshot {
    /// A full name or a bare id
    #[arg(value_name = "SNAPSHOT", value_parser = snapshot)]
    pub(crate) snapshot: Named<SnapshotId>,
    /// Why, for whoever finds it held
    #[arg(long, value_name = "TEXT", required_unless_present = "lift")]
    pub(crate) reason: Option<String>,
    /// Lifts the hold
    #[arg(long, conflicts_with = "reason")]
    pub(crate) lift: bool,
}

/// Arguments of `rewind snapshot take`.
#[derive(Debug, Args)]
pub(crate) struct TakeSnapshot {
    #[command(flatten)]
    pub(crate) waiting: Waiting,
}

/// Arguments of `rewind snapshot show`.
#[derive(Debug, Args)]
pub(crate) struct ShowSnapshot {
    /// A full name, a bare id or `latest`
    #[arg(value_name = "SNAPSHOT", value_parser = snapshot)]
    pub(crate) snapshot: Named<SnapshotId>,
    /// Shows the object with this id, as it was
    #[arg(long, value_name = "ID", value_parser = value::object_id)]
    pub(crate) id: Option<String>,
    /// Its type, where objects of several types have the id
    #[arg(long = "type", value_name = "TYPE", value_parser = value::object_type, requires = "id")]
    pub(crate) object_type: Option<String>,
}

/// Arguments of `rewind snapshot search`.
#[derive(Debug, Args)]
pub(crate) struct SearchSnapshot {
    /// A full name, a bare id or `latest`
    #[arg(long, value_name = "SNAPSHOT", default_value = "latest", value_parser = snapshot)]
    pub(crate) snapshot: Named<SnapshotId>,
    /// Only objects of these types
    #[arg(long = "type", value_name = "TYPE", value_parser = value::object_type, num_args = 1, value_delimiter = ',')]
    pub(crate) types: Vec<String>,
    /// The text stands at the beginning of a name
    #[arg(long)]
    pub(crate) prefix: bool,
    /// A part of a display name, user principal name, application id or id
    #[arg(value_name = "TEXT", value_parser = value::text)]
    pub(crate) text: String,
}

/// Arguments of `rewind snapshot export`.
#[derive(Debug, Args)]
pub(crate) struct ExportSnapshot {
    /// A full name, a bare id or `latest`
    #[arg(long, value_name = "SNAPSHOT", value_parser = snapshot)]
    pub(crate) snapshot: Named<SnapshotId>,
    /// The folder, which must be empty or absent
    #[arg(long, value_name = "DIR")]
    pub(crate) to: PathBuf,
    /// How it is written
    #[arg(long, value_name = "FORMAT", default_value = "json")]
    pub(crate) format: ExportFormat,
    /// Only objects of these types, and the links that they hold
    #[arg(long = "type", value_name = "TYPE", value_parser = value::object_type, num_args = 1.., value_delimiter = ',')]
    pub(crate) types: Vec<String>,
}

/// How an export is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// One file per object, in the layout of Microsoft's EntraExporter
    Json,
    /// One file per type with an object on each line, and one of the links
    Jsonl,
    /// One Parquet file of the objects and one of the links
    Parquet,
}

impl ExportFormat {
    /// As it is written on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Jsonl => "jsonl",
            Self::Parquet => "parquet",
        }
    }
}

/// `rewind diff …`
#[derive(Debug, Subcommand)]
pub(crate) enum DiffCommand {
    /// Makes a difference report
    Create(Box<CreateDiff>),
    /// Shows a report with its changes
    Show(Box<ShowDiff>),
    /// Writes a report with its changes as one document
    Export(ExportDiff),
    /// Ends the making of a report; one that is made stays as it is
    Cancel(OneReport),
    /// Lists a tenant's reports, newest first
    List,
}

/// Arguments of commands about one report.
#[derive(Debug, Args)]
pub(crate) struct OneReport {
    /// A full name or a bare id
    #[arg(value_name = "REPORT", value_parser = report)]
    pub(crate) report: Named<ReportId>,
}

/// Arguments of `rewind diff create`.
#[derive(Debug, Args)]
pub(crate) struct CreateDiff {
    /// The base: a full name, a bare id or `latest`
    #[arg(long, value_name = "SNAPSHOT", value_parser = snapshot)]
    pub(crate) snapshot: Named<SnapshotId>,
    /// The target: `live` or another snapshot
    #[arg(long, value_name = "live|SNAPSHOT", default_value = "live", value_parser = against)]
    pub(crate) against: Against,
    /// Only objects of these types
    #[arg(long = "type", value_name = "TYPE", value_parser = value::object_type, num_args = 1.., value_delimiter = ',')]
    pub(crate) types: Vec<String>,
    /// Only the objects with these ids
    #[arg(long = "id", value_name = "ID", value_parser = value::object_id, num_args = 1.., value_delimiter = ',')]
    pub(crate) ids: Vec<String>,
    /// Reads the live tenant as a whole, in place of what changed since the newest snapshot
    #[arg(long, conflicts_with = "max_age")]
    pub(crate) full: bool,
    /// How long ago the live tenant may have been read; afresh where absent
    #[arg(long, value_name = "DURATION", value_parser = value::duration)]
    pub(crate) max_age: Option<Duration>,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
}

/// Arguments of `rewind diff show`.
#[derive(Debug, Args)]
pub(crate) struct ShowDiff {
    /// A full name or a bare id
    #[arg(value_name = "REPORT", value_parser = report)]
    pub(crate) report: Named<ReportId>,
    /// Only changes of these types
    #[arg(long = "type", value_name = "TYPE", value_parser = value::object_type, num_args = 1.., value_delimiter = ',')]
    pub(crate) types: Vec<String>,
    /// Only changes of these kinds
    #[arg(long = "kind", value_name = "KIND", num_args = 1.., value_delimiter = ',')]
    pub(crate) kinds: Vec<ChangeKind>,
    /// Only changes of these attributes or relations, such as conditions.users or members
    #[arg(long = "attribute", value_name = "PATH", value_parser = value::text, num_args = 1.., value_delimiter = ',')]
    pub(crate) attributes: Vec<String>,
    /// Only changes of objects that this one did something to: an id, or a part of a name
    #[arg(long, value_name = "ID|NAME", value_parser = value::text)]
    pub(crate) actor: Option<String>,
    /// Only changes in which this text stands: in a name, an id or a value
    #[arg(long, value_name = "TEXT", value_parser = value::text)]
    pub(crate) text: Option<String>,
}

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ChangeKind {
    /// It is new
    Added,
    /// It differs
    Modified,
    /// It is in the recycle bin
    SoftDeleted,
    /// It is gone
    HardDeleted,
    /// It was in the recycle bin and is back
    Restored,
}

/// Arguments of `rewind diff export`.
#[derive(Debug, Args)]
pub(crate) struct ExportDiff {
    /// A full name or a bare id
    #[arg(value_name = "REPORT", value_parser = report)]
    pub(crate) report: Named<ReportId>,
    /// How it is written
    #[arg(long, value_name = "FORMAT", default_value = "json")]
    pub(crate) format: ReportFormat,
    /// The file, which must not be there yet; standard output where absent
    #[arg(long, value_name = "FILE")]
    pub(crate) to: Option<PathBuf>,
}

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// One JSON document with the report and all its changes
    Json,
    /// A table with a row for each attribute and link that differs
    Csv,
    /// A page for people, which needs nothing but itself
    Html,
    /// A line for each object with the JSON Patch (RFC 6902) from its old to its current state
    Patch,
}

impl ReportFormat {
    /// As it is written on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Html => "html",
            Self::Patch => "patch",
        }
    }
}

/// `rewind deleted …`
#[derive(Debug, Subcommand)]
pub(crate) enum DeletedCommand {
    /// Lists what was soft-deleted, with who did it and how long it can be restored
    List,
}

/// `rewind restore …`
#[derive(Debug, Subcommand)]
pub(crate) enum RestoreCommand {
    /// Plans a restore and shows the plan; nothing is written
    Plan(Box<MakePlan>),
    /// Shows a plan with its steps and exclusions, or a restore by its full name
    Show(OneRestore),
    /// Approves somebody else's plan, so that it may be applied
    Approve(ApprovePlan),
    /// Applies a plan
    Apply(ApplyPlan),
    /// Goes on with a restore where an earlier attempt ended
    Resume(ApplyPlan),
    /// Waits for the end of a running restore
    Watch(OneRestore),
    /// Lists a tenant's plans and restores, newest first
    List,
    /// Lists the steps of a restore that did not succeed
    Failures(ListFailures),
    /// Cancels a restore for good: what is applied stays, nothing more is written
    Cancel(ApplyPlan),
    /// Plans the way back to just before a restore; nothing is written
    Undo(ApplyPlan),
}

/// Arguments of `rewind restore plan`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("base").required(true).args(["report", "snapshot"])))]
#[command(group(ArgGroup::new("which").args(["all", "types", "ids"])))]
pub(crate) struct MakePlan {
    /// The report to start from: a full name or a bare id
    #[arg(long, value_name = "REPORT", value_parser = report)]
    pub(crate) report: Option<Named<ReportId>>,
    /// The snapshot to go back to: a full name, a bare id or `latest`
    #[arg(long, value_name = "SNAPSHOT", value_parser = snapshot)]
    pub(crate) snapshot: Option<Named<SnapshotId>>,
    /// Every object of the report or snapshot (the default)
    #[arg(long)]
    pub(crate) all: bool,
    /// Only objects of these types
    #[arg(long = "type", value_name = "TYPE", value_parser = value::object_type, num_args = 1.., value_delimiter = ',')]
    pub(crate) types: Vec<String>,
    /// Only the objects with these ids
    #[arg(long = "id", value_name = "ID", value_parser = value::object_id, num_args = 1.., value_delimiter = ',')]
    pub(crate) ids: Vec<String>,
    #[command(flatten)]
    pub(crate) parts: Parts,
    /// What becomes of links, grants, assignments and federated credentials
    #[arg(long, value_name = "MODE", default_value = "rollback")]
    pub(crate) relationships: Relationships,
    /// What becomes of objects, passwords and keys added since the snapshot; kept where absent
    #[arg(long, value_name = "POLICY")]
    pub(crate) added: Option<Added>,
    /// In which state Conditional Access policies are written
    #[arg(long, value_name = "STATE", default_value = "snapshot")]
    pub(crate) ca_state: CaState,
    /// Plans what would be left out for its risk; may be repeated
    #[arg(long = "accept-risk", value_name = "RISK", num_args = 1)]
    pub(crate) accepted_risks: Vec<AcceptedRisk>,
    /// Makes other objects in place of those that are hard-deleted, under new ids
    #[arg(long)]
    pub(crate) recreate_hard_deleted: bool,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
}

/// Parts of objects, and what policies name in the place of what is gone for good.
#[derive(Debug, Args)]
pub(crate) struct Parts {
    /// Only these properties, by Graph's names
    #[arg(long = "property", value_name = "PROPERTY", num_args = 1.., value_delimiter = ',')]
    pub(crate) properties: Vec<String>,
    /// Only these links: a relation and the id of the other end
    #[arg(long = "link", value_name = "REL:ID", value_parser = value::link, num_args = 1.., value_delimiter = ',')]
    pub(crate) links: Vec<String>,
    /// Names another object in policies in the place of one that is hard-deleted
    #[arg(long = "map-reference", value_name = "OLD=NEW", value_parser = value::mapping, num_args = 1.., value_delimiter = ',')]
    pub(crate) map_references: Vec<(String, String)>,
    /// Leaves a user who is hard-deleted out of policies; never a group, role or location
    #[arg(long = "drop-reference", value_name = "ID", value_parser = value::object_id, num_args = 1.., value_delimiter = ',')]
    pub(crate) drop_references: Vec<String>,
}

/// In which state Conditional Access policies are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CaState {
    /// As in the snapshot
    Snapshot,
    /// Enabled ones in report-only mode, for a person to enable
    ReportOnly,
}

/// A risk that keeps steps out of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AcceptedRisk {
    /// Break-glass accounts, or all Global Administrators, may be unable to sign in
    Lockout,
}

/// Arguments of `rewind restore approve`.
#[derive(Debug, Args)]
pub(crate) struct ApprovePlan {
    /// A full name or a bare id
    #[arg(value_name = "PLAN", value_parser = plan_or_restore)]
    pub(crate) name: PlanOrRestore,
    /// The plan's hash as it was read; refused where the plan has another
    #[arg(long, value_name = "HASH", default_value = "")]
    pub(crate) hash: String,
}

/// What becomes of links, and of what else only ties objects together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Relationships {
    /// Exactly those of the snapshot
    Rollback,
    /// Add what is missing, remove nothing
    Merge,
    /// Leave all as they are
    Skip,
}

/// What becomes of objects that were added since the snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Added {
    /// Leave them; the plan lists them
    Keep,
    /// Soft-delete them where their type can be soft-deleted; remove added passwords and keys
    SoftDelete,
}

/// Names one plan or restore.
#[derive(Debug, Args)]
pub(crate) struct OneRestore {
    /// A full name or a bare id
    #[arg(value_name = "PLAN_OR_RESTORE", value_parser = plan_or_restore)]
    pub(crate) name: PlanOrRestore,
}

/// Arguments of `rewind restore failures`.
#[derive(Debug, Args)]
pub(crate) struct ListFailures {
    /// A full name or a bare id
    #[arg(value_name = "PLAN_OR_RESTORE", value_parser = plan_or_restore)]
    pub(crate) name: PlanOrRestore,
    /// Every step, with what was found before and after it as JSON
    #[arg(long)]
    pub(crate) all: bool,
}

/// Arguments of `rewind restore apply`, `resume`, `cancel` and `undo`.
#[derive(Debug, Args)]
pub(crate) struct ApplyPlan {
    /// A full name or a bare id
    #[arg(value_name = "PLAN_OR_RESTORE", value_parser = plan_or_restore)]
    pub(crate) name: PlanOrRestore,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
}

/// `rewind keys …`
#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Writes a recovery bundle for each tenant: its keys, encrypted for the recipients alone
    Export(ExportKeys),
    /// Wraps the tenants' keys with the installation's present key, after that was changed
    Rewrap,
    /// Gives one tenant a new key, which seals what is written from now on
    Rotate,
    /// Erases the tenant that --tenant names: deletes its keys, so that nobody can read anything of it
    Erase(EraseKeys),
    /// Takes a tenant's keys back from a recovery bundle, in the store itself: no service need run
    Import(ImportKeys),
}

/// Arguments of `rewind keys erase`.
#[derive(Debug, Args)]
pub(crate) struct EraseKeys {
    /// The tenant's id or name once more, in place of the question on a terminal
    #[arg(long, value_name = "ID|NAME")]
    pub(crate) confirm: Option<String>,
}

/// Arguments of `rewind keys import`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("wrapping key").required(true).multiple(false).args(["key_file", "key_vault_key"]))]
pub(crate) struct ImportKeys {
    /// The tenant's recovery bundle, as `rewind keys export` wrote it
    #[arg(long, value_name = "FILE")]
    pub(crate) bundle: PathBuf,
    /// The age identity file that opens the bundle
    #[arg(long, value_name = "FILE")]
    pub(crate) identity: PathBuf,
    /// The object store of the installation
    #[arg(long, env = "REWIND_STORE_URL", value_name = "URL")]
    pub(crate) store: String,
    /// The object store of the wrapped keys, where it is another one
    #[arg(long, env = "REWIND_KEYS_URL", value_name = "URL")]
    pub(crate) keys_url: Option<String>,
    /// The key file that will wrap the keys
    #[arg(long, env = "REWIND_KEY_FILE", value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// The key in Azure Key Vault that will wrap the keys
    #[arg(long, env = "REWIND_KEY_VAULT_KEY", value_name = "URL")]
    pub(crate) key_vault_key: Option<String>,
    /// Brings an erased tenant back
    #[arg(long)]
    pub(crate) undo_erasure: bool,
}

/// Arguments of `rewind keys export`.
#[derive(Debug, Args)]
pub(crate) struct ExportKeys {
    /// Who will be able to open the bundles: age public keys
    #[arg(long = "recipient", value_name = "age1…", num_args = 1.., value_delimiter = ',', required = true)]
    pub(crate) recipients: Vec<String>,
    /// The folder where the bundles are written, made where it is missing
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) to: PathBuf,
}
