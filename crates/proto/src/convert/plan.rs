//! Steps, exclusions and choices of a restore plan.

use model::ObjectId;
use model::call::{Call, HttpMethod};
use model::plan::{
    Action, Added, CaState, Exclusion, Guard, HardDeleted, Lockout, Options, Parts, Relationships,
    Step,
};
use model::references::Chosen;

use super::InvalidMessage;
use super::diff::{
    attribute, closed_set, link, model_attribute, model_link, model_object_ref, model_obstacle,
    object_ref, obstacle,
};
use crate::v1;

closed_set!(action, model_action, Action, v1::StepAction, "action",
    RestoreDeleted => RestoreDeleted, DisableEntries => DisableEntries, Update => Update, AddLinks => AddLinks,
    RemoveLink => RemoveLink, Untrust => Untrust, SoftDelete => SoftDelete, MakeAnew => MakeAnew,
    RemoveRelation => RemoveRelation, RemoveCredential => RemoveCredential, Recreate => Recreate,
    Create => Create, Protect => Protect);

/// A step as a message.
#[must_use]
pub fn step(step: &Step) -> v1::PlanStep {
    v1::PlanStep {
        number: number(step.number),
        action: action(step.action),
        object: Some(object_ref(&step.object)),
        reason: step.reason.clone(),
        attributes: step.attributes.iter().map(attribute).collect(),
        links: step.links.iter().map(link).collect(),
        method: step.call.method.as_str().to_owned(),
        path: step.call.path.clone(),
        body_json: step.call.body.as_ref().map(ToString::to_string),
        after: step.after.iter().map(|one| number(*one)).collect(),
        guards: step
            .guards
            .iter()
            .map(|guard| v1::Guard {
                property: guard.property.clone(),
                before: guard.before.clone(),
                after: guard.after.clone(),
            })
            .collect(),
        permission: step.permissions().join(", "),
        estimate_seconds: step.estimate_seconds(),
        made_anew: step.made_anew.iter().map(ToString::to_string).collect(),
    }
}

