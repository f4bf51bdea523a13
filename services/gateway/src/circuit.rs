//! When a service behind is not asked at all.
//!
//! Owns the circuit of one service: after some calls in a row that it did not answer it
//! is left alone for a while, and then one call at a time tries whether it is back. It
//! tells nothing of answers: an error is one.

use parking_lot::Mutex;
use std::time::Duration;
use tokio::time::Instant;

/// After how many calls in a row without an answer.
pub(crate) const FAILURES: u32 = 5;
/// For how long.
pub(crate) const REST: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy)]
enum State {
    /// Asked; how many calls in a row had no answer.
    Closed(u32),
    /// Left alone until then.
    Open(Instant),
    /// One call tries, since then.
    Trying(Instant),
}

/// A service's circuit.
#[derive(Debug)]
pub(crate) struct Circuit(Mutex<State>);

impl Default for Circuit {
    fn default() -> Self {
        Self(Mutex::new(State::Closed(0)))
    }
}

impl Circuit {
    /// Begins a call; `None` where the service is left alone.
    pub(crate) fn begin(&self) -> Option<Attempt<'_>> {
        let mut state = self.0.lock();
        let tries = match *state {
            State::Closed(_) => false,
            State::Open(until) if Instant::now() >= until => {
                *state = State::Trying(Instant::now());
                true
            }
            // One that takes long keeps no other from trying.
            State::Trying(since) if since.elapsed() >= REST => {
                *state = State::Trying(Instant::now());
                true
            }
            State::Open(_) | State::Trying(_) => return None,
        };
        Some(Attempt {
            circuit: self,
            tries,
        })
    }
}

/// A call that began. Given up without an outcome it leaves things as they were.
#[derive(Debug)]
pub(crate) struct Attempt<'a> {
    circuit: &'a Circuit,
    /// Whether this call alone tries.
    tries: bool,
}

impl Attempt<'_> {
    /// The service answered.
    pub(crate) fn answered(mut self) {
        let mut state = self.circuit.0.lock();
        // A late answer to an older call does not end the rest.
        if self.tries || matches!(*state, State::Closed(_)) {
            *state = State::Closed(0);
        }
        self.tries = false;
    }

    /// The service did not answer.
    pub(crate) fn failed(mut self) {
        let mut state = self.circuit.0.lock();
        let rest = || State::Open(Instant::now() + REST);
        *state = match *state {
            State::Closed(failures) if failures + 1 < FAILURES => State::Closed(failures + 1),
            State::Closed(_) => rest(),
            State::Trying(_) if self.tries => rest(),
            other => other,
        };
        self.tries = false;
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if self.tries {
            let mut state = self.circuit.0.lock();
            if matches!(*state, State::Trying(_)) {
                *state = State::Open(Instant::now());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fail(circuit: &Circuit, times: u32) {
        for _ in 0..times {
            circuit.begin().expect("asked").failed();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn failures_in_a_row_give_the_service_a_rest_and_one_call_ends_it() {
        let circuit = Circuit::default();
        fail(&circuit, FAILURES - 1);
        circuit.begin().expect("asked").answered();
        fail(&circuit, FAILURES);
        assert!(circuit.begin().is_none());
        tokio::time::advance(REST).await;
        let trial = circuit.begin().expect("one tries");
        assert!(circuit.begin().is_none(), "only one");
        trial.failed();
        assert!(circuit.begin().is_none());
        tokio::time::advance(REST).await;
        circuit.begin().expect("one tries").answered();
        fail(&circuit, FAILURES - 1);
        assert!(circuit.begin().is_some(), "it counts from the start");
    }

    #[tokio::test(start_paused = true)]
    async fn a_trial_that_is_given_up_leaves_it_to_the_next() {
        let circuit = Circuit::default();
        fail(&circuit, FAILURES);
        tokio::time::advance(REST).await;
        drop(circuit.begin().expect("one tries"));
        circuit.begin().expect("another tries").answered();
        drop(circuit.begin().expect("asked"));
        assert!(circuit.begin().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_trial_that_takes_long_keeps_no_other_from_trying() {
        let circuit = Circuit::default();
        fail(&circuit, FAILURES);
        tokio::time::advance(REST).await;
        let slow = circuit.begin().expect("one tries");
        assert!(circuit.begin().is_none());
        tokio::time::advance(REST).await;
        circuit.begin().expect("another tries").answered();
        assert!(circuit.begin().is_some());
        slow.answered();
        assert!(circuit.begin().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn older_calls_do_not_end_a_rest() {
        let circuit = Circuit::default();
        let (late, lost) = (
            circuit.begin().expect("asked"),
            circuit.begin().expect("asked"),
        );
        fail(&circuit, FAILURES);
        late.answered();
        lost.failed();
        assert!(circuit.begin().is_none());
        tokio::time::advance(REST).await;
        assert!(circuit.begin().is_some());
    }
}
