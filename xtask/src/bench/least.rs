//! The least number of requests with which a tenant can be read as the collector's laws ask.
//!
//! Owns that arithmetic, apart from the collector's code and from its catalogue, so that a wasteful collector does not make the yardstick longer.

use std::collections::BTreeMap;

use anyhow::{Result, bail};

/// The largest page of a list.
const PAGE: u64 = 999;
/// The page of a list that takes no `$top`.
const OWN_PAGE: u64 = 100;
/// Objects and links on a page of a delta round, as the simulator cuts them.
const DELTA_PAGE: u64 = 200;
const DELTA_LINKS: u64 = 1000;
/// Requests in a batch.
const BATCH: u64 = 20;
/// The token, and the licence.
const BEFORE: u64 = 2;

/// How a kind can be read at the least cost.
enum Way {
    /// A list in pages of this size, a change token before and a quiet round after.
    Tracked(u64),
    /// A list in pages of this size, read once beside a tracked one.
    Once(u64),
    /// Two equal readings of a list in pages of this size.
    Twice(u64),
    /// With a list of the owners, since a list shows one relation at a time.
    WithOwners(&'static str),
    /// With an object that is read anyway.
    Inside,
    /// With the first round of the delta function, together with other relations.
    Shown(&'static str),
    /// Asking each owner.
    Asking(&'static str),
}

fn way(kind: &str) -> Option<Way> {
    Some(match kind {
        "user" | "group" | "application" | "servicePrincipal" | "administrativeUnit" => {
            Way::Tracked(PAGE)
        }
        "oAuth2PermissionGrant" => Way::Tracked(OWN_PAGE),
        "deleted/user"
        | "deleted/group"
        | "deleted/application"
        | "deleted/servicePrincipal"
        | "deleted/administrativeUnit" => Way::Once(PAGE),
        "namedLocation"
        | "deleted/namedLocation"
        | "conditionalAccessPolicy"
        | "deleted/conditionalAccessPolicy"
        | "authenticationMethodsPolicy"
        | "authorizationPolicy"
        | "authenticationStrengthPolicy"
        | "authenticationContextClassReference"
        | "organization"
        | "unifiedRoleAssignment" => Way::Twice(OWN_PAGE),
        "appRoleAssignment" | "servicePrincipal/owners" => Way::WithOwners("servicePrincipal"),
        "federatedIdentityCredential" | "application/owners" => Way::WithOwners("application"),
        "user/sponsors" => Way::WithOwners("user"),
        "user/manager" => Way::Inside,
        "group/members" | "group/owners" => Way::Shown("group"),
        "administrativeUnit/members" => Way::Asking("administrativeUnit"),
        _ => return None,
    })
}

/// The least number of requests, the login's included, for a tenant with these counts of each kind.
///
/// Every list has at least one page; a batch is one request.
///
/// # Errors
/// Where a kind is not known here.
pub(crate) fn requests(counts: &BTreeMap<String, u64>) -> Result<u64> {
    let count = |kind: &str| counts.get(kind).copied().unwrap_or_default();
    let pages = |count: u64, size: u64| count.div_ceil(size).max(1);
    let mut least = BEFORE;
    let mut shown: BTreeMap<&str, u64> = BTreeMap::new();
    for (kind, number) in counts {
        least += match way(kind) {
            Some(Way::Tracked(size)) => 1 + pages(*number, size) + 1,
            Some(Way::Once(size)) => pages(*number, size),
            Some(Way::Twice(size)) => 2 * pages(*number, size),
            Some(Way::WithOwners(owner)) => pages(count(owner), PAGE),
            Some(Way::Inside) => 0,
            Some(Way::Asking(owner)) => count(owner).div_ceil(BATCH),
            Some(Way::Shown(owner)) => {
                *shown.entry(owner).or_default() += number;
                0
            }
            None => bail!("the benchmark does not know how `{kind}` is read; see bench/least.rs"),
        };
    }
    for (owner, links) in shown {
        least += pages(count(owner), DELTA_PAGE).max(pages(links, DELTA_LINKS));
    }
    Ok(least)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(counts: &[(&str, u64)], expected: u64) {
        let counts = counts.iter().map(|(kind, n)| ((*kind).to_owned(), *n));
        assert_eq!(requests(&counts.collect()).ok(), Some(expected));
    }

    #[test]
    fn each_way_of_reading_has_its_least() {
        check(&[], 2);
        check(&[("user", 0)], 2 + 3);
        check(&[("user", 1000)], 2 + 4);
        check(&[("user", 1000), ("user/sponsors", 3)], 2 + 4 + 2);
        check(&[("user", 1000), ("user/manager", 900)], 2 + 4);
        check(&[("deleted/user", 0)], 2 + 1);
        check(&[("namedLocation", 7)], 2 + 2);
        check(&[("unifiedRoleAssignment", 101)], 2 + 4);
        let units = [
            ("administrativeUnit", 21),
            ("administrativeUnit/members", 9),
        ];
        check(&units, 2 + 3 + 2);
    }

    #[test]
    fn relations_of_one_delta_round_share_its_pages() {
        let few = [("group", 401), ("group/members", 9), ("group/owners", 9)];
        check(&few, 2 + 3 + 3);
        let many = [
            ("group", 401),
            ("group/members", 9000),
            ("group/owners", 1001),
        ];
        check(&many, 2 + 3 + 11);
    }

    #[test]
    fn what_is_not_known_is_said() {
        assert!(requests(&BTreeMap::from([("device".to_owned(), 1)])).is_err());
    }
}
