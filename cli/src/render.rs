//! Changes, steps and exclusions as blocks of text, for people.
//!
//! Owns how an attribute, a link and an object read. Long values are shortened
//! here; nothing else is left out.

use proto::v1::{self, AttributeClass, LinkDirection};

pub(crate) use show::who::{activity, initiator, scope};

use crate::text::{json, shorten, tame, word};

/// One object that differs, with everything that differs about it.
pub(crate) fn change(change: &v1::Change) -> String {
    let mut lines = vec![format!(
        "{}  {}",
        word(change.kind().as_str_name(), "CHANGE_KIND_"),
        object(change.object.as_ref())
    )];
    for attribute in &change.attributes {
        lines.push(format!("    {}", self::attribute(attribute)));
        lines.extend(names_in(attribute, &change.references));
    }
    lines.extend(
        change
            .links
            .iter()
            .map(|link| format!("    {}", self::link(link))),
    );
    lines.extend(
        change
            .activities
            .iter()
            .map(|activity| format!("    @ {}", self::activity(activity))),
    );
    if change.more_activities > 0 {
        lines.push(format!("    @ and {} more", change.more_activities));
    }
    lines.extend(
        change
            .obstacles()
            .map(|obstacle| format!("    ! {}", self::obstacle(obstacle))),
    );
    lines.join("\n")
}

/// One write of a plan.
pub(crate) fn step(step: &v1::PlanStep) -> String {
    let action = word(step.action().as_str_name(), "STEP_ACTION_");
    let mut lines = vec![format!(
        "{}. {action}  {}",
        step.number,
        object(step.object.as_ref())
    )];
    if !step.reason.is_empty() {
        lines.push(format!("    {}", tame(&step.reason)));
    }
    lines.extend(
        step.attributes
            .iter()
            .map(|attribute| format!("    {}", self::attribute(attribute))),
    );
    lines.extend(
        step.links
            .iter()
            .map(|link| format!("    {}", self::link(link))),
    );
    lines.push(format!("    {} {}", tame(&step.method), tame(&step.path)));
    if !step.permission.is_empty() {
        lines.push(format!("    needs {}", tame(&step.permission)));
    }
    if !step.after.is_empty() {
        let after: Vec<String> = step.after.iter().map(ToString::to_string).collect();
        lines.push(format!("    after step {}", after.join(", ")));
    }
    lines.join("\n")
}

/// An object: type, name, id.
pub(crate) fn object(object: Option<&v1::ObjectRef>) -> String {
    let Some(object) = object else {
        return "-".to_owned();
    };
    let name = if object.display_name.is_empty() {
        String::new()
    } else {
        format!("  {}", shorten(&object.display_name))
    };
    format!("{}{name}  ({})", tame(&object.r#type), tame(&object.id))
}

/// What stands in the way, in words.
pub(crate) fn obstacle(obstacle: v1::Obstacle) -> String {
    word(obstacle.as_str_name(), "OBSTACLE_")
}

fn attribute(change: &v1::AttributeChange) -> String {
    let class = match change.class() {
        AttributeClass::Unspecified | AttributeClass::Restorable => String::new(),
        class => format!("  ({})", word(class.as_str_name(), "ATTRIBUTE_CLASS_")),
    };
    let path = tame(&change.path);
    if change.added_json.is_empty() && change.removed_json.is_empty() {
        let (before, after) = (
            json(change.before_json.as_deref()),
            json(change.after_json.as_deref()),
        );
        return format!("{path}: {before} → {after}{class}");
    }
    let added = change
        .added_json
        .iter()
        .map(|value| format!("+{}", shorten(value)));
    let removed = change
        .removed_json
        .iter()
        .map(|value| format!("-{}", shorten(value)));
    let elements: Vec<String> = added.chain(removed).collect();
    format!("{path}: {}{class}", elements.join(", "))
}

/// The names of the ids in the values that are shown of an attribute, a line for
/// each.
fn names_in(attribute: &v1::AttributeChange, references: &[v1::ObjectRef]) -> Vec<String> {
    let elements = attribute.added_json.iter().chain(&attribute.removed_json);
    let mut values: Vec<&String> = elements.collect();
    if values.is_empty() {
        let whole = [&attribute.before_json, &attribute.after_json];
        values.extend(whole.into_iter().flatten());
    }
    let stands = |id: &str| values.iter().any(|value| value.contains(id));
    let line = |one: &v1::ObjectRef| {
        format!(
            "        {} is {} {}",
            tame(&one.id),
            tame(&one.r#type),
            shorten(&one.display_name)
        )
    };
    references
        .iter()
        .filter(|one| stands(&one.id))
        .map(line)
        .collect()
}

fn link(change: &v1::LinkChange) -> String {
    let sign = match change.direction() {
        LinkDirection::Added => '+',
        LinkDirection::Removed => '-',
        LinkDirection::Unspecified => '?',
    };
    let name = if change.target_name.is_empty() {
        String::new()
    } else {
        format!("{}  ", shorten(&change.target_name))
    };
    format!(
        "{sign} {}: {name}({})",
        tame(&change.relation),
        tame(&change.target_id)
    )
}
