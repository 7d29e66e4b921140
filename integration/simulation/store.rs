//! A store that is not there: what it holds, every state that it ever held, and its moods.
//!
//! Fake, because no real store can be made to fail in every way at every moment of a virtual time.
//! It keeps the provider's contract: `reader` speaks as a provider that follows it would.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use providers::{Doubt, Entries, ErrorKind, Key, Value};
use tokio::{sync::watch, time::Instant};

use super::{chance::Chance, ledger::Ledger};

/// Keys and values.
pub type Content = BTreeMap<String, String>;

/// What a store is like now.
#[derive(Clone, Debug, Default)]
pub enum Mood {
    /// It answers, and its answers are true.
    #[default]
    Well,
    /// It fails, and perhaps says for how long.
    Down(ErrorKind, Option<Duration>),
    /// It takes requests and says nothing, for ever.
    Silent,
    /// It hides these keys, and says that it might.
    Hiding(Doubt, BTreeSet<String>),
    /// A server that is behind answers with this.
    Behind(Content),
    /// Watches that are opened miss every change, and vouch for what they have.
    Lying,
}

/// A state that was answered or held.
#[derive(Clone, Debug)]
pub struct Known {
    /// Its content.
    pub content: Content,
    /// The store really held it.
    pub held: bool,
    /// When it ceased to be what the store holds; none while it is.
    pub until: Option<Instant>,
}

/// The same answer, once or several times in a row.
#[derive(Clone, Debug)]
pub struct Answer {
    pub text: String,
    /// When it was first given in this row.
    pub first: Instant,
    /// When it was last given in this row.
    pub last: Instant,
    /// The server said that it may not be the truth.
    pub doubtful: bool,
}

/// Everything about one store.
pub struct State {
    pub chance: Chance,
    pub content: Content,
    pub revision: u64,
    pub mood: Mood,
    /// Connections opened before the newest cut are gone.
    pub cut: u64,
    /// The next read finds that the history was compacted.
    pub lost_history: bool,
    /// Every state by its text.
    pub known: BTreeMap<String, Known>,
    /// The newest answers.
    pub answers: VecDeque<Answer>,
    /// When a watch last vouched for what is not so.
    pub lied: Option<Instant>,
    pub opens: VecDeque<Instant>,
    pub failures: VecDeque<Instant>,
    stamp: u64,
    past: Vec<Content>,
}

/// One store of the world.
#[derive(Clone)]
pub struct Store {
    pub name: String,
    pub ledger: Ledger,
    /// Changes with content and mood.
    pub changed: watch::Sender<u64>,
    state: Arc<Mutex<State>>,
}

impl Store {
    /// A store that holds something and is well.
    pub fn new(name: &str, mut chance: Chance, ledger: Ledger) -> Self {
        let revision = 1 + chance.below(1000) as u64;
        let state = State {
            chance,
            content: Content::new(),
            revision,
            mood: Mood::Well,
            cut: 0,
            lost_history: false,
            known: BTreeMap::new(),
            answers: VecDeque::new(),
            lied: None,
            opens: VecDeque::new(),
            failures: VecDeque::new(),
            stamp: 0,
            past: Vec::new(),
        };
        let state = Arc::new(Mutex::new(state));
        let store = Self { name: name.to_owned(), ledger, changed: watch::Sender::new(0), state };
        store.write();
        store
    }

    /// Its state.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics with it")
    }

    /// The texts of its newest answers.
    pub fn answered(&self) -> Vec<String> {
        self.state().answers.iter().map(|answer| answer.text.clone()).collect()
    }

    /// Some keys change in one transaction.
    pub fn write(&self) {
        let mut state = self.state();
        let mut next = state.content.clone();
        let chance = &mut state.chance;
        for _ in 0..=chance.below(6) {
            let key = format!("k/{:02}", chance.below(16));
            if chance.one_in(4) {
                next.remove(&key);
            } else {
                next.insert(key, format!("v{}", chance.below(1000)));
            }
        }
        mark(&mut next, "level", !chance.one_in(15));
        mark(&mut next, "bad", chance.one_in(8));
        state.hold(next, true);
        self.tell("store writes", state);
    }

    /// Many keys go at once.
    pub fn shrink(&self) {
        let mut state = self.state();
        let mut next = state.content.clone();
        let chance = &mut state.chance;
        next.retain(|key, _| !key.starts_with("k/") || chance.one_in(4));
        state.hold(next, true);
        self.tell("store shrinks", state);
    }

    /// Every key that there can be, and nothing that anybody refuses.
    pub fn mend(&self) {
        let mut state = self.state();
        let mut next: Content =
            (0..16).map(|key| (format!("k/{key:02}"), "whole".to_owned())).collect();
        mark(&mut next, "level", true);
        state.hold(next, true);
        state.mood = Mood::Well;
        state.lost_history = false;
        self.tell("store mended", state);
    }

    /// The prefix is emptied.
    pub fn empty(&self) {
        let mut state = self.state();
        state.hold(Content::new(), false);
        self.tell("store emptied", state);
    }

    /// An older state comes back, with its older revision.
    pub fn restore(&self) {
        let mut state = self.state();
        if state.past.is_empty() {
            return;
        }
        let count = state.past.len();
        let older = state.chance.below(count);
        let content = state.past[older].clone();
        let back = 1 + state.chance.below(20) as u64;
        state.hold(content, false);
        state.revision = state.revision.saturating_sub(back).max(1);
        state.lost_history = state.chance.one_in(2);
        state.cut += 1;
        self.tell("store restored", state);
    }

    /// Changes its mood.
    pub fn feel(&self, what: &str, mood: impl FnOnce(&mut State) -> Mood) {
        let mut state = self.state();
        let mood = mood(&mut state);
        state.mood = mood;
        self.tell(what, state);
    }

    /// Every connection breaks.
    pub fn cut(&self) {
        let mut state = self.state();
        state.cut += 1;
        self.tell("connections cut", state);
    }

    /// A moment when it compacts what a watch has not seen.
    pub fn compact(&self) {
        let mut state = self.state();
        state.lost_history = true;
        state.cut += 1;
        self.tell("history compacted", state);
    }

    fn tell(&self, what: &str, state: MutexGuard<'_, State>) {
        self.ledger.note(
            what,
            format_args!(
                "{} at {} with {} keys, stamp {:?}",
                self.name,
                state.revision,
                state.content.len(),
                state.content.get("a/stamp")
            ),
        );
        drop(state);
        self.changed.send_modify(|version| *version += 1);
    }
}

