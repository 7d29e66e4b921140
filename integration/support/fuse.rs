//! A file system of one file that tells nobody of changes and can be made to hang, as a network
//! file system does: the kernel's own protocol, spoken to `/dev/fuse`.

use std::{
    fs::File,
    io::{Read, Write},
    path::Path,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use super::namespace::Namespace;

/// A mounted file system with the file `level`. It ends with the namespace that it is mounted in.
pub struct Fuse(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    level: String,
    hangs: bool,
}

impl Fuse {
    /// Mounts one on `place`.
    pub fn mount(namespace: &Namespace, place: &Path, level: &str) -> Self {
        let device = File::options().read(true).write(true).open("/dev/fuse").expect("/dev/fuse");
        let options = "fd=0,rootmode=040000,user_id=0,group_id=0";
        let mut mount = namespace.command(&["mount", "-i", "-t", "fuse", "-o", options, "none"]);
        mount.arg(place).stdin(device.try_clone().expect("a descriptor"));
        assert!(mount.status().expect("nsenter of util-linux").success(), "a mounted file system");
        let fuse = Self(Arc::default());
        fuse.write(level);
        let shared = Arc::clone(&fuse.0);
        // It ends with the last who can see the mount.
        std::thread::spawn(move || serve(device, &shared));
        fuse
    }

    /// Changes the file.
    pub fn write(&self, level: &str) {
        level.clone_into(&mut self.0.lock().level);
    }

    /// Whether nothing is taken from the kernel any more, but for one request. What was taken must be
    /// answered: nothing can kill who waits for that.
    pub fn hang(&self, hangs: bool) {
        self.0.lock().hangs = hangs;
        self.0.changed.notify_all();
    }
}

impl Drop for Fuse {
    fn drop(&mut self) {
        self.hang(false);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while it hangs.
    fn wait(&self) {
        let hangs = |state: &mut State| state.hangs;
        drop(self.changed.wait_while(self.lock(), hangs));
    }
}

/// The numbers of the protocol.
mod code {
    pub const LOOKUP: u32 = 1;
    pub const FORGET: u32 = 2;
    pub const GETATTR: u32 = 3;
    pub const OPEN: u32 = 14;
    pub const READ: u32 = 15;
    pub const RELEASE: u32 = 18;
    pub const FLUSH: u32 = 25;
    pub const INIT: u32 = 26;
    pub const OPENDIR: u32 = 27;
    pub const READDIR: u32 = 28;
    pub const RELEASEDIR: u32 = 29;
    pub const INTERRUPT: u32 = 36;
    pub const BATCH_FORGET: u32 = 42;
    pub const ENOENT: i32 = 2;
    pub const ENOSYS: i32 = 38;
    /// Never answer from the page cache.
    pub const DIRECT_IO: u32 = 1;
}

const ROOT: u64 = 1;
const FILE: u64 = 2;

fn serve(mut device: File, shared: &Shared) {
    let mut buffer = vec![0; 1 << 20];
    loop {
        shared.wait();
        // It is no longer mounted.
        let Ok(length) = device.read(&mut buffer) else { return };
        let request = &buffer[..length];
        let opcode = number(request, 4);
        if [code::FORGET, code::BATCH_FORGET, code::INTERRUPT].contains(&opcode) {
            continue;
        }
        let level = shared.lock().level.clone();
        let answer = answer(opcode, long(request, 16), &request[40..], &level);
        let (error, body) = answer.map_or_else(|error| (-error, Vec::new()), |body| (0, body));
        let mut reply = u32::try_from(16 + body.len()).expect("small").to_ne_bytes().to_vec();
        reply.extend(error.to_ne_bytes());
        reply.extend(&request[8..16]);
        reply.extend(body);
        // Whoever asked may be gone.
        drop(device.write_all(&reply));
    }
}

fn answer(opcode: u32, node: u64, body: &[u8], level: &str) -> Result<Vec<u8>, i32> {
    match opcode {
        code::INIT => {
            let version = [7_u32, 31, 0, 0, 0, 1 << 16, 1];
            let mut out: Vec<u8> = version.into_iter().flat_map(u32::to_ne_bytes).collect();
            out.resize(64, 0);
            Ok(out)
        }
        code::LOOKUP if body == b"level\0" => {
            let mut out = [FILE, 0, 0, 0, 0].map(u64::to_ne_bytes).concat();
            out.extend(attributes(FILE, level));
            Ok(out)
        }
        code::LOOKUP => Err(code::ENOENT),
        code::GETATTR => {
            let mut out = vec![0; 16];
            out.extend(attributes(node, level));
            Ok(out)
        }
        code::OPEN | code::OPENDIR => {
            let mut out = vec![0; 8];
            out.extend(u64::from(code::DIRECT_IO).to_ne_bytes());
            Ok(out)
        }
        code::READ | code::READDIR => {
            let content = if node == ROOT { entry() } else { level.as_bytes().to_vec() };
            let from = usize::try_from(long(body, 8)).expect("small").min(content.len());
            Ok(content[from..].to_vec())
        }
        code::RELEASE | code::RELEASEDIR | code::FLUSH => Ok(Vec::new()),
        _ => Err(code::ENOSYS),
    }
}

/// The one entry of the root; the listing goes on behind its own length.
fn entry() -> Vec<u8> {
    let mut out = [FILE, 32].map(u64::to_ne_bytes).concat();
    out.extend([5_u32, 8].into_iter().flat_map(u32::to_ne_bytes));
    out.extend(b"level\0\0\0");
    out
}

fn attributes(node: u64, level: &str) -> Vec<u8> {
    let (mode, size) = if node == ROOT { (0o40_755, 0) } else { (0o100_644, level.len() as u64) };
    let mut out = [node, size, 0, 0, 0, 0].map(u64::to_ne_bytes).concat();
    let rest = [0_u32, 0, 0, mode, 1, 0, 0, 0, 4096, 0];
    out.extend(rest.into_iter().flat_map(u32::to_ne_bytes));
    out
}

fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn long(bytes: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
