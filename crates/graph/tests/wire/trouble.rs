//! A long read from a server that is often in trouble.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use graph::{Directory, Query, measured};
use model::ObjectType;
use tokio::time::Instant;

use crate::raw::{Bytes, Raw, cut, whole};

const PAGES: usize = 400;

/// Numbers without an order, but the same in each run.
fn scatter(number: usize) -> usize {
    let mut x = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x ^ (x >> 27)
}

/// One request in ten gets into trouble of one kind or another.
fn trouble(number: usize) -> Option<(Bytes, Duration)> {
    let draw = scatter(number);
    if !draw.is_multiple_of(10) {
        return None;
    }
    let seconds = (draw / 10) as u64 % 5 + 1;
    let told = format!("Retry-After: {seconds}\r\n");
    let none = Duration::ZERO;
    let wait = Duration::from_secs(seconds);
    Some(match (draw / 100) % 6 {
        0 => (whole("429 Slow", &told, ""), wait),
        1 => (whole("429 Slow", "", ""), none),
        2 => (whole("503 Busy", &told, ""), wait),
        3 => (whole("503 Busy", "", ""), none),
        4 => (cut(""), none),
        _ => (
            cut("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"value\":["),
            none,
        ),
    })
}

/// Page n; the last has no next link.
fn page(head: &str) -> Bytes {
    let number: usize = head.split_once("page=").map_or(0, |(_, rest)| {
        rest.split(' ').next().unwrap().parse().unwrap()
    });
    let host = head
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .unwrap();
    let next = match number + 1 {
        PAGES => String::new(),
        next => format!(r#","@odata.nextLink":"http://{host}/v1.0/users?page={next}""#),
    };
    whole(
        "200 OK",
        "",
        &format!(r#"{{"value":[{{"id":"{number}"}}]{next}}}"#),
    )
}

#[tokio::test]
async fn a_long_read_with_much_trouble_is_whole_and_keeps_every_wait() {
    let early = Arc::new(Mutex::new(0));
    let count = Arc::clone(&early);
    let closed = Mutex::new(None::<Instant>);
    let server = Raw::with_heads(move |number, head| {
        let now = Instant::now();
        let mut closed = closed.lock().unwrap();
        if closed.is_some_and(|closed| now < closed) {
            *count.lock().unwrap() += 1;
        }
        let (answer, wait) = trouble(number).unwrap_or_else(|| (page(head), Duration::ZERO));
        *closed = (*closed).max(Some(now + wait));
        answer
    })
    .await;
    let reader = server.reader();
    let read = async {
        let (mut seen, mut next) = (Vec::new(), None);
        loop {
            let page = reader
                .page(&Query::Objects(ObjectType::User), next.as_ref())
                .await
                .unwrap();
            seen.extend(page.items.iter().map(|item| item.get().to_owned()));
            match page.next {
                Some(link) => next = Some(link),
                None => return seen,
            }
        }
    };
    let (seen, effort) = measured(read).await;
    let all: Vec<_> = (0..PAGES)
        .map(|number| format!(r#"{{"id":"{number}"}}"#))
        .collect();
    assert_eq!(seen, all);
    assert_eq!(*early.lock().unwrap(), 0, "an ordered wait was cut short");
    let failed = (1..=server.connections().len())
        .filter(|n| trouble(*n).is_some())
        .count();
    assert!(failed > 30, "{failed}");
    assert_eq!(
        (effort.requests, effort.retries),
        ((PAGES + failed) as u64, failed as u64)
    );
}
