use chrono::DateTime;
use model::licence::Licence;
use model::snapshot::{ChangeToken, Completeness, Effort, Kind, Method};
use model::{LinkKind, ObjectType, SnapshotId, TenantId};

use super::*;
use crate::manifest as domain;

/// A manifest as the first release wrote it. It must stay readable as it is.
const GOLDEN: &str = r#"{"format":1,"tenant":"11111111-0000-4000-8000-000000000000","snapshot":"20261120-daily","attempt":"a1","trigger":"scheduled","started":"2026-11-20T01:00:00Z","finished":"2026-11-20T01:02:03.456Z","licence":"P2","runs":[{"hash":"0101010101010101010101010101010101010101010101010101010101010101","kind":"objects","bytes":10,"rows":3,"plain_hash":"0202020202020202020202020202020202020202020202020202020202020202"}],"completeness":[{"kind":"deleted/user","complete":false,"problem":"Graph answered 403","method":"single_read","not_before":"2026-11-20T01:00:00Z","not_after":"2026-11-20T01:01:00Z","count":0}],"objects":[{"type":"user","live":2,"deleted":1}],"links":[{"kind":"group/members","count":4}]}"#;

fn golden() -> domain::Manifest {
    let time = |text: &str| DateTime::parse_from_rfc3339(text).unwrap().to_utc();
    domain::Manifest {
        tenant: TenantId::parse("11111111-0000-4000-8000-000000000000").unwrap(),
        meta: domain::SnapshotMeta {
            id: SnapshotId::parse("20261120-daily").unwrap(),
            attempt: "a1".to_owned(),
            trigger: domain::Trigger::Scheduled,
            started: time("2026-11-20T01:00:00Z"),
            finished: time("2026-11-20T01:02:03.456Z"),
            licence: Licence::P2,
        },
        runs: vec![domain::RunFile {
            hash: blake3::Hash::from_bytes([1; 32]),
            kind: domain::RunKind::Objects,
            bytes: 10,
            rows: 3,
            plain_hash: blake3::Hash::from_bytes([2; 32]),
            head: None,
            key: 1,
        }],
        completeness: vec![Completeness {
            kind: Kind::Deleted(ObjectType::User),
            problem: Some("Graph answered 403".to_owned()),
            method: Method::SingleRead,
            not_before: time("2026-11-20T01:00:00Z"),
            not_after: time("2026-11-20T01:01:00Z"),
            count: 0,
            note: String::new(),
            effort: Effort::default(),
        }],
        counts: vec![domain::TypeCount {
            object_type: ObjectType::User,
            live: 2,
            deleted: 1,
        }],
        link_counts: vec![domain::LinkCount {
            kind: LinkKind::GroupMembers,
            count: 4,
        }],
        lineage: domain::Lineage::default(),
        tokens: Vec::new(),
        unsettled: Vec::new(),
        fate: domain::Fate::Kept,
    }
}

fn read(text: &str) -> Result<domain::Manifest, StoreError> {
    from_json::<Manifest>("here", text.as_bytes())?.into_domain("here")
}

#[test]
fn the_first_manifest_stays_readable_and_is_written_alike() {
    assert_eq!(read(GOLDEN).unwrap(), golden());
    assert_eq!(
        String::from_utf8(to_json(&Manifest::from(&golden())).unwrap()).unwrap(),
        GOLDEN
    );
}

#[test]
fn nothing_shows_a_change_token() {
    let mut manifest = golden();
    manifest.tokens = vec![ChangeToken {
        object_type: ObjectType::User,
        selection: "displayName".to_owned(),
        link: "https://graph.example/users/delta?$deltatoken=s3cret".to_owned(),
    }];
    let stored = Manifest::from(&manifest);
    for shown in [format!("{manifest:?}"), format!("{stored:?}")] {
        assert!(shown.contains("user") || shown.contains("User"), "{shown}");
        assert!(
            !shown.contains("s3cret") && !shown.contains("delta?"),
            "{shown}"
        );
    }
    let text = String::from_utf8(to_json(&stored).unwrap()).unwrap();
    assert_eq!(read(&text).unwrap(), manifest, "what is stored keeps it");
}

