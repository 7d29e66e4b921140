//! One request to Consul: address, credentials, deadline, and the body up to its bound.

use std::{future::Future, path::PathBuf, time::Duration};

use reqwest::{Client, Response, StatusCode, Url, header::HeaderValue};
use tokio::time::{Instant, timeout};

use super::{
    answer::{Meta, refusal},
    body::too_large,
};
use crate::{
    ErrorKind, ProviderError, Secret, http,
    settings::{Consistency, ConsulSettings, TlsSettings},
};

/// Nobody should be that slow to say that they are there.
const CONNECT: Duration = Duration::from_secs(3);

/// What is kept of an answer that is an error.
const EXCERPT: usize = 1024;

/// What to ask.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    /// The index to wait behind, and how long; none does not block.
    pub(super) block: Option<(u64, Duration)>,
    /// Which servers may answer.
    pub(super) consistency: Consistency,
    /// Whether the body is kept; its digest always is.
    pub(super) keep: bool,
    /// The end of the attempt.
    pub(super) deadline: Duration,
}

/// A complete answer.
#[derive(Debug)]
pub(super) struct Answer {
    /// What its headers say.
    pub(super) meta: Meta,
    /// None where nothing matches, or where it was not kept.
    pub(super) body: Option<Vec<u8>>,
    /// The digest of the body, also of one that was not kept.
    pub(super) digest: blake3::Hash,
    /// When the request started.
    pub(super) started: Instant,
    /// When the headers came.
    pub(super) arrived: Instant,
}

/// The way to one Consul.
pub(super) struct Wire {
    settings: ConsulSettings,
    /// With the digest of the certificate files that it was made from.
    client: Option<(blake3::Hash, Client)>,
}

impl Wire {
    pub(super) fn new(settings: ConsulSettings) -> Self {
        Self { settings, client: None }
    }

    /// Asks once; token and certificates are read now, the request goes out when polled.
    pub(super) fn ask(
        &mut self,
        request: Request,
    ) -> impl Future<Output = Result<Answer, ProviderError>> + Send + use<> {
        let prepared = self.prepare(request);
        let prefix = self.settings.prefix.clone();
        let max_bytes = self.settings.max_bytes;
        async move {
            let (builder, at) = prepared?;
            let attempt = attempt(builder, &at, &prefix, max_bytes, request.keep);
            timeout(request.deadline, attempt).await.unwrap_or_else(|_| {
                let message = format!("{at} gives no answer within {:?}", request.deadline);
                Err(ProviderError::new(ErrorKind::Unavailable, message))
            })
        }
    }

    fn prepare(
        &mut self,
        request: Request,
    ) -> Result<(reqwest::RequestBuilder, String), ProviderError> {
        let (url, at) = url(&self.settings, request)?;
        let mut builder = self.client()?.get(url);
        if let Some(path) = &self.settings.token_file {
            builder = builder.header("X-Consul-Token", header(&Secret::read(path)?, path)?);
        }
        Ok((builder, at))
    }

    /// The client, made anew when a certificate file has another content.
    fn client(&mut self) -> Result<Client, ProviderError> {
        let now = fingerprint(self.settings.tls.as_ref())?;
        if let Some((made_from, client)) = &self.client
            && *made_from == now
        {
            return Ok(client.clone());
        }
        let client = http::client(self.settings.tls.as_ref())?
            .connect_timeout(CONNECT)
            .tcp_nodelay(true)
            .no_proxy()
            .pool_max_idle_per_host(2)
            .build()
            .map_err(|error| {
                ProviderError::new(ErrorKind::Tls, "no HTTP client").with_source(error)
            })?;
        self.client = Some((now, client.clone()));
        Ok(client)
    }
}

fn header(token: &Secret, path: &std::path::Path) -> Result<HeaderValue, ProviderError> {
    let mut value = HeaderValue::from_str(token.expose()).map_err(|_| {
        let message = format!("credential file {} holds no token", path.display());
        ProviderError::new(ErrorKind::Credentials, message)
    })?;
    value.set_sensitive(true);
    Ok(value)
}