fn number(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn model_number(number: i32) -> Result<u32, InvalidMessage> {
    u32::try_from(number).map_err(|error| InvalidMessage::new("number", error))
}

/// A step from its message.
///
/// # Errors
/// [`InvalidMessage`] where a field does not fit the model.
pub fn model_step(step: &v1::PlanStep) -> Result<Step, InvalidMessage> {
    let method = HttpMethod::from_name(&step.method)
        .ok_or_else(|| InvalidMessage::new("method", format!("{:?} is not known", step.method)))?;
    let body = step
        .body_json
        .as_deref()
        .map(serde_json::from_str)
        .transpose();
    Ok(Step {
        number: model_number(step.number)?,
        action: model_action(step.action)?,
        object: model_object_ref(step.object.as_ref())?,
        reason: step.reason.clone(),
        attributes: step
            .attributes
            .iter()
            .map(model_attribute)
            .collect::<Result<_, _>>()?,
        links: step
            .links
            .iter()
            .map(model_link)
            .collect::<Result<_, _>>()?,
        guards: step
            .guards
            .iter()
            .map(|guard| Guard {
                property: guard.property.clone(),
                before: guard.before.clone(),
                after: guard.after.clone(),
            })
            .collect(),
        call: Call {
            method,
            path: step.path.clone(),
            body: body.map_err(|error| InvalidMessage::new("body_json", error))?,
        },
        after: step
            .after
            .iter()
            .map(|one| model_number(*one))
            .collect::<Result<_, _>>()?,
        made_anew: step
            .made_anew
            .iter()
            .map(|id| ObjectId::parse(id).map_err(|error| InvalidMessage::new("made_anew", error)))
            .collect::<Result<_, _>>()?,
    })
}

/// An exclusion as a message.
#[must_use]
pub fn exclusion(exclusion: &Exclusion) -> v1::Exclusion {
    v1::Exclusion {
        object: Some(object_ref(&exclusion.object)),
        obstacle: obstacle(exclusion.obstacle),
        part: exclusion.part.clone(),
        detail: exclusion.detail.clone(),
    }
}

/// An exclusion from its message.
///
/// # Errors
/// [`InvalidMessage`] where a field does not fit the model.
pub fn model_exclusion(exclusion: &v1::Exclusion) -> Result<Exclusion, InvalidMessage> {
    Ok(Exclusion {
        object: model_object_ref(exclusion.object.as_ref())?,
        obstacle: model_obstacle(exclusion.obstacle)?,
        part: exclusion.part.clone(),
        detail: exclusion.detail.clone(),
    })
}

/// The choices of a plan from their message; what is not set is the default.
///
/// # Errors
/// [`InvalidMessage`] for a value outside the contract.
pub fn model_options(options: Option<&v1::PlanOptions>) -> Result<Options, InvalidMessage> {
    let Some(options) = options else {
        return Ok(Options::default());
    };
    let added = match v1::AddedPolicy::try_from(options.added) {
        Ok(v1::AddedPolicy::Unspecified | v1::AddedPolicy::Keep) => Added::Keep,
        Ok(v1::AddedPolicy::SoftDelete) => Added::SoftDelete,
        Err(error) => return Err(InvalidMessage::new("options.added", error)),
    };
    let relationships = match v1::RelationshipMode::try_from(options.relationships) {
        Ok(v1::RelationshipMode::Unspecified | v1::RelationshipMode::Rollback) => {
            Relationships::Rollback
        }
        Ok(v1::RelationshipMode::Merge) => Relationships::Merge,
        Ok(v1::RelationshipMode::Skip) => Relationships::Skip,
        Err(error) => return Err(InvalidMessage::new("options.relationships", error)),
    };
    let ca_state = match v1::CaState::try_from(options.ca_state) {
        Ok(v1::CaState::Unspecified | v1::CaState::Snapshot) => CaState::Snapshot,
        Ok(v1::CaState::ReportOnly) => CaState::ReportOnly,
        Err(error) => return Err(InvalidMessage::new("options.ca_state", error)),
    };
    let mut lockout = Lockout::Refused;
    for risk in &options.accepted_risks {
        match v1::Risk::try_from(*risk) {
            Ok(v1::Risk::Lockout) => lockout = Lockout::Accepted,
            Ok(v1::Risk::Unspecified) | Err(_) => {
                let problem = format!("{risk} is no risk");
                return Err(InvalidMessage::new("options.accepted_risks", problem));
            }
        }
    }
    let hard_deleted = if options.recreate_hard_deleted {
        HardDeleted::MakeAnew
    } else {
        HardDeleted::Leave
    };
    Ok(Options {
        added,
        relationships,
        ca_state,
        lockout,
        hard_deleted,
    })
}

/// The choices of a plan as a message.
#[must_use]
pub fn options(options: Options) -> v1::PlanOptions {
    let added = match options.added {
        Added::Keep => v1::AddedPolicy::Keep,
        Added::SoftDelete => v1::AddedPolicy::SoftDelete,
    };
    let relationships = match options.relationships {
        Relationships::Rollback => v1::RelationshipMode::Rollback,
        Relationships::Merge => v1::RelationshipMode::Merge,
        Relationships::Skip => v1::RelationshipMode::Skip,
    };
    let ca_state = match options.ca_state {
        CaState::Snapshot => v1::CaState::Snapshot,
        CaState::ReportOnly => v1::CaState::ReportOnly,
    };
    let accepted_risks = match options.lockout {
        Lockout::Refused => Vec::new(),
        Lockout::Accepted => vec![v1::Risk::Lockout as i32],
    };
    v1::PlanOptions {
        added: added as i32,
        relationships: relationships as i32,
        ca_state: ca_state as i32,
        accepted_risks,
        recreate_hard_deleted: options.hard_deleted == HardDeleted::MakeAnew,
        ..v1::PlanOptions::default()
    }
}

/// What was chosen for hard-deleted objects that policies name.
///
/// # Errors
/// [`InvalidMessage`] for an id that is none, and for choices that contradict each
/// other.
pub fn model_chosen(options: Option<&v1::PlanOptions>) -> Result<Chosen, InvalidMessage> {
    let Some(options) = options else {
        return Ok(Chosen::default());
    };
    let mapped = options.map_references.iter();
    let mapped = mapped.map(|one| (one.old.as_str(), one.new.as_str()));
    let dropped = options.drop_references.iter().map(String::as_str);
    Chosen::new(mapped, dropped)
        .map_err(|error| InvalidMessage::new("options.map_references", error))
}

/// The choices of a plan with those for hard-deleted objects.
#[must_use]
pub fn with_chosen(options: v1::PlanOptions, chosen: &Chosen) -> v1::PlanOptions {
    let mapped = chosen.mapped().map(|(old, new)| v1::MappedReference {
        old: old.to_owned(),
        new: new.to_owned(),
    });
    v1::PlanOptions {
        map_references: mapped.collect(),
        drop_references: chosen.dropped().map(str::to_owned).collect(),
        ..options
    }
}

/// The parts of objects that a request or a plan names.
///
/// # Errors
/// [`InvalidMessage`] for a property or a link that no object has.
pub fn model_parts(properties: &[String], links: &[String]) -> Result<Parts, InvalidMessage> {
    Parts::parse(properties, links).map_err(|error| {
        let field = match error {
            model::plan::InvalidPart::Property(_) => "properties",
            model::plan::InvalidPart::Link(_) => "links",
        };
        InvalidMessage::new(field, error)
    })
}
