//! What the pages of plans and restores say, as plain data.
//!
//! Pure: messages come in, and what a template shows goes out.

use super::super::error::PageError;
use super::super::filters::span;
use super::super::parts::{Badge, Tone};
use super::super::reports::view::not_understood;
use super::super::told::{Fact, Facts, Object, Sides, count, page_of, percent, scope, state};
use model::person;
use prost_types::Timestamp;
use proto::v1::{
    self, AddedPolicy, OutcomeState, PlanState, RelationshipMode, RestoreState, Risk, StepAction,
};
use show::compare::rows;
use show::text::id_of;
use show::words;

/// How a restore stands.
pub(super) fn badge(restore: &v1::Restore) -> Badge {
    match restore.state() {
        RestoreState::Planned => Badge::new(Tone::Plain, "Planned"),
        RestoreState::Running => Badge::new(Tone::Busy, "Running"),
        RestoreState::Interrupted => Badge::new(Tone::Warn, "Interrupted"),
        RestoreState::Succeeded if restore.verified => Badge::new(Tone::Good, "Verified"),
        RestoreState::Succeeded => Badge::new(Tone::Warn, "Not verified"),
        RestoreState::SucceededWithWarnings => Badge::new(Tone::Warn, "With warnings"),
        RestoreState::Cancelled => Badge::new(Tone::Plain, "Cancelled"),
        RestoreState::Unspecified => Badge::new(Tone::Plain, "Unknown"),
    }
}

/// What a plan or restore is for.
fn purpose(undo_of: &str, snapshot: &str) -> Fact {
    match (undo_of, snapshot) {
        ("", "") => Fact::text("For", "protection against hard deletion"),
        ("", snapshot) => state("Back to", snapshot),
        (undone, _) => Fact::link(
            "Undoes",
            format!("restore {}", id_of(undone)),
            page_of(undone),
        ),
    }
}

/// One plan or restore of the list.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) href: String,
    pub(super) id: String,
    pub(super) purpose: Fact,
    pub(super) badge: Badge,
    pub(super) started: Option<Timestamp>,
    pub(super) ended: Option<Timestamp>,
    pub(super) steps: i32,
    pub(super) applied: i32,
    pub(super) troubled: i32,
    pub(super) planned_by: String,
}

impl Line {
    pub(super) fn of(restore: &v1::Restore) -> Self {
        Self {
            href: page_of(&restore.name),
            id: id_of(&restore.name).to_owned(),
            purpose: purpose(&restore.undo_of, &restore.snapshot),
            badge: badge(restore),
            started: restore.start_time,
            ended: restore.end_time,
            steps: restore.step_count,
            applied: restore.applied + restore.already_done,
            troubled: restore.conflicts + restore.failed + restore.skipped,
            planned_by: person::shown(&restore.planned_by).to_owned(),
        }
    }
}

/// What a plan says of itself.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) facts: Facts,
    pub(super) choices: Facts,
    pub(super) steps: i32,
    pub(super) exclusions: i32,
    pub(super) estimate: String,
    pub(super) risks: Vec<String>,
    pub(super) drift: Vec<String>,
    pub(super) hash: String,
    /// Whether nothing of the plan is there to be applied, since it was not made.
    pub(super) has_failed: bool,
    pub(super) is_protection: bool,
}

impl Head {
    pub(super) fn of(plan: &v1::Plan) -> Self {
        let estimate = match plan.estimate_seconds {
            ..=1 => "a second or so".to_owned(),
            seconds => format!("about {}", span(seconds)),
        };
        Self {
            facts: Facts { facts: facts(plan) },
            choices: Facts {
                facts: choices(plan),
            },
            steps: plan.step_count,
            exclusions: plan.exclusion_count,
            estimate,
            risks: plan.risks.clone(),
            drift: plan.drift.clone(),
            hash: plan.hash.clone(),
            has_failed: plan.state() != PlanState::Ready,
            is_protection: plan.protection.is_some(),
        }
    }
}

