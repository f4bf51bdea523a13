//! Making a plan.
//!
//! Owns the form with the choices of a restore, what an address puts into it beforehand,
//! and the request that it becomes.

use super::super::asked::{Asked, words};
use super::super::error::PageError;
use super::super::filters;
use super::super::form::Form;
use super::super::frame::{Answer, Frame, Section, page, see};
use super::super::reports::start::{Offered, all_types, offered, snapshots};
use super::super::session::Visit;
use super::super::told::page_of;
use askama::Template;
use proto::v1::{self, AddedPolicy, CaState, RelationshipMode, Risk};
use show::text::id_of;

#[derive(Template)]
#[template(path = "restores/new.html")]
struct New {
    frame: Frame,
    path: String,
    /// The report to start from; empty where a snapshot is.
    report: String,
    report_href: String,
    snapshots: Vec<Offered>,
    snapshot: String,
    scope: Scope,
    types: Vec<(String, String)>,
    chosen: Vec<String>,
    ids: Vec<String>,
    recreate: bool,
    /// Whether what was added since goes to the recycle bin.
    removes_added: bool,
}

impl New {
    fn is_chosen(&self, name: &str) -> bool {
        self.chosen.iter().any(|it| it == name)
    }
}

/// Which objects are to be restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    All,
    Types,
    Ids,
}

impl Scope {
    fn of(name: &str) -> Result<Self, PageError> {
        match name {
            "all" => Ok(Self::All),
            "types" => Ok(Self::Types),
            "ids" => Ok(Self::Ids),
            _ => Err(PageError::invalid("scope", "choose what to restore")),
        }
    }
}

/// What an address puts into the form.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wanted {
    report: String,
    snapshot: String,
    types: Vec<String>,
    ids: Vec<String>,
    recreate: bool,
    removes_added: bool,
}

/// Reads an address. What was deleted comes as `deleted=ID@SECONDS`; its snapshot is the
/// newest complete one from before the first of the deletions, since later ones hold it
/// as it lies in the bin.
fn wanted(asked: &Asked, snapshots: &[v1::Snapshot]) -> Wanted {
    let mut wanted = Wanted {
        report: asked.text("report").to_owned(),
        snapshot: asked.text("snapshot").to_owned(),
        types: asked.all("type"),
        ids: asked.all("id"),
        recreate: asked.is_set("recreate"),
        removes_added: asked.text("added") == "soft-delete",
    };
    let mut first = None;
    for deleted in asked.all("deleted") {
        let (id, seconds) = deleted.rsplit_once('@').unwrap_or((&deleted, ""));
        wanted.ids.push(id.to_owned());
        let seconds: Option<i64> = seconds.parse().ok();
        first = match (first, seconds) {
            (Some(first), Some(seconds)) => Some(seconds.min(first)),
            (first, seconds) => first.or(seconds),
        };
    }
    if let Some(first) = first {
        let before = |snapshot: &&v1::Snapshot| {
            snapshot.state() == v1::SnapshotState::Complete
                && snapshot.end_time.is_some_and(|time| time.seconds <= first)
        };
        // They come newest first.
        if let Some(snapshot) = snapshots.iter().find(before) {
            wanted.snapshot = id_of(&snapshot.name).to_owned();
        }
    }
    wanted
}

pub(super) async fn form(at: Visit, asked: Asked) -> Answer {
    let snapshots = snapshots(&at.session, &at.name()).await?;
    let wanted = wanted(&asked, &snapshots);
    let mut offered = offered(&snapshots);
    // One that is older than those that are offered.
    if !wanted.snapshot.is_empty()
        && wanted.snapshot != "latest"
        && offered.iter().all(|one| one.id != wanted.snapshot)
    {
        offered.push(Offered {
            id: wanted.snapshot.clone(),
            label: wanted.snapshot.clone(),
        });
    }
    let report_name = format!("{}/reports/{}", at.name(), wanted.report);
    page(&New {
        frame: at.frame(Section::Restores, "Plan a restore"),
        path: at.path("/restores"),
        report_href: page_of(&report_name),
        report: wanted.report,
        snapshots: offered,
        snapshot: wanted.snapshot,
        scope: match (wanted.types.is_empty(), wanted.ids.is_empty()) {
            (_, false) => Scope::Ids,
            (false, true) => Scope::Types,
            (true, true) => Scope::All,
        },
        types: all_types(),
        chosen: wanted.types,
        ids: wanted.ids,
        recreate: wanted.recreate,
        removes_added: wanted.removes_added,
    })
}