#[test]
fn every_kind_has_a_name_in_the_manifest() {
    let mut manifest = golden();
    let record = manifest.completeness[0].clone();
    manifest.completeness = Kind::all()
        .into_iter()
        .map(|kind| Completeness {
            kind,
            ..record.clone()
        })
        .collect();
    let text = String::from_utf8(to_json(&Manifest::from(&manifest)).unwrap()).unwrap();
    assert_eq!(read(&text).unwrap(), manifest);
}

#[test]
fn what_is_not_understood_is_refused() {
    let check = |from: &str, to: &str, part: &str| {
        let text = GOLDEN.replacen(from, to, 1);
        assert_ne!(text, GOLDEN, "{from} occurs");
        let error = read(&text).unwrap_err();
        assert!(
            matches!(&error, StoreError::Corrupt { path, detail } if path == "here" && detail.contains(part)),
            "{error}"
        );
    };
    check(
        "\"format\":1",
        "\"format\":7",
        "format 7 is not known to this version, which reads 1",
    );
    check("\"format\":1,", "", "missing field `format`");
    check(
        "scheduled",
        "sometimes",
        "trigger \"sometimes\" is not known",
    );
    check("\"P2\"", "\"P9\"", "licence \"P9\" is not known");
    check("single_read", "guess", "method \"guess\" is not known");
    check(
        "deleted/user",
        "deleted/unicorn",
        "kind \"deleted/unicorn\" is not known",
    );
    check(
        "\"type\":\"user\"",
        "\"type\":\"unicorn\"",
        "object type \"unicorn\" is not known",
    );
    check(
        "\"objects\",\"bytes\"",
        "\"riddles\",\"bytes\"",
        "run kind \"riddles\" is not known",
    );
    check(
        "group/members",
        "group/enemies",
        "link kind \"group/enemies\" is not known",
    );
    check("0101", "01", "hex");
    check("{\"format\"", "[", "no file of the vault");
}

#[test]
fn a_kind_without_a_record_was_not_read() {
    let complete = |kinds: &[Kind]| {
        let mut manifest = golden();
        let record = |kind: &Kind| Completeness {
            kind: *kind,
            problem: None,
            ..manifest.completeness[0].clone()
        };
        manifest.completeness = kinds.iter().map(record).collect();
        manifest.has_essentials()
    };
    let (essential, other): (Vec<Kind>, Vec<Kind>) = Kind::all()
        .into_iter()
        .partition(|kind| kind.object_type().is_essential());
    assert!(complete(&essential) && complete(&Kind::all()));
    assert!(!complete(&[]) && !complete(&other));
    for missing in 0..essential.len() {
        let mut kinds = essential.clone();
        let kind = kinds.remove(missing);
        assert!(!complete(&kinds), "without {}", kind.name());
    }
}

#[test]
fn a_run_keeps_its_head() {
    let mut manifest = golden();
    manifest.runs[0].head = Some(domain::Head {
        bytes: 300,
        hash: blake3::Hash::from_bytes([3; 32]),
    });
    let text = String::from_utf8(to_json(&Manifest::from(&manifest)).unwrap()).unwrap();
    assert_eq!(read(&text).unwrap(), manifest);
    let cut = text.replacen("\"hash\":\"0303", "\"hash\":\"03", 1);
    assert!(matches!(read(&cut), Err(StoreError::Corrupt { .. })));
}

#[test]
fn new_members_are_passed_over() {
    let text = GOLDEN.replacen('{', "{\"added_later\":[1],", 1);
    assert_eq!(read(&text).unwrap(), golden());
}

#[test]
fn an_incomplete_kind_without_a_reason_stays_incomplete() {
    let text = GOLDEN.replacen("\"problem\":\"Graph answered 403\",", "", 1);
    assert!(!read(&text).unwrap().is_complete());
}