fn facts(plan: &v1::Plan) -> Vec<Fact> {
    let mut facts = vec![purpose(&plan.undo_of, &plan.snapshot)];
    if !plan.report.is_empty() {
        let id = id_of(&plan.report);
        facts.push(Fact::link("From report", id, page_of(&plan.report)));
    }
    if plan.protection.is_none() && plan.undo_of.is_empty() {
        facts.push(Fact::text("Objects", scope(plan.scope.as_ref())));
    }
    facts.push(Fact::time("Made", plan.create_time));
    if !plan.author.is_empty() {
        facts.push(Fact::text("By", person::shown(&plan.author)));
    }
    facts
}

/// What was chosen when the plan was made, in words.
fn choices(plan: &v1::Plan) -> Vec<Fact> {
    let options = plan.options.clone().unwrap_or_default();
    let mut facts = Vec::new();
    if plan.protection.is_none() && plan.undo_of.is_empty() {
        facts.extend([
            Fact::text("Added objects", added(options.added())),
            Fact::text("Relationships", relationships(options.relationships())),
            Fact::text("Conditional Access policies", ca_state(options.ca_state())),
        ]);
    }
    if options.recreate_hard_deleted {
        let made = "are made anew, under other ids";
        facts.push(Fact::text("Hard-deleted objects", made));
    }
    if options.accepted_risks().any(|risk| risk == Risk::Lockout) {
        facts.push(Fact::text("Accepted risk", "lockout"));
    }
    let mapped = options.map_references.iter();
    let mapped: Vec<String> = mapped
        .map(|one| format!("{} → {}", one.old, one.new))
        .collect();
    let filter = plan.protection.as_ref().map(|it| it.device_filter.clone());
    let further = [
        ("Only properties", plan.properties.join(", ")),
        ("Only links", plan.links.join(", ")),
        ("References replaced", mapped.join(", ")),
        ("References left out", options.drop_references.join(", ")),
        ("Workstations", filter.unwrap_or_default()),
    ];
    let further = further.into_iter().filter(|(_, text)| !text.is_empty());
    facts.extend(further.map(|(label, text)| Fact::text(label, text)));
    facts
}

fn added(policy: AddedPolicy) -> &'static str {
    match policy {
        AddedPolicy::SoftDelete => "go to the recycle bin, where their type has one",
        AddedPolicy::Keep | AddedPolicy::Unspecified => "stay",
    }
}

fn relationships(mode: RelationshipMode) -> &'static str {
    match mode {
        RelationshipMode::Merge => "missing ones are added, none is removed",
        RelationshipMode::Skip => "stay as they are",
        RelationshipMode::Rollback | RelationshipMode::Unspecified => "exactly as in the snapshot",
    }
}

fn ca_state(state: v1::CaState) -> &'static str {
    match state {
        v1::CaState::ReportOnly => "written in report-only mode",
        v1::CaState::Snapshot | v1::CaState::Unspecified => "as in the snapshot",
    }
}

/// What a step does, and the class of the style sheet for it.
fn action(action: StepAction) -> (&'static str, &'static str) {
    match action {
        StepAction::RestoreDeleted => ("Bring back from the recycle bin", "restored"),
        StepAction::Update => ("Set back", "modified"),
        StepAction::DisableEntries => ("Switch entries off", "modified"),
        StepAction::AddLinks => ("Add links", "added"),
        StepAction::RemoveLink => ("Remove a link", "hard"),
        StepAction::Untrust => ("Make untrusted", "modified"),
        StepAction::SoftDelete => ("Move to the recycle bin", "soft"),
        StepAction::MakeAnew => ("Make anew", "added"),
        StepAction::RemoveRelation => ("Remove", "hard"),
        StepAction::RemoveCredential => ("Remove a credential", "hard"),
        StepAction::Recreate => ("Make in place of the lost one", "added"),
        StepAction::Create => ("Make", "added"),
        StepAction::Protect => ("Protect an action", "modified"),
        StepAction::Unspecified => ("Another step", "modified"),
    }
}

