//! The collector against the fake: what is read, and what is said of what is not.

use std::sync::Mutex;

use chrono::{DateTime, TimeDelta, Utc};
use graph::{GraphError, Progress, Query, Scope, collect};
use model::snapshot::{Completeness, Content, Kind, Method};
use model::{LinkKind, ObjectState, ObjectType};
use serde_json::json;
use testkit::directory::{FakeDirectory, Request};

use crate::sample::{content, id, link, object};

/// Collects everything; each look at the clock is a second later than the last.
async fn run(directory: &FakeDirectory) -> Result<Content, GraphError> {
    let clock = Mutex::new(DateTime::<Utc>::UNIX_EPOCH);
    let now = || {
        let mut clock = clock.lock().unwrap();
        *clock += TimeDelta::seconds(1);
        *clock
    };
    collect(directory, &Scope::all(), &now, &|_| {}).await
}

fn record(content: &Content, kind: Kind) -> &Completeness {
    content
        .completeness
        .iter()
        .find(|record| record.kind == kind)
        .unwrap()
}

fn problems(content: &Content) -> Vec<(String, &str)> {
    content
        .completeness
        .iter()
        .filter_map(|record| Some((record.kind.name(), record.problem.as_deref()?)))
        .collect()
}

fn denied() -> GraphError {
    GraphError::Denied {
        code: "Authorization_RequestDenied".to_owned(),
        message: "insufficient privileges".to_owned(),
        path: "/x".to_owned(),
    }
}

fn unavailable() -> GraphError {
    GraphError::Unavailable {
        what: "no connection".to_owned(),
        path: "/x".to_owned(),
    }
}

fn asks(query: Query) -> impl Fn(&Request<'_>) -> bool {
    move |request| matches!(request, Request::Page(asked) if **asked == query)
}

#[tokio::test]
async fn a_whole_tenant_is_read_in_small_pages() {
    let directory = FakeDirectory::new(content()).with_page_size(1);
    let read = run(&directory).await.unwrap();
    assert_eq!(read.objects, content().objects);
    assert_eq!(read.links, content().links);
    assert_eq!(problems(&read), []);
    assert_eq!(read.completeness.len(), Kind::all().len());
    assert_eq!(record(&read, Kind::Objects(ObjectType::User)).count, 5);
    assert_eq!(record(&read, Kind::Deleted(ObjectType::User)).count, 1);
    assert_eq!(record(&read, Kind::Links(LinkKind::UserManager)).count, 2);
    let policies = record(&read, Kind::Objects(ObjectType::ConditionalAccessPolicy));
    assert_eq!(policies.method, Method::StableReread);
    assert!(policies.not_before < policies.not_after);
    assert_eq!(
        record(&read, Kind::Objects(ObjectType::User)).method,
        Method::SingleRead
    );
    assert!(
        read.objects
            .iter()
            .all(|object| !object.body().contains_key("manager"))
    );
}

#[tokio::test]
async fn progress_is_told_for_each_kind() {
    let directory = FakeDirectory::new(content()).with_page_size(2);
    let told = Mutex::new(Vec::new());
    let scope = Scope {
        types: vec![ObjectType::User],
        links: false,
        deleted: false,
    };
    let read = collect(&directory, &scope, &|| DateTime::UNIX_EPOCH, &|progress| {
        told.lock().unwrap().push(progress);
    })
    .await
    .unwrap();
    let kind = Kind::Objects(ObjectType::User);
    assert_eq!(
        *told.lock().unwrap(),
        [2, 4, 5].map(|count| Progress { kind, count })
    );
    assert_eq!(read.links, []);
    assert_eq!(read.completeness.len(), 1);
}

#[tokio::test]
async fn a_kind_that_fails_is_named_and_costs_no_other() {
    let directory = FakeDirectory::new(content());
    directory.fail_always(asks(Query::Objects(ObjectType::Group)), denied());
    let read = run(&directory).await.unwrap();
    let failed: Vec<String> = problems(&read).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(failed, ["group", "group/members", "group/owners"]);
    let owners = record(&read, Kind::Links(LinkKind::GroupOwners));
    assert_eq!(
        owners.problem.as_deref(),
        Some(
            "not all owners are known: graph denied /x: Authorization_RequestDenied: insufficient privileges"
        )
    );
    assert!(read.has(Kind::Objects(ObjectType::User)));
    assert!(read.has(Kind::Links(LinkKind::UserManager)));
}

#[tokio::test]
async fn a_list_that_breaks_off_is_not_complete() {
    let directory = FakeDirectory::new(content()).with_page_size(2);
    let pages = Mutex::new(0);
    let second = move |request: &Request<'_>| {
        let users = asks(Query::Objects(ObjectType::User))(request);
        *pages.lock().unwrap() += u32::from(users);
        users && *pages.lock().unwrap() == 2
    };
    directory.fail_next(second, unavailable());
    let read = run(&directory).await.unwrap();
    let users = record(&read, Kind::Objects(ObjectType::User));
    assert_eq!(
        (users.count, users.problem.as_deref()),
        (2, Some("/x is out of reach: no connection"))
    );
    assert!(
        !read.has(Kind::Links(LinkKind::UserManager)),
        "the links came with the objects"
    );
    assert!(
        !read.has(Kind::Links(LinkKind::UserSponsors)),
        "not all owners are known"
    );
}

#[tokio::test]
async fn a_tenant_out_of_reach_is_an_error() {
    for error in [
        unavailable(),
        denied(),
        GraphError::CredentialRejected {
            code: "AADSTS7000222".to_owned(),
            description: "expired".to_owned(),
        },
    ] {
        let directory = FakeDirectory::new(content());
        directory.fail_always(|_| true, error.clone());
        assert_eq!(run(&directory).await, Err(error));
    }
    let directory = FakeDirectory::new(content());
    directory.fail_always(
        asks(Query::Objects(ObjectType::ConditionalAccessPolicy)),
        unavailable(),
    );
    assert_eq!(
        problems(&run(&directory).await.unwrap()).len(),
        1,
        "one kind out of reach is that kind's problem"
    );
}

