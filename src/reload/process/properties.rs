//! What holds for everything that `/proc` may say: read or not, never a panic.

use std::time::Duration;

use proptest::prelude::*;

use super::Stat;
use crate::generation::BootTime;

fn config() -> ProptestConfig {
    ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() }
}

fn boot(id: &str, since: Duration) -> BootTime {
    BootTime { boot_id: id.to_owned(), since_boot: since }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_text_is_read_or_not(text in ".*") {
        drop(Stat::parse(&text));
    }

    #[test]
    fn a_name_may_hold_anything(
        pid in 1..i32::MAX,
        comm in "[^\0]{0,15}",
        state in "[A-Z]",
        parent in any::<i32>(),
        start in any::<u64>(),
    ) {
        // Between: group, session, terminal, foreground, then flags and twelve counters.
        let line = format!("{pid} ({comm}) {state} {parent} 1 1 0 -1 4194304{} {start} 0 0",
            " 0".repeat(12));
        let stat = Stat::parse(&line).expect("a line of the kernel");
        prop_assert_eq!((stat.pid, stat.comm.as_str(), stat.parent, stat.start),
            (pid, comm.as_str(), parent, start));
    }

    #[test]
    fn a_damaged_line_is_read_or_not(
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let line = "7 (a b) c) S 1 7 7 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 500 0 0 1";
        let mut bytes = line.as_bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        bytes.truncate(cut.index(bytes.len()) + 1);
        drop(Stat::parse(&String::from_utf8_lossy(&bytes)));
    }

    /// A flip's moment comes from a file on the volume, which others may write.
    #[test]
    fn any_moment_can_be_compared(start in any::<u64>(), flipped in any::<u64>(), now in any::<u64>()) {
        let line = format!("7 (a) S 1 7 7 0 -1 4194304{} {start} 0 0", " 0".repeat(12));
        let stat = Stat::parse(&line).expect("a line of the kernel");
        let (flipped, now) =
            (boot("x", Duration::from_millis(flipped)), boot("x", Duration::from_millis(now)));
        prop_assert!(stat.uptime(&now) <= now.since_boot);
        prop_assert!(!stat.is_fresh(Some(&flipped), &now) || start > 0);
    }
}
