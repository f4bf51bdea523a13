//! Each check on small trees: what it finds, and what it lets pass.

use std::collections::{BTreeMap, BTreeSet};

use super::arrows::{Crates, Edge, Member, Use};
use super::{File, Finding, Tree, arrows, laws, links, paths, quirks, reasons, rust, source};

fn tree(files: &[(&str, &str)]) -> Tree {
    let files = files
        .iter()
        .map(|(path, text)| File {
            path: (*path).to_owned(),
            text: (*text).to_owned(),
        })
        .collect();
    Tree { files }
}

/// The findings as `path:line` and the first words of the message that matter.
fn check(check: fn(&Tree) -> Vec<Finding>, files: &[(&str, &str)], expected: &[&str]) {
    let mut found = check(&tree(files));
    found.sort();
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (finding, start) in found.iter().zip(expected) {
        assert!(finding.starts_with(start), "{finding} is not {start}");
    }
}

// === source

#[test]
fn a_module_says_what_it_owns() {
    let cases: [(&str, &str, &[&str]); 6] = [
        ("crates/a/src/b.rs", "//! Owns b.\n", &[]),
        (
            "crates/a/src/b.rs",
            "fn b() {}\n",
            &["crates/a/src/b.rs:1: begin"],
        ),
        (
            "tests/src/lib.rs",
            "// no\n",
            &["tests/src/lib.rs:1: begin"],
        ),
        ("crates/a/src/b/tests.rs", "fn b() {}\n", &[]),
        ("crates/a/build.rs", "fn main() {}\n", &[]),
        (
            "crates/a/src/b/mod.rs",
            "//! Owns b.\n",
            &["crates/a/src/b/mod.rs:1: name"],
        ),
    ];
    for (path, text, expected) in cases {
        check(source::check, &[(path, text)], expected);
    }
}

#[test]
fn forbidden_text_counts_in_code_only() {
    let text = "//! todo!() is not allowed.\n\
                fn a() { todo!() }\n\
                const B: &str = \"unimplemented!()\";\n\
                fn c() { unimplemented!(\"later\") }\n\
                #[ignore = \"slow\"]\n\
                fn d() {}\n\
                #[should_panic]\n\
                fn e() {}\n";
    check(
        source::check,
        &[("crates/a/src/b.rs", text)],
        &[
            "crates/a/src/b.rs:2: `todo!(`",
            "crates/a/src/b.rs:4: `unimplemented!(`",
            "crates/a/src/b.rs:5: `#[ignore`",
            "crates/a/src/b.rs:7: `#[should_panic`",
        ],
    );
}

#[test]
fn tests_must_not_sleep_but_the_product_may() {
    let product = "//! B.\nasync fn wait() { tokio::time::sleep(LONG).await; }\n";
    let inline = "//! B.\n#[cfg(test)]\nmod tests {\n    fn a() { std::thread::sleep(LONG) }\n}\n";
    let sibling = "//! B.\n#[cfg(test)]\nmod tests;\nfn a() { time::sleep(LONG) }\n";
    let whole = "use tokio::time::sleep;\n";
    check(source::check, &[("crates/a/src/b.rs", product)], &[]);
    check(
        source::check,
        &[("crates/a/src/b.rs", inline)],
        &["crates/a/src/b.rs:4: a test must not sleep"],
    );
    check(source::check, &[("crates/a/src/b.rs", sibling)], &[]);
    for path in ["tests/tests/kill.rs", "crates/a/src/b/tests.rs"] {
        let expected = format!("{path}:1: a test must not sleep");
        check(source::check, &[(path, whole)], &[&expected]);
    }
}