fn fingerprint(tls: Option<&TlsSettings>) -> Result<blake3::Hash, ProviderError> {
    let mut hasher = blake3::Hasher::new();
    let files = |tls: &TlsSettings| -> Vec<PathBuf> {
        [&tls.ca_file, &tls.cert_file, &tls.key_file].into_iter().flatten().cloned().collect()
    };
    for path in tls.map(files).unwrap_or_default() {
        let content = std::fs::read(&path).map_err(|error| {
            let message = format!("{} cannot be read", path.display());
            ProviderError::new(ErrorKind::Credentials, message).with_source(error)
        })?;
        hasher.update(blake3::hash(&content).as_bytes());
    }
    Ok(hasher.finalize())
}

/// The URL, and the address as it may be printed.
fn url(settings: &ConsulSettings, request: Request) -> Result<(Url, String), ProviderError> {
    let address = settings.address.trim_end_matches('/');
    let bad = |what: &str| ProviderError::new(ErrorKind::Malformed, what.to_owned());
    // A URL's parser would take them as a step upwards, encoded or not.
    if matches!(settings.prefix.as_str(), "." | "..") {
        return Err(bad("no prefix `.` or `..` can be asked of Consul"));
    }
    let text = format!("{address}/v1/kv/{}?recurse", encoded(&settings.prefix));
    let mut url = Url::parse(&text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https"))
        .ok_or_else(|| bad("the address is no URL; write http://127.0.0.1:8500"))?;
    if let Some((index, wait)) = request.block {
        let wait = format!("{}ms", wait.as_millis());
        url.query_pairs_mut().append_pair("index", &index.to_string()).append_pair("wait", &wait);
    }
    if request.consistency != Consistency::Default {
        url.query_pairs_mut().append_key_only(request.consistency.as_str());
    }
    if let Some(datacenter) = &settings.datacenter {
        url.query_pairs_mut().append_pair("dc", datacenter);
    }
    let at = url.origin().ascii_serialization();
    Ok((url, at))
}

/// Every byte that is not plain is encoded, the slash too: Consul redirects paths with `//` or
/// `..` to cleaned ones, encoded ones it takes byte for byte.
fn encoded(prefix: &str) -> String {
    let mut text = String::with_capacity(prefix.len());
    for byte in prefix.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.extend(['%', hex(byte >> 4), hex(byte & 15)]);
        }
    }
    text
}

fn hex(digit: u8) -> char {
    char::from(b"0123456789ABCDEF"[usize::from(digit)])
}

async fn attempt(
    builder: reqwest::RequestBuilder,
    at: &str,
    prefix: &str,
    max_bytes: u64,
    keep: bool,
) -> Result<Answer, ProviderError> {
    let started = Instant::now();
    let mut response = builder.send().await.map_err(|error| failure(error, at))?;
    let arrived = Instant::now();
    let meta = Meta::of(response.headers());
    let found = response.status() == StatusCode::OK;
    // A 404 without an index is not Consul's: some proxy's page must not look like an empty prefix.
    if !found && (response.status() != StatusCode::NOT_FOUND || meta.index.is_none()) {
        let body = excerpt(&mut response).await;
        return Err(refusal(response.status(), response.headers(), &body, at));
    }
    // Base64 and the other fields of a pair; the content itself is counted when it is decoded.
    let bound = max_bytes.saturating_mul(2).saturating_add(64 << 10);
    let mut hasher = blake3::Hasher::new();
    let (mut body, mut size) = (Vec::new(), 0);
    while let Some(chunk) = response.chunk().await.map_err(|error| failure(error, at))? {
        size += chunk.len() as u64;
        if size > bound {
            return Err(too_large(prefix, max_bytes));
        }
        hasher.update(&chunk);
        if keep {
            body.extend_from_slice(&chunk);
        }
    }
    let body = (found && keep).then_some(body);
    Ok(Answer { meta, body, digest: hasher.finalize(), started, arrived })
}

async fn excerpt(response: &mut Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() >= EXCERPT {
            break;
        }
    }
    body.truncate(EXCERPT);
    body
}

fn failure(error: reqwest::Error, at: &str) -> ProviderError {
    let kind = if http::is_tls(&error) { ErrorKind::Tls } else { ErrorKind::Unavailable };
    let what = if error.is_connect() { "cannot be reached" } else { "broke off" };
    ProviderError::new(kind, format!("{at} {what}")).with_source(error.without_url())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_encoded_byte_for_byte() {
        assert_eq!(encoded("app/../x y//ü\n"), "app%2F..%2Fx%20y%2F%2F%C3%BC%0A");
    }
}
