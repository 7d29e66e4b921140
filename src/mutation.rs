//! Harm to good input, for tests that hold for every input.
//!
//! Must not know any grammar: a good text comes in, one that is nearly good goes out.

use proptest::{collection::vec, prelude::*, sample::Index};

/// How properties are tried: `PROPTEST_CASES` times, 256 if it is not set. A failing input is
/// printed and kept as a named test, so no file of regressions is written beside the sources.
pub(crate) fn trials() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

#[derive(Clone, Debug)]
enum Harm {
    Cut(Index),
    Flip(Index, u8),
    Drop(Index, Index),
    Double(Index, Index),
    Insert(Index, Vec<u8>),
}

/// What parsers stumble over: depth, numbers without end, long texts, bytes that are no text.
fn stones() -> impl Strategy<Value = Vec<u8>> {
    let repeated = |text: &'static str| {
        (1_usize..3000).prop_map(move |times| text.repeat(times).into_bytes()).boxed()
    };
    prop_oneof![
        vec(any::<u8>(), 1..8),
        prop_oneof![
            repeated("["),
            repeated("{\"a\":"),
            repeated("9"),
            repeated("a"),
            repeated(" "),
            repeated("\n"),
            repeated("- "),
            repeated("("),
        ],
        prop::sample::select(vec![
            "1e400",
            "-1e400",
            "NaN",
            ".inf",
            "\0",
            "\u{feff}",
            "null",
            "\"",
            "\\u0000",
            "\\ud800",
            "*a",
            "&a [*a]",
            "<<: *a",
            "!!binary x",
            "---",
            ": ",
            ",",
            "}",
            "]",
            ")",
            "..",
            "../",
            "18446744073709551616",
            "-9223372036854775809",
            "0x",
            "\r\n",
            "\t",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
    ]
}

fn harm() -> impl Strategy<Value = Harm> {
    prop_oneof![
        any::<Index>().prop_map(Harm::Cut),
        any::<(Index, u8)>().prop_map(|(at, byte)| Harm::Flip(at, byte)),
        any::<(Index, Index)>().prop_map(|(from, to)| Harm::Drop(from, to)),
        any::<(Index, Index)>().prop_map(|(from, to)| Harm::Double(from, to)),
        (any::<Index>(), stones()).prop_map(|(at, stone)| Harm::Insert(at, stone)),
    ]
}

impl Harm {
    fn to(self, bytes: &mut Vec<u8>) {
        let place = |at: Index, bytes: &[u8]| at.index(bytes.len() + 1);
        let range = |from: Index, to: Index, bytes: &[u8]| {
            let (from, to) = (place(from, bytes), place(to, bytes));
            from.min(to)..from.max(to)
        };
        match self {
            Self::Cut(at) => bytes.truncate(place(at, bytes)),
            Self::Flip(at, mask) => {
                let at = place(at, bytes);
                bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= mask);
            }
            Self::Drop(from, to) => drop(bytes.drain(range(from, to, bytes))),
            Self::Double(from, to) => {
                let part = bytes[range(from, to, bytes)].to_vec();
                let at = place(to, bytes);
                bytes.splice(at..at, part);
            }
            Self::Insert(at, stone) => {
                let at = place(at, bytes);
                bytes.splice(at..at, stone);
            }
        }
    }
}

/// Good input with up to four harms.
pub(crate) fn harmed(good: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    (good, vec(harm(), 0..5)).prop_map(|(mut bytes, harms)| {
        for harm in harms {
            harm.to(&mut bytes);
        }
        bytes
    })
}

/// The same as text.
pub(crate) fn harmed_text(good: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let bytes = harmed(good.prop_map(String::into_bytes));
    bytes.prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}
