//! What holds for everything that `/proc` may say.

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::mutation::{harmed_text, trials};

/// A line of `/proc/PID/stat`, by the words of proc(5).
fn line(pid: i32, comm: &str, parent: i32, flags: u64, start: u64) -> String {
    let between = "1 1 1 1 1 1 1 1 20 0 1 0";
    format!("{pid} ({comm}) S {parent} 1 1 0 -1 {flags} {between} {start} 8192 17")
}

fn lines() -> impl Strategy<Value = String> {
    (any::<i32>(), ".{0,15}", any::<i32>(), any::<u64>(), any::<u64>())
        .prop_map(|(pid, comm, parent, flags, start)| line(pid, &comm, parent, flags, start))
}

fn moments() -> impl Strategy<Value = BootTime> {
    let since_boot = (any::<u64>(), 0..1_000_000_000_u32);
    since_boot.prop_map(|(seconds, nanos)| BootTime {
        boot_id: "b".to_owned(),
        since_boot: Duration::new(seconds, nanos),
    })
}

proptest! {
    #![proptest_config(trials())]

    #[test]
    fn any_stat_line_is_read_or_refused(
        text in prop_oneof![harmed_text(lines()), any::<String>()],
        flip in moments(),
        now in moments(),
    ) {
        if let Some(stat) = Stat::parse(&text) {
            // Both do sums with the ticks that the line says.
            stat.is_fresh(Some(&flip), &now);
            prop_assert!(stat.uptime(&now) <= now.since_boot);
        }
    }

    #[test]
    fn any_name_is_read_as_the_kernel_wrote_it(
        comm in "[^\n]{0,15}",
        ids in any::<(i32, i32, u64, u64)>(),
    ) {
        let (pid, parent, flags, start) = ids;
        let stat = Stat::parse(&line(pid, &comm, parent, flags, start)).expect("a good line");
        prop_assert_eq!((stat.pid, stat.parent, stat.flags, stat.start), ids);
        prop_assert_eq!(stat.comm, comm);
    }

    #[test]
    fn a_process_is_fresh_only_if_it_began_after_the_flip(start in 0..1_u64 << 50, flip in 0..1_u64 << 50) {
        let at = |ticks: u64| BootTime {
            boot_id: "b".to_owned(),
            since_boot: Duration::from_millis(ticks * 10),
        };
        let stat = Stat::parse(&line(1, "n", 1, 0, start)).expect("a good line");
        prop_assert_eq!(stat.is_fresh(Some(&at(flip)), &at(u64::MAX >> 10)), start > flip);
    }

    #[test]
    fn any_parents_end_the_search(parents in vec((0..12_i32, 0..12_i32), 0..12)) {
        let stat = |(pid, parent): (i32, i32)| {
            (pid, Stat::parse(&line(pid, "n", parent, 0, 1)).expect("a good line"))
        };
        // Numbers are taken again while they are read, so the parents may form a ring.
        let all: BTreeMap<i32, Stat> = parents.into_iter().map(stat).collect();
        let found: BTreeMap<i32, &Stat> = all.iter().map(|(pid, stat)| (*pid, stat)).collect();
        if let Ok(root) = choose(&found, &all) {
            prop_assert!(found.contains_key(&root.pid));
        }
        alone(1, &all);
    }

    #[test]
    fn any_command_line_is_split_at_its_zeros(bytes in vec(any::<u8>(), 0..200)) {
        let words = split(&bytes);
        prop_assert!(words.iter().all(|word| !word.is_empty() && !word.contains('\0')));
    }

    #[test]
    fn a_pid_file_is_a_number_and_nothing_else(text in prop_oneof![any::<String>(), "[ 0-9\n+-]{0,24}"]) {
        let expected = text.trim().parse::<i32>().ok();
        prop_assert_eq!(number(text.as_bytes()), expected);
    }
}

/// A file of a hostile neighbour on a shared volume.
#[test]
fn a_pid_file_that_is_large_or_no_file_is_none_at_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("pid");
    let all = everyone();
    let own = i32::try_from(std::process::id()).expect("a pid");
    let named = |path: &Path| named_by(path, &all, &mut None);
    fs::write(&path, format!("{own}\n")).expect("a pid file");
    assert_eq!(named(&path), Some(own), "a good one");
    fs::File::create(&path).and_then(|file| file.set_len(1 << 40)).expect("a sparse file");
    assert_eq!(named(&path), None, "a TiB of zeros");
    fs::remove_file(&path).expect("gone");
    let mode = rustix::fs::Mode::RUSR;
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, mode).expect("a FIFO");
    assert_eq!(named(&path), None, "a FIFO without a writer");
    assert_eq!(named(Path::new("/dev/zero")), None, "a device");
}
