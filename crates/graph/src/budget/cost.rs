//! What a request costs before it is sent: lane, resource units, writes.
//!
//! The numbers are Microsoft's, from its page on throttling limits of the
//! identity service. They are estimates: Graph's own count, which comes with
//! the answer, corrects them. Sends nothing and waits for nothing.

use std::ops::AddAssign;

use reqwest::Method;

/// Services of Graph that have limits of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Lane {
    /// Users, groups, applications and what belongs to them.
    Directory,
    /// Conditional Access and identity protection: one request a second.
    ConditionalAccess,
    /// Audit and sign-in logs.
    Audit,
}

/// What one request draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cost {
    pub(crate) lane: Lane,
    pub(crate) units: u32,
    pub(crate) writes: u32,
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.units += other.units;
        self.writes += other.writes;
    }
}

/// Resource units of a GET, by the segments of its path; `*` is any one
/// segment, `**` any rest. The first row that fits counts.
const READS: [(&[&str], u32); 14] = [
    (&["users"], 2),
    (&["applications"], 2),
    (&["applications", "*", "extensionproperties", "**"], 2),
    (&["oauth2permissiongrants", "**"], 2),
    (&["serviceprincipals", "*", "approleassignments", "**"], 2),
    (&["serviceprincipals", "*", "approleassignedto", "**"], 2),
    (&["users", "*", "approleassignments", "**"], 2),
    (&["users", "*", "memberof", "**"], 2),
    (&["users", "*", "transitivememberof", "**"], 2),
    (&["users", "*", "oauth2permissiongrants", "**"], 2),
    (&["groups", "*", "members", "**"], 3),
    (&["subscribedskus", "**"], 3),
    (&["contracts", "**"], 3),
    (&["groups", "*", "transitivemembers", "**"], 5),
];

/// POSTs that read.
const QUESTIONS: [&str; 3] = ["getbyids", "getmembergroups", "getmemberobjects"];

impl Cost {
    /// The cost of a request; `below` is path and query below the version root.
    pub(crate) fn of(method: &Method, below: &str) -> Self {
        let (path, query) = below.split_once('?').unwrap_or((below, ""));
        let path = path.to_ascii_lowercase();
        let segments: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let last = segments.last().copied().unwrap_or_default();
        let reads = *method == Method::GET || QUESTIONS.contains(&last);
        Self {
            lane: lane(&segments),
            units: if *method == Method::GET {
                units(&segments, query)
            } else {
                question(&segments, query)
            },
            writes: u32::from(!reads),
        }
    }

    /// The cost of a batch of reads of the directory: the sum of its parts.
    pub(crate) fn of_batch<'a>(urls: impl Iterator<Item = &'a str>) -> Self {
        let mut sum = Self {
            lane: Lane::Directory,
            units: 0,
            writes: 0,
        };
        for url in urls {
            sum += Self::of(&Method::GET, url);
        }
        sum
    }
}

fn lane(segments: &[&str]) -> Lane {
    match segments {
        ["identity", "conditionalaccess", ..] | ["identityprotection", ..] => {
            Lane::ConditionalAccess
        }
        ["auditlogs", ..] => Lane::Audit,
        _ => Lane::Directory,
    }
}

fn units(segments: &[&str], query: &str) -> u32 {
    let row = READS.iter().find(|(pattern, _)| fits(pattern, segments));
    let mut units = row.map_or(1, |(_, units)| i64::from(*units));
    if option(query, "select").is_some() {
        units -= 1;
    }
    if option(query, "expand").is_some() {
        units += 1;
    }
    let top = option(query, "top").and_then(|top| top.parse::<u32>().ok());
    if top.is_some_and(|top| top < 20) {
        units -= 1;
    }
    u32::try_from(units.max(1)).unwrap_or(1)
}

/// What a request costs that is no GET: `getByIds` by its table row, all else one.
fn question(segments: &[&str], query: &str) -> u32 {
    match (segments, option(query, "select")) {
        (["directoryobjects", "getbyids"], None) => 5,
        (["directoryobjects", "getbyids"], Some(_)) => 2,
        _ => 1,
    }
}

fn fits(pattern: &[&str], segments: &[&str]) -> bool {
    match (pattern, segments) {
        (["**"], _) | ([], []) => true,
        ([wanted, pattern @ ..], [segment, segments @ ..]) => {
            (*wanted == "*" || wanted == segment) && fits(pattern, segments)
        }
        _ => false,
    }
}

/// A query option; next links may have its dollar sign percent-encoded.
fn option<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        let key = key.strip_prefix('$').or_else(|| key.strip_prefix("%24"))?;
        key.eq_ignore_ascii_case(name).then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_cost_what_the_documentation_says() {
        let check = |method: Method, below: &str, units, writes, lane| {
            let expected = Cost {
                lane,
                units,
                writes,
            };
            assert_eq!(Cost::of(&method, below), expected, "{method} {below}");
        };
        let read = |below, units| check(Method::GET, below, units, 0, Lane::Directory);
        read("/users", 2);
        read("/users?$select=id&$top=999", 1);
        read(
            "/users?%24select=id&$expand=manager($select=id)&$top=999",
            2,
        );
        read("/users?$top=19", 1);
        read("/users?$top=20", 2);
        read("/users/1", 1);
        read("/users/1/memberOf", 2);
        read("/users/delta?$deltatoken=latest", 1);
        read("/groups?$select=id", 1);
        read("/groups/1/members?$select=id&$top=999", 2);
        read("/groups/1/members/microsoft.graph.user", 3);
        read("/groups/1/transitiveMembers", 5);
        read("/servicePrincipals/1/appRoleAssignedTo", 2);
        read("/oauth2PermissionGrants/1", 2);
        read("/subscribedSkus", 3);
        read("/groups/1/owners?$select=id&$top=5", 1);
        let post = |below, units, writes| {
            check(Method::POST, below, units, writes, Lane::Directory);
        };
        post("/directoryObjects/getByIds", 5, 0);
        post("/directoryObjects/getByIds?$select=id", 2, 0);
        post("/users", 1, 1);
        check(
            Method::DELETE,
            "/groups/1/members/2/$ref",
            1,
            1,
            Lane::Directory,
        );
        check(
            Method::PATCH,
            "/identity/conditionalAccess/policies/1",
            1,
            1,
            Lane::ConditionalAccess,
        );
        check(
            Method::GET,
            "/identityProtection/riskyUsers",
            1,
            0,
            Lane::ConditionalAccess,
        );
        check(
            Method::GET,
            "/auditLogs/directoryAudits?$top=100",
            1,
            0,
            Lane::Audit,
        );
    }

    #[test]
    fn a_batch_costs_the_sum_of_its_parts() {
        let urls = [
            "/groups/1/members?$select=id",
            "/users",
            "/users/1?$select=id",
        ];
        assert_eq!(Cost::of_batch(urls.into_iter()).units, 5);
    }
}
