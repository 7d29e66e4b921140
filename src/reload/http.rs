//! Calls over HTTP: the reload itself, `ready` and the pages that verify.
//!
//! Owns clients, bounds and the meaning of answers. Never follows a redirect, never uses a proxy.

use std::{path::PathBuf, time::Duration};

use providers::{Secret, http, settings::TlsSettings};
use reqwest::{Client, Method, RequestBuilder, Response};
use tokio::time::Instant;

use super::attempt::{Class, Report};
use crate::{config::shape, rendering::OutputPath};

/// No more of an answer is read.
const BODY: usize = 64 << 10;
/// A metrics page may be larger.
pub(super) const PAGE: usize = 4 << 20;
const CONNECT: Duration = Duration::from_secs(1);
/// Certificates are read again when a client is older.
const CLIENT_AGE: Duration = Duration::from_secs(10);

/// A client for one URL, kept for a short time.
#[derive(Debug, Default)]
pub(super) struct Web(Option<(String, Instant, Client)>);

impl Web {
    fn request(
        &mut self,
        method: Method,
        url: &str,
        tls: Option<&TlsSettings>,
    ) -> Result<RequestBuilder, Report> {
        let wrong = |detail: String| Report::new(Class::Unfit, detail);
        let (socket, address) = split(url);
        if self.0.as_ref().is_none_or(|(of, made, _)| of != url || made.elapsed() > CLIENT_AGE) {
            let mut builder = http::client(tls)
                .map_err(|error| wrong(format!("cannot set up TLS: {error}")))?
                .no_proxy()
                .connect_timeout(CONNECT)
                .pool_max_idle_per_host(0);
            if let Some(socket) = socket {
                builder = builder.unix_socket(socket);
            }
            let client = builder.build().map_err(|error| wrong(error.to_string()))?;
            self.0 = Some((url.to_owned(), Instant::now(), client));
        }
        let (_, _, client) = self.0.as_ref().expect("made above");
        Ok(client.request(method, address))
    }

    /// The status and the body of a page; the error says why it cannot be read.
    pub(super) async fn get(
        &mut self,
        url: &str,
        tls: Option<&TlsSettings>,
        timeout: Duration,
    ) -> Result<(u16, Vec<u8>), String> {
        let request = self.request(Method::GET, url, tls).map_err(|report| report.detail)?;
        let request = request.timeout(timeout);
        let mut answer = request.send().await.map_err(|error| chain(&error.without_url()))?;
        let status = answer.status().as_u16();
        let body = read(&mut answer, PAGE).await.map_err(|error| chain(&error.without_url()))?;
        Ok((status, body))
    }
}

/// `unix:///path/to/socket:/request/path` as socket and URL.
fn split(url: &str) -> (Option<PathBuf>, String) {
    let Some(rest) = url.strip_prefix("unix://") else { return (None, url.to_owned()) };
    let (socket, path) = rest.split_once(":/").unwrap_or((rest, ""));
    (Some(PathBuf::from(socket)), format!("http://localhost/{path}"))
}

async fn read(answer: &mut Response, most: usize) -> reqwest::Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        let room = most - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if body.len() == most {
            break;
        }
    }
    Ok(body)
}

/// Tells the endpoint; runs to its own deadline.
pub(super) async fn call(
    web: &mut Web,
    http: &shape::Http,
    generation: u64,
    changed: &[OutputPath],
) -> Report {
    let request = match prepare(web, http, generation, changed) {
        Ok(request) => request,
        Err(report) => return report,
    };
    match request.timeout(http.timeout).send().await {
        Ok(mut answer) => {
            let report = judge(answer.status().as_u16(), &http.accept, &http.reject);
            // Only so that the server can finish writing; what it says is not needed.
            drop(read(&mut answer, BODY).await);
            report
        }
        Err(error) => failed(&error.without_url()),
    }
}

