use std::time::Duration;

use providers::{Doubt, Entries, Key, Revision, Value};

use super::*;

const SOURCE: &str = "app";

fn snapshot(keys: usize) -> Snapshot {
    let entry = |n: usize| (Key::from(format!("k{n:03}")), Value::new(n.to_string()));
    Snapshot {
        revision: Revision(1),
        entries: (0..keys).map(entry).collect::<Entries>(),
        doubts: Vec::new(),
        as_of: Instant::now(),
    }
}

fn doubtful(keys: usize) -> Snapshot {
    Snapshot { doubts: vec![Doubt::Filtered], ..snapshot(keys) }
}

fn guard(memory: Option<&[u8]>) -> Guard {
    let mut guard = Guard::new(DigestKey::new([7; 32]), shape::Guard::default(), memory);
    guard.configure(shape::Guard::default(), &origins());
    guard
}

fn origins() -> BTreeMap<String, Digest> {
    BTreeMap::from([(SOURCE.to_owned(), Digest::of(b"settings"))])
}

/// A guard that let `keys` keys pass.
fn after(keys: usize) -> Guard {
    let mut guard = guard(None);
    assert_eq!(guard.judge(SOURCE, &snapshot(keys), 1, Instant::now()), Judgement::Pass);
    guard
}

fn is_held(judgement: &Judgement) -> bool {
    matches!(judgement, Judgement::Hold(_))
}

#[test]
fn a_first_snapshot_with_keys_passes() {
    after(1);
}

#[test]
fn losing_half_of_the_keys_passes_and_more_is_held() {
    let now = Instant::now();
    assert_eq!(after(20).judge(SOURCE, &snapshot(10), 1, now), Judgement::Pass);
    assert!(is_held(&after(20).judge(SOURCE, &snapshot(9), 1, now)));
}

#[test]
fn a_share_of_fewer_than_ten_keys_means_nothing() {
    assert_eq!(after(9).judge(SOURCE, &snapshot(1), 1, Instant::now()), Judgement::Pass);
}

#[test]
fn a_second_read_five_seconds_later_lets_a_loss_through() {
    let (mut guard, now) = (after(20), Instant::now());
    assert!(is_held(&guard.judge(SOURCE, &snapshot(3), 1, now)));
    assert_eq!(guard.recheck(), Some((now + SECOND_READ, SOURCE)));
    let soon = now + Duration::from_secs(4);
    assert!(is_held(&guard.judge(SOURCE, &snapshot(3), 2, soon)), "too early");
    let late = now + SECOND_READ;
    assert!(is_held(&guard.judge(SOURCE, &snapshot(3), 1, late)), "not read again");
    assert_eq!(guard.judge(SOURCE, &snapshot(3), 3, late), Judgement::Pass);
}

#[test]
fn a_loss_whose_keys_come_back_in_part_starts_anew() {
    let (mut guard, now) = (after(40), Instant::now());
    assert!(is_held(&guard.judge(SOURCE, &snapshot(3), 1, now)));
    assert!(is_held(&guard.judge(SOURCE, &snapshot(5), 2, now + SECOND_READ)));
}

#[test]
fn a_second_read_that_lost_even_more_starts_anew() {
    let (mut guard, now) = (after(40), Instant::now());
    assert!(is_held(&guard.judge(SOURCE, &snapshot(15), 1, now)));
    assert!(is_held(&guard.judge(SOURCE, &snapshot(1), 2, now + SECOND_READ)), "seen once");
    assert_eq!(guard.judge(SOURCE, &snapshot(1), 3, now + 2 * SECOND_READ), Judgement::Pass);
}

#[test]
fn an_empty_snapshot_is_held_also_on_a_new_volume_and_no_read_frees_it() {
    let (mut guard, now) = (guard(None), Instant::now());
    assert!(is_held(&guard.judge(SOURCE, &snapshot(0), 1, now)));
    assert!(is_held(&guard.judge(SOURCE, &snapshot(0), 9, now + 10 * SECOND_READ)));
    assert_eq!(guard.recheck(), None);
}

