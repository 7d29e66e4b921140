//! An authority and certificates for one test, made by `openssl`.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use super::process::scratch;

/// A throw-away authority; its files go with it.
pub struct Authority {
    folder: tempfile::TempDir,
}

/// A certificate and its key, both PEM.
#[derive(Clone, Debug)]
pub struct Pair {
    pub cert: PathBuf,
    pub key: PathBuf,
}

impl Authority {
    /// A new authority.
    pub fn new() -> Self {
        let authority = Self { folder: scratch() };
        let key = authority.path("ca.key");
        let subject = ["-subj", "/CN=rehup test authority", "-days", "2"];
        Self::openssl(|openssl| {
            openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
            openssl.args(["-nodes", "-keyout"]).arg(&key).arg("-out").arg(authority.ca());
            openssl.args(subject);
        });
        authority
    }

    /// The authority's certificate.
    pub fn ca(&self) -> PathBuf {
        self.path("ca.crt")
    }

    /// A certificate for these alternative names (`IP:127.0.0.1`, `DNS:etcd.test`), good for
    /// servers and clients; `name` is its common name and the files' name.
    pub fn issue(&self, name: &str, alternatives: &str) -> Pair {
        let pair = Pair {
            cert: self.path(&format!("{name}.crt")),
            key: self.path(&format!("{name}.key")),
        };
        Self::openssl(|openssl| {
            openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
            openssl.args(["-nodes", "-days", "2", "-subj", &format!("/CN={name}")]);
            openssl.arg("-CA").arg(self.ca()).arg("-CAkey").arg(self.path("ca.key"));
            openssl.args(["-addext", &format!("subjectAltName={alternatives}")]);
            openssl.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
            openssl.args(["-addext", "extendedKeyUsage=serverAuth,clientAuth"]);
            openssl.arg("-keyout").arg(&pair.key).arg("-out").arg(&pair.cert);
        });
        pair
    }

    /// The same, but its time is over.
    pub fn issue_expired(&self, name: &str, alternatives: &str) -> Pair {
        let (request, settings) = (self.path("request"), self.path("settings"));
        let pair = Pair {
            cert: self.path(&format!("{name}.crt")),
            key: self.path(&format!("{name}.key")),
        };
        Self::openssl(|openssl| {
            openssl.args(["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
            openssl.args(["-nodes", "-subj", &format!("/CN={name}"), "-keyout"]).arg(&pair.key);
            openssl.arg("-out").arg(&request);
        });
        let index = self.path("index");
        std::fs::write(&index, "").expect("a file");
        let text = format!(
            "[ca]\ndefault_ca=own\n[own]\ndatabase={}\nrand_serial=yes\ndefault_md=sha256\n\
             policy=any\n[any]\ncommonName=supplied\n[names]\nsubjectAltName={alternatives}\n",
            index.display()
        );
        std::fs::write(&settings, text).expect("a file");
        // The long past: only `ca` lets one choose the beginning.
        Self::openssl(|openssl| {
            openssl.args(["ca", "-batch", "-notext", "-config"]).arg(&settings);
            openssl.args(["-startdate", "20200101000000Z", "-enddate", "20200102000000Z"]);
            openssl.arg("-cert").arg(self.ca()).arg("-keyfile").arg(self.path("ca.key"));
            openssl.args(["-extensions", "names", "-outdir"]).arg(self.folder.path());
            openssl.arg("-in").arg(&request).arg("-out").arg(&pair.cert);
        });
        pair
    }

    fn path(&self, name: &str) -> PathBuf {
        Path::new(self.folder.path()).join(name)
    }

    fn openssl(adjust: impl FnOnce(&mut Command)) {
        let mut command = Command::new("openssl");
        adjust(&mut command);
        let output = command.output().expect("the `openssl` command");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}:\n{text}");
    }
}

/// A private key in `folder`, and the public one, both PEM: for signed tokens.
pub fn signing_key(folder: &Path) -> (PathBuf, PathBuf) {
    let (private, public) = (folder.join("private.pem"), folder.join("public.pem"));
    Authority::openssl(|openssl| {
        openssl.args(["genrsa", "-traditional", "-out"]).arg(&private).arg("2048");
    });
    Authority::openssl(|openssl| {
        openssl.args(["rsa", "-pubout", "-in"]).arg(&private).arg("-out").arg(&public);
    });
    (private, public)
}