/// What a form asks for.
fn request(parent: String, form: &Form) -> Result<v1::CreatePlanRequest, PageError> {
    let scope = match Scope::of(form.text("scope"))? {
        Scope::All => v1::Scope::default(),
        Scope::Types => v1::Scope {
            types: form.all("type"),
            ids: Vec::new(),
        },
        Scope::Ids => v1::Scope {
            types: Vec::new(),
            ids: words(form.text("ids")),
        },
    };
    // Nothing must not mean everything.
    if form.text("scope") != "all" && scope.types.is_empty() && scope.ids.is_empty() {
        let problem = "nothing is chosen; choose types or objects, or everything";
        return Err(PageError::invalid("scope", problem));
    }
    let from_report = form.given("report").is_some();
    Ok(v1::CreatePlanRequest {
        parent,
        report: form.text("report").to_owned(),
        snapshot: match from_report {
            true => String::new(),
            false => form.text("snapshot").to_owned(),
        },
        scope: Some(scope),
        options: Some(options(form)?),
        request_id: form.request_id(),
        properties: words(form.text("properties")),
        links: words(form.text("links")),
        ..v1::CreatePlanRequest::default()
    })
}

fn options(form: &Form) -> Result<v1::PlanOptions, PageError> {
    let lockout = form
        .is_set("accept-lockout")
        .then_some(Risk::Lockout.into());
    Ok(v1::PlanOptions {
        added: match form.text("added") {
            "soft-delete" => AddedPolicy::SoftDelete,
            _ => AddedPolicy::Keep,
        }
        .into(),
        relationships: match form.text("relationships") {
            "merge" => RelationshipMode::Merge,
            "skip" => RelationshipMode::Skip,
            _ => RelationshipMode::Rollback,
        }
        .into(),
        ca_state: match form.text("ca-state") {
            "report-only" => CaState::ReportOnly,
            _ => CaState::Snapshot,
        }
        .into(),
        accepted_risks: lockout.into_iter().collect(),
        recreate_hard_deleted: form.is_set("recreate"),
        map_references: mapped(form.text("map-references"))?,
        drop_references: words(form.text("drop-references")),
    })
}

/// `OLD=NEW`, one on each line.
fn mapped(text: &str) -> Result<Vec<v1::MappedReference>, PageError> {
    let pairs = words(text).into_iter().map(|word| {
        let (old, new) = word.split_once('=').unwrap_or((&word, ""));
        if old.is_empty() || new.is_empty() {
            let problem = "OLD=NEW is expected on each line, two ids with an equals sign";
            return Err(PageError::invalid("references to replace", problem));
        }
        Ok(v1::MappedReference {
            old: old.to_owned(),
            new: new.to_owned(),
        })
    });
    pairs.collect()
}

pub(super) async fn create(at: Visit, form: Form) -> Answer {
    let request = request(at.name(), &form)?;
    let answer = at.session.restores().create_plan(request).await?;
    let plan = answer.into_inner().plan.unwrap_or_default();
    see(&at.path(&format!("/restores/{}", id_of(&plan.name))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(id: &str, end: i64, state: v1::SnapshotState) -> v1::Snapshot {
        v1::Snapshot {
            name: format!("tenants/t/snapshots/{id}"),
            end_time: Some(prost_types::Timestamp {
                seconds: end,
                nanos: 0,
            }),
            state: state.into(),
            ..v1::Snapshot::default()
        }
    }

    #[test]
    fn what_was_deleted_comes_back_from_before_it_was() {
        let snapshots = [
            snapshot("d", 400, v1::SnapshotState::Complete),
            snapshot("c", 300, v1::SnapshotState::Incomplete),
            snapshot("b", 200, v1::SnapshotState::Complete),
            snapshot("a", 100, v1::SnapshotState::Complete),
        ];
        for (query, snapshot, ids) in [
            ("deleted=u1@350", "b", vec!["u1"]),
            ("deleted=u1@500&deleted=u2@150", "a", vec!["u1", "u2"]),
            ("deleted=u1@200", "b", vec!["u1"]),
            ("deleted=u1@50", "", vec!["u1"]),
            ("deleted=u1@", "", vec!["u1"]),
            ("deleted=u1", "", vec!["u1"]),
            ("snapshot=x&id=u3", "x", vec!["u3"]),
            ("snapshot=x&deleted=u1@400", "d", vec!["u1"]),
        ] {
            let wanted = wanted(&Asked::read(query), &snapshots);
            let ids: Vec<String> = ids.into_iter().map(str::to_owned).collect();
            assert_eq!(
                (wanted.snapshot.as_str(), wanted.ids),
                (snapshot, ids),
                "{query}"
            );
        }
    }

    #[test]
    fn references_are_replaced_two_by_two() {
        let pairs = mapped("a=b\n c=d ").expect("pairs");
        let pairs: Vec<_> = pairs
            .iter()
            .map(|it| (it.old.as_str(), it.new.as_str()))
            .collect();
        assert_eq!(pairs, [("a", "b"), ("c", "d")]);
        for text in ["a", "a=", "=b", "a=b\nc"] {
            assert!(mapped(text).is_err(), "{text}");
        }
    }
}
