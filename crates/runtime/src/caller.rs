//! Who calls, as one service tells another.
//!
//! The gateway knows the caller by a token and tells the name to the services behind
//! in a header, of which it never passes on one that came from outside. A service that
//! others than the gateway can reach must not believe it: in a network, TLS with client
//! certificates sees to that.

use tonic::Request;

/// The header of the caller's name.
pub const HEADER: &str = "x-rewind-caller";

/// What the caller is called; `None` where the call came past the gateway.
#[must_use]
pub fn of<T>(request: &Request<T>) -> Option<String> {
    let value = request.metadata().get(HEADER)?.to_str().ok()?;
    (!value.is_empty()).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_past_the_gateway_has_no_caller() {
        let mut request = Request::new(());
        assert_eq!(of(&request), None);
        for (value, expected) in [("", None), ("anna", Some("anna"))] {
            let value = value.parse().expect("plain text");
            request.metadata_mut().insert(HEADER, value);
            assert_eq!(of(&request).as_deref(), expected);
        }
    }
}