impl State {
    /// The store holds this from now on; a stamp at both ends tells a mixture from a whole.
    fn hold(&mut self, mut next: Content, stamped: bool) {
        let now = Instant::now();
        if stamped {
            self.stamp += 1;
            next.insert("a/stamp".to_owned(), self.stamp.to_string());
            next.insert("z/stamp".to_owned(), self.stamp.to_string());
        }
        let before = std::mem::replace(&mut self.content, next.clone());
        if let Some(known) = self.known.get_mut(&text(&before)) {
            known.until = Some(now);
        }
        if !before.is_empty() {
            self.past.push(before);
        }
        if self.past.len() > 12 {
            self.past.remove(0);
        }
        self.revision += 1 + self.chance.below(3) as u64;
        self.known.insert(text(&next), Known { content: next, held: true, until: None });
    }

    /// What it answers now; none if it does not.
    pub fn answer(&mut self) -> Option<(Entries, Vec<Doubt>)> {
        let (content, doubts) = match &self.mood {
            Mood::Down(..) | Mood::Silent => return None,
            Mood::Well | Mood::Lying => (self.content.clone(), Vec::new()),
            Mood::Hiding(doubt, hidden) => {
                let seen = self.content.iter().filter(|(key, _)| !hidden.contains(*key));
                (seen.map(|(key, value)| (key.clone(), value.clone())).collect(), vec![*doubt])
            }
            Mood::Behind(content) => (content.clone(), vec![Doubt::Stale]),
        };
        let now = Instant::now();
        let name = text(&content);
        let doubtful = !doubts.is_empty();
        match self.answers.back_mut() {
            Some(answer) if answer.text == name && answer.doubtful == doubtful => answer.last = now,
            _ => {
                let (first, last) = (now, now);
                self.answers.push_back(Answer { text: name.clone(), first, last, doubtful });
            }
        }
        if self.answers.len() > 32 {
            self.answers.pop_front();
        }
        let entries = entries(&content);
        let heard = Known { content, held: false, until: Some(now) };
        self.known.entry(name).or_insert(heard);
        Some((entries, doubts))
    }

    /// Picks keys to hide; the stamp at one end always goes, so that nothing held lacks as much.
    pub fn hide(&mut self, doubt: Doubt) -> Mood {
        let all: Vec<String> = self.content.keys().cloned().collect();
        let hides_all = doubt == Doubt::DefaultDeny;
        let chance = &mut self.chance;
        let mut hidden: BTreeSet<_> =
            all.into_iter().filter(|_| hides_all || chance.one_in(3)).collect();
        hidden.insert("a/stamp".to_owned());
        Mood::Hiding(doubt, hidden)
    }

    /// An older state, as a server that is behind would have it.
    pub fn behind(&mut self) -> Mood {
        match self.past.last() {
            Some(older) => Mood::Behind(older.clone()),
            None => Mood::Well,
        }
    }
}

/// The text that tells one content from another.
pub fn text(content: &Content) -> String {
    content.iter().fold(String::new(), |text, (key, value)| text + key + "=" + value + "\n")
}

/// The same for a provider's snapshot.
fn entries(content: &Content) -> Entries {
    content
        .iter()
        .map(|(key, value)| (Key::from(key.as_str()), Value::new(value.clone())))
        .collect()
}

fn mark(content: &mut Content, key: &str, present: bool) {
    if present {
        content.insert(key.to_owned(), "1".to_owned());
    } else {
        content.remove(key);
    }
}
