//! TCP connections as the kernel sees them: what a follower holds, without asking the follower.

/// The kernel's number of the state in which both sides may send.
const ESTABLISHED: &str = "01";

/// How many established connections the server at this port of 127.0.0.1 has.
pub fn established(port: u16) -> usize {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("/proc/net/tcp");
    let local = format!("0100007F:{port:04X}");
    let of_server = |line: &&str| {
        let mut fields = line.split_whitespace().skip(1);
        fields.next() == Some(&local) && fields.nth(1) == Some(ESTABLISHED)
    };
    table.lines().filter(of_server).count()
}

/// Whether a process holds the client's socket of a connection between two ports of 127.0.0.1; none
/// if the kernel's table does not show it, as may happen when it changes while it is read. Both
/// ports tell the connection: the kernel gives one of them to several.
pub fn belongs_to(client: u16, server: u16, process: u32) -> Option<bool> {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("/proc/net/tcp");
    let (local, remote) = (format!("0100007F:{client:04X}"), format!("0100007F:{server:04X}"));
    let inode = table.lines().find_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let found = fields.next() == Some(&local) && fields.next() == Some(&remote);
        found.then(|| fields.nth(6).map(str::to_owned)).flatten()
    });
    let socket = format!("socket:[{}]", inode.filter(|inode| inode != "0")?);
    let held = std::fs::read_dir(format!("/proc/{process}/fd")).ok()?;
    let mut links = held.flatten().filter_map(|entry| std::fs::read_link(entry.path()).ok());
    Some(links.any(|link| link.as_os_str() == socket.as_str()))
}