/// One write of a plan.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) number: i32,
    pub(super) action: &'static str,
    pub(super) class: &'static str,
    pub(super) object: Object,
    pub(super) reason: String,
    pub(super) sides: Sides,
    pub(super) call: String,
    pub(super) permission: String,
    /// The steps that must have succeeded before, in words; empty where none.
    pub(super) after: String,
    /// What is to be known of ids that are not there yet; empty where nothing.
    pub(super) made_anew: &'static str,
}

impl Step {
    /// # Errors
    /// Where the step is not as the contract says.
    pub(super) fn of(step: &v1::PlanStep) -> Result<Self, PageError> {
        let (label, class) = action(step.action());
        let object = Object::of(step.object.as_ref());
        let after: Vec<String> = step.after.iter().map(ToString::to_string).collect();
        let rows = rows(&step.attributes, &step.links, &[]);
        Ok(Self {
            number: step.number,
            action: label,
            class,
            sides: Sides {
                caption: format!("What step {} changes of {}", step.number, object.name.short),
                labels: ["Now", "Afterwards"],
                rows: rows.map_err(not_understood)?,
            },
            object,
            reason: step.reason.clone(),
            call: format!("{} {}", step.method, step.path),
            permission: step.permission.clone(),
            after: match after.len() {
                0 => String::new(),
                1 => format!("step {}", after[0]),
                _ => format!("steps {}", after.join(", ")),
            },
            made_anew: match step.made_anew.is_empty() {
                true => "",
                false => {
                    "Ids in it that earlier steps make anew are replaced when the step is carried out."
                }
            },
        })
    }
}

/// Something that a plan does not do.
#[derive(Debug)]
pub(super) struct Exclusion {
    pub(super) object: Object,
    pub(super) part: String,
    pub(super) name: &'static str,
    pub(super) why: String,
}

impl Exclusion {
    pub(super) fn of(exclusion: &v1::Exclusion) -> Self {
        let (name, why) = words::obstacle(exclusion.obstacle());
        Self {
            object: Object::of(exclusion.object.as_ref()),
            part: exclusion.part.clone(),
            name,
            why: match exclusion.detail.as_str() {
                "" => why.to_owned(),
                detail => detail.to_owned(),
            },
        }
    }
}

/// Whether a second person has to agree, and whether one has.
#[derive(Debug, PartialEq)]
pub(super) enum Consent {
    /// Nobody has to.
    NotNeeded,
    /// Somebody has to.
    Needed { reasons: Vec<String>, whose: Whose },
    /// Somebody has.
    Given {
        by: String,
        time: Option<Timestamp>,
        until: Option<Timestamp>,
    },
}

/// Whose turn it is to approve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// Of whoever looks.
    Mine,
    /// Of somebody else, since whoever looks made the plan.
    NotMine,
    /// Of somebody else, since whoever looks lacks the role.
    Theirs,
}

impl Consent {
    /// `caller` is who looks, and `may_approve` whether they have the role.
    pub(super) fn of(plan: &v1::Plan, caller: &str, may_approve: bool) -> Self {
        if plan.approval_required.is_empty() {
            return Self::NotNeeded;
        }
        if let Some(approval) = plan
            .approval
            .as_ref()
            .filter(|it| it.plan_hash == plan.hash)
        {
            return Self::Given {
                by: person::shown(&approval.approver).to_owned(),
                time: approval.create_time,
                until: approval.expire_time,
            };
        }
        let whose = if person::is_same(&plan.author, caller) {
            Whose::NotMine
        } else if may_approve {
            Whose::Mine
        } else {
            Whose::Theirs
        };
        Self::Needed {
            reasons: plan.approval_required.clone(),
            whose,
        }
    }

    /// Whether the plan may be applied as far as this goes.
    pub(super) fn lets_through(&self) -> bool {
        !matches!(self, Self::Needed { .. })
    }
}

/// The longest name that a person is asked to type.
const TYPED: usize = 40;

