//! A client of a Service: asks whoever is a ready endpoint, all the time. Nothing routes to a
//! Service without kube-proxy, and what a proxy would do late is not what is tested.

use std::sync::atomic::{AtomicBool, Ordering};

use super::Space;

/// What became of its requests.
#[derive(Debug, Default)]
pub struct Served {
    pub answered: usize,
    /// What the others got, and each look that found no endpoint ready.
    pub failed: Vec<String>,
}

/// Ends the client, also when what happens meanwhile fails.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// One request after the other, while something happens to the pods.
pub fn follow(space: &Space, service: &str, meanwhile: impl FnOnce()) -> Served {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let client = scope.spawn(|| {
            let mut served = Served::default();
            while !stop.load(Ordering::Relaxed) {
                round(space, service, &mut served);
            }
            served
        });
        let end = End(&stop);
        meanwhile();
        drop(end);
        client.join().expect("the client")
    })
}

fn round(space: &Space, service: &str, served: &mut Served) {
    let endpoints = space.endpoints(service);
    if endpoints.is_empty() {
        served.failed.push("no endpoint is ready".to_owned());
    }
    for name in endpoints {
        match space.pod_named(&name).get(8080, "/") {
            Some(answer) if answer.status == 200 => served.answered += 1,
            answer => served.failed.push(format!("{name}: {answer:?}")),
        }
    }
}
