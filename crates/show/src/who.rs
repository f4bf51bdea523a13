//! Who did what, and what something is about, in a line.

use proto::v1;

use crate::text::{shorten, tame, time};

/// Which objects.
#[must_use]
pub fn scope(scope: Option<&v1::Scope>) -> String {
    let Some(scope) = scope else {
        return "everything".to_owned();
    };
    match (&scope.types[..], &scope.ids[..]) {
        ([], []) => "everything".to_owned(),
        (types, []) => types.join(", "),
        ([], ids) => format!("ids {}", shorten(&ids.join(", "))),
        (types, ids) => format!("{}; ids {}", types.join(", "), shorten(&ids.join(", "))),
    }
}

/// Who did what and when.
#[must_use]
pub fn activity(activity: &v1::Activity) -> String {
    let properties = if activity.properties.is_empty() {
        String::new()
    } else {
        format!(" ({})", shorten(&activity.properties.join(", ")))
    };
    let mut told = format!(
        "{}  {}{properties} by {}",
        time(activity.time.as_ref()),
        shorten(&activity.activity),
        initiator(activity.initiated_by.as_ref())
    );
    if !activity.correlation_id.is_empty() {
        told = format!("{told}  [{}]", tame(&activity.correlation_id));
    }
    told
}

/// Who did something.
#[must_use]
pub fn initiator(by: Option<&v1::Initiator>) -> String {
    let Some(by) = by else {
        return "nobody that the log names".to_owned();
    };
    let kind = match by.r#type() {
        v1::InitiatorType::Unspecified => "",
        v1::InitiatorType::User => "user ",
        v1::InitiatorType::Application => "application ",
    };
    let name = match by.display_name.as_str() {
        "" => String::new(),
        name => format!("{} ", shorten(name)),
    };
    let from = match by.ip_address.as_str() {
        "" => String::new(),
        address => format!(" from {}", tame(address)),
    };
    let own = if by.is_rewind {
        ", which is Rewind"
    } else {
        ""
    };
    format!("{kind}{name}({}){from}{own}", tame(&by.id))
}
