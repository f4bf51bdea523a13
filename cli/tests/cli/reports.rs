//! Exports of a difference report: what each format holds, and that nobody who
//! names things in a tenant plays tricks on its reader.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use model::error::reason;
use proto::v1::*;
use serde_json::{Value, json};
use snapbox::{assert_data_eq, str};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::canned::{self, attribute, link, name, object};
use crate::fake::Fake;
use crate::gateway::{Gateway, Run};
use crate::page::Page;

/// A gateway with a report of three changes that nobody is said to have made.
fn quiet() -> Fake {
    let mut changes = canned::changes();
    changes.truncate(3);
    for change in &mut changes {
        change.activities.clear();
        change.more_activities = 0;
    }
    Fake {
        changes,
        ..Fake::default()
    }
}

#[test]
fn a_page_tells_who_did_it() {
    let run = export(&Gateway::start(Fake::default()), "html").exits(0);
    for told in [
        "Disable account by user",
        "203.0.113.7",
        "by nobody that the log names",
        "and 2 more",
    ] {
        assert!(run.out.contains(told), "{told} is not in {}", run.out);
    }
}

fn export(gateway: &Gateway, format: &str) -> Run {
    gateway.rewind(&["diff", "export", "r1", "--format", format])
}

fn lines(run: &Run) -> Vec<Value> {
    let lines = run.out.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

#[test]
fn json_is_what_show_prints() {
    let gateway = Gateway::start(quiet());
    let shown = gateway.rewind(&["diff", "show", "r1", "--output", "json"]);
    let exported = export(&gateway, "json").exits(0);
    assert_eq!(exported.json(), shown.json());
    assert_eq!(exported.err, "");
    assert_eq!(gateway.rewind(&["diff", "export", "r1"]).out, exported.out);
    let asked = gateway.fake.last("ListChangesRequest");
    assert_eq!(asked["pageSize"], 1000);
    assert_eq!(asked["parent"], name("reports", "r1"));

    let empty = Gateway::start(Fake {
        changes: Vec::new(),
        ..quiet()
    });
    let exported = export(&empty, "json").exits(0);
    assert_eq!(exported.json()["changes"], json!([]));
}

#[test]
fn csv_has_a_row_for_each_attribute_and_link() {
    let gateway = Gateway::start(Fake {
        changes_on_page: 2,
        ..quiet()
    });
    let run = export(&gateway, "csv").exits(0);
    assert_eq!(
        run.out.matches("\r\n").count(),
        run.out.matches('\n').count()
    );
    let begin = "0a1b2c3d-0000-4000-8000-000000000001,r1,20261123-daily,live,2026-11-18T11:08:10Z,";
    let long: String = serde_json::from_str(&canned::long_value()).expect("a text");
    let out = run.out.replace(begin, "… ").replace(&long, "LONG");
    assert_data_eq!(
        out.replace("\r\n", "\n"),
        str![[r#"
tenant,report,snapshot,target,target_time,type,id,name,kind,part,path,old,current,added,removed,class,link_name,obstacles
… group,g-1,Finance,modified,attribute,proxyAddresses,"[""a""]","[""b""]","[""b""]","[""a""]",read_only,,
… group,g-1,Finance,modified,link,group/members,,u-9,,,,Eve,
… group,g-1,Finance,modified,link,group/members,u-2,,,,,Bob,
… user,u-1,Ann/u{1b}[31m,modified,attribute,jobTitle,Lead,Clerk,,,restorable,,
… user,u-1,Ann/u{1b}[31m,modified,attribute,aboutMe,,LONG,,,restorable,,
… user,u-2,Bob,soft_deleted,object,,,,,,,,on_premises_synced

"#]]
    );
}

#[test]
fn no_cell_is_a_formula_and_none_breaks_its_row() {
    let gateway = Gateway::start(Fake {
        changes: attack(),
        changes_on_page: 3,
        ..quiet()
    });
    let run = export(&gateway, "csv").exits(0);
    let mut reader = csv::Reader::from_reader(run.out.as_bytes());
    let rows: Vec<csv::StringRecord> = reader.records().map(|row| row.expect("a row")).collect();
    let parts = |change: &Change| (change.attributes.len() + change.links.len()).max(1);
    assert_eq!(rows.len(), attack().iter().map(parts).sum::<usize>());
    for cell in rows.iter().flatten() {
        assert!(
            !cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']),
            "{cell:?}"
        );
        assert!(!cell.chars().any(is_tricky), "{cell:?}");
    }
    for text in ATTACKS.iter().filter(|text| !text.chars().any(is_tricky)) {
        let value = |cell: &str| cell == *text || cell == format!("'{text}");
        assert!(rows.iter().any(|row| value(&row[11])), "{text:?}");
    }
}

#[test]
fn a_patch_says_what_happened_to_each_object() {
    let run = export(&Gateway::start(quiet()), "patch").exits(0);
    let long: Value = serde_json::from_str(&canned::long_value()).expect("JSON");
    assert_eq!(
        lines(&run),
        [
            json!({
                "type": "group", "id": "g-1", "name": "Finance", "kind": "modified",
                "patch": [
                    {"op": "test", "path": "/proxyAddresses", "value": ["a"]},
                    {"op": "replace", "path": "/proxyAddresses", "value": ["b"]},
                ],
                "links": [
                    {"op": "add", "relation": "group/members", "id": "u-9", "name": "Eve"},
                    {"op": "remove", "relation": "group/members", "id": "u-2", "name": "Bob"},
                ],
            }),
            json!({
                "type": "user", "id": "u-1", "name": "Ann\u{1b}[31m", "kind": "modified",
                "patch": [
                    {"op": "test", "path": "/jobTitle", "value": "Lead"},
                    {"op": "replace", "path": "/jobTitle", "value": "Clerk"},
                    {"op": "add", "path": "/aboutMe", "value": long},
                ],
                "links": [],
            }),
            json!({
                "type": "user", "id": "u-2", "name": "Bob", "kind": "soft_deleted",
                "patch": [], "links": [],
            }),
        ]
    );
}

/// Names and values that try to be more than that.
const ATTACKS: [&str; 16] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "</style><style>*{display:none}</style>",
    "</title><link rel=stylesheet href=//evil.example>",
    "<!--",
    "-->]]><svg/onload=alert(1)>",
    "&lt;b&gt; &amp; &#x3c;",
    "{{ 7 * 7 }}{% include \"/etc/passwd\" %}",
    "=HYPERLINK(\"http://evil.example\",\"x\")",
    "+1;=1+1",
    "-2,\"=2\"",
    "@SUM(A1)\r\n=3",
    "report\u{202e}gnp.exe",
    "a\u{2066}b\u{200b}c\u{feff}",
    "\u{1b}[2J\u{0}\u{85}",
];

fn is_tricky(c: char) -> bool {
    let seen = matches!(c, '\n' | '\r' | '\t');
    (c.is_control() && !seen)
        || matches!(c, '\u{200b}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// A change for each attack, with it wherever a tenant has a say and more.
fn attack() -> Vec<Change> {
    let of = |text: &str| {
        let json = json!(text).to_string();
        let set = AttributeChange {
            added_json: vec![json!({ "key": text }).to_string()],
            removed_json: vec![json.clone()],
            ..attribute(
                text,
                Some(&json!([text, "same"]).to_string()),
                Some(&json!([{ "key": text }, "same"]).to_string()),
            )
        };
        let nested = json!({ text: text }).to_string();
        let mut links = vec![
            link(text, text, LinkDirection::Added),
            link(text, text, LinkDirection::Removed),
        ];
        links[0].relation = text.to_owned();
        Change {
            object: object("user", text, text),
            kind: ChangeKind::Modified.into(),
            attributes: vec![
                attribute("displayName", Some(&json), Some("\"\"")),
                attribute("a.b", None, Some(&nested)),
                set,
            ],
            links,
            obstacles: vec![Obstacle::CredentialAdded.into()],
            ..Change::default()
        }
    };
    let long = "W".repeat(10_000);
    let mut changes: Vec<Change> = ATTACKS
        .iter()
        .copied()
        .chain([long.as_str()])
        .map(of)
        .collect();
    changes.push(Change {
        object: object("<b>type", "u-2", "Bob"),
        kind: ChangeKind::SoftDeleted.into(),
        ..Default::default()
    });
    changes
}

fn attacked() -> Fake {
    let mut fake = quiet();
    let all = ATTACKS.join(" ");
    fake.tenants[0].display_name = "<script>Contoso</script>\u{202e}".to_owned();
    fake.report.scope = Some(Scope {
        types: vec!["<i>user".to_owned()],
        ids: Vec::new(),
    });
    fake.report.older = vec![all];
    Fake {
        changes: attack(),
        changes_on_page: 4,
        ..fake
    }
}

#[test]
fn a_page_is_nothing_but_what_the_template_says() {
    let gateway = Gateway::start(attacked());
    let run = export(&gateway, "html").exits(0);
    assert!(!run.out.chars().any(is_tricky));
    let page = Page::read(&run.out);

    let names: BTreeSet<&str> = page.elements.iter().map(|it| it.name.as_str()).collect();
    let expected = [
        "a", "b", "bdi", "body", "caption", "code", "col", "colgroup", "dd", "del", "div", "dl",
        "dt", "footer", "h1", "h2", "head", "header", "html", "ins", "li", "main", "meta", "nav",
        "ol", "p", "pre", "section", "small", "span", "style", "table", "tbody", "td", "tfoot",
        "th", "thead", "title", "tr", "ul", "wbr",
    ];
    assert_eq!(names, BTreeSet::from(expected));
    let attributes = page.elements.iter().flat_map(|it| &it.attributes);
    let names: BTreeSet<&str> = attributes.map(|(name, _)| name.as_str()).collect();
    let expected = [
        "aria-labelledby",
        "charset",
        "class",
        "colspan",
        "content",
        "href",
        "http-equiv",
        "id",
        "lang",
        "name",
        "scope",
    ];
    assert_eq!(names, BTreeSet::from(expected));
    for name in ["class", "id", "aria-labelledby", "scope"] {
        for value in page.elements.iter().filter_map(|it| it.attribute(name)) {
            let plain =
                |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == ' ';
            assert!(value.chars().all(plain), "{name}={value}");
        }
    }
    let ids: Vec<&str> = page
        .elements
        .iter()
        .filter_map(|it| it.attribute("id"))
        .collect();
    assert_eq!(
        ids.iter().collect::<BTreeSet<_>>().len(),
        ids.len(),
        "{ids:?}"
    );
    for place in page.all("a") {
        let place = place
            .attribute("href")
            .and_then(|href| href.strip_prefix('#'));
        assert!(ids.contains(&place.expect("within the page")), "{place:?}");
    }
    for part in ["url(", "@import", "//", "expression", "<"] {
        assert!(!page.style.contains(part), "{part}");
    }
    let policy = page.all("meta");
    let policy = policy
        .iter()
        .find(|it| it.attribute("http-equiv").is_some());
    let policy = policy.and_then(|it| it.attribute("content"));
    assert!(
        policy
            .expect("a policy")
            .starts_with("default-src 'none'; style-src 'unsafe-inline'")
    );

    for text in ATTACKS.iter().filter(|text| !text.chars().any(is_tricky)) {
        // A page has one kind of line break.
        let text = text.replace("\r\n", "\n");
        assert!(page.text.contains(&text), "{text:?}");
    }
    for text in [
        "report\\u{202e}gnp.exe",
        "a\\u{2066}b\\u{200b}c\\u{feff}",
        "<script>Contoso</script>\\u{202e}",
    ] {
        assert!(page.text.contains(text), "{text:?}");
    }
    assert!(page.text.contains(&"W".repeat(10_000)));
}

#[test]
fn a_page_has_a_row_for_each_difference_with_both_values_beside_it() {
    let gateway = Gateway::start(attacked());
    let page = Page::read(&export(&gateway, "html").exits(0).out);
    let rows = page.all("tr");
    let within = |table: &str| {
        let rows = rows
            .iter()
            .filter(|row| row.within.iter().any(|it| it == table));
        rows.count()
    };
    let attacks = ATTACKS.len() + 1;
    // Each object with a heading, three attributes and two links; one with a
    // heading and a sentence; two types; one obstacle; four headings of tables.
    let expected = attacks * 6 + 2 + 2 + 1;
    assert_eq!(within("tbody"), expected);
    assert_eq!((within("thead"), within("tfoot")), (4, 1));
    let scopes = |scope: &str| {
        let heads = page.all("th");
        heads
            .iter()
            .filter(|th| th.attribute("scope") == Some(scope))
            .count()
    };
    assert_eq!(scopes("rowgroup"), attacks + 1);
    assert_eq!(scopes("row"), attacks * 5 + 2 + 1 + 1);
    assert_eq!(
        page.all("th").len(),
        scopes("rowgroup") + scopes("row") + scopes("col")
    );
    for marked in ["ins", "del"] {
        assert_eq!(page.all(marked).len(), attacks * 2, "{marked}");
    }
    assert_eq!(page.text.matches("and 1 unchanged").count(), attacks * 2);
    assert_eq!(page.all("html")[0].attribute("lang"), Some("en"));
    assert_eq!(page.all("h1").len(), 1);
    assert_eq!(page.all("caption").len(), page.all("table").len());
}

#[test]
fn a_page_says_what_it_is_about() {
    let mut fake = quiet();
    fake.report.not_compared = vec!["group/owners: Graph answered 403".to_owned()];
    let run = export(&Gateway::start(fake), "html").exits(3);
    assert_eq!(
        run.err,
        "warning: not compared: group/owners: Graph answered 403\n"
    );
    let page = Page::read(&run.out);
    let text: Vec<&str> = page.text.split_whitespace().collect();
    let text = text.join(" ");
    for said in [
        "What changed in Contoso",
        "Tenant Contoso 0a1b2c3d-0000-4000-8000-000000000001",
        "Old snapshot 20261123-daily taken 2026-11-18 11:06:40 UTC",
        "Current the live tenant as of 2026-11-18 11:08:10 UTC, read for this report",
        "Compared everything",
        "Groups 1",
        "Users 2",
        "0 Added 2 Modified 1 Soft-deleted 0 Hard-deleted 0 Restored 2 Links",
        "neither that they changed nor that they did not: group/owners: Graph answered 403",
        "Synchronised from on-premises The directory on-premises is the source of authority",
        "proxyAddresses read-only − a + b",
        "members link not linked + Eve u-9",
        "members link − Bob u-2 not linked",
        "jobTitle Lead Clerk",
        "aboutMe not set begin begin",
        "It is in the recycle bin; nothing else about it differs.",
    ] {
        assert!(text.contains(said), "{said:?} is not in {text}");
    }

    let nothing = Gateway::start(Fake {
        changes: Vec::new(),
        ..quiet()
    });
    let page = Page::read(&export(&nothing, "html").exits(0).out);
    assert!(page.text.contains("Nothing that was compared differs."));
    assert!(
        page.text
            .contains("Everything that was asked for was compared.")
    );
}

#[test]
fn a_page_does_without_what_is_gone() {
    let gone = |message| (message, failed(Code::NotFound, reason::NOT_FOUND));
    let fake = Fake {
        errors: [gone("GetTenantRequest"), gone("GetSnapshotRequest")].into(),
        ..quiet()
    };
    let run = export(&Gateway::start(fake), "html").exits(0);
    let page = Page::read(&run.out);
    assert!(page.text.contains("What changed in 0a1b2c3d-0000"));
    assert_eq!(run.err.matches("is left out").count(), 2, "{run:?}");
}

#[test]
fn large_tables_are_parted() {
    let user = |number: usize| Change {
        object: object("user", &format!("u-{number}"), "A user"),
        kind: ChangeKind::SoftDeleted.into(),
        ..Default::default()
    };
    let gateway = Gateway::start(Fake {
        changes: (0..401).map(user).collect(),
        changes_on_page: 150,
        ..quiet()
    });
    let page = Page::read(&export(&gateway, "html").exits(0).out);
    for range in ["1 to 200 of 401", "201 to 400 of 401", "401 to 401 of 401"] {
        assert!(
            page.text.contains(&format!("Users that differ, {range}")),
            "{range}"
        );
    }
    let objects = page.all("th");
    let objects = objects
        .iter()
        .filter(|th| th.attribute("scope") == Some("rowgroup"));
    assert_eq!(objects.count(), 401);
}

#[test]
fn a_page_of_changes_that_is_too_large_is_asked_for_in_parts() {
    let large = "x".repeat(30 << 20);
    let user = |id: &str| Change {
        attributes: vec![attribute("aboutMe", None, Some(&json!(large).to_string()))],
        object: object("user", id, id),
        kind: ChangeKind::Modified.into(),
        ..Default::default()
    };
    let gateway = Gateway::start(Fake {
        changes: ["u-1", "u-2", "u-3"].map(user).into(),
        changes_on_page: 1000,
        ..quiet()
    });
    let run = export(&gateway, "patch").exits(0);
    let ids: Vec<Value> = lines(&run).iter().map(|line| line["id"].clone()).collect();
    assert_eq!(ids, ["u-1", "u-2", "u-3"]);
}

fn failed(code: Code, reason: &str) -> Status {
    let details = ErrorDetails::with_error_info(reason, "rewind", HashMap::new());
    Status::with_error_details(code, "it did not work", details)
}

/// What is in a folder, by name.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    entries
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("text")
        })
        .collect()
}

#[test]
fn a_file_is_its_owners_and_overwrites_nothing() {
    let gateway = Gateway::start(quiet());
    let folder = tempfile::tempdir().expect("a folder");
    for format in ["json", "csv", "html", "patch"] {
        let path = folder.path().join(format);
        let to = path.to_str().expect("text");
        let arguments = ["diff", "export", "r1", "--format", format, "--to", to];
        let run = gateway.rewind(&[&arguments[..], &["--output", "json"]].concat());
        let expected = json!({
            "report": name("reports", "r1"), "file": to, "format": format, "objects": 3,
        });
        assert_eq!(run.exits(0).json(), expected);
        let written = std::fs::read_to_string(&path).expect("a file");
        assert_eq!(written, export(&gateway, format).out);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = path.metadata().expect("a file").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }

        let calls = gateway.fake.calls();
        let run = gateway.rewind(&arguments).exits(2);
        assert!(run.err.contains("is there already"), "{run:?}");
        assert_eq!(gateway.fake.calls(), calls, "nobody was asked");
        assert_eq!(std::fs::read_to_string(&path).expect("a file"), written);
    }
    assert_eq!(names(folder.path()).len(), 4);

    let nowhere = folder.path().join("absent/report");
    let nowhere = nowhere.to_str().expect("text");
    let run = gateway
        .rewind(&["diff", "export", "r1", "--to", nowhere])
        .exits(1);
    assert!(run.err.contains("cannot be written"), "{run:?}");
}

#[test]
fn a_document_that_breaks_off_is_no_file() {
    let broken = failed(Code::Unavailable, reason::BACKEND_UNAVAILABLE);
    let gateway = Gateway::start(Fake::failing("ListChangesRequest", broken));
    let nonsense = Gateway::start(Fake {
        changes: vec![Change {
            attributes: vec![attribute("a", None, Some("{"))],
            ..Default::default()
        }],
        ..quiet()
    });
    let folder = tempfile::tempdir().expect("a folder");
    let to = folder.path().join("report");
    let to = to.to_str().expect("text");
    for format in ["json", "csv", "html", "patch"] {
        let arguments = ["diff", "export", "r1", "--to", to, "--format", format];
        gateway.rewind(&arguments).exits(7);
        if format != "json" {
            let run = nonsense.rewind(&arguments).exits(1);
            assert!(run.err.contains("a value that is no JSON"), "{run:?}");
        }
        assert_eq!(names(folder.path()), Vec::<String>::new(), "{format}");
    }
}

#[test]
fn a_report_that_is_being_made_is_waited_for() {
    let running = || Fake {
        report_runs: true,
        ..quiet()
    };
    let gateway = Gateway::start(running());
    let run = export(&gateway, "json").exits(0);
    assert_eq!(run.json()["report"]["state"], "REPORT_STATE_SUCCEEDED");
    assert_eq!(gateway.fake.heard("WatchReportRequest"), 1);

    let refused = failed(Code::FailedPrecondition, reason::CONSENT_MISSING);
    let gateway = Gateway::start(Fake {
        errors: [("WatchReportRequest", refused)].into(),
        ..running()
    });
    export(&gateway, "json").exits(8);
}

#[test]
fn without_a_report_there_is_nothing_to_write() {
    let missing = failed(Code::NotFound, reason::NOT_FOUND);
    let gateway = Gateway::start(Fake::failing("GetReportRequest", missing));
    let run = export(&gateway, "html").exits(4);
    assert_eq!((run.out.as_str(), gateway.fake.calls()), ("", 2));
    let gateway = Gateway::start(Fake {
        report: canned::report("r1", ReportState::Failed),
        ..quiet()
    });
    let run = export(&gateway, "html").exits(1);
    assert_eq!(run.out, "");
    assert!(run.err.contains("was not made"), "{run:?}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let gateway = Gateway::start(quiet());
    for format in ["json", "csv", "html", "patch"] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let arguments = ["diff", "export", "r1", "--format", format];
        let run = gateway.rewind_into(writer, &arguments).exits(0);
        assert!(run.err.is_empty(), "{run:?}");
    }
}