/// What a person types to begin: the tenant's name, or the number of steps where the
/// name cannot well be typed.
pub(super) fn phrase(tenant: &v1::Tenant, steps: i32) -> String {
    let name = tenant.display_name.trim();
    let is_typed =
        |c: char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '.' | '_' | '&' | ',' | '(' | ')');
    let fits = (1..=TYPED).contains(&name.chars().count()) && name.chars().all(is_typed);
    match fits && !name.contains("  ") {
        true => name.to_owned(),
        false => steps.to_string(),
    }
}

/// How far a restore is, and how it ended.
#[derive(Debug)]
pub(super) struct Course {
    pub(super) badge: Badge,
    pub(super) state: RestoreState,
    /// What there is to say first, and how grave it is.
    pub(super) verdict: (Tone, String),
    pub(super) tiles: Vec<(&'static str, i32, &'static str)>,
    pub(super) done: i32,
    pub(super) steps: i32,
    pub(super) percent: i64,
    pub(super) facts: Facts,
    pub(super) unexpected: Vec<String>,
    pub(super) meanwhile: Vec<String>,
    pub(super) open_matters: Vec<String>,
    pub(super) troubled: i32,
    pub(super) is_undo: bool,
}

impl Course {
    pub(super) fn of(restore: &v1::Restore) -> Self {
        let troubled = restore.conflicts + restore.failed + restore.skipped;
        let done = restore.applied + restore.already_done + troubled;
        Self {
            badge: badge(restore),
            state: restore.state(),
            verdict: verdict(restore, troubled),
            tiles: tiles(restore),
            done,
            steps: restore.step_count,
            percent: percent(done.into(), restore.step_count.into()),
            facts: Facts {
                facts: course_facts(restore),
            },
            unexpected: restore.unexpected.clone(),
            meanwhile: restore.meanwhile.clone(),
            open_matters: restore.open_matters.clone(),
            troubled,
            is_undo: !restore.undo_of.is_empty(),
        }
    }

    /// Whether it has ended for good.
    pub(super) fn has_ended(&self) -> bool {
        matches!(
            self.state,
            RestoreState::Succeeded | RestoreState::SucceededWithWarnings | RestoreState::Cancelled
        )
    }

    pub(super) fn is_planned(&self) -> bool {
        self.state == RestoreState::Planned
    }

    pub(super) fn is_running(&self) -> bool {
        self.state == RestoreState::Running
    }

    pub(super) fn is_interrupted(&self) -> bool {
        self.state == RestoreState::Interrupted
    }
}

fn tiles(restore: &v1::Restore) -> Vec<(&'static str, i32, &'static str)> {
    let all = [
        ("Applied", restore.applied, "good"),
        ("Had nothing to do", restore.already_done, ""),
        ("Stopped as a conflict", restore.conflicts, "warn"),
        ("Failed", restore.failed, "bad"),
        ("Not tried", restore.skipped, "warn"),
    ];
    let shown = |(at, (_, number, _)): &(usize, (&str, i32, &str))| *at == 0 || *number > 0;
    let tiles = all.into_iter().enumerate().filter(shown);
    tiles.map(|(_, tile)| tile).collect()
}