#[test]
fn words_are_blanked_and_code_is_kept() {
    let cases = [
        ("a // b\nc", "a     \nc"),
        ("a /* b /* c */ d */ e", "a                   e"),
        (r#"a("b\"c", d)"#, "a(      , d)"),
        ("a(r#\"b\"c\"#, d)", "a(        , d)"),
        ("a(br\"b\\\", c)", "a(      , c)"),
        (
            "fn a<'b>(c: &'b str) { '\"' }",
            "fn a<'b>(c: &'b str) {     }",
        ),
        ("a('\\'', b)", "a(    , b)"),
        ("for r in 0..1 { }", "for r in 0..1 { }"),
        ("\"unclosed\nb", "         \n "),
    ];
    for (text, expected) in cases {
        assert_eq!(rust::code_only(text), expected, "{text}");
    }
}

// === laws

#[test]
fn a_law_is_held_by_tests_that_exist() {
    let held = ("tests/tests/kill.rs", "#[test]\nfn resumes() {}\n");
    let cases: [(&str, &[&str]); 7] = [
        (
            "**Law 1.** Text.\nHeld by `tests/tests/kill.rs::resumes`.\n",
            &[],
        ),
        (
            "1. **Law 1: name.** `tests/tests/kill.rs::deep::resumes`\n",
            &[],
        ),
        (
            "**Law 1.** Text.\n",
            &["ARCHITECTURE.md:1: law 1 cites no test"],
        ),
        (
            "**Law 1.** Text.\n## Other\n`tests/tests/kill.rs::resumes`\n",
            &["ARCHITECTURE.md:1: law 1 cites no test"],
        ),
        (
            "**Law 1.** Text.\n`tests/tests/kill.rs::gone` and `gone.rs::resumes`\n",
            &[
                "ARCHITECTURE.md:2: law 1 cites `gone.rs::resumes`",
                "ARCHITECTURE.md:2: law 1 cites `tests/tests/kill.rs::gone`",
            ],
        ),
        (
            "**Law 2.** `tests/tests/kill.rs::resumes`\n**Law 2.** `tests/tests/kill.rs::resumes`\n",
            &["ARCHITECTURE.md:2: law 2 follows law 2"],
        ),
        ("Text.\n", &["ARCHITECTURE.md:1: no line begins"]),
    ];
    for (page, expected) in cases {
        check(laws::check, &[("ARCHITECTURE.md", page), held], expected);
    }
    check(laws::check, &[held], &["ARCHITECTURE.md:1: the page"]);
}

// === quirks

#[test]
fn each_quirk_cites_tests_that_exist_or_says_why_none() {
    let held = ("a/t.rs", "#[test]\nfn it_holds() {}\n");
    let page = "\
| what | held by |
|------|---------|
| one | `a/t.rs::it_holds` |
| two | none: nothing is written |
| three | `a/t.rs::it_is_gone`, `a/t.rs::it_holds` |
| four | |
";
    check(
        quirks::check,
        &[("docs/quirks.md", page), held],
        &[
            "docs/quirks.md:5: cites `a/t.rs::it_is_gone`",
            "docs/quirks.md:6: the row cites no test",
        ],
    );
    check(quirks::check, &[held], &[]);
}

// === reasons

#[test]
fn reasons_pages_and_index_agree() {
    let source = (
        "crates/model/src/error.rs",
        "pub const DOMAIN: &str = \"REWIND\";\n\
         // reasons\n\
         pub const A: &str = \"NOT_FOUND\";\n\
         \x20   pub const B: &str = \"CONFLICT\";\n",
    );
    let index = (
        "docs/errors/README.md",
        "[x](CONFLICT.md) [y](NOT_FOUND.md)\n",
    );
    let conflict = ("docs/errors/CONFLICT.md", "# CONFLICT\n");
    let not_found = ("docs/errors/NOT_FOUND.md", "# NOT_FOUND\n");
    let other = ("docs/errors/OTHER.md", "# OTHER\n");
    check(reasons::check, &[source, index, conflict, not_found], &[]);
    check(
        reasons::check,
        &[source, index, conflict],
        &["crates/model/src/error.rs:3: write docs/errors/NOT_FOUND.md"],
    );
    check(
        reasons::check,
        &[source, index, conflict, not_found, other],
        &[
            "docs/errors/OTHER.md:1: no code gives the reason OTHER",
            "docs/errors/README.md:1: link OTHER.md",
        ],
    );
    check(
        reasons::check,
        &[("crates/model/src/error.rs", "")],
        &["crates/model/src/error.rs:1: no string constants"],
    );
}

// === paths

#[test]
fn paths_of_machines_are_found_at_their_root_only() {
    let machine = concat!("/", "work/main");
    let cases = [
        (format!("cd {machine}"), true),
        (format!("`{machine}/x`"), true),
        (format!("file://{machine}"), true),
        (machine.to_owned(), true),
        (format!("https://example.com{machine}"), false),
        (format!("$HOME{machine}"), false),
        ("homework/main".to_owned(), false),
    ];
    for (line, found) in cases {
        let files = [("README.md", line.as_str())];
        let expected: &[&str] = if found { &["README.md:1: a path"] } else { &[] };
        check(paths::check, &files, expected);
    }
}

// === links

#[test]
fn relative_links_lead_somewhere() {
    let cases: [(&str, bool); 11] = [
        ("[a](../README.md)", true),
        ("[a](../README.md#part \"title\")", true),
        (
            "[a](#part) [b](https://example.com) [c](mailto:a@example.com)",
            true,
        ),
        ("[a](/docs/adr)", true),
        ("[a](b.md) and [c](../README.md)", true),
        ("`[a](gone.md)`", true),
        ("```\n[a](gone.md)\n```", true),
        ("[a]: b.md", true),
        ("[a](gone.md)", false),
        ("[a]: gone.md", false),
        ("[a](../../README.md)", false),
    ];
    for (text, leads) in cases {
        let files = [
            ("README.md", ""),
            ("docs/a.md", text),
            ("docs/b.md", ""),
            ("docs/adr/0001.md", ""),
        ];
        let expected: &[&str] = if leads {
            &[]
        } else {
            &["docs/a.md:1: the link"]
        };
        check(links::check, &files, expected);
    }
}

// === arrows

fn member(name: &str, edges: &[(&str, Use)]) -> Member {
    let edges = edges.iter().map(|(to, use_)| Edge {
        to: (*to).to_owned(),
        use_: *use_,
    });
    Member {
        name: name.to_owned(),
        manifest: format!("{name}/Cargo.toml"),
        edges: edges.collect(),
    }
}

#[test]
fn crates_depend_along_the_arrows_only() {
    let cases: [(&str, &str, Use, bool); 16] = [
        ("proto", "model", Use::Product, true),
        ("model", "proto", Use::Product, false),
        ("graph", "store", Use::Product, false),
        ("runtime", "proto", Use::Product, true),
        ("snapshotter", "graph", Use::Product, true),
        ("gateway", "graph", Use::Product, false),
        ("differ", "restorer", Use::Product, false),
        ("differ", "restorer", Use::Tests, false),
        ("differ", "testkit", Use::Product, false),
        ("differ", "testkit", Use::Tests, true),
        ("cli", "differ", Use::Product, true),
        ("cli", "store", Use::Product, true),
        ("simulator", "model", Use::Tests, false),
        ("graph", "simulator", Use::Tests, true),
        ("tests", "gateway", Use::Tests, true),
        ("tests", "gateway", Use::Product, false),
    ];
    for (from, to, use_, allowed) in cases {
        let crates = Crates {
            members: vec![member(from, &[(to, use_)])],
            needs: BTreeMap::new(),
        };
        let found = arrows::check(&crates, &tree(&[]));
        assert_eq!(found.is_empty(), allowed, "{from} → {to}: {found:?}");
    }
}

#[test]
fn a_wrong_arrow_is_shown_where_it_is_written() {
    let crates = Crates {
        members: vec![
            member("model", &[("store", Use::Product)]),
            member("new", &[]),
        ],
        needs: BTreeMap::new(),
    };
    let manifest = "[package]\nname = \"rewind-model\"\n\n[dependencies]\nstore.workspace = true\n";
    let found = arrows::check(&crates, &tree(&[("model/Cargo.toml", manifest)]));
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "model/Cargo.toml:5: `model` must not depend on `store`",
            "new/Cargo.toml:1: crate `new` is missing in xtask's table of arrows",
        ]
    );
}

#[test]
fn the_model_stays_pure_all_the_way_down() {
    let needs = [
        ("rewind-model", &["serde", "sneaky"][..]),
        ("sneaky", &["serde", "tokio"]),
        ("rewind-graph", &["reqwest"]),
    ];
    let needs = needs.map(|(name, needed)| {
        let needed: BTreeSet<String> = needed.iter().map(ToString::to_string).collect();
        (name.to_owned(), needed)
    });
    let crates = Crates {
        members: Vec::new(),
        needs: BTreeMap::from(needs),
    };
    let found = arrows::check(&crates, &tree(&[]));
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        ["crates/model/Cargo.toml:1: the model must stay pure, but: rewind-model → sneaky → tokio"]
    );
}