/// Changes the policy before each of the next `reads` reads of the list.
fn restless(directory: &FakeDirectory, reads: u32) {
    directory.before_next(
        asks(Query::Objects(ObjectType::ConditionalAccessPolicy)),
        move |directory| {
            let body = json!({"displayName": format!("{reads} to go")});
            directory.put(object(
                ObjectType::ConditionalAccessPolicy,
                ObjectState::Live,
                51,
                body,
            ));
            if reads > 1 {
                restless(directory, reads - 1);
            }
        },
    );
}

#[tokio::test]
async fn policies_are_read_until_two_reads_agree() {
    let check = async |changes, method, name: &str| {
        let directory = FakeDirectory::new(content());
        restless(&directory, changes);
        let read = run(&directory).await.unwrap();
        let policies = record(&read, Kind::Objects(ObjectType::ConditionalAccessPolicy));
        assert_eq!(
            (policies.method, policies.problem.as_deref()),
            (method, None)
        );
        assert_eq!(
            read.object(ObjectType::ConditionalAccessPolicy, &id(51))
                .unwrap()
                .name(),
            name
        );
    };
    check(2, Method::StableReread, "1 to go").await;
    check(3, Method::StableReread, "1 to go").await;
    check(9, Method::SingleRead, "6 to go").await;
}

#[tokio::test]
async fn an_owner_deleted_while_reading_goes_to_the_recycle_bin_with_its_links() {
    let group = id(11);
    let query = Query::Links {
        kind: LinkKind::GroupOwners,
        source: group.clone(),
    };
    let directory = FakeDirectory::new(content());
    directory.before_next(asks(query), |directory| {
        directory.put(object(
            ObjectType::Group,
            ObjectState::Deleted,
            11,
            json!({"displayName": "Staff"}),
        ));
    });
    let read = run(&directory).await.unwrap();
    assert_eq!(problems(&read), []);
    assert_eq!(
        read.object(ObjectType::Group, &group).unwrap().state,
        ObjectState::Deleted
    );
    assert!(read.links.iter().all(|link| link.source != group));
    assert_eq!(record(&read, Kind::Objects(ObjectType::Group)).count, 1);
    assert_eq!(record(&read, Kind::Deleted(ObjectType::Group)).count, 1);

    let query = Query::Links {
        kind: LinkKind::GroupMembers,
        source: group.clone(),
    };
    let directory = FakeDirectory::new(content());
    directory.before_next(asks(query), |directory| {
        directory.purge(ObjectType::Group, &id(11));
    });
    let read = run(&directory).await.unwrap();
    assert_eq!(problems(&read), []);
    assert_eq!(read.object(ObjectType::Group, &group), None);
}

#[tokio::test]
async fn an_owner_that_was_only_out_of_sight_keeps_its_links() {
    let query = Query::Links {
        kind: LinkKind::GroupMembers,
        source: id(11),
    };
    let directory = FakeDirectory::new(content());
    directory.fail_next(
        asks(query.clone()),
        GraphError::NotFound {
            path: "/x".to_owned(),
        },
    );
    let read = run(&directory).await.unwrap();
    assert_eq!(problems(&read), []);
    assert_eq!(read.links, content().links);

    directory.fail_always(
        asks(query),
        GraphError::NotFound {
            path: "/x".to_owned(),
        },
    );
    let read = run(&directory).await.unwrap();
    let text = format!("group {} exists, yet its members were not found", id(11));
    assert_eq!(
        problems(&read),
        [("group/members".to_owned(), text.as_str())]
    );
}

#[tokio::test]
async fn what_is_no_object_is_a_problem_of_its_kind() {
    let directory = FakeDirectory::new(content());
    let users = Kind::Objects(ObjectType::User);
    directory.serve_raw(users, r#"{"displayName":"nameless"}"#);
    directory.serve_raw(users, "7");
    directory.serve_raw(Kind::Objects(ObjectType::Group), r#""manager""#);
    directory.serve_raw(Kind::Links(LinkKind::ApplicationOwners), r#"{"id":"a b"}"#);
    let read = run(&directory).await.unwrap();
    let problem = |kind| record(&read, kind).problem.clone().unwrap();
    assert_eq!(problem(users), "object 6 of page 1 has no id (and 1 more)");
    assert_eq!(
        problem(Kind::Objects(ObjectType::Group)),
        "object 3 of page 1 is no json object"
    );
    let owners = format!("an entry in owners of {} has an id that is none", id(21));
    assert_eq!(problem(Kind::Links(LinkKind::ApplicationOwners)), owners);
    assert_eq!(read.objects, content().objects, "the others are read");
}

#[tokio::test]
async fn a_manager_without_an_id_leaves_the_user_complete() {
    let directory = FakeDirectory::new(content());
    let user = format!(r#"{{"id":"{}","manager":{{"displayName":"?"}}}}"#, id(7));
    directory.serve_raw(Kind::Objects(ObjectType::User), &user);
    directory.link(link(LinkKind::GroupMembers, 11, 999));
    let read = run(&directory).await.unwrap();
    assert!(read.has(Kind::Objects(ObjectType::User)));
    let managers = format!("manager of {} has no id", id(7));
    assert_eq!(
        problems(&read),
        [("user/manager".to_owned(), managers.as_str())]
    );
    assert!(
        read.links.contains(&link(LinkKind::GroupMembers, 11, 999)),
        "links to what is not known are kept"
    );
}
