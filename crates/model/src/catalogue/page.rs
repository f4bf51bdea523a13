//! The catalogue as a page of documentation.
//!
//! It says nothing that the table does not say, and never writes a file: a test
//! compares it with `docs/types.md`.

use std::fmt::Write as _;

use super::{Cardinality, Class, Lane, LinkRead, LinkSpec, Reading, TYPES, TypeSpec};

/// The classes, in the order of the page, with what each means.
const CLASSES: [(Class, &str, &str); 6] = [
    (Class::Restorable, "restorable", "written back by a restore"),
    (
        Class::OwnEndpoint,
        "own endpoint",
        "compared; writable only in a way that a restore does not use",
    ),
    (
        Class::Secret,
        "secret",
        "only the public part is compared; what was added can be removed, nothing is written back",
    ),
    (
        Class::Copied,
        "copied",
        "compared; follows from another object",
    ),
    (
        Class::ReadOnly,
        "read-only",
        "compared; Graph does not let it be updated",
    ),
    (
        Class::Volatile,
        "volatile",
        "written by the service on its own; stored and never compared",
    ),
];

/// The page, in Markdown.
#[must_use]
pub fn markdown() -> String {
    let mut page = String::from(
        "# Types\n\n\
         What Rewind reads, compares and restores, as the catalogue in [`crates/model/src/catalogue.rs`](../crates/model/src/catalogue.rs) has it.\n\
         `cargo xtask docs` writes this page from there; a test holds that it is up to date.\n\n\
         Everything that Graph sends is stored, also what the tables below do not name: that is compared as read-only.\n\
         Where the application that restores lacks a permission for a type, a plan names what differs, with the obstacle `OBSTACLE_PERMISSION_MISSING`, and writes nothing.\n\
         What is gone comes back from the recycle bin; objects that only tie others together have none, are made anew, and are known by their key, whatever their id.\n\
         In a path, `{owner}` stands for the object that contains the others.\n\n",
    );
    page.push_str("| Class | Meaning |\n|---|---|\n");
    for (_, name, meaning) in CLASSES {
        line(&mut page, format_args!("| {name} | {meaning} |"));
    }
    page.push_str("\n| Type | Path | Tracked by | What is gone | Permissions to read | Permissions to write |\n|---|---|---|---|---|---|\n");
    for spec in TYPES {
        line(
            &mut page,
            format_args!(
                "| [{name}](#{anchor}) | `{path}` | {tracked} | {gone} | {read} | {write} |",
                name = spec.name,
                anchor = spec.name.to_lowercase(),
                path = spec.list_path,
                tracked = tracked(spec),
                gone = gone(spec),
                read = code(spec.read_permissions),
                write = code(spec.write_permissions),
            ),
        );
    }
    for spec in TYPES {
        section(&mut page, spec);
    }
    page
}

fn section(page: &mut String, spec: &TypeSpec) {
    line(page, format_args!("\n## {}\n", spec.name));
    let how = match spec.reading {
        Reading::List => "A list".to_owned(),
        Reading::Singleton => "One object".to_owned(),
        Reading::Contained { owner, .. } => format!("Contained in {owner} objects"),
    };
    let mut facts = vec![how];
    facts.extend(spec.page_size.map(|size| format!("pages of {size}")));
    facts.push(if spec.select {
        "properties by name".to_owned()
    } else {
        "read whole".to_owned()
    });
    facts.push(match spec.lane {
        Lane::Directory => "directory quota".to_owned(),
        Lane::ConditionalAccess => "Conditional Access quota".to_owned(),
    });
    line(page, format_args!("{}.\n", facts.join(", ")));
    page.push_str("| Class | Properties |\n|---|---|\n");
    for (class, name, _) in CLASSES {
        let of_class = spec.properties.iter().filter(|one| one.class == class);
        let names: Vec<&str> = of_class.map(|one| one.name).collect();
        if !names.is_empty() {
            line(page, format_args!("| {name} | {} |", code(&names)));
        }
    }
    if !spec.links.is_empty() {
        page.push_str("\n| Link | Ends | Read |\n|---|---|---|\n");
    }
    for link in spec.links {
        line(page, format_args!("| {} |", link_row(link)));
    }
}

fn link_row(link: &LinkSpec) -> String {
    let ends = match link.cardinality {
        Cardinality::One => "at most one",
        Cardinality::Many => "any number",
    };
    let read = match link.read {
        LinkRead::Expand => "with the objects",
        LinkRead::ExpandFirst => "with a list of ids, and alone where there are many",
        LinkRead::Delta => "by the delta function",
        LinkRead::PerOwner => "one owner at a time",
    };
    format!("`{}` | {ends} | {read}", link.name)
}

fn tracked(spec: &TypeSpec) -> &'static str {
    match (spec.delta_path, spec.reading) {
        (Some(_), _) => "delta function",
        (None, Reading::Contained { .. }) => "reading it again, owner by owner",
        (None, Reading::List | Reading::Singleton) => "reading it again",
    }
}

fn gone(spec: &TypeSpec) -> String {
    match (spec.deleted, spec.relation, spec.reading) {
        (Some(_), _, _) => "recycle bin".to_owned(),
        (None, Some(relation), _) => format!("made anew; key {}", code(relation.key)),
        (None, None, Reading::Singleton) => "never gone".to_owned(),
        (None, None, _) => "cannot come back".to_owned(),
    }
}

fn code(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

fn line(page: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(page, "{text}").expect("invariant: a string takes any text");
}