fn verdict(restore: &v1::Restore, troubled: i32) -> (Tone, String) {
    let steps = count(troubled.into(), "step", "steps");
    let applied = format!("{} of {} steps", restore.applied, restore.step_count);
    match restore.state() {
        RestoreState::Planned => (Tone::Plain, "Nothing was written yet.".to_owned()),
        RestoreState::Running => (Tone::Busy, "The plan is being applied.".to_owned()),
        RestoreState::Interrupted => (
            Tone::Warn,
            "It was interrupted, and nobody is at it. What is applied stays, and going on does nothing twice.".to_owned(),
        ),
        RestoreState::Succeeded if restore.verified => (
            Tone::Good,
            "Every step succeeded, and a comparison afterwards found everything as planned.".to_owned(),
        ),
        RestoreState::Succeeded | RestoreState::SucceededWithWarnings if troubled > 0 => (
            Tone::Warn,
            format!("{steps} did not succeed; everything else is done."),
        ),
        RestoreState::Succeeded | RestoreState::SucceededWithWarnings
            if !restore.unexpected.is_empty() =>
        (
            Tone::Warn,
            "Every step succeeded, but a comparison afterwards found differences that should not be.".to_owned(),
        ),
        RestoreState::Succeeded | RestoreState::SucceededWithWarnings => (
            Tone::Warn,
            "Every step succeeded, but the tenant could not be compared afterwards.".to_owned(),
        ),
        RestoreState::Cancelled => (
            Tone::Warn,
            format!("It was cancelled: {applied} are applied and stay. This plan cannot be applied any more."),
        ),
        RestoreState::Unspecified => (
            Tone::Plain,
            "Its state is newer than this console.".to_owned(),
        ),
    }
}

fn course_facts(restore: &v1::Restore) -> Vec<Fact> {
    let mut facts = Vec::new();
    if restore.start_time.is_some() {
        facts.push(Fact::time("Began", restore.start_time));
    }
    if restore.end_time.is_some() {
        facts.push(Fact::time("Ended", restore.end_time));
    }
    if !restore.applied_by.is_empty() {
        let names = restore.applied_by.iter().map(|name| person::shown(name));
        let names: Vec<&str> = names.collect();
        facts.push(Fact::text("Applied by", names.join(", ")));
    }
    if let Some(approval) = &restore.approval {
        let by = Fact::text("Approved by", person::shown(&approval.approver));
        facts.push(by.at(approval.create_time));
    }
    if !restore.cancelled_by.is_empty() {
        facts.push(Fact::text(
            "Cancelled by",
            person::shown(&restore.cancelled_by),
        ));
    }
    if !restore.verification_report.is_empty() {
        let report = &restore.verification_report;
        facts.push(Fact::link("Compared afterwards", "report", page_of(report)));
    }
    facts
}

/// How one step went.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) step: i32,
    pub(super) action: &'static str,
    pub(super) object: Object,
    pub(super) badge: Badge,
    pub(super) detail: String,
    pub(super) request_id: String,
    pub(super) time: Option<Timestamp>,
    pub(super) new_id: String,
}

impl Outcome {
    pub(super) fn of(outcome: &v1::Outcome) -> Self {
        Self {
            step: outcome.step,
            action: action(outcome.action()).0,
            object: Object::of(outcome.object.as_ref()),
            badge: match outcome.state() {
                OutcomeState::Applied => Badge::new(Tone::Good, "Applied"),
                OutcomeState::AlreadyDone => Badge::new(Tone::Good, "Nothing to do"),
                OutcomeState::Conflict => Badge::new(Tone::Warn, "Conflict"),
                OutcomeState::Failed => Badge::new(Tone::Bad, "Failed"),
                OutcomeState::Skipped => Badge::new(Tone::Warn, "Not tried"),
                OutcomeState::Unspecified => Badge::new(Tone::Plain, "Unknown"),
            },
            detail: outcome.detail.clone(),
            request_id: outcome.request_id.clone(),
            time: outcome.time,
            new_id: outcome.new_id.clone(),
        }
    }
}

/// How far the making of a plan is, in words.
pub(super) fn planning(phase: &str) -> String {
    match phase {
        "comparing" => "Comparing the snapshot with the tenant",
        "reading" => "Reading what may be written",
        "planning" | "done" => "Putting the steps in order",
        "" => "Starting",
        other => other,
    }
    .to_owned()
}

/// How far a restore is, in words.
pub(super) fn applying(phase: &str, course: &Course) -> String {
    let steps = format!("{} of {} steps", course.done, course.steps);
    match phase {
        "cancelling" => format!("Ending what is under way; {steps} have ended"),
        "verifying" => format!("Comparing the tenant with what was planned; {steps} have ended"),
        _ => format!("Writing; {steps} have ended"),
    }
}

#[cfg(test)]
mod tests;