fn prepare(
    web: &mut Web,
    http: &shape::Http,
    generation: u64,
    changed: &[OutputPath],
) -> Result<RequestBuilder, Report> {
    let wrong = |detail: String| Report::new(Class::Misconfigured, detail);
    // Nothing was asked yet: it is looked at again soon.
    let missing = |detail: String| Report::new(Class::Unfit, detail);
    let method = Method::from_bytes(http.method.as_bytes())
        .map_err(|_| wrong(format!("`{}` is no HTTP method", http.method)))?;
    let secret =
        |path: &std::path::Path| Secret::read(path).map_err(|error| missing(error.to_string()));
    let paths: Vec<&str> = changed.iter().map(OutputPath::as_str).collect();
    let trace = (fastrand::u128(1..), fastrand::u64(1..));
    if http.tls.is_some() {
        // A rotated certificate is for the next attempt, not for one in ten seconds.
        web.0 = None;
    }
    let mut request = web
        .request(method, &http.url, http.tls.as_ref())?
        .header("X-Rehup-Generation", generation)
        .header("X-Rehup-Changed", header(&paths))
        .header("traceparent", format!("00-{:032x}-{:016x}-01", trace.0, trace.1));
    if http.body.is_none() {
        request = request.header("Content-Type", "application/json");
    }
    let body = http.body.clone().unwrap_or_else(|| {
        serde_json::json!({ "generation": generation, "changed": paths }).to_string()
    });
    for (name, value) in &http.headers {
        request = request.header(name, value);
    }
    if let Some(path) = &http.bearer_file {
        request = request.bearer_auth(secret(path)?.expose());
    }
    if let Some(basic) = &http.basic {
        request = request.basic_auth(&basic.username, Some(secret(&basic.password_file)?.expose()));
    }
    Ok(request.body(body))
}

/// Paths in one header: not ASCII is escaped, and a long list is cut at a comma.
fn header(paths: &[&str]) -> String {
    let mut text = String::new();
    for path in paths {
        let path = path.escape_default().to_string();
        if text.len() + path.len() > 4096 {
            break;
        }
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(&path);
    }
    text
}

fn judge(status: u16, accept: &[shape::StatusRange], reject: &[shape::StatusRange]) -> Report {
    let within = |ranges: &[shape::StatusRange]| ranges.iter().any(|range| range.contains(status));
    let class = match status {
        _ if within(accept) => Class::Confirmed,
        _ if within(reject) => Class::SaidNo,
        408 | 425 | 429 | 502 | 503 | 504 => Class::NotUp,
        _ => Class::Misconfigured,
    };
    Report::new(class, format!("answered {status}"))
}

fn failed(error: &reqwest::Error) -> Report {
    let class = if error.is_builder() || is_tls(error) {
        Class::Misconfigured
    } else if error.is_connect() {
        Class::NotUp
    } else {
        Class::CannotKnow
    };
    Report::new(class, chain(error))
}

/// Whether a TLS failure is among the causes; `io::Error` hides the one it wraps from `source`.
fn is_tls(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if error.is::<rustls::Error>() || inner.is_some_and(|inner| is_tls(inner)) {
            return true;
        }
        next = error.source();
    }
    false
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Whether something listens there, without a request.
pub(super) async fn reach(url: &str) -> Result<String, String> {
    let (socket, address) = split(url);
    let done = |result: std::io::Result<()>| match result {
        Ok(()) => Ok(format!("something listens at {url}")),
        Err(error) => Err(format!("nobody answers at {url}: {error}")),
    };
    if let Some(socket) = socket {
        return done(tokio::net::UnixStream::connect(socket).await.map(drop));
    }
    let address = reqwest::Url::parse(&address).map_err(|error| error.to_string())?;
    let host = address.host_str().ok_or("the URL has no host")?.trim_matches(['[', ']']);
    let place = (host, address.port_or_known_default().unwrap_or(80));
    match tokio::time::timeout(CONNECT, tokio::net::TcpStream::connect(place)).await {
        Ok(result) => done(result.map(drop)),
        Err(_) => Err(format!("no connection to {url} within {CONNECT:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(list: &[u16]) -> Vec<shape::StatusRange> {
        list.iter().map(|s| shape::StatusRange { from: *s, to: *s }).collect()
    }

    #[test]
    fn the_lists_win_over_the_fixed_classes() {
        let class = |status| judge(status, &ranges(&[200, 302, 503]), &ranges(&[422, 404])).class;
        assert_eq!(
            [302, 503, 404, 422].map(class),
            [Class::Confirmed, Class::Confirmed, Class::SaidNo, Class::SaidNo]
        );
        assert_eq!(
            [429, 504, 301, 401, 418].map(class),
            [
                Class::NotUp,
                Class::NotUp,
                Class::Misconfigured,
                Class::Misconfigured,
                Class::Misconfigured
            ]
        );
    }

    #[test]
    fn a_unix_url_is_a_socket_and_a_path() {
        let (socket, url) = split("unix:///run/app.sock:/-/reload");
        assert_eq!(socket.as_deref(), Some(std::path::Path::new("/run/app.sock")));
        assert_eq!(url, "http://localhost/-/reload");
    }
}
