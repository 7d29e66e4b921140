//! Real etcd members: ports that the system picks, data on tmpfs, killed with their test.

use std::{
    net::TcpStream,
    path::{Path, PathBuf},
};

use etcd_client::{Client, ConnectOptions};
use nix::sys::signal::Signal;

use super::{
    patience::eventually_async,
    process::{Process, free_port, scratch},
    proxy::{Manner, Proxy},
};

mod backup;
pub mod users;

/// How often a start is tried again with other ports.
const STARTS: u32 = 5;

/// Which etcd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// The pinned one: `ETCD`, or what `make test` puts into `target/servers`.
    Current,
    /// The oldest that is followed: `ETCD_OLD`, or Debian's 3.4.
    Old,
}

impl Version {
    fn program(self) -> PathBuf {
        let (variable, fallback) = match self {
            Self::Current => {
                ("ETCD", Path::new(env!("CARGO_MANIFEST_DIR")).join("target/servers/etcd"))
            }
            Self::Old => ("ETCD_OLD", PathBuf::from("/usr/bin/etcd")),
        };
        let program = std::env::var_os(variable).map_or(fallback, PathBuf::from);
        assert!(
            program.is_file(),
            "no etcd at {}: run `make test`, which builds it, or set {variable}",
            program.display()
        );
        program
    }
}

/// How to start a server beyond the version.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `--cert-file` and the like; with them clients speak TLS.
    pub tls: Option<ServerTls>,
    /// Further flags.
    pub flags: Vec<String>,
}

/// The server's certificates; clients must show one of the same authority.
#[derive(Clone, Debug)]
pub struct ServerTls {
    pub ca: PathBuf,
    pub cert: PathBuf,
    pub key: PathBuf,
}

/// A running or stopped member; its ports and data stay the same over restarts.
pub struct Etcd {
    version: Version,
    options: Options,
    folder: tempfile::TempDir,
    client_port: u16,
    /// Where it listens for its peers.
    peer_port: u16,
    /// Where the peers believe it to be.
    advertised: u16,
    /// Between the two, where the member can be cut off from its peers.
    peers: Option<Proxy>,
    /// The advertised ports of all members.
    cluster: Vec<u16>,
    process: Option<Process>,
}

impl Etcd {
    /// Starts a cluster of one member and waits until it takes requests.
    pub async fn start(version: Version) -> Self {
        Self::start_with(version, Options::default()).await
    }

    /// The same with options.
    pub async fn start_with(version: Version, options: Options) -> Self {
        let mut members = Self::cluster(version, &options, 1, false).await;
        members.pop().expect("one member")
    }

    /// Starts a cluster of three members.
    pub async fn start_three(version: Version) -> Vec<Self> {
        Self::cluster(version, &Options::default(), 3, false).await
    }

    /// Starts a cluster of three members that can be cut off from each other.
    pub async fn start_three_apart(version: Version) -> Vec<Self> {
        Self::cluster(version, &Options::default(), 3, true).await
    }

    async fn cluster(
        version: Version,
        options: &Options,
        members: usize,
        apart: bool,
    ) -> Vec<Self> {
        for _ in 0..STARTS {
            let member = |_| Self::new(version, options.clone(), apart);
            let mut members: Vec<_> = (0..members).map(member).collect();
            let cluster: Vec<_> = members.iter().map(|member| member.advertised).collect();
            for member in &mut members {
                member.cluster.clone_from(&cluster);
            }
            members.iter_mut().for_each(Self::spawn);
            let mut up = true;
            for member in &mut members {
                up &= member.is_up().await;
            }
            if up {
                return members;
            }
            // Somebody else took a port.
        }
        panic!("etcd ended right after each of {STARTS} starts");
    }

    fn new(version: Version, options: Options, apart: bool) -> Self {
        let (folder, client_port, peer_port) = (scratch(), free_port(), free_port());
        let peers = apart.then(|| Proxy::to(peer_port));
        let advertised = peers.as_ref().map_or(peer_port, Proxy::port);
        Self {
            version,
            options,
            folder,
            client_port,
            peer_port,
            advertised,
            peers,
            cluster: Vec::new(),
            process: None,
        }
    }

