//! `rehup status`: what the running one knows.

use std::{net::SocketAddr, time::Duration};

use crate::{exit::Failure, load::Loader, status::Report};

/// Asks the running Rehup and prints its status, as JSON or for people. A broken configuration
/// still says where it listens.
pub async fn status(loader: &Loader, json: bool) -> Result<(), Failure> {
    let listen = match loader.load() {
        Ok(accepted) => accepted.config.listen(),
        Err(refusal) => refusal.salvaged.listen(),
    };
    let url = format!("http://{}/status", reachable(listen));
    let client =
        providers::http::client(None)?.no_proxy().timeout(Duration::from_secs(5)).build()?;
    let answer = client.get(&url).send().await?.error_for_status()?.bytes().await?;
    if json {
        print!("{}", String::from_utf8_lossy(&answer));
        return Ok(());
    }
    let report: Report = serde_json::from_slice(&answer)?;
    print!("{}", report.text());
    Ok(())
}

/// Where an address that means "every interface" can be called.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let mut at = listen;
    match listen {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => at.set_ip([127, 0, 0, 1].into()),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => {
            at.set_ip(std::net::Ipv6Addr::LOCALHOST.into());
        }
        _ => {}
    }
    at
}
