//! Delta rounds.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{TimeZone, Utc};
use serde_json::{Value, json};
use simulator::{Clock, DeltaExpiry, Simulator};

use crate::support::{Bench, TENANT, id, round};

#[tokio::test]
async fn a_first_round_shows_all_and_later_rounds_what_changed() {
    let bench = Bench::populated(450, 15).await;
    let (items, link) = round(&bench, "/users/delta?$select=displayName,jobTitle").await;
    assert_eq!(items.len(), 450);
    let (user, gone, purged) = (id(&items[0]), id(&items[1]), id(&items[2]));
    let (items, link) = round(&bench, &link).await;
    assert!(items.is_empty());

    bench
        .patch(&format!("/users/{user}"), json!({ "department": "X" }))
        .await
        .expect(204);
    let (items, link) = round(&bench, &link).await;
    assert!(
        items.is_empty(),
        "a change to an unselected property is silent: {items:?}"
    );

    bench
        .patch(&format!("/users/{user}"), json!({ "jobTitle": "New" }))
        .await
        .expect(204);
    bench.delete(&format!("/users/{gone}")).await.expect(204);
    bench.delete(&format!("/users/{purged}")).await.expect(204);
    bench
        .delete(&format!("/directory/deletedItems/{purged}"))
        .await
        .expect(204);
    let (items, link) = round(&bench, &link).await;
    assert_eq!(items.len(), 3);
    let of = |wanted: &str| {
        items
            .iter()
            .find(|item| item["id"] == wanted)
            .unwrap()
            .clone()
    };
    assert_eq!(of(&user)["jobTitle"], "New");
    assert!(of(&user)["displayName"].is_string() && of(&user).get("department").is_none());
    assert_eq!(of(&gone)["@removed"]["reason"], "changed");
    assert_eq!(of(&purged)["@removed"]["reason"], "deleted");

    bench
        .send(
            "POST",
            &format!("/directory/deletedItems/{gone}/restore"),
            None,
        )
        .await
        .expect(200);
    let (items, link) = round(&bench, &link).await;
    assert_eq!(items.len(), 1);
    assert!(
        items[0]["displayName"].is_string(),
        "a restored object appears as a new one"
    );

    bench
        .patch(&format!("/users/{user}"), json!({ "jobTitle": null }))
        .await
        .expect(204);
    let page = bench
        .send_with("GET", &link, None, &[("Prefer", "return=minimal")])
        .await
        .expect(200);
    assert_eq!(page["value"], json!([{ "id": user, "jobTitle": null }]));
}

#[tokio::test]
async fn members_come_in_slices_and_removals_are_marked() {
    let bench = Bench::populated(1_300, 15).await;
    let (items, link) = round(&bench, "/groups/delta").await;
    let everyone = bench
        .all("/groups?$filter=displayName eq 'All Employees'&$select=id")
        .await;
    let group = id(&everyone[0]);
    let slices: Vec<&Value> = items.iter().filter(|item| item["id"] == *group).collect();
    assert!(
        slices.len() > 1,
        "a large group appears again with another slice"
    );
    let members: Vec<&str> = slices
        .iter()
        .flat_map(|slice| slice["members@delta"].as_array().into_iter().flatten())
        .map(|member| member["id"].as_str().unwrap())
        .collect();
    let unique: BTreeSet<&str> = members.iter().copied().collect();
    let listed = bench
        .all(&format!("/groups/{group}/members?$top=999&$select=id"))
        .await;
    assert_eq!((members.len(), unique.len()), (listed.len(), listed.len()));

    let (group, user) = (bench.group("fresh").await, bench.user("fresh").await);
    bench
        .post(
            &format!("/groups/{group}/members/$ref"),
            bench.reference(&user),
        )
        .await
        .expect(204);
    let (items, link) = round(&bench, &link).await;
    assert_eq!(
        items[0]["members@delta"],
        json!([{ "@odata.type": "#microsoft.graph.user", "id": user }])
    );
    bench
        .delete(&format!("/groups/{group}/members/{user}/$ref"))
        .await
        .expect(204);
    let (items, link) = round(&bench, &link).await;
    assert_eq!(items.len(), 1);
    assert_eq!(
        items[0]["members@delta"][0]["@removed"]["reason"],
        "deleted"
    );

    bench
        .post(
            &format!("/groups/{group}/members/$ref"),
            bench.reference(&user),
        )
        .await
        .expect(204);
    let (_, link) = round(&bench, &link).await;
    bench.delete(&format!("/users/{user}")).await.expect(204);
    let (items, _) = round(&bench, &link).await;
    assert!(
        items.is_empty(),
        "soft-deleting a member says nothing about the group: {items:?}"
    );
}

