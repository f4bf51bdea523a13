//! Time that passes as work is done, for whole services in one process.
//!
//! A paused runtime runs ahead whenever all tasks wait, also where they wait for sockets,
//! and then every deadline passes at once. Here time moves on by small steps, each after
//! the tasks had several turns, so that an answer over loopback takes a fraction of a
//! second of it, and an hour of waiting no time at all.

use std::time::Duration;

/// Turns of the scheduler between two steps: an answer over loopback takes several.
const TURNS: usize = 12;

/// Runs work in a runtime of one thread whose time passes by such steps.
///
/// # Panics
/// Where the machine has no room for a runtime.
pub fn run<T>(step: Duration, work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        // One that keeps time from running ahead, and one that works: what it does keeps
        // its order.
        .max_blocking_threads(2)
        .build()
        .expect("a runtime");
    let (sender, receiver) = std::sync::mpsc::channel::<()>();
    let outcome = runtime.block_on(async {
        // Stopped time runs ahead whenever all tasks wait, but not while a blocking task
        // runs.
        tokio::task::spawn_blocking(move || receiver.recv());
        tokio::select! {
            outcome = work => outcome,
            () = pass(step) => unreachable!("time has no end"),
        }
    });
    drop(sender);
    runtime.shutdown_background();
    outcome
}

/// Lets time pass for ever.
async fn pass(step: Duration) {
    loop {
        for _ in 0..TURNS {
            tokio::task::yield_now().await;
        }
        // The thread that works does one thing after the other: what was given to it is
        // done when this is, so that time does not run ahead of it on a busy machine.
        let worked = tokio::task::spawn_blocking(|| ()).await;
        worked.expect("invariant: it does nothing");
        tokio::time::advance(step).await;
    }
}

/// Lets time pass in [`run`], which takes no real time.
///
/// # Panics
/// Elsewhere: a test waits for events.
pub async fn wait(time: Duration) {
    // Real time is nobody's to advance.
    tokio::time::advance(Duration::ZERO).await;
    tokio::time::sleep(time).await;
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::Instant;

    use super::*;

    #[test]
    fn hours_pass_at_once_and_an_answer_takes_little_of_them() {
        run(Duration::from_millis(20), async {
            let start = Instant::now();
            wait(Duration::from_secs(3_600)).await;
            let slept = start.elapsed();
            assert!((3_600..3_601).contains(&slept.as_secs()), "{slept:?}");
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
            let listener = listener.expect("a port");
            let address = listener.local_addr().expect("an address");
            tokio::spawn(async move {
                let (mut stream, _) = listener.accept().await.expect("a caller");
                stream.write_all(b"hello").await.expect("sent");
            });
            let start = Instant::now();
            let answer = async {
                let mut stream = tokio::net::TcpStream::connect(address).await?;
                let mut text = String::new();
                stream.read_to_string(&mut text).await.map(|_| text)
            };
            let answer = tokio::time::timeout(Duration::from_secs(5), answer).await;
            assert_eq!(answer.expect("in time").expect("an answer"), "hello");
            assert!(start.elapsed() < Duration::from_secs(1));
        });
    }
}
