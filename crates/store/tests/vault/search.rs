//! Searching a snapshot by what its objects are called.

use model::snapshot::{Change, Content};
use model::{Object, ObjectId, ObjectState, ObjectType};
use store::{Draft, Found, Manifest, Match, Query, Taken, TenantVault};
use testkit::store::meta;

use crate::{memory, opened};

fn object(object_type: ObjectType, state: ObjectState, json: &str) -> Object {
    Object::from_json(object_type, state, json).unwrap()
}

fn tenant() -> Content {
    let (live, deleted) = (ObjectState::Live, ObjectState::Deleted);
    let objects = vec![
        object(
            ObjectType::User,
            live,
            r#"{"id":"u-1","displayName":"Zoë Adler","userPrincipalName":"zadler@contoso.example"}"#,
        ),
        object(
            ObjectType::User,
            live,
            r#"{"id":"u-2","displayName":"Adele Vance","userPrincipalName":"AdeleV@contoso.example"}"#,
        ),
        object(
            ObjectType::User,
            deleted,
            r#"{"id":"u-3","displayName":"Adelheid","userPrincipalName":"gone@contoso.example"}"#,
        ),
        object(
            ObjectType::Group,
            live,
            r#"{"id":"g-1","displayName":"Adele's friends","mailNickname":"zadler"}"#,
        ),
        object(
            ObjectType::Application,
            live,
            r#"{"id":"a-1","displayName":"Payroll","appId":"C0FFEE00-0000"}"#,
        ),
        object(
            ObjectType::ServicePrincipal,
            live,
            r#"{"id":"s-1","displayName":"Payroll","appId":"c0ffee00-0000"}"#,
        ),
        object(
            ObjectType::ServicePrincipal,
            live,
            r#"{"id":"s-2","displayName":null,"appId":7}"#,
        ),
    ];
    Content {
        objects,
        ..Content::default()
    }
    .sorted()
}

async fn found(vault: &TenantVault, manifest: &Manifest, query: &Query) -> Vec<String> {
    let page = vault
        .search(manifest, query.clone(), None, 100)
        .await
        .unwrap();
    assert!(!page.more);
    page.found
        .iter()
        .map(|found| found.id.to_string())
        .collect()
}

fn query(text: &str) -> Query {
    Query {
        text: text.to_owned(),
        matching: Match::Anywhere,
        types: Vec::new(),
    }
}

#[tokio::test]
async fn objects_are_found_by_name_principal_name_application_and_id() {
    let (_, vault) = opened(memory()).await;
    let first = meta("20261120-daily", "a", 0);
    let manifest = &vault.commit_content(&first, &tenant()).await.unwrap();
    for (text, ids) in [
        ("adele", &["u-2", "g-1"][..]),
        ("ZOË", &["u-1"]),
        ("zadler@", &["u-1"]),
        ("adelev@CONTOSO", &["u-2"]),
        ("c0ffee", &["a-1", "s-1"]),
        ("U-3", &["u-3"]),
        ("contoso", &["u-1", "u-2", "u-3"]),
        ("payroll", &["a-1", "s-1"]),
        ("nobody", &[]),
    ] {
        assert_eq!(found(&vault, manifest, &query(text)).await, ids, "{text}");
    }
    let at_the_beginning = Query {
        matching: Match::Beginning,
        ..query("ad")
    };
    assert_eq!(
        found(&vault, manifest, &at_the_beginning).await,
        ["u-2", "u-3", "g-1"]
    );
    let users = Query {
        types: vec![ObjectType::User, ObjectType::Application],
        ..query("a")
    };
    assert_eq!(
        found(&vault, manifest, &users).await,
        ["u-1", "u-2", "u-3", "a-1"]
    );

    let page = vault
        .search(manifest, query("heid"), None, 1)
        .await
        .unwrap();
    let deleted = Found {
        object_type: ObjectType::User,
        id: ObjectId::parse("u-3").unwrap(),
        state: ObjectState::Deleted,
        name: "Adelheid".to_owned(),
    };
    assert_eq!(page.found, [deleted]);
}

#[tokio::test]
async fn pages_make_up_what_is_found() {
    let (_, vault) = opened(memory()).await;
    let first = meta("20261120-daily", "a", 0);
    let manifest = &vault.commit_content(&first, &tenant()).await.unwrap();
    let all = found(&vault, manifest, &query("-")).await;
    assert_eq!(all.len(), 7);
    for limit in 1..=8 {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = vault
                .search(manifest, query("-"), after, limit)
                .await
                .unwrap();
            assert!(page.found.len() <= limit);
            after = page
                .found
                .last()
                .map(|last| (last.object_type, last.id.clone()));
            seen.extend(page.found.iter().map(|found| found.id.to_string()));
            if !page.more {
                break;
            }
        }
        assert_eq!(seen, all, "pages of {limit}");
    }
}

#[tokio::test]
async fn what_changed_is_found_as_it_is_now() {
    let (_, vault) = opened(memory()).await;
    let first = meta("20261120-daily", "a", 0);
    let users = (0..40).map(|n| {
        let json = format!(r#"{{"id":"n-{n:02}","displayName":"Number {n:02}"}}"#);
        object(ObjectType::User, ObjectState::Live, &json)
    });
    let content = Content {
        objects: users.collect(),
        ..Content::default()
    };
    let base = vault.commit_content(&first, &content).await.unwrap();
    let draft = Draft::default();
    draft.apply(Change::Put(object(
        ObjectType::User,
        ObjectState::Live,
        r#"{"id":"n-01","displayName":"Somebody"}"#,
    )));
    let gone = ObjectId::parse("n-02").unwrap();
    draft.apply(Change::Gone(ObjectType::User, gone));
    let next = meta("20261121-daily", "b", 100);
    let now = || next.finished;
    let second = vault.commit(&next, draft, Taken::default(), Some(&base), &now);
    let second = second.await.unwrap();
    assert_eq!(second.runs.iter().filter(|run| run.rows == 2).count(), 1);
    assert_eq!(found(&vault, &second, &query("number 0")).await.len(), 8);
    assert_eq!(found(&vault, &second, &query("somebody")).await, ["n-01"]);
    assert_eq!(found(&vault, &base, &query("number 0")).await.len(), 10);
}
