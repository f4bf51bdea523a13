//! The collector against the fake: what is read, and what is said of what is not.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use chrono::{DateTime, TimeDelta, Utc};
use graph::{
    ChangesFrom, Collection, Directory, GraphError, LaneUse, Mode, Outcome, Owners, Past, Progress,
    Query, Scope, collect, collect_content,
};
use model::catalogue::Lane;
use model::snapshot::{Change, Changes, Completeness, Content, Effort, Kind, Method};
use model::{LinkKind, Object, ObjectState, ObjectType};
use serde_json::json;
use testkit::directory::{FakeDirectory, Request};

use crate::sample::{content, id, link, object};

/// An order that waits for nothing.
fn request(mode: Mode) -> graph::Request {
    graph::Request {
        sleep: std::sync::Arc::new(|_| Box::pin(std::future::ready(()))),
        ..graph::Request::all(mode)
    }
}

/// A clock of which each look is a second later than the last.
fn ticking() -> impl Fn() -> DateTime<Utc> {
    let clock = Mutex::new(DateTime::<Utc>::UNIX_EPOCH);
    move || {
        let mut clock = clock.lock().unwrap();
        *clock += TimeDelta::seconds(1);
        *clock
    }
}

/// Collects everything.
async fn run(directory: &FakeDirectory) -> Result<Content, GraphError> {
    collect_content(directory, &request(Mode::Whole), &ticking(), &|_| {}).await
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
    let users = record(&read, Kind::Objects(ObjectType::User));
    assert_eq!(users.method, Method::Delta);
    assert_eq!(users.not_before, users.not_after, "true of one moment");
    let sponsors = record(&read, Kind::Links(LinkKind::UserSponsors));
    assert_eq!(sponsors.method, Method::SingleRead);
    assert_eq!(
        read.counts().len(),
        read.completeness
            .iter()
            .filter(|record| record.count > 0)
            .count()
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
    let request = graph::Request {
        scope,
        ..request(Mode::Whole)
    };
    let read = collect_content(&directory, &request, &ticking(), &|progress| {
        told.lock().unwrap().push(progress);
    })
    .await
    .unwrap();
    let kind = Kind::Objects(ObjectType::User);
    let mut told = told.into_inner().unwrap();
    told.retain(|progress| progress.added > 0);
    assert_eq!(told, [2, 2, 1].map(|added| Progress { kind, added }));
    assert_eq!(read.links, []);
    assert_eq!(read.completeness.len(), 1);
}

#[tokio::test]
async fn a_kind_that_fails_is_named_and_costs_no_other() {
    let directory = FakeDirectory::new(content());
    directory.fail_always(asks(Query::Objects(ObjectType::Group)), denied());
    let read = run(&directory).await.unwrap();
    let failed: Vec<String> = problems(&read).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(failed, ["group"], "their links were read all the same");

    let directory = FakeDirectory::new(content());
    directory.fail_always(asks(Query::Objects(ObjectType::Application)), denied());
    let read = run(&directory).await.unwrap();
    let failed: Vec<String> = problems(&read).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(
        failed,
        [
            "application",
            "federatedIdentityCredential",
            "application/owners"
        ]
    );
    let owners = record(&read, Kind::Links(LinkKind::ApplicationOwners));
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

/// How often a list is asked for from now on.
fn count(directory: &FakeDirectory, query: Query) -> Arc<AtomicU32> {
    fn rearm(directory: &FakeDirectory, query: Query, times: Arc<AtomicU32>) {
        directory.before_next(asks(query.clone()), move |directory| {
            times.fetch_add(1, Ordering::Relaxed);
            rearm(directory, query, times);
        });
    }
    let times = Arc::default();
    rearm(directory, query, Arc::clone(&times));
    times
}

#[tokio::test]
async fn what_is_as_it_was_is_read_once_and_what_is_not_until_two_reads_agree() {
    let directory = FakeDirectory::new(content());
    let kind = Kind::Objects(ObjectType::ConditionalAccessPolicy);
    let times = count(
        &directory,
        Query::Objects(ObjectType::ConditionalAccessPolicy),
    );
    let asked = || times.swap(0, Ordering::Relaxed);
    let (before, outcome) = gather(&directory, Mode::Whole, None).await;
    assert_eq!(asked(), 2);

    let (same, _) = follow(&directory, &before, &outcome, Mode::Since).await;
    assert_eq!(asked(), 1);
    assert_eq!(same.objects, before.objects);
    let now = record(&same, kind);
    assert_eq!(
        (now.method, now.problem.as_deref()),
        (Method::StableReread, None)
    );

    a_day(&directory);
    let (after, _) = follow(&directory, &before, &outcome, Mode::Since).await;
    assert_eq!(asked(), 2);
    assert_eq!(after.objects, directory.content().objects);

    // What was read in part the last time is no first reading.
    let mut holed = after;
    for record in &mut holed.completeness {
        record.problem = Some("it was not read".to_owned());
    }
    follow(&directory, &holed, &outcome, Mode::Since).await;
    assert_eq!(asked(), 2);
}

#[tokio::test]
async fn an_empty_bin_is_still_empty_where_nothing_left_the_list() {
    let directory = FakeDirectory::new(content());
    let (before, outcome) = gather(&directory, Mode::Whole, None).await;
    let bins = [
        ObjectType::NamedLocation,
        ObjectType::ConditionalAccessPolicy,
    ];
    let times = bins.map(|object_type| count(&directory, Query::Deleted(object_type)));
    let check = async |place: usize, expected: u32, note: &str| {
        let request = graph::Request {
            infer_empty_bins: true,
            ..request(Mode::Since(past(&before, &outcome)))
        };
        times[place].store(0, Ordering::Relaxed);
        let (after, _) = read(&directory, request, Some(&before)).await;
        let bin = record(&after, Kind::Deleted(bins[place]));
        let asked = times[place].load(Ordering::Relaxed);
        assert_eq!((asked, bin.note.as_str()), (expected, note), "{place}");
        assert_eq!(bin.problem, None);
        assert_eq!(after.objects, directory.content().objects);
    };
    let inferred = "not read: it was empty, and nothing has left the list since";
    check(0, 0, inferred).await;
    // Something was in it, which may have been purged since.
    check(1, 1, "").await;
    directory.put(object(
        ObjectType::NamedLocation,
        ObjectState::Deleted,
        41,
        json!({"@odata.type": "#microsoft.graph.ipNamedLocation", "displayName": "Office"}),
    ));
    check(0, 2, "").await;
}

/// The kinds that share the quota of Conditional Access.
const SLOW: [ObjectType; 3] = [
    ObjectType::ConditionalAccessPolicy,
    ObjectType::NamedLocation,
    ObjectType::AuthenticationContextClassReference,
];

fn slow_kinds() -> Vec<Kind> {
    let mut kinds = Kind::all();
    kinds.retain(|kind| kind.object_type().spec().lane == Lane::ConditionalAccess);
    kinds.sort();
    kinds
}

/// Says how each slow kind stands compared with an earlier record.
fn stands_in(read: &Content, before: &Content) {
    for kind in slow_kinds() {
        let (now, then) = (record(read, kind), record(before, kind));
        assert_eq!(now.problem, None, "{}", kind.name());
        assert_eq!(
            (now.not_before, now.not_after, now.method, now.count),
            (then.not_before, then.not_after, then.method, then.count)
        );
        assert_eq!(
            now.note,
            "a restore had the conditional access quota; as of an earlier reading"
        );
        assert_eq!(now.effort, Effort::default());
    }
}

#[tokio::test]
async fn what_a_restore_has_the_quota_of_is_as_in_the_reading_before() {
    for mode in [Mode::Since, Mode::Reconcile] {
        let directory = FakeDirectory::new(content());
        let (before, outcome) = gather(&directory, Mode::Whole, None).await;
        a_day(&directory);
        directory.use_conditional_access(LaneUse::Refuse);
        let (after, _) = follow(&directory, &before, &outcome, mode).await;
        stands_in(&after, &before);
        let name = |content: &Content| {
            let policy = content.object(ObjectType::ConditionalAccessPolicy, &id(51));
            policy.unwrap().body()
        };
        assert_eq!(name(&after), name(&before), "not as in the tenant");
        assert!(after.object(ObjectType::User, &id(8)).is_some());
    }
}

#[tokio::test]
async fn a_reading_as_a_whole_takes_the_slow_kinds_from_the_last() {
    let directory = FakeDirectory::new(content());
    let before = run(&directory).await.unwrap();
    a_day(&directory);
    directory.use_conditional_access(LaneUse::Refuse);
    let request = graph::Request {
        last: Some(Arc::new(before.clone())),
        ..request(Mode::Whole)
    };
    let after = collect_content(&directory, &request, &ticking(), &|_| {})
        .await
        .unwrap();
    stands_in(&after, &before);
    let slow = |content: &Content| -> Vec<Object> {
        let objects = content.objects.iter();
        objects
            .filter(|object| SLOW.contains(&object.object_type))
            .cloned()
            .collect()
    };
    assert_eq!(slow(&after), slow(&before));
    assert!(!slow(&after).is_empty());
    assert!(after.object(ObjectType::User, &id(8)).is_some());
}

#[tokio::test]
async fn a_quota_that_a_restore_has_is_waited_for_but_not_for_ever() {
    let yielded = || GraphError::Yielded {
        path: "/x".to_owned(),
    };
    let waits = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&waits);
    let mut request = request(Mode::Whole);
    request.sleep = Arc::new(move |wait| {
        *counted.lock().unwrap() += wait.as_secs();
        Box::pin(std::future::ready(()))
    });
    let policies = asks(Query::Objects(ObjectType::ConditionalAccessPolicy));
    let directory = FakeDirectory::new(content());
    directory.fail_next(policies, yielded());
    let read = collect_content(&directory, &request, &ticking(), &|_| {})
        .await
        .unwrap();
    assert_eq!(problems(&read), []);
    assert_eq!(read.objects, content().objects);
    assert_eq!(*waits.lock().unwrap(), 5);

    directory.use_conditional_access(LaneUse::Refuse);
    let read = collect_content(&directory, &request, &ticking(), &|_| {})
        .await
        .unwrap();
    assert_eq!(*waits.lock().unwrap(), 5 + 600, "for all kinds together");
    let failed: Vec<String> = problems(&read).into_iter().map(|(kind, _)| kind).collect();
    let slow: Vec<String> = slow_kinds().into_iter().map(Kind::name).collect();
    assert_eq!(failed, slow);
    assert!(read.has(Kind::Objects(ObjectType::User)));
}

#[tokio::test]
async fn a_restore_that_begins_between_two_reads_leaves_the_first() {
    let directory = FakeDirectory::new(content());
    let before = run(&directory).await.unwrap();
    a_day(&directory);
    let bin = asks(Query::Deleted(ObjectType::ConditionalAccessPolicy));
    directory.before_next(bin, |directory| {
        let again = asks(Query::Objects(ObjectType::ConditionalAccessPolicy));
        directory.before_next(again, |directory| {
            directory.use_conditional_access(LaneUse::Refuse);
        });
    });
    let request = graph::Request {
        last: Some(Arc::new(before.clone())),
        ..request(Mode::Whole)
    };
    let after = collect_content(&directory, &request, &ticking(), &|_| {})
        .await
        .unwrap();
    let policies = record(&after, Kind::Objects(ObjectType::ConditionalAccessPolicy));
    assert_eq!(
        (policies.method, policies.note.as_str()),
        (Method::SingleRead, "")
    );
    let locations = record(&after, Kind::Objects(ObjectType::NamedLocation));
    assert!(locations.not_after < policies.not_before);
    let policy = after.object(ObjectType::ConditionalAccessPolicy, &id(51));
    assert_eq!(policy.unwrap().body()["state"], "disabled");
}

/// Matches the first asking for the links that a delta function shows.
fn asks_for_links(object_type: ObjectType) -> impl Fn(&Request<'_>) -> bool {
    move |request| matches!(request, Request::Changes(asked, ChangesFrom::Links) if *asked == object_type)
}

#[tokio::test]
async fn what_happens_while_reading_is_caught_up_with() {
    let directory = FakeDirectory::new(content());
    directory.before_next(asks_for_links(ObjectType::Group), |directory| {
        directory.put(object(
            ObjectType::Group,
            ObjectState::Deleted,
            11,
            json!({"displayName": "Staff"}),
        ));
        directory.put(object(
            ObjectType::User,
            ObjectState::Live,
            7,
            json!({"displayName": "New"}),
        ));
        directory.link(link(LinkKind::GroupMembers, 12, 7));
        directory.unlink(&link(LinkKind::UserManager, 1, 2));
        directory.purge(ObjectType::User, &id(3));
    });
    let read = run(&directory).await.unwrap();
    assert_eq!(problems(&read), []);
    assert_eq!(read.objects, directory.content().objects);
    assert_eq!(read.links, directory.content().links);
    assert_eq!(record(&read, Kind::Objects(ObjectType::Group)).count, 1);
    assert_eq!(record(&read, Kind::Deleted(ObjectType::Group)).count, 1);
}

#[tokio::test]
async fn an_owner_that_was_only_out_of_sight_keeps_its_links() {
    let missing = || GraphError::NotFound {
        path: "/x".to_owned(),
    };
    let query = Query::Links {
        kind: LinkKind::AdministrativeUnitMembers,
        source: id(68),
    };
    let directory = FakeDirectory::new(content());
    directory.fail_next(asks(query.clone()), missing());
    let read = run(&directory).await.unwrap();
    assert_eq!(problems(&read), []);
    assert_eq!(read.links, content().links);

    directory.fail_always(asks(query), missing());
    let read = run(&directory).await.unwrap();
    let text = format!(
        "administrativeUnit {} exists, yet its members were not found",
        id(68)
    );
    assert_eq!(
        problems(&read),
        [("administrativeUnit/members".to_owned(), text.as_str())]
    );
}

#[tokio::test]
async fn an_owner_with_as_many_entries_as_are_expanded_is_asked_for_all() {
    let directory = FakeDirectory::new(content()).with_page_size(8);
    let expected: Vec<_> = (100..125)
        .map(|user| link(LinkKind::ServicePrincipalOwners, 31, user))
        .collect();
    directory.unlink(&link(LinkKind::ServicePrincipalOwners, 31, 2));
    expected
        .iter()
        .cloned()
        .for_each(|link| directory.link(link));
    let read = run(&directory).await.unwrap();
    let owners = read.links_of(LinkKind::ServicePrincipalOwners, &id(31));
    assert_eq!(owners, expected);
}

/// Follows the changes since an earlier reading.
async fn follow(
    directory: &FakeDirectory,
    before: &Content,
    outcome: &Outcome,
    mode: fn(Past) -> Mode,
) -> (Content, Outcome) {
    gather(directory, mode(past(before, outcome)), Some(before)).await
}

/// What the next reading must know of an earlier one.
fn past(before: &Content, outcome: &Outcome) -> Past {
    Past {
        tokens: outcome.tokens.clone(),
        bin: before
            .objects
            .iter()
            .filter(|object| object.state == ObjectState::Deleted)
            .map(|object| (object.object_type, object.id.clone()))
            .collect(),
        untracked: before
            .objects
            .iter()
            .filter(|object| object.object_type.spec().is_untracked())
            .map(|object| {
                let hash = model::json::canonical(&object.json).unwrap().hash();
                let key = (object.object_type, object.id.clone());
                (key, (object.state, hash))
            })
            .collect(),
        completeness: before.completeness.clone(),
        ..Past::default()
    }
}

/// Reads, on top of an earlier content.
async fn gather(
    directory: &FakeDirectory,
    mode: Mode,
    before: Option<&Content>,
) -> (Content, Outcome) {
    read(directory, request(mode), before).await
}

async fn read(
    directory: &FakeDirectory,
    request: graph::Request,
    before: Option<&Content>,
) -> (Content, Outcome) {
    let changes = Mutex::new(Changes::default());
    if let Some(content) = before {
        for object in &content.objects {
            changes.lock().unwrap().apply(Change::Put(object.clone()));
        }
        for link in &content.links {
            changes.lock().unwrap().apply(Change::Linked(link.clone()));
        }
    }
    let outcome = collect(directory, &request, &ticking(), &|_| {}, &|change| {
        changes.lock().unwrap().apply(change);
    })
    .await
    .unwrap();
    let changes = changes.into_inner().unwrap();
    (changes.into_content(outcome.completeness.clone()), outcome)
}

/// What a day brings: something of each sort.
fn a_day(directory: &FakeDirectory) {
    use ObjectState::{Deleted, Live};
    let user = |number, state, name: &str| {
        directory.put(object(
            ObjectType::User,
            state,
            number,
            json!({ "displayName": name }),
        ));
    };
    user(1, Live, "Renamed");
    user(6, Live, "Back");
    user(8, Live, "New");
    user(5, Deleted, "User 5");
    directory.purge(ObjectType::User, &id(4));
    directory.link(link(LinkKind::GroupMembers, 11, 8));
    directory.unlink(&link(LinkKind::GroupMembers, 11, 2));
    directory.link(link(LinkKind::UserManager, 8, 1));
    directory.link(link(LinkKind::ApplicationOwners, 21, 1));
    directory.put(object(
        ObjectType::ConditionalAccessPolicy,
        Live,
        51,
        json!({"displayName": "MFA", "state": "disabled"}),
    ));
    directory.purge(ObjectType::AppRoleAssignment, &id(62));
}

#[tokio::test]
async fn the_next_reading_follows_the_changes() {
    let directory = FakeDirectory::new(content());
    let (before, outcome) = gather(&directory, Mode::Whole, None).await;
    a_day(&directory);
    let asked = directory.counts();
    let (after, next) = follow(&directory, &before, &outcome, Mode::Since).await;
    assert_eq!(problems(&after), []);
    assert_eq!(after.objects, directory.content().objects);
    assert_eq!(after.links, directory.content().links);
    assert_eq!(next.whole, []);
    assert_eq!(next.tokens.len(), outcome.tokens.len());
    assert!(next.unsettled.is_empty());
    let read = directory.counts().reads - asked.reads;
    assert!(read < 20, "{read} objects were read for five that changed");
}

#[tokio::test]
async fn what_comes_back_brings_the_links_that_the_bin_hid() {
    let directory = FakeDirectory::new(content());
    directory.link(link(LinkKind::GroupMembers, 11, 6));
    directory.link(link(LinkKind::UserManager, 5, 6));
    // The links of a deleted object are not to be seen in the first reading.
    let (before, outcome) = gather(&directory, Mode::Whole, None).await;
    assert!(!before.links.contains(&link(LinkKind::GroupMembers, 11, 6)));
    directory.put(object(
        ObjectType::User,
        ObjectState::Live,
        6,
        json!({"displayName": "Back"}),
    ));
    let (after, _) = follow(&directory, &before, &outcome, Mode::Since).await;
    assert_eq!(after.links, directory.content().links);
}

#[tokio::test]
async fn a_worthless_token_means_a_full_read_of_its_type() {
    let directory = FakeDirectory::new(content());
    let (before, outcome) = gather(&directory, Mode::Whole, None).await;
    a_day(&directory);
    directory.forget_tokens();
    let (after, next) = follow(&directory, &before, &outcome, Mode::Since).await;
    assert_eq!(problems(&after), []);
    assert_eq!(after.objects, directory.content().objects);
    assert_eq!(after.links, directory.content().links);
    assert_eq!(next.whole.len(), outcome.tokens.len());
    assert_eq!(next.tokens.len(), outcome.tokens.len());
    assert!(next.reconciled.is_empty());
}

#[tokio::test]
async fn a_reconciliation_reads_everything_and_tells_what_was_announced() {
    let directory = FakeDirectory::new(content());
    let (before, outcome) = gather(&directory, Mode::Whole, None).await;
    a_day(&directory);
    let (after, next) = follow(&directory, &before, &outcome, Mode::Reconcile).await;
    assert_eq!(after.objects, directory.content().objects);
    assert_eq!(after.links, directory.content().links);
    assert_eq!(next.whole.len(), outcome.tokens.len());
    assert!(next.announced.contains(&id(1)) && !next.announced.contains(&id(2)));
    // Kinds that are read whole every time say nothing of what was announced.
    let mut reconciled: Vec<String> = next.reconciled.into_iter().map(Kind::name).collect();
    reconciled.sort();
    assert_eq!(
        reconciled,
        [
            "administrativeUnit",
            "application",
            "deleted/administrativeUnit",
            "deleted/application",
            "deleted/group",
            "deleted/servicePrincipal",
            "deleted/user",
            "group",
            "group/members",
            "group/owners",
            "oAuth2PermissionGrant",
            "servicePrincipal",
            "user",
            "user/manager",
        ]
    );
}

#[tokio::test]
async fn what_was_started_over_is_not_reconciled() {
    let directory = FakeDirectory::new(content());
    let (before, outcome) = gather(&directory, Mode::Whole, None).await;
    assert!(outcome.reconciled.is_empty());
    directory.forget_tokens();
    let (_, next) = follow(&directory, &before, &outcome, Mode::Reconcile).await;
    assert!(next.reconciled.is_empty(), "{:?}", next.reconciled);
}

#[tokio::test]
async fn a_tenant_that_never_falls_quiet_ends_at_a_bound_with_a_note() {
    fn restless(directory: &FakeDirectory, round: u32) {
        let again = |request: &Request<'_>| {
            matches!(
                request,
                Request::Changes(ObjectType::User, ChangesFrom::Link(_))
            )
        };
        directory.before_next(again, move |directory| {
            directory.put(object(
                ObjectType::User,
                ObjectState::Live,
                1,
                json!({"displayName": format!("Round {round}")}),
            ));
            restless(directory, round + 1);
        });
    }
    let directory = FakeDirectory::new(content());
    restless(&directory, 1);
    let read = run(&directory).await.unwrap();
    let users = record(&read, Kind::Objects(ObjectType::User));
    assert_eq!(users.problem, None);
    assert_eq!(
        users.note,
        "the tenant did not fall quiet while it was read"
    );
    assert!(users.not_before < users.not_after);
    let user = read.object(ObjectType::User, &id(1)).unwrap();
    assert_eq!(user.name(), "Round 16");
}

