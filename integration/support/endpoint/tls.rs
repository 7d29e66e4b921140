//! The endpoint's side of TLS: rustls, as in the program, with certificates of the test.

use std::{net::TcpStream, path::Path, sync::Arc};

use rustls::{
    RootCertStore, ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};

use super::{super::certificates::Pair, Wire};

/// What the endpoint shows, and whom it believes.
#[derive(Clone)]
pub struct Tls(Arc<ServerConfig>);

impl Tls {
    /// Shows this certificate and asks for none.
    pub fn new(pair: &Pair) -> Self {
        Self::with(pair, None)
    }

    /// Takes only callers with a certificate of this authority.
    pub fn for_clients_of(pair: &Pair, ca: &Path) -> Self {
        Self::with(pair, Some(ca))
    }

    fn with(pair: &Pair, ca: Option<&Path>) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("versions");
        let builder = match ca {
            Some(ca) => {
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(certificates(ca));
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().expect("an authority"))
            }
            None => builder.with_no_client_auth(),
        };
        let key = PrivateKeyDer::from_pem_file(&pair.key).expect("a key");
        let config = builder.with_single_cert(certificates(&pair.cert), key);
        Self(Arc::new(config.expect("a certificate with its key")))
    }

    pub(super) fn accept(&self, stream: TcpStream) -> impl Wire + 'static {
        let connection = ServerConnection::new(Arc::clone(&self.0)).expect("a connection");
        StreamOwned::new(connection, stream)
    }
}

impl Wire for StreamOwned<ServerConnection, TcpStream> {
    fn certificate(&self) -> Option<Vec<u8>> {
        self.conn.peer_certificates()?.first().map(|it| it.to_vec())
    }
}

/// The certificates of a PEM file.
pub fn certificates(path: &Path) -> Vec<CertificateDer<'static>> {
    let found = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    found.expect("certificates")
}
