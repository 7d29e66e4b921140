//! A catalogue of losses, through the guard alone: no store can be brought into all of these states.

use std::{collections::BTreeMap, time::Duration};

use providers::{Doubt, Entries, Key, Revision, Snapshot, Value};
use rehup::{
    config::shape::{self, Percent},
    digest::{Digest, DigestKey},
    guard::{Guard, Judgement, SECOND_READ},
};
use tokio::time::Instant;

const SOURCE: &str = "app";

/// What becomes of a loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It is the truth at once.
    Passes,
    /// It is held until a second read agrees.
    SecondRead,
    /// It is held, and only an operator lets it through.
    Operator,
}
use Fate::{Operator, Passes, SecondRead};

/// One loss.
struct Shape {
    what: &'static str,
    before: Option<Vec<String>>,
    after: Vec<String>,
    doubts: Vec<Doubt>,
    settings: shape::Guard,
    fate: Fate,
}

/// Keys `FOLDER/000`, `FOLDER/001` and so on.
fn keys(folder: &str, numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|number| format!("{folder}/{number:04}")).collect()
}

fn shape(what: &'static str, before: Vec<String>, after: Vec<String>, fate: Fate) -> Shape {
    let settings = shape::Guard::default();
    Shape { what, before: Some(before), after, doubts: Vec::new(), settings, fate }
}

impl Shape {
    fn doubted(mut self, doubt: Doubt) -> Self {
        self.doubts.push(doubt);
        self
    }

    fn at_most(mut self, percent: u8) -> Self {
        self.settings.max_removed = Percent(percent);
        self
    }

    fn may_be_empty(mut self) -> Self {
        self.settings.allow_empty = true;
        self
    }

    fn on_a_new_volume(mut self) -> Self {
        self.before = None;
        self
    }
}

fn catalogue() -> Vec<Shape> {
    let a = |range| keys("a", range);
    let both = |one: Vec<String>, other: Vec<String>| [one, other].concat();
    vec![
        shape("the whole prefix", a(0..20), vec![], Operator),
        shape("the whole prefix of one key", a(0..1), vec![], Operator),
        shape("the whole prefix of nine keys", a(0..9), vec![], Operator),
        shape("the whole prefix where it may be empty", a(0..20), vec![], SecondRead)
            .may_be_empty(),
        shape("all but one", a(0..20), a(0..1), SecondRead),
        shape("one more than half", a(0..100), a(51..100), SecondRead),
        shape("exactly half", a(0..100), a(50..100), Passes),
        shape("one more than half of 10,000", a(0..10_000), a(0..4999), SecondRead),
        shape("six of ten", a(0..10), a(6..10), SecondRead),
        shape("eight of nine, too few to count", a(0..9), a(0..1), Passes),
        shape(
            "a folder with most keys",
            both(a(0..12), keys("b", 0..8)),
            keys("b", 0..8),
            SecondRead,
        ),
        shape("a folder with few keys", both(a(0..12), keys("b", 0..8)), a(0..12), Passes),
        shape("all, for as many others", a(0..20), keys("b", 0..20), SecondRead),
        shape("most, for many more others", a(0..20), both(a(0..5), keys("b", 0..90)), SecondRead),
        shape(
            "every second and one more",
            a(0..20),
            a(0..18).into_iter().step_by(2).collect(),
            SecondRead,
        ),
        shape("a tenth where less may go", a(0..100), a(0..89), SecondRead).at_most(10),
        shape("nearly all where all may go", a(0..20), a(0..1), Passes).at_most(100),
        shape("all where all may go, but not be empty", a(0..20), vec![], Operator).at_most(100),
        shape("one key, filtered by rights", a(0..20), a(0..19), Operator).doubted(Doubt::Filtered),
        shape("one key, where all is denied by default", a(0..20), a(0..19), Operator)
            .doubted(Doubt::DefaultDeny),
        shape("one key, in a stale answer", a(0..20), a(0..19), Operator).doubted(Doubt::Stale),
        shape("all while the index stood, where it may be empty", a(0..20), vec![], Operator)
            .may_be_empty()
            .doubted(Doubt::GoneInPlace),
        shape("nothing, filtered by rights", a(0..20), a(0..20), Passes).doubted(Doubt::Filtered),
        shape("empty from the start", vec![], vec![], Operator).on_a_new_volume(),
        shape("in doubt from the start", vec![], a(0..20), Operator)
            .on_a_new_volume()
            .doubted(Doubt::Filtered),
    ]
}

fn snapshot(names: &[String], doubts: &[Doubt]) -> Snapshot {
    let entry = |name: &String| (Key::from(name.clone()), Value::new("value"));
    Snapshot {
        revision: Revision(1),
        entries: names.iter().map(entry).collect::<Entries>(),
        doubts: doubts.to_vec(),
        as_of: Instant::now(),
    }
}

fn guard(settings: &shape::Guard, memory: Option<&[u8]>) -> Guard {
    let mut guard = Guard::new(DigestKey::new([7; 32]), settings.clone(), memory);
    let origins = BTreeMap::from([(SOURCE.to_owned(), Digest::of(b"settings"))]);
    guard.configure(settings.clone(), &origins);
    guard
}

/// What the guard makes of a shape; with `restart` another process sees the loss.
fn fate(shape: &Shape, restart: bool) -> Fate {
    let mut guard = guard_after(shape, restart);
    let (lost, now) = (snapshot(&shape.after, &shape.doubts), Instant::now());
    if guard.judge(SOURCE, &lost, 2, now) == Judgement::Pass {
        return Passes;
    }
    let soon = now + SECOND_READ.checked_sub(Duration::from_millis(1)).expect("seconds");
    assert_ne!(guard.judge(SOURCE, &lost, 3, soon), Judgement::Pass, "{}: too soon", shape.what);
    let same_read = guard.judge(SOURCE, &lost, 2, now + SECOND_READ);
    assert_ne!(same_read, Judgement::Pass, "{}: the same read twice", shape.what);
    match guard.judge(SOURCE, &lost, 4, now + SECOND_READ) {
        Judgement::Pass => SecondRead,
        Judgement::Hold(_) => {
            let later = guard.judge(SOURCE, &lost, 99, now + 1000 * SECOND_READ);
            assert_ne!(later, Judgement::Pass, "{}: no read frees it", shape.what);
            Operator
        }
    }
}

fn guard_after(shape: &Shape, restart: bool) -> Guard {
    let mut before = guard(&shape.settings, None);
    if let Some(names) = &shape.before {
        let judgement = before.judge(SOURCE, &snapshot(names, &[]), 1, Instant::now());
        assert_eq!(judgement, Judgement::Pass, "{}", shape.what);
    }
    if !restart {
        return before;
    }
    let memory = before.memory();
    guard(&shape.settings, memory.as_deref())
}

#[test]
fn r02_each_shape_of_loss_has_its_fate_also_after_a_restart() {
    for shape in catalogue() {
        for restart in [false, true] {
            let what = shape.what;
            assert_eq!(fate(&shape, restart), shape.fate, "{what}; after a restart: {restart}");
        }
    }
}
