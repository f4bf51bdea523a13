//! Which refusals of Graph may pass.

use model::call::HttpMethod;
use model::{ObjectRef, ObjectType};

use super::*;

fn step(action: Action, after: Vec<u32>) -> Step {
    Step {
        number: 2,
        action,
        object: ObjectRef {
            object_type: ObjectType::Group,
            id: ObjectId::parse("00000000-0000-4000-8000-000000000001").expect("an id"),
            name: "G".to_owned(),
        },
        reason: String::new(),
        attributes: Vec::new(),
        links: Vec::new(),
        guards: Vec::new(),
        call: Call {
            method: HttpMethod::Patch,
            path: "/groups/1".to_owned(),
            body: None,
        },
        after,
        made_anew: Vec::new(),
    }
}

#[test]
fn refusals_of_a_directory_that_lags_may_pass_and_others_do_not() {
    let path = || "/groups/1".to_owned();
    let refused = |message: &str| GraphError::BadRequest {
        code: "Request_BadRequest".to_owned(),
        message: message.to_owned(),
        request_id: "r".to_owned(),
        path: path(),
    };
    let check = |error: &GraphError, action, after: Vec<u32>, expected| {
        let passes = may_pass(error, &step(action, after));
        assert_eq!(passes, expected, "{error} in {action:?}");
    };
    let conflict = GraphError::Conflict {
        code: "c".to_owned(),
        message: "m".to_owned(),
        path: path(),
    };
    let gone = GraphError::NotFound { path: path() };
    check(&conflict, Action::Update, vec![], true);
    check(&gone, Action::AddLinks, vec![1], true);
    check(&gone, Action::AddLinks, vec![], false);
    let lagging = refused(
        "Resource 'x' does not exist or one of its queried reference-property objects are not present.",
    );
    check(&lagging, Action::AddLinks, vec![1], true);
    check(&lagging, Action::AddLinks, vec![], false);
    check(
        &refused("Not a valid reference update."),
        Action::AddLinks,
        vec![1],
        true,
    );
    let made = refused("Permission being assigned already exists on the object");
    check(&made, Action::MakeAnew, vec![], true);
    check(&made, Action::Update, vec![1], false);
    let linked = refused(
        "One or more added object references already exist for the following modified properties: 'owners'.",
    );
    check(&linked, Action::AddLinks, vec![], true);
    check(&linked, Action::RemoveLink, vec![], false);
    let denied = GraphError::Denied {
        code: "Authorization_RequestDenied".to_owned(),
        message: "Insufficient privileges to complete the operation.".to_owned(),
        path: path(),
    };
    check(&denied, Action::Update, vec![1], false);
    check(
        &refused("Invalid property 'x'."),
        Action::Update,
        vec![1],
        false,
    );
}
