//! What the services answer, as it stands on pages of reports, plans and signals.
//!
//! Owns how an object is called, who did what, how old and current values stand side by
//! side, and how long text is cut. Each is a value that a template shows with
//! `{{ value }}`; what came from a tenant is tamed and escaped inside. Pure: no call is
//! made here.

use super::filters;
use askama::Template;
use askama::filters::HtmlSafe;
use prost_types::Timestamp;
use proto::v1::{self, InitiatorType};
use show::compare::{Cell, Row};
use show::text::{id_of, shorten};
use show::words;

/// Text of which only a part may fit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Template)]
#[template(
    source = r#"{% if let Some(whole) = whole %}<details class="long"><summary>{{ short|named }}</summary>{{ whole|named }}</details>{% else %}{{ short|named }}{% endif %}"#,
    ext = "html"
)]
pub(crate) struct Long {
    /// What fits.
    pub(crate) short: String,
    /// All of it, where that is more.
    pub(crate) whole: Option<String>,
}

impl HtmlSafe for Long {}

impl Long {
    pub(crate) fn of(text: &str) -> Self {
        let short = shorten(text);
        let whole = (short.chars().count() < text.chars().count()).then(|| text.to_owned());
        Self { short, whole }
    }
}

/// An object; shown with its type, name and id.
#[derive(Debug, Clone, Default, PartialEq, Eq, Template)]
#[template(
    source = r#"<span class="object">{% if !kind.is_empty() %}<span class="kind">{{ kind }}</span> {% endif %}<strong>{{ name.short|named }}</strong>{% if id != name.short %} <code>{{ id|tamed }}</code>{% endif %}</span>"#,
    ext = "html"
)]
pub(crate) struct Object {
    /// What its type is called: `User`.
    pub(crate) kind: String,
    /// Graph's name of the type.
    pub(crate) type_name: String,
    /// What it is called; its id where it has no name.
    pub(crate) name: Long,
    /// Its id.
    pub(crate) id: String,
}

impl HtmlSafe for Object {}

impl Object {
    pub(crate) fn of(object: Option<&v1::ObjectRef>) -> Self {
        let object = object.cloned().unwrap_or_default();
        let name = match object.display_name.trim() {
            "" => object.id.as_str(),
            name => name,
        };
        Self {
            kind: words::one(&object.r#type),
            name: Long::of(name),
            type_name: object.r#type,
            id: object.id,
        }
    }
}

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(
    source = r#"<span class="who">{% if is_rewind %}Rewind ({{ name.short|named }}){% else %}{% if !kind.is_empty() %}<span class="kind">{{ kind }}</span> {% endif %}{{ name.short|named }}{% endif %}{% if !from.is_empty() %} <span class="soft">from {{ from|tamed }}</span>{% endif %}</span>"#,
    ext = "html"
)]
pub(crate) struct Who {
    /// `User`, `Application`, or nothing.
    pub(crate) kind: &'static str,
    /// Its name, else its id.
    pub(crate) name: Long,
    /// Its id.
    pub(crate) id: String,
    /// From where; empty where that is not known.
    pub(crate) from: String,
    /// Whether it is Rewind itself.
    pub(crate) is_rewind: bool,
}

impl HtmlSafe for Who {}

impl Who {
    /// Nobody where the log names nobody.
    pub(crate) fn of(by: Option<&v1::Initiator>) -> Option<Self> {
        let by = by.filter(|by| !(by.id.is_empty() && by.display_name.is_empty()))?;
        let name = match by.display_name.as_str() {
            "" => by.id.as_str(),
            name => name,
        };
        Some(Self {
            kind: match by.r#type() {
                InitiatorType::User => "User",
                InitiatorType::Application => "Application",
                InitiatorType::Unspecified => "",
            },
            name: Long::of(name),
            id: by.id.clone(),
            from: by.ip_address.clone(),
            is_rewind: by.is_rewind,
        })
    }
}