#[tokio::test]
async fn a_list_that_cannot_be_tracked_is_read_until_two_reads_agree() {
    let directory = FakeDirectory::new(content());
    directory.fail_always(
        |request| {
            matches!(
                request,
                Request::Changes(ObjectType::OAuth2PermissionGrant, _)
            )
        },
        denied(),
    );
    let (read, outcome) = gather(&directory, Mode::Whole, None).await;
    assert_eq!(problems(&read), []);
    let grants = record(&read, Kind::Objects(ObjectType::OAuth2PermissionGrant));
    assert_eq!(grants.method, Method::StableReread);
    assert_eq!(
        grants.note,
        "changes cannot be followed: graph denied /x: Authorization_RequestDenied: insufficient privileges"
    );
    assert!(
        outcome
            .tokens
            .iter()
            .all(|token| token.object_type != ObjectType::OAuth2PermissionGrant)
    );
}

#[tokio::test]
async fn guests_are_listed_by_their_type() {
    let directory = FakeDirectory::new(content());
    let guest = json!({"displayName": "Guest", "userType": "Guest"});
    directory.put(object(ObjectType::User, ObjectState::Live, 9, guest));
    let sponsors = Collection::Links(LinkKind::UserSponsors);
    let query = Query::Expanded(sponsors, Owners::Guests);
    let page = graph::Directory::page(&directory, &query, None)
        .await
        .unwrap();
    assert_eq!(page.items.len(), 1);
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
    assert_eq!(
        problem(Kind::Links(LinkKind::ApplicationOwners)),
        "an owner has an id that is none"
    );
    assert_eq!(read.objects, content().objects, "the others are read");
}

#[tokio::test]
async fn nulls_for_want_of_a_permission_are_no_values() {
    let directory = FakeDirectory::new(content());
    let hollow = format!(r#"{{"id":"{}","userPrincipalName":null}}"#, id(7));
    directory.serve_raw(Kind::Objects(ObjectType::User), &hollow);
    let read = run(&directory).await.unwrap();
    let users = record(&read, Kind::Objects(ObjectType::User));
    let problem = users.problem.clone().unwrap();
    let expected = format!("came without its properties ({})", id(7));
    assert!(problem.ends_with(&expected), "{problem}");
    assert_eq!(read.object(ObjectType::User, &id(7)), None);
}

#[tokio::test]
async fn a_manager_without_an_id_leaves_the_user_complete() {
    let directory = FakeDirectory::new(content());
    let user = format!(
        r#"{{"id":"{}","userPrincipalName":"g@x","manager":{{"displayName":"?"}}}}"#,
        id(7)
    );
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
