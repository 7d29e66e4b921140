//! Whether `/proc` is mounted so that it hides processes of other users.
//!
//! Must not look for any process.

use std::path::Path;

use crate::bounded;

/// The most that is read of the table of mounts.
const MOUNTS: u64 = 4 << 20;

/// Whether some process may be there that we cannot see.
pub(super) fn hides() -> bool {
    let mounts = bounded::read(Path::new("/proc/self/mountinfo"), MOUNTS).unwrap_or_default();
    is_hiding(&String::from_utf8_lossy(&mounts))
}

/// The last mount at a place is the one that is seen there.
fn is_hiding(mounts: &str) -> bool {
    let of_proc = |line: &str| {
        let (mount, of_kind) = line.split_once(" - proc ")?;
        let place = mount.split_ascii_whitespace().nth(4)?;
        let options = of_kind.split_ascii_whitespace().next_back().unwrap_or_default();
        let mut options = options.split(',').filter_map(|it| it.strip_prefix("hidepid="));
        (place == "/proc").then(|| options.any(|how| !matches!(how, "0" | "off")))
    };
    mounts.lines().rev().find_map(of_proc).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_that_hides_processes_is_known_by_its_options() {
        let line = |options: &str| format!("23 1 0:21 / /proc rw,nosuid - proc proc rw{options}\n");
        for how in [",hidepid=2", ",gid=5,hidepid=invisible", ",hidepid=ptraceable", ",hidepid=1"] {
            assert!(is_hiding(&line(how)), "{how}");
            assert!(!is_hiding(&[line(how), line("")].concat()), "{how} below another");
        }
        for how in ["", ",hidepid=0", ",hidepid=off"] {
            assert!(!is_hiding(&line(how)), "{how}");
        }
        assert!(!is_hiding("24 1 0:22 / /chroot/proc rw - proc proc rw,hidepid=2\n"));
    }
}
