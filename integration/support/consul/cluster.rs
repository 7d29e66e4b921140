//! Three real Consul servers, and a client agent in front of them.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::Value;

use super::{Consul, STARTS};
use crate::support::{patience::eventually_async, process::free_port};

/// Three servers and a client agent; the leader is whoever was elected.
pub struct Cluster {
    pub servers: Vec<Consul>,
    pub agent: Consul,
}

/// Whom to ask.
#[derive(Clone, Copy, Debug)]
pub enum Through {
    /// The server that leads.
    Leader,
    /// A server that follows.
    Follower,
    /// An agent that holds no data.
    Agent,
}

impl Cluster {
    /// Starts them and waits until each of them takes writes.
    pub async fn start() -> Self {
        for _ in 0..STARTS {
            let serf: Vec<u16> = (0..4).map(|_| free_port()).collect();
            let mut members: Vec<_> = (0..4)
                .map(|number| Consul::prepared(|config| join(config, number, &serf)))
                .collect();
            members.iter_mut().for_each(Consul::spawn);
            if all_lead(&mut members).await {
                let agent = members.pop().expect("the fourth");
                return Self { servers: members, agent };
            }
        }
        panic!("no cluster came up in {STARTS} starts");
    }

    /// The place of the leader among the servers.
    pub async fn leader(&self) -> usize {
        eventually_async("a leader", async || {
            for (place, server) in self.servers.iter().enumerate() {
                let own = server.request(Method::GET, "/v1/agent/self", Vec::new()).await?.1;
                let own: Value = serde_json::from_slice(&own).ok()?;
                if own["Stats"]["consul"]["leader"] == "true" {
                    return Some(place);
                }
            }
            None
        })
        .await
    }

    /// Freezes two servers, so that nobody leads; gives the URL to ask: of the third, which led or
    /// followed before, or of the client agent.
    pub async fn lose_quorum(&self, through: Through) {
        let leader = self.leader().await;
        let spared = match through {
            Through::Leader => leader,
            Through::Follower | Through::Agent => (leader + 1) % 3,
        };
        for (place, server) in self.servers.iter().enumerate() {
            if place != spared {
                server.freeze();
            }
        }
    }

    /// Lets all go on.
    pub fn thaw(&self) {
        self.servers.iter().for_each(Consul::thaw);
    }

    /// The URL to ask; call it before the quorum is lost.
    pub async fn url(&self, through: Through) -> String {
        let leader = self.leader().await;
        match through {
            Through::Leader => self.servers[leader].url(),
            Through::Follower => self.servers[(leader + 1) % 3].url(),
            Through::Agent => self.agent.url(),
        }
    }
}

/// Waits until each takes writes; false if one ended, or if they do not find together.
async fn all_lead(members: &mut [Consul]) -> bool {
    let end = Instant::now() + Duration::from_secs(40);
    while Instant::now() < end {
        let mut leading = 0;
        for member in &mut *members {
            match member.takes_writes().await {
                Some(true) => leading += 1,
                Some(false) => return false,
                None => {}
            }
        }
        if leading == members.len() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    false
}

fn join(config: &mut Value, number: usize, serf: &[u16]) {
    config["node_name"] = format!("node-{number}").into();
    config["ports"]["serf_lan"] = serf[number].into();
    let others = serf.iter().filter(|port| **port != serf[number]);
    config["retry_join"] = others.map(|port| format!("127.0.0.1:{port}")).collect();
    config["retry_interval"] = "1s".into();
    if number == 3 {
        config["server"] = false.into();
        config.as_object_mut().expect("an object").remove("bootstrap_expect");
    } else {
        config["bootstrap_expect"] = 3.into();
    }
}
