//! Tells of guarded changes as signals: that one was asked for, agreed to, called off, or
//! has taken effect.
//!
//! A signal's name follows from the change and the step, so that each is told once,
//! whoever tells it again.

use model::SignalId;
use model::drift::Severity;
use proto::convert::{model_severity, severity, time};
use proto::name;
use proto::v1::{GuardedChange, GuardedStepKind, Signal, SignalSource};
use store::TenantVault;

use super::journal::Journal;
use crate::{Context, Error, signals};

/// What is told.
struct Told {
    /// The end of the rule's name.
    what: &'static str,
    title: &'static str,
    severity: Severity,
    time: Option<prost_types::Timestamp>,
    sentence: String,
}

/// Tells that a change was asked for.
pub(super) async fn asked(
    context: &Context,
    vault: &TenantVault,
    there: &Journal,
) -> Result<(), Error> {
    let change = &there.change;
    let told = Told {
        what: "requested",
        title: "Somebody asked for a change that protects the tenant less",
        severity: own(change),
        time: change.create_time,
        sentence: format!(
            "{} asked for it. It takes effect after somebody else has approved it and the waiting time is over; `rewind tenant change cancel` calls it off.",
            change.author
        ),
    };
    raise(context, vault, there, told).await
}

/// Tells what became of a change so far.
pub(super) async fn steps(
    context: &Context,
    vault: &TenantVault,
    there: &Journal,
) -> Result<(), Error> {
    asked(context, vault, there).await?;
    for step in &there.steps {
        let (what, title, severity, sentence) = match step.kind() {
            GuardedStepKind::Approved => (
                "approved",
                "A change that protects the tenant less was approved",
                own(&there.change),
                format!(
                    "{} asked for it, and {} approved it. It takes effect from {} on; `rewind tenant change cancel` calls it off until then.",
                    there.change.author,
                    step.by,
                    text(step.effective_time.as_ref())
                ),
            ),
            GuardedStepKind::Cancelled => (
                "cancelled",
                "A change that would have protected the tenant less was called off",
                Severity::Low,
                format!("{} called it off. {}", step.by, step.detail),
            ),
            GuardedStepKind::Applied => (
                "applied",
                "A change that protects the tenant less has taken effect",
                own(&there.change),
                format!("{} asked for it.", there.change.author),
            ),
            _ => continue,
        };
        let told = Told {
            what,
            title,
            severity,
            time: step.time,
            sentence,
        };
        raise(context, vault, there, told).await?;
    }
    Ok(())
}

/// Tells that a tenant is erased now; afterwards nothing can be told in it.
pub(super) async fn erasing(
    context: &Context,
    vault: &TenantVault,
    there: &Journal,
) -> Result<(), Error> {
    let begun = there.last(GuardedStepKind::Begun);
    let told = Told {
        what: "applied",
        title: "The tenant is erased now",
        severity: own(&there.change),
        time: begun.and_then(|step| step.time),
        sentence: format!("{} asked for it.", there.change.author),
    };
    raise(context, vault, there, told).await
}

fn own(change: &GuardedChange) -> Severity {
    model_severity(change.severity()).unwrap_or(Severity::Critical)
}

fn text(at: Option<&prost_types::Timestamp>) -> String {
    let at = at.and_then(time);
    at.map_or_else(String::new, |at| {
        at.format("%Y-%m-%d %H:%M:%SZ").to_string()
    })
}

async fn raise(
    context: &Context,
    vault: &TenantVault,
    there: &Journal,
    told: Told,
) -> Result<(), Error> {
    let rule = format!("guarded-change-{}", told.what);
    let at = told.time.as_ref().and_then(time).unwrap_or_default();
    let id = format!("{}-{rule}-{:06}", at.format("%Y%m%dT%H%M%S"), there.number);
    let id = SignalId::parse(&id).expect("invariant: a time, a word and a number are a signal id");
    let effects: Vec<String> = there
        .change
        .effects
        .iter()
        .map(|effect| format!("It {effect}."))
        .collect();
    let signal = Signal {
        name: name::signal(vault.id(), &id),
        time: told.time,
        rule,
        severity: severity(told.severity).into(),
        title: told.title.to_owned(),
        description: format!("{} {}", effects.join(" "), told.sentence)
            .trim()
            .to_owned(),
        source: SignalSource::GuardedChange.into(),
        ..Signal::default()
    };
    signals::raise(context, vault, &id, told.severity, &signal).await
}
