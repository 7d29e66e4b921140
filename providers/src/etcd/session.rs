//! One connection to one endpoint, and who we are on it.
//!
//! Owns connecting, TLS, login and the bound on each call. The client's balancer picks dead
//! endpoints, so it never gets more than one; going to the next is `follow`'s.

use std::{path::Path, time::Duration};

use etcd_client::{
    Certificate, Client, ConnectOptions, Error, Identity, KvClient, TlsOptions, WatchClient,
};
use tokio::time::timeout;

use super::{
    failure::{Failure, without_authentication},
    lessons::Lessons,
};
use crate::{
    ErrorKind, ProviderError, Secret,
    settings::{EtcdSettings, TlsSettings},
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Also the bound of each page of a list.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// The bound of a first request while there are endpoints that were not tried yet.
const HASTY_TIMEOUT: Duration = Duration::from_millis(1500);
/// A ping after so much silence, and how long its answer may take: together below the 15 s within
/// which the next endpoint is to be in use. Servers end a connection with more than three pings
/// between two answers, whatever else they bear: proofs come sooner than a fourth.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(8), Duration::from_secs(4));

/// A connection; dropping it closes it.
pub(super) struct Session {
    /// Boxed: with all its parts it is too large to move at each step.
    client: Box<Client>,
    endpoint: String,
    /// The bound of the next request.
    bound: Duration,
    /// Nothing was answered on this connection, and it has TLS.
    unheard: bool,
    decode_limit: usize,
    /// Logged in, but not yet read and watched: a refused token is no expired one then.
    just_logged_in: bool,
}

impl Session {
    /// Connects to `endpoint` and logs in. Certificates and password are read now. A `hasty` one
    /// gives up sooner, up to its first answer.
    pub(super) async fn connect(
        settings: &EtcdSettings,
        endpoint: &str,
        lessons: &Lessons,
        hasty: bool,
    ) -> Result<Self, Failure> {
        let bound = if hasty { HASTY_TIMEOUT } else { REQUEST_TIMEOUT };
        let login = Login::read(settings, lessons).map_err(Failure::reconnect)?;
        let mut options = ConnectOptions::new()
            .with_connect_timeout(CONNECT_TIMEOUT.min(bound))
            .with_timeout(REQUEST_TIMEOUT)
            .with_keep_alive(KEEP_ALIVE.0, KEEP_ALIVE.1)
            // Pings without a stream make the server end the connection.
            .with_keep_alive_while_idle(false)
            // Without it a member that lost its quorum answers and keeps silent for ever.
            .with_require_leader(true);
        if endpoint.starts_with("https://") {
            let tls = tls(settings.tls.as_ref()).map_err(Failure::reconnect)?;
            options = options.with_tls(tls);
        }
        let connecting = Client::connect([endpoint], Some(options));
        let client = bounded(endpoint, "the connection", connecting).await?;
        let mut session = Self {
            client: Box::new(client),
            endpoint: endpoint.to_owned(),
            bound,
            unheard: endpoint.starts_with("https://"),
            decode_limit: decode_limit(settings.max_bytes),
            just_logged_in: false,
        };
        session.log_in_as(login, lessons).await?;
        Ok(session)
    }

    /// Logs in with the password that is in the file now.
    pub(super) async fn login(
        &mut self,
        settings: &EtcdSettings,
        lessons: &Lessons,
    ) -> Result<(), Failure> {
        let login = Login::read(settings, lessons).map_err(Failure::reconnect)?;
        self.log_in_as(login, lessons).await
    }

    /// Without a user, or where the server has no authentication, nothing is needed.
    async fn log_in_as(&mut self, login: Option<Login>, lessons: &Lessons) -> Result<(), Failure> {
        let Some(Login { user, password }) = login else { return Ok(()) };
        let user = (user, password.expose().to_owned());
        let Ok(answer) = timeout(self.bound, self.client.update_user(Some(user))).await else {
            return Err(Failure::timed_out(&self.endpoint, "the login"));
        };
        match answer {
            Err(error) if !without_authentication(&error) => {
                let failure = self.failure("the login", error);
                if failure.error.kind == ErrorKind::Auth {
                    lessons.refused(&password);
                }
                Err(failure)
            }
            _ => {
                self.just_logged_in = true;
                Ok(())
            }
        }
    }

    /// The call's answer within the bound.
    pub(super) async fn bounded<T>(
        &self,
        what: &str,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Failure> {
        match timeout(self.bound, call).await {
            Ok(answer) => answer.map_err(|error| self.failure(what, error)),
            Err(_) => Err(Failure::timed_out(&self.endpoint, what)),
        }
    }

    fn failure(&self, what: &str, error: Error) -> Failure {
        if self.unheard {
            Failure::of_first_call(&self.endpoint, what, error)
        } else {
            Failure::of_call(&self.endpoint, what, error)
        }
    }

    /// It answers: from now on nothing needs to be hasty.
    pub(super) fn answered(&mut self) {
        self.bound = REQUEST_TIMEOUT;
        self.unheard = false;
    }

    /// Whether logging in again may help.
    pub(super) fn may_log_in(&self, settings: &EtcdSettings) -> bool {
        settings.username.is_some() && !self.just_logged_in
    }

    /// The login was of use.
    pub(super) fn proved_useful(&mut self) {
        self.just_logged_in = false;
    }

    /// Where we are connected to.
    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The longest answer that is decoded.
    pub(super) fn decode_limit(&self) -> usize {
        self.decode_limit
    }

    /// For reads.
    pub(super) fn kv(&self) -> KvClient {
        self.client.kv_client().max_decoding_message_size(self.decode_limit)
    }

    /// For watches.
    pub(super) fn watch(&self) -> WatchClient {
        self.client.watch_client().max_decoding_message_size(self.decode_limit)
    }
}

/// Who we are, as the settings say now.
struct Login {
    user: String,
    password: Secret,
}

impl Login {
    /// None without a user; an error while the password is one that was refused.
    fn read(settings: &EtcdSettings, lessons: &Lessons) -> Result<Option<Self>, ProviderError> {
        let (Some(user), Some(file)) = (&settings.username, &settings.password_file) else {
            return Ok(None);
        };
        let password = Secret::read(file)?;
        if let Some(left) = lessons.is_barred(&password) {
            let message = format!(
                "the password in {} was refused; it is sent again when it changes, or in {}s",
                file.display(),
                left.as_secs() + 1
            );
            return Err(ProviderError::new(ErrorKind::Auth, message));
        }
        Ok(Some(Self { user: user.clone(), password }))
    }
}

/// The call's answer within the bound of a request.
pub(super) async fn bounded<T>(
    endpoint: &str,
    what: &str,
    call: impl Future<Output = Result<T, Error>>,
) -> Result<T, Failure> {
    match timeout(REQUEST_TIMEOUT, call).await {
        Ok(answer) => answer.map_err(|error| Failure::of_call(endpoint, what, error)),
        Err(_) => Err(Failure::timed_out(endpoint, what)),
    }
}

/// Keys come with prefix and counters, and a watch may bring two states of a key in one message.
fn decode_limit(max_bytes: u64) -> usize {
    let limit = max_bytes.saturating_mul(2).saturating_add(4 << 20);
    usize::try_from(limit).unwrap_or(usize::MAX)
}

fn tls(settings: Option<&TlsSettings>) -> Result<TlsOptions, ProviderError> {
    let none = TlsSettings::default();
    let settings = settings.unwrap_or(&none);
    let mut options = match &settings.ca_file {
        Some(path) => TlsOptions::new().ca_certificate(Certificate::from_pem(read(path)?)),
        None => TlsOptions::new().with_native_roots(),
    };
    if let (Some(cert), Some(key)) = (&settings.cert_file, &settings.key_file) {
        options = options.identity(Identity::from_pem(read(cert)?, read(key)?));
    }
    if let Some(name) = &settings.server_name {
        options = options.domain_name(name);
    }
    Ok(options)
}

fn read(path: &Path) -> Result<Vec<u8>, ProviderError> {
    std::fs::read(path).map_err(|error| {
        let message = format!("{} cannot be read", path.display());
        ProviderError::new(ErrorKind::Credentials, message).with_source(error)
    })
}
