//! The last look at a write before it is sent.
//!
//! No plan asks for a purge, and none is sent should one ever do so: Graph
//! deletes for good where a path is off by one segment.

use model::call::{Call, HttpMethod};

use crate::error::GraphError;

/// Refuses a call that would purge a deleted object, or delete an object where
/// a link was meant.
///
/// # Errors
/// [`GraphError::Refused`], with the reason.
pub fn refuse_purge(call: &Call) -> Result<(), GraphError> {
    let refused = |what: &str| {
        Err(GraphError::Refused {
            what: what.to_owned(),
            path: call.path.clone(),
        })
    };
    if !call.path.starts_with('/')
        || call.path.contains("..")
        || call.path.contains(['?', '#', '%', '\\'])
    {
        return refused("the path is not one below the version root");
    }
    let path = call.path.to_ascii_lowercase();
    let segments: Vec<&str> = path
        .split('/')
        .filter(|segment| !segment.is_empty())
        .collect();
    if segments
        .last()
        .is_some_and(|last| last.contains("permanentdelete"))
    {
        return refused("it would delete an object for good");
    }
    if call.method != HttpMethod::Delete {
        return Ok(());
    }
    if segments.contains(&"deleteditems") {
        return refused("it would delete an object for good");
    }
    let relation = segments
        .iter()
        .skip(2)
        .any(|segment| matches!(*segment, "members" | "owners" | "sponsors" | "manager"));
    if relation && segments.last() != Some(&"$ref") {
        return refused("without /$ref it would delete the object at the other end of the link");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purges_and_truncated_links_are_refused() {
        let check = |method, path: &str, sent: bool| {
            let call = Call {
                method,
                path: path.to_owned(),
                body: None,
            };
            assert_eq!(refuse_purge(&call).is_ok(), sent, "{path}");
        };
        check(HttpMethod::Delete, "/users/1", true);
        check(HttpMethod::Delete, "/groups/1/members/2/$ref", true);
        check(HttpMethod::Delete, "/users/1/manager/$ref", true);
        check(
            HttpMethod::Delete,
            "/identity/conditionalAccess/policies/1",
            true,
        );
        check(HttpMethod::Post, "/directory/deletedItems/1/restore", true);
        check(HttpMethod::Delete, "/directory/deletedItems/1", false);
        check(HttpMethod::Delete, "/Directory//DELETEDITEMS/1", false);
        check(HttpMethod::Delete, "/directory/deleted%49tems/1", false);
        check(
            HttpMethod::Delete,
            "/identity/conditionalAccess/deletedItems/policies/1",
            false,
        );
        check(HttpMethod::Delete, "/groups/1/members/2", false);
        check(HttpMethod::Delete, "/users/1/manager", false);
        check(HttpMethod::Post, "/users/1/permanentDelete", false);
        check(HttpMethod::Patch, "@evil.example/users/1", false);
    }
}