/// Something that somebody did.
#[derive(Debug, Clone, PartialEq, Template)]
#[template(
    source = r#"{{ time|when }} {{ what.short|named }}{% if !properties.is_empty() %} <span class="soft">({{ properties|tamed }})</span>{% endif %}{% if let Some(by) = by %} by {{ by }}{% else %} <span class="soft">by nobody that the log names</span>{% endif %}"#,
    ext = "html"
)]
pub(crate) struct Deed {
    /// In the words of the log.
    pub(crate) what: Long,
    /// When.
    pub(crate) time: Option<Timestamp>,
    /// By whom, where the log says so.
    pub(crate) by: Option<Who>,
    /// The properties that the log says were changed.
    pub(crate) properties: String,
}

impl HtmlSafe for Deed {}

impl Deed {
    pub(crate) fn of(activity: &v1::Activity) -> Self {
        Self {
            what: Long::of(&activity.activity),
            time: activity.time,
            by: Who::of(activity.initiated_by.as_ref()),
            properties: shorten(&activity.properties.join(", ")),
        }
    }
}

/// Old and current values side by side.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "told/sides.html")]
pub(crate) struct Sides {
    /// What the table is about, for those who do not see it.
    pub(crate) caption: String,
    /// What the two sides are called.
    pub(crate) labels: [&'static str; 2],
    pub(crate) rows: Vec<Row>,
}

impl HtmlSafe for Sides {}

/// Facts in a row.
#[derive(Debug, Clone, PartialEq, Template)]
#[template(
    source = r#"<dl class="facts">{% for fact in facts %}<div><dt>{{ fact.label }}</dt><dd>{% if fact.href.is_empty() %}{{ fact.text|named }}{% else %}<a href="{{ fact.href }}">{{ fact.text|named }}</a>{% endif %}{% if fact.time.is_some() %} {{ fact.time|when }}{% endif %}</dd></div>{% endfor %}</dl>"#,
    ext = "html"
)]
pub(crate) struct Facts {
    pub(crate) facts: Vec<Fact>,
}

impl HtmlSafe for Facts {}

/// One line about something.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fact {
    pub(crate) label: &'static str,
    /// What there is to say.
    pub(crate) text: String,
    /// Where that leads; empty where nowhere.
    pub(crate) href: String,
    /// A moment that belongs to it.
    pub(crate) time: Option<Timestamp>,
}

impl Fact {
    pub(crate) fn text(label: &'static str, text: impl Into<String>) -> Self {
        Self {
            label,
            text: text.into(),
            href: String::new(),
            time: None,
        }
    }

    pub(crate) fn time(label: &'static str, time: Option<Timestamp>) -> Self {
        Self {
            time,
            ..Self::text(label, "")
        }
    }

    pub(crate) fn link(label: &'static str, text: impl Into<String>, href: String) -> Self {
        Self {
            href,
            ..Self::text(label, text)
        }
    }

    pub(crate) fn at(mut self, time: Option<Timestamp>) -> Self {
        self.time = time;
        self
    }
}

/// The page of what a resource name names: `tenants/T/snapshots/S` is at
/// `/tenants/T/snapshots/S`. Empty for what is none.
pub(crate) fn page_of(name: &str) -> String {
    let parts: Vec<&str> = name.split('/').collect();
    match parts[..] {
        ["tenants", tenant, "plans", id] => format!("/tenants/{tenant}/restores/{id}"),
        [
            "tenants",
            _,
            "snapshots" | "reports" | "restores" | "signals",
            _,
        ] => format!("/{name}"),
        _ => String::new(),
    }
}

/// A snapshot, or the live tenant, with where it leads.
pub(crate) fn state(label: &'static str, name: &str) -> Fact {
    match name {
        "live" => Fact::text(label, "the live tenant"),
        name => Fact::link(label, format!("snapshot {}", id_of(name)), page_of(name)),
    }
}

