use model::snapshot::Content;
use model::{Link, LinkKind, Object, ObjectId, ObjectState, ObjectType};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::statistics::Statistics;
use parquet::record::RowAccessor;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

fn rows(objects: &[Object]) -> Vec<ObjectRow> {
    objects.iter().cloned().map(ObjectRow::from).collect()
}

fn read_objects(file: Bytes) -> Vec<Object> {
    let rows = decode::<ObjectRow>("here", file).unwrap();
    rows.into_iter()
        .filter_map(ObjectRow::into_object)
        .collect()
}

fn read_links(file: Bytes) -> Vec<Link> {
    let rows = decode::<LinkRow>("here", file).unwrap();
    assert!(rows.iter().all(|row| row.presence == Presence::Present));
    rows.into_iter().map(|row| row.link).collect()
}

fn user(id: &str, body: &Value) -> Object {
    let mut body = body.clone();
    body["id"] = json!(id);
    Object::from_json(ObjectType::User, ObjectState::Live, &body.to_string()).unwrap()
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>()
            .prop_filter("JSON has no other", |number| number.is_finite())
            .prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn object() -> impl Strategy<Value = Object> {
    let state = prop_oneof![Just(ObjectState::Live), Just(ObjectState::Deleted)];
    let members = prop::collection::btree_map(any::<String>(), value(), 0..6);
    (
        prop::sample::select(&ObjectType::ALL[..]),
        state,
        "[a-z0-9._-]{1,40}",
        members,
    )
        .prop_map(|(object_type, state, id, members)| {
            let mut body: Map<String, Value> = members.into_iter().collect();
            body.insert("id".to_owned(), json!(id));
            Object::from_body(object_type, state, &body).unwrap()
        })
}

fn link() -> impl Strategy<Value = Link> {
    let id = || "[a-c]{1,3}".prop_map(|id| ObjectId::parse(&id).unwrap());
    (prop::sample::select(&LinkKind::ALL[..]), id(), id()).prop_map(|(kind, source, target)| Link {
        kind,
        source,
        target,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn decoding_undoes_encoding(
        objects in prop::collection::vec(object(), 0..20),
        links in prop::collection::vec(link(), 0..40),
    ) {
        let content = Content { objects, links, completeness: Vec::new() }.sorted();
        prop_assert_eq!(read_objects(encode(rows(&content.objects)).unwrap().into()), content.objects);
        prop_assert_eq!(read_links(encode(content.links.iter().cloned().map(LinkRow::from)).unwrap().into()), content.links);
    }

    #[test]
    fn a_cut_file_is_refused(objects in prop::collection::vec(object(), 1..5), cut: prop::sample::Index) {
        let content = Content { objects, ..Content::default() }.sorted();
        let mut file = encode(rows(&content.objects)).unwrap();
        file.truncate(cut.index(file.len()));
        prop_assert!(decode::<ObjectRow>("here", file.into()).is_err());
    }
}

#[test]
fn groups_hold_one_type_and_tell_their_ids() {
    let mut objects: Vec<Object> = (0..ObjectRow::GROUP_ROWS + 5)
        .map(|n| user(&format!("{n:08}"), &json!({})))
        .collect();
    objects.push(Object::from_json(ObjectType::Group, ObjectState::Live, r#"{"id":"0"}"#).unwrap());
    let file = Bytes::from(encode(rows(&objects)).unwrap());
    let reader = SerializedFileReader::new(file.clone()).unwrap();
    let found: Vec<(i64, String, String)> = reader
        .metadata()
        .row_groups()
        .iter()
        .map(|group| match group.column(1).statistics() {
            Some(Statistics::ByteArray(ids)) if ids.min_is_exact() && ids.max_is_exact() => {
                let text =
                    |bytes: Option<&[u8]>| String::from_utf8(bytes.unwrap().to_vec()).unwrap();
                (
                    group.num_rows(),
                    text(ids.min_bytes_opt()),
                    text(ids.max_bytes_opt()),
                )
            }
            other => panic!("{other:?}"),
        })
        .collect();
    let expected = [
        (10_000, "00000000", "00009999"),
        (5, "00010000", "00010004"),
        (1, "0", "0"),
    ];
    assert_eq!(
        found,
        expected.map(|(rows, min, max)| (rows, min.to_owned(), max.to_owned()))
    );
    assert_eq!(read_objects(file), objects);
}

#[test]
fn a_group_of_many_links_is_read_part_by_part() {
    let id = |family: &str, n: usize| ObjectId::parse(&format!("{family}{n:08}")).unwrap();
    let link = |n: usize| Link {
        kind: LinkKind::GroupMembers,
        source: id("g", n / 100),
        target: id("u", n % 100),
    };
    let links: Vec<Link> = (0..25_003).map(link).collect();
    let file = Bytes::from(encode(links.iter().cloned().map(LinkRow::from)).unwrap());
    let reader = SerializedFileReader::new(file.clone()).unwrap();
    assert_eq!(reader.metadata().num_row_groups(), 1);
    assert_eq!(read_links(file), links);
}

fn column(objects: &[Object], index: usize) -> Vec<String> {
    let reader = SerializedFileReader::new(Bytes::from(encode(rows(objects)).unwrap())).unwrap();
    let rows = reader.get_row_iter(None).unwrap().map(Result::unwrap);
    rows.map(|row| match index {
        4 => blake3::Hash::from_slice(row.get_bytes(4).unwrap().data())
            .unwrap()
            .to_string(),
        text => row.get_string(text).unwrap().clone(),
    })
    .collect()
}

#[test]
fn any_reader_finds_texts_names_and_hashes() {
    let context = json!({"b": 1.0, "a": ["ä", null], "@odata.context": "x"});
    let same = json!({"a": ["ä", null], "b": 1, "id": "1"});
    let objects = [
        user("1", &context),
        user("2", &json!({"displayName": "Zoë 🦀"})),
    ];
    assert_eq!(column(&objects, 0), ["user", "user"]);
    assert_eq!(column(&objects, 2), ["live", "live"]);
    assert_eq!(column(&objects, 3), ["1", "Zoë 🦀"]);
    let expected = blake3::hash(&serde_json_canonicalizer::to_vec(&same).unwrap());
    assert_eq!(column(&objects, 4)[0], expected.to_string());
    assert_eq!(column(&objects, 5)[0], &*objects[0].json);
}

#[test]
fn what_is_no_run_is_refused() {
    let check = |outcome: Result<Vec<ObjectRow>, StoreError>, part: &str| {
        let error = outcome.unwrap_err();
        assert!(
            matches!(&error, StoreError::Corrupt { path, detail } if path == "here" && detail.contains(part)),
            "{error}"
        );
    };
    check(
        decode("here", Bytes::from_static(b"PAR1 no PAR1")),
        "no readable Parquet",
    );
    check(
        decode("here", encode::<LinkRow>([]).unwrap().into()),
        "holds \"links\" where objects are expected",
    );
    let other = SerializedFileWriter::new(
        Vec::new(),
        schema::<ObjectRow>(),
        Arc::new(WriterProperties::builder().build()),
    )
    .unwrap();
    check(
        decode("here", other.into_inner().unwrap().into()),
        "run format \"\" is not known",
    );
    let other = SerializedFileWriter::new(
        Vec::new(),
        schema::<LinkRow>(),
        Arc::new(properties::<ObjectRow>()),
    )
    .unwrap();
    check(
        decode("here", other.into_inner().unwrap().into()),
        "its columns are not those of the format",
    );

    let twisted = |bodies: [(&str, &str); 2]| {
        let mut writer = SerializedFileWriter::new(
            Vec::new(),
            schema::<ObjectRow>(),
            Arc::new(properties::<ObjectRow>()),
        )
        .unwrap();
        let mut columns = ColumnWriter::of(&writer);
        columns.texts(["user", "user"]).unwrap();
        columns.texts(bodies.map(|(id, _)| id)).unwrap();
        columns.texts(["live", "live"]).unwrap();
        columns.texts(["", ""]).unwrap();
        columns
            .hashes([blake3::Hash::from_bytes([0; 32]); 2])
            .unwrap();
        columns.texts(bodies.map(|(_, body)| body)).unwrap();
        columns.finish().append_to(&mut writer).unwrap();
        decode::<ObjectRow>("here", writer.into_inner().unwrap().into())
    };
    check(
        twisted([("2", r#"{"id":"2"}"#), ("1", r#"{"id":"1"}"#)]),
        "user 1 is out of order",
    );
    check(
        twisted([("1", r#"{"id":"1"}"#), ("1", r#"{"id":"1"}"#)]),
        "occurs twice",
    );
    check(
        twisted([("1", r#"{"id":"1"}"#), ("2", r#"{"id":"3"}"#)]),
        "user \"2\" holds the body of another object",
    );
    check(
        twisted([("1", r#"{"id":"1"}"#), ("2", "hello")]),
        "user \"2\" cannot be read",
    );
    assert_eq!(
        twisted([("1", r#"{"id":"1"}"#), ("2", r#"{"id":"2"}"#)])
            .unwrap()
            .len(),
        2
    );
}

#[test]
fn a_body_that_could_not_be_read_back_is_refused() {
    // No object is made of such a text; a row that holds one all the same is refused.
    let deep = format!(r#"{{"id":"1","x":{}{}}}"#, "[".repeat(200), "]".repeat(200));
    for json in [
        r#"{"id":"1","x":1e999}"#,
        r#"{"id":"1","x":"\ud800"}"#,
        &deep,
    ] {
        assert!(Object::from_json(ObjectType::User, ObjectState::Live, json).is_err());
        let object = Object {
            json: json.into(),
            ..user("1", &json!({}))
        };
        let error = encode(rows(&[object])).unwrap_err();
        assert!(
            matches!(&error, StoreError::Invalid(text) if text == "user 1 has a body that cannot be stored"),
            "{error}"
        );
    }
}

#[test]
fn what_is_gone_is_told_and_the_first_links_runs_stay_readable() {
    let gone = [
        ObjectRow {
            body: None,
            ..user("1", &json!({})).into()
        },
        user("2", &json!({})).into(),
    ];
    let file = Bytes::from(encode(gone.clone()).unwrap());
    assert_eq!(decode::<ObjectRow>("here", file.clone()).unwrap(), gone);
    let keys: Vec<ObjectKey> = RunReader::<ObjectRow>::open("here", file)
        .unwrap()
        .keys()
        .collect::<Result<_, _>>()
        .unwrap();
    let hash = |json: &str| blake3::hash(json.as_bytes());
    assert_eq!(
        keys.into_iter().map(|key| key.body).collect::<Vec<_>>(),
        [None, Some((ObjectState::Live, hash(r#"{"id":"2"}"#)))]
    );

    let link = Link {
        kind: LinkKind::UserManager,
        source: ObjectId::parse("a").unwrap(),
        target: ObjectId::parse("b").unwrap(),
    };
    let unlinked = LinkRow {
        link: link.clone(),
        presence: Presence::Gone,
    };
    let file = encode([unlinked.clone()]).unwrap();
    assert_eq!(decode::<LinkRow>("here", file.into()).unwrap(), [unlinked]);

    let mut writer = SerializedFileWriter::new(
        Vec::new(),
        parsed(LinkRow::SCHEMAS[1]),
        Arc::new(properties::<LinkRow>()),
    )
    .unwrap();
    let mut columns = ColumnWriter::of(&writer);
    columns.texts([link.kind.name()]).unwrap();
    columns.texts([link.source.as_str()]).unwrap();
    columns.texts([link.target.as_str()]).unwrap();
    columns.finish().append_to(&mut writer).unwrap();
    assert_eq!(read_links(writer.into_inner().unwrap().into()), [link]);
}
