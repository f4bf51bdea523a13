//! The commands about the life of tenants: their end, guarded changes, the overview and
//! the import of many.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use model::TenantId;
use proto::name::parse_guarded_change;

use super::requests::OneTenant;
use super::value;

/// A guarded change: its full name, or its number in some tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChangeName {
    /// The tenant, where a full name was given.
    pub(crate) tenant: Option<TenantId>,
    /// Its number.
    pub(crate) number: u32,
}

fn change(text: &str) -> Result<ChangeName, String> {
    if text.contains('/') {
        let (tenant, number) = parse_guarded_change("name", text).map_err(|it| it.to_string())?;
        return Ok(ChangeName {
            tenant: Some(tenant),
            number,
        });
    }
    let number = text.parse().ok().filter(|number| *number > 0);
    let number = number.ok_or("the number of a change, or its full name, is expected")?;
    Ok(ChangeName {
        tenant: None,
        number,
    })
}

/// `KEY=VALUE`.
fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("KEY=VALUE is expected")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// How a tenant is sorted in, and when it is read.
#[derive(Debug, Args)]
pub(crate) struct Sorted {
    /// A group that it is in; may be repeated
    #[arg(long = "group", value_name = "GROUP", num_args = 1.., value_delimiter = ',')]
    pub(crate) groups: Vec<String>,
    /// A label; may be repeated
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    pub(crate) labels: Vec<(String, String)>,
    /// When its daily snapshots begin, in UTC [default: 00:00-06:00]
    #[arg(long, value_name = "HH:MM-HH:MM", value_parser = value::window)]
    pub(crate) schedule: Option<String>,
}

/// Which tenants are meant.
#[derive(Debug, Args)]
pub(crate) struct Filter {
    /// Only tenants of this group
    #[arg(long, value_name = "GROUP")]
    pub(crate) group: Option<String>,
    /// Only tenants with this label, whatever its value where none is given; may be repeated
    #[arg(long = "label", value_name = "KEY[=VALUE]")]
    pub(crate) labels: Vec<String>,
    /// Only tenants whose name or id holds this
    #[arg(long, value_name = "TEXT")]
    pub(crate) text: Option<String>,
}

/// Arguments of `rewind tenant overview`.
#[derive(Debug, Args)]
pub(crate) struct Overview {
    #[command(flatten)]
    pub(crate) filter: Filter,
    /// Only tenants that somebody should look at
    #[arg(long)]
    pub(crate) attention: bool,
    /// What they are sorted by
    #[arg(long, value_name = "WORD", default_value = "attention")]
    pub(crate) sort: Sort,
    /// The other way round
    #[arg(long)]
    pub(crate) reverse: bool,
    /// At most this many tenants
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(i32).range(1..=1000))]
    pub(crate) limit: i32,
}

/// What an overview is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sort {
    /// The most urgent first
    Attention,
    /// By name
    Name,
    /// The oldest newest snapshot first
    Age,
    /// The most changes of a week first
    Changes,
    /// The most severe signals of a week first
    Signals,
    /// The least guarded first
    Posture,
    /// The most storage first
    Bytes,
}

impl Sort {
    /// As the contract writes it.
    pub(crate) fn order(self, reverse: bool) -> String {
        let (word, own, other) = match self {
            Self::Attention => ("attention", "desc", "asc"),
            Self::Name => ("name", "asc", "desc"),
            Self::Age => ("age", "desc", "asc"),
            Self::Changes => ("changes", "desc", "asc"),
            Self::Signals => ("signals", "desc", "asc"),
            Self::Posture => ("posture", "asc", "desc"),
            Self::Bytes => ("bytes", "desc", "asc"),
        };
        format!("{word} {}", if reverse { other } else { own })
    }
}

/// Arguments of `rewind tenant import`.
#[derive(Debug, Args)]
pub(crate) struct ImportTenants {
    /// A CSV file with a heading: id and name, and any other column that docs/tenants.md lists
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Only tells what would be registered
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Arguments of `rewind tenant offboard`.
#[derive(Debug, Args)]
pub(crate) struct Offboard {
    #[command(flatten)]
    pub(crate) tenant: OneTenant,
    /// The tenant's id or name once more, in place of the question on a terminal
    #[arg(long, value_name = "ID|NAME")]
    pub(crate) confirm: Option<String>,
    /// Does not insist on an export of the newest snapshot
    #[arg(long)]
    pub(crate) without_export: bool,
}

/// `rewind tenant change …`
#[derive(Debug, Subcommand)]
pub(crate) enum ChangeCommand {
    /// Lists a tenant's guarded changes, newest first
    List(ListGuarded),
    /// Shows what a guarded change would do, and how far it is
    Show(OneChange),
    /// Agrees to a guarded change that somebody else asked for
    Approve(ApproveChange),
    /// Calls a guarded change off
    Cancel(CancelChange),
}

/// Arguments of `rewind tenant change list`.
#[derive(Debug, Args)]
pub(crate) struct ListGuarded {
    /// Only those that have not come to their end
    #[arg(long)]
    pub(crate) open: bool,
}

/// Names one guarded change.
#[derive(Debug, Args)]
pub(crate) struct OneChange {
    /// Its number, or its full name
    #[arg(value_name = "CHANGE", value_parser = change)]
    pub(crate) change: ChangeName,
}

/// Arguments of `rewind tenant change approve`.
#[derive(Debug, Args)]
pub(crate) struct ApproveChange {
    #[command(flatten)]
    pub(crate) change: OneChange,
    /// The hash of the change that was read, as `change show` prints it, in place of the question on a terminal
    #[arg(long, value_name = "HASH")]
    pub(crate) hash: Option<String>,
}

/// Arguments of `rewind tenant change cancel`.
#[derive(Debug, Args)]
pub(crate) struct CancelChange {
    #[command(flatten)]
    pub(crate) change: OneChange,
    /// Why, for whoever asked
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_named_by_its_number_or_in_full() {
        let id = "0a1b2c3d-0000-4000-8000-000000000001";
        assert_eq!(change("7").map(|it| (it.tenant, it.number)), Ok((None, 7)));
        let full = change(&format!("tenants/{id}/changes/7")).expect("a name");
        assert_eq!(full.tenant.map(|it| it.to_string()).as_deref(), Some(id));
        for wrong in ["0", "", "x", "-1", "tenants/x/changes/7", "tenants/7"] {
            assert!(change(wrong).is_err(), "{wrong}");
        }
        assert_eq!(label("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert!(label("a").is_err());
    }

    #[test]
    fn each_order_has_its_own_way_and_the_other() {
        assert_eq!(Sort::Name.order(false), "name asc");
        assert_eq!(Sort::Name.order(true), "name desc");
        assert_eq!(Sort::Attention.order(false), "attention desc");
    }
}
