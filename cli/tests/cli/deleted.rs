//! What lies in the recycle bins.

use snapbox::{assert_data_eq, str};

use crate::fake::Fake;
use crate::gateway::Gateway;

#[test]
fn the_bins_are_listed_with_a_warning_of_what_leaves_them() {
    let gateway = Gateway::start(Fake::default());
    let run = gateway.rewind(&["deleted", "list"]).exits(3);
    assert_data_eq!(
        &run.out,
        str![[r#"
ID   TYPE           NAME    DELETED               DAYS LEFT  DELETED BY                      IN LATEST SNAPSHOT  WARNING
u-1  user           Adele   2026-11-18T11:06:40Z  3          user mallory@contoso.com (m-1)  yes                 expires soon
l-1  namedLocation  Office  -                     -          -                               no

"#]]
    );
    assert_data_eq!(
        &run.err,
        str![[r#"
warning: 1 object that the latest snapshot holds leaves its recycle bin within a week; afterwards it can only be made anew, under another id
warning: not read: deleted/group: denied

"#]]
    );
    let asked = gateway.fake.last("ListDeletedObjectsRequest");
    assert_eq!(asked["pageToken"], "1", "all pages are asked for");
}

#[test]
fn programs_get_the_answers_as_one_list() {
    let gateway = Gateway::start(Fake::default());
    let run = gateway
        .rewind(&["deleted", "list", "--output", "json"])
        .exits(3);
    let json = run.json();
    let list = json.as_array().expect("a list");
    assert_eq!(list.len(), 2);
    assert_eq!(
        (&list[0]["daysLeft"], &list[0]["expiresSoon"]),
        (&3.into(), &true.into())
    );
}
