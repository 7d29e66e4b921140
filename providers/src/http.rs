//! HTTP clients with the one TLS stack: rustls with ring, redirects off.
//!
//! Owns how certificates are read. Must not know who calls.

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
};

use crate::{ErrorKind, ProviderError, settings::TlsSettings};

/// A client builder that verifies as `tls` says, follows no redirect and sends no credential on its
/// own. The certificates are read now: build a new client when they change.
pub fn client(tls: Option<&TlsSettings>) -> Result<reqwest::ClientBuilder, ProviderError> {
    let config = tls_config(tls)?;
    Ok(reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .tls_backend_preconfigured(config))
}

fn tls_config(tls: Option<&TlsSettings>) -> Result<ClientConfig, ProviderError> {
    let none = TlsSettings::default();
    let tls = tls.unwrap_or(&none);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| ProviderError::new(ErrorKind::Tls, "no TLS version").with_source(error))?;
    let roots = roots(tls.ca_file.as_deref())?;
    let builder = match &tls.server_name {
        Some(name) => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Named::new(name, roots, &provider)?)),
        None => builder.with_root_certificates(roots),
    };
    match (&tls.cert_file, &tls.key_file) {
        (Some(cert), Some(key)) => {
            let chain = certificates(cert)?;
            let key_der = PrivateKeyDer::from_pem_file(key).map_err(|error| bad(key, error))?;
            builder.with_client_auth_cert(chain, key_der).map_err(|error| bad(cert, error))
        }
        _ => Ok(builder.with_no_client_auth()),
    }
}

fn roots(ca_file: Option<&Path>) -> Result<RootCertStore, ProviderError> {
    let mut store = RootCertStore::empty();
    let certificates = match ca_file {
        Some(path) => certificates(path)?,
        // A missing bundle is no fault: it is needed for public authorities only.
        None => rustls_native_certs::load_native_certs().certs,
    };
    store.add_parsable_certificates(certificates);
    Ok(store)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ProviderError> {
    let found: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| bad(path, error))?;
    if found.is_empty() {
        let message = format!("{} holds no certificate", path.display());
        return Err(ProviderError::new(ErrorKind::Credentials, message));
    }
    Ok(found)
}

fn bad(path: &Path, error: impl std::error::Error + Send + Sync + 'static) -> ProviderError {
    let message = format!("{} cannot be used", path.display());
    ProviderError::new(ErrorKind::Credentials, message).with_source(error)
}

/// Whether `error` comes from the TLS handshake or its certificates.
#[must_use]
pub fn is_tls(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<rustls::Error>() {
            return true;
        }
        // An I/O error hides the one that it carries from `source`.
        let carried = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        next = match carried {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    false
}

/// Verifies as usual, but against the configured name instead of the URL's host.
#[derive(Debug)]
struct Named {
    name: ServerName<'static>,
    inner: Arc<WebPkiServerVerifier>,
}

impl Named {
    fn new(
        name: &str,
        roots: RootCertStore,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, ProviderError> {
        let bad = |error: Box<dyn std::error::Error + Send + Sync>| {
            let message = format!("server_name `{name}` cannot be verified");
            ProviderError::new(ErrorKind::Tls, message).with_source(error)
        };
        let inner =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
                .build()
                .map_err(|error| bad(error.into()))?;
        let name = ServerName::try_from(name.to_owned()).map_err(|error| bad(error.into()))?;
        Ok(Self { name, inner })
    }
}

impl ServerCertVerifier for Named {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _host: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.inner.verify_server_cert(end_entity, intermediates, &self.name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, cert, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, cert, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