    /// Cuts one member off from the others, who keep each other; its clients notice nothing of it.
    pub async fn isolate(members: &[Self], apart: usize) {
        let status = members[apart].client().await.status().await.expect("a status");
        let id = status.header().expect("a header").member_id();
        // Peers say who they are in a header of each request.
        let caller = format!("X-Server-From: {id:x}");
        for (number, member) in members.iter().enumerate() {
            let peers = member.peers.as_ref().expect("started apart");
            if number == apart {
                peers.turn(Manner::Refuse);
                peers.cut();
            } else {
                peers.bar(Some(&caller));
            }
        }
    }

    /// Ends an isolation.
    pub fn rejoin(members: &[Self]) {
        for member in members {
            let peers = member.peers.as_ref().expect("started apart");
            peers.turn(Manner::Forward);
            peers.bar(None);
        }
    }

    /// Starts the stopped server on the same ports.
    pub async fn restart(&mut self) {
        self.spawn();
        assert!(self.is_up().await, "etcd does not start again:\n{}", self.output());
    }

    /// Stops it as `kill -9` does; the data stays.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Stops it and forgets its data: what starts next is another, empty store with the same ids.
    pub fn wipe(&mut self) {
        self.stop();
        std::fs::remove_dir_all(self.folder.path().join("data")).expect("a data folder");
    }

    /// Sends a signal to the server.
    pub fn signal(&self, signal: Signal) {
        self.process.as_ref().expect("a running server").signal(signal);
    }

    /// Other certificates from the next start on.
    pub fn secure(&mut self, tls: ServerTls) {
        self.options.tls = Some(tls);
        self.stop();
    }

    /// The URL for clients.
    pub fn endpoint(&self) -> String {
        let scheme = if self.options.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}", self.client_port)
    }

    /// The port for clients.
    pub fn port(&self) -> u16 {
        self.client_port
    }

    /// A client of its own, without TLS and user.
    pub async fn client(&self) -> Box<Client> {
        self.client_with(ConnectOptions::new()).await
    }

    /// A client of its own.
    pub async fn client_with(&self, options: ConnectOptions) -> Box<Client> {
        let connected = Box::pin(Client::connect([self.endpoint()], Some(options))).await;
        Box::new(connected.expect("a client of our own server"))
    }

    /// What the server printed.
    pub fn output(&self) -> String {
        self.process.as_ref().map(Process::output).unwrap_or_default()
    }

    fn spawn(&mut self) {
        let log = self.folder.path().join("log");
        let program = self.version.program();
        self.process = Some(Process::start(program, self.arguments(), &log, |_| {}));
    }

    /// Waits until it takes requests; false if it ended, as it does when a port is taken.
    async fn is_up(&mut self) -> bool {
        let port = self.client_port;
        let process = self.process.as_mut().expect("a started server");
        // It listens for clients only once it knows a leader.
        let listens = eventually_async("etcd listens or ends", async || match process.exited() {
            Some(_) => Some(false),
            None => TcpStream::connect(("127.0.0.1", port)).is_ok().then_some(true),
        });
        if !listens.await {
            return false;
        }
        // With TLS the first request needs a certificate that only the test has.
        if self.options.tls.is_none() {
            let client = self.client().await;
            eventually_async("etcd answers", async || client.kv_client().get("x", None).await.ok())
                .await;
        }
        true
    }

    fn arguments(&self) -> Vec<String> {
        let client = self.endpoint();
        let (peer, advertised) = (peer_url(self.peer_port), peer_url(self.advertised));
        let member = |port: &u16| format!("{port}={}", peer_url(*port));
        let cluster: Vec<_> = self.cluster.iter().map(member).collect();
        let data = self.folder.path().join("data").display().to_string();
        let mut arguments = vec![
            format!("--data-dir={data}"),
            format!("--name={}", self.advertised),
            format!("--listen-client-urls={client}"),
            format!("--advertise-client-urls={client}"),
            format!("--listen-peer-urls={peer}"),
            format!("--initial-advertise-peer-urls={advertised}"),
            format!("--initial-cluster={}", cluster.join(",")),
            "--log-level=warn".to_owned(),
        ];
        if let Some(tls) = &self.options.tls {
            arguments.extend([
                format!("--trusted-ca-file={}", tls.ca.display()),
                format!("--cert-file={}", tls.cert.display()),
                format!("--key-file={}", tls.key.display()),
                "--client-cert-auth".to_owned(),
            ]);
        }
        arguments.extend(self.options.flags.iter().cloned());
        arguments
    }
}

fn peer_url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}