#[test]
fn allow_empty_treats_it_as_any_other_loss() {
    let settings = shape::Guard { allow_empty: true, ..shape::Guard::default() };
    let (mut guard, now) = (after(20), Instant::now());
    guard.configure(settings.clone(), &origins());
    assert!(is_held(&guard.judge(SOURCE, &snapshot(0), 1, now)));
    assert_eq!(guard.judge(SOURCE, &snapshot(0), 2, now + SECOND_READ), Judgement::Pass);
    let mut new = Guard::new(DigestKey::new([7; 32]), settings.clone(), None);
    new.configure(settings, &origins());
    assert_eq!(new.judge(SOURCE, &snapshot(0), 1, now), Judgement::Pass);
}

#[test]
fn a_doubtful_loss_waits_for_an_operator() {
    let (mut guard, now) = (after(20), Instant::now());
    assert!(is_held(&guard.judge(SOURCE, &doubtful(19), 1, now)));
    assert!(is_held(&guard.judge(SOURCE, &doubtful(19), 2, now + 2 * SECOND_READ)));
    assert_eq!(guard.judge(SOURCE, &doubtful(20), 3, now), Judgement::Pass, "nothing is gone");
}

#[test]
fn a_loss_that_was_first_read_in_doubt_needs_two_reads_without() {
    let (mut guard, now) = (after(20), Instant::now());
    assert!(is_held(&guard.judge(SOURCE, &doubtful(3), 1, now)));
    let later = now + 10 * SECOND_READ;
    assert!(is_held(&guard.judge(SOURCE, &snapshot(3), 2, later)), "the first one that counts");
    assert_eq!(guard.recheck(), Some((later + SECOND_READ, SOURCE)));
    assert_eq!(guard.judge(SOURCE, &snapshot(3), 3, later + SECOND_READ), Judgement::Pass);
}

#[test]
fn a_doubtful_first_snapshot_is_held() {
    assert!(is_held(&guard(None).judge(SOURCE, &doubtful(5), 1, Instant::now())));
}

#[test]
fn an_operator_accepts_exactly_what_was_shown_and_that_survives_a_restart() {
    let (mut guard1, now) = (after(20), Instant::now());
    let Judgement::Hold(hold) = guard1.judge(SOURCE, &snapshot(0), 1, now) else { panic!("held") };
    assert!(guard1.accept(SOURCE, "0123456789abcdef").is_none());
    let shown = DigestKey::new([7; 32]).show(&hold.digest);
    assert!(guard1.accept(SOURCE, &shown).is_some());
    let memory = guard1.memory().expect("an acceptance is remembered");
    let mut again = guard(Some(&memory));
    assert_eq!(again.judge(SOURCE, &snapshot(0), 1, now), Judgement::Pass);
    assert_eq!(again.judge(SOURCE, &snapshot(3), 1, now), Judgement::Pass);
    assert!(
        is_held(&again.judge(SOURCE, &snapshot(0), 1, now)),
        "the acceptance was for that once"
    );
}

#[test]
fn a_restart_does_not_forget_how_many_keys_there_were() {
    let memory = after(20).memory().expect("names are remembered");
    assert!(is_held(&guard(Some(&memory)).judge(SOURCE, &snapshot(2), 1, Instant::now())));
}

#[test]
fn memory_names_no_key_and_is_given_out_only_when_names_change() {
    let mut guard = after(20);
    let memory = String::from_utf8(guard.memory().expect("names")).expect("text");
    assert!(!memory.contains("k001"), "{memory}");
    let mut other = snapshot(20);
    other.entries.insert("k001".into(), Value::new("other"));
    guard.judge(SOURCE, &other, 1, Instant::now());
    assert!(guard.memory().is_none());
}

#[test]
fn another_store_behind_the_same_name_is_not_compared() {
    let mut guard = after(20);
    let other = BTreeMap::from([(SOURCE.to_owned(), Digest::of(b"other settings"))]);
    guard.configure(shape::Guard::default(), &other);
    assert_eq!(guard.judge(SOURCE, &snapshot(2), 1, Instant::now()), Judgement::Pass);
}

#[test]
fn a_memory_that_could_not_be_written_is_given_out_again() {
    let mut guard = after(20);
    let first = guard.memory().expect("names are remembered");
    assert!(guard.memory().is_none());
    guard.memory_was_not_written();
    assert_eq!(guard.memory(), Some(first));
}