/// A number with its noun.
pub(crate) fn count(number: i64, one: &str, many: &str) -> String {
    let shown = words::number(u64::try_from(number).unwrap_or_default());
    format!("{shown} {}", if number == 1 { one } else { many })
}

/// Which objects, in words.
pub(crate) fn scope(scope: Option<&v1::Scope>) -> String {
    let scope = scope.cloned().unwrap_or_default();
    let types: Vec<String> = scope.types.iter().map(|one| words::title(one)).collect();
    let of = match types.is_empty() {
        true => "everything".to_owned(),
        false => types.join(", "),
    };
    match &scope.ids[..] {
        [] => of,
        [id] if types.is_empty() => format!("the object {id}"),
        ids => {
            let ids = count(
                i64::try_from(ids.len()).unwrap_or(i64::MAX),
                "object",
                "objects",
            );
            match types.is_empty() {
                true => format!("{ids} by id"),
                false => format!("{of}; {ids} by id"),
            }
        }
    }
}

/// How many of all, from 0 to 100.
pub(crate) fn percent(done: i64, all: i64) -> i64 {
    if all <= 0 {
        return 0;
    }
    (done.clamp(0, all) * 100) / all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_without_a_name_is_called_by_its_id() {
        let mut object = v1::ObjectRef {
            r#type: "servicePrincipal".to_owned(),
            id: "sp-1".to_owned(),
            display_name: " ".to_owned(),
        };
        let told = Object::of(Some(&object));
        assert_eq!(
            (told.kind.as_str(), told.name.short.as_str()),
            ("Service principal", "sp-1")
        );
        object.display_name = "x".repeat(4000);
        let told = Object::of(Some(&object));
        assert!(told.name.short.chars().count() < 80);
        assert_eq!(told.name.whole, Some("x".repeat(4000)));
        assert_eq!(Object::of(None).id, "");
    }

    #[test]
    fn names_of_resources_lead_to_their_pages() {
        for (name, path) in [
            ("tenants/t/snapshots/s", "/tenants/t/snapshots/s"),
            ("tenants/t/plans/p", "/tenants/t/restores/p"),
            ("tenants/t/reports/r", "/tenants/t/reports/r"),
            ("live", ""),
            ("tenants/t/keys/1", ""),
            ("", ""),
        ] {
            assert_eq!(page_of(name), path, "{name}");
        }
    }

    #[test]
    fn a_scope_is_told_in_words() {
        let of = |types: &[&str], ids: &[&str]| {
            let owned = |all: &[&str]| all.iter().map(|&one| one.to_owned()).collect();
            scope(Some(&v1::Scope {
                types: owned(types),
                ids: owned(ids),
            }))
        };
        assert_eq!(scope(None), "everything");
        assert_eq!(of(&["user", "group"], &[]), "Users, Groups");
        assert_eq!(of(&[], &["a"]), "the object a");
        assert_eq!(of(&[], &["a", "b"]), "2 objects by id");
        assert_eq!(of(&["user"], &["a"]), "Users; 1 object by id");
    }

    #[test]
    fn nobody_is_named_where_the_log_names_nobody() {
        assert_eq!(Who::of(None), None);
        assert_eq!(Who::of(Some(&v1::Initiator::default())), None);
        let by = v1::Initiator {
            r#type: InitiatorType::Application.into(),
            id: "a-1".to_owned(),
            ..v1::Initiator::default()
        };
        let who = Who::of(Some(&by)).expect("somebody");
        assert_eq!((who.kind, who.name.short.as_str()), ("Application", "a-1"));
    }

    #[test]
    fn a_share_never_leaves_its_bounds() {
        for (done, all, expected) in [(0, 0, 0), (5, 10, 50), (11, 10, 100), (-1, 10, 0)] {
            assert_eq!(percent(done, all), expected);
        }
    }
}