#[tokio::test]
async fn select_decides_about_links() {
    let bench = Bench::populated(40, 15).await;
    let (items, _) = round(&bench, "/groups/delta?$select=displayName").await;
    assert!(items.iter().all(|item| item.get("members@delta").is_none()));
    let (items, link) = round(&bench, "/groups/delta?$select=displayName,members,owners").await;
    assert!(items.iter().any(|item| item["owners@delta"].is_array()));
    let (users, _) = round(&bench, "/users/delta?$select=id,manager").await;
    assert!(
        users
            .iter()
            .any(|user| user["manager@delta"][0]["id"].is_string())
    );
    let (group, user) = (id(&items[0]), bench.user("fresh").await);
    bench
        .post(
            &format!("/groups/{group}/owners/$ref"),
            bench.reference(&user),
        )
        .await;
    let (changed, _) = round(&bench, &link).await;
    assert_eq!(changed.len(), 1, "the new user is no group");
    assert_eq!(changed[0]["owners@delta"][0]["id"], user);
}

#[tokio::test]
async fn latest_is_a_token_without_data_and_tokens_expire() {
    let clock = Clock::manual(Utc.with_ymd_and_hms(2026, 5, 1, 8, 0, 0).unwrap());
    let mut bench = Bench::on(Simulator::with_clock(clock.clone())).await;
    bench.user("before").await;
    let (items, link) = round(&bench, "/users/delta?$deltatoken=latest").await;
    assert!(items.is_empty());
    let user = bench.user("after").await;
    let (items, link) = round(&bench, &link).await;
    assert_eq!((items.len(), id(&items[0])), (1, user));

    bench
        .simulator
        .expire_delta_tokens(TENANT, DeltaExpiry::Gone);
    let answer = bench.get(&link).await;
    assert_eq!(answer.status, 410);
    assert!(
        answer.headers["location"]
            .to_str()
            .unwrap()
            .ends_with("/users/delta?$deltatoken=")
    );
    let (items, link) = round(&bench, answer.headers["location"].to_str().unwrap()).await;
    assert_eq!(items.len(), 2, "an empty token starts over");
    bench
        .simulator
        .expire_delta_tokens(TENANT, DeltaExpiry::SyncStateNotFound);
    bench
        .get(&link)
        .await
        .refused(400, "syncStateNotFound", "start over");
    let (_, link) = round(&bench, "/users/delta").await;
    clock.advance(Duration::from_secs(8 * 24 * 3600));
    bench
        .sign_in(simulator::READER_CLIENT_ID, simulator::READER_SECRET)
        .await;
    bench
        .get(&link)
        .await
        .refused(400, "syncStateNotFound", "start over");
}

#[tokio::test]
async fn deltas_filter_by_id_only_and_take_no_paging_options() {
    let bench = Bench::populated(40, 15).await;
    let users = bench.all("/users?$select=id").await;
    let path = format!(
        "/users/delta?$filter=id eq '{}' or id eq '{}'",
        id(&users[3]),
        id(&users[5])
    );
    let (items, _) = round(&bench, &path).await;
    assert_eq!(items.len(), 2);
    bench
        .get("/users/delta?$filter=displayName eq 'x'")
        .await
        .refused(400, "Request_UnsupportedQuery", "id");
    bench
        .get("/users/delta?$top=5")
        .await
        .refused(400, "Request_UnsupportedQuery", "$top");
    for path in [
        "/applications/delta",
        "/servicePrincipals/delta?$select=displayName,owners",
    ] {
        let (items, _) = round(&bench, path).await;
        assert!(!items.is_empty());
    }
}

#[tokio::test]
async fn a_round_of_many_changes_is_complete() {
    let bench = Bench::empty().await;
    let (_, link) = round(&bench, "/users/delta").await;
    let mut made = BTreeSet::new();
    for n in 0..450 {
        made.insert(bench.user(&format!("u{n}")).await);
    }
    let (items, _) = round(&bench, &link).await;
    let seen: BTreeSet<String> = items.iter().map(id).collect();
    assert_eq!(seen, made);
}
