//! Answers that a real Consul cannot be made to give, from a scripted listener.

use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use futures_util::StreamExt;

use super::Consul;
use crate::{ErrorKind, Provider, ProviderError, Update, settings::ConsulSettings};

/// Gives `answer` to each request and counts them; ends with the test's process.
fn fake(answer: &'static str) -> (Consul, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let count = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&count);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 4096];
            if stream.read(&mut request).is_ok_and(|size| size > 0) {
                counter.fetch_add(1, Ordering::SeqCst);
                drop(stream.write_all(answer.as_bytes()));
            }
        }
    });
    let settings = serde_json::json!({ "address": address, "prefix": "app/" });
    let settings: ConsulSettings = serde_json::from_value(settings).expect("settings");
    (Consul::new(settings), count)
}

async fn error(answer: &'static str) -> ProviderError {
    let (consul, _) = fake(answer);
    consul.follow().next().await.expect("no end").expect_err("an error")
}

// A real Consul redirects only paths that are never sent.
#[tokio::test]
async fn a_redirect_is_named_and_not_followed() {
    let error = error(
        "HTTP/1.1 307 Moved\r\nLocation: http://else/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    )
    .await;
    assert_eq!(error.kind, ErrorKind::Malformed);
    assert!(error.to_string().contains("http://else/"), "{error}");
}

// A real Consul finishes its answers.
#[tokio::test]
async fn a_truncated_body_is_refused() {
    let cut =
        "HTTP/1.1 200 OK\r\nX-Consul-Index: 7\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n";
    assert_eq!(error(cut).await.kind, ErrorKind::Unavailable);
}

// Consul never sends `Retry-After`; what stands before it may.
#[tokio::test]
async fn the_wait_that_a_server_asks_for_is_told() {
    let slow =
        "HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let error = error(slow).await;
    let told = (error.kind, error.retry_after);
    assert_eq!(told, (ErrorKind::Throttled, Some(Duration::from_secs(7))));
}

// A real Consul sends its index with each list.
#[tokio::test]
async fn a_missing_index_makes_no_storm_of_requests() {
    let (consul, count) =
        fake("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n[]");
    let mut updates = consul.follow();
    let first = updates.next().await.expect("no end");
    assert!(matches!(first, Ok(Update::Snapshot(_))), "{first:?}");
    let rest = tokio::time::timeout(Duration::from_millis(800), updates.next()).await;
    assert!(rest.is_err(), "nothing new: {rest:?}");
    assert!(count.load(Ordering::SeqCst) <= 4, "{count:?} requests");
}
