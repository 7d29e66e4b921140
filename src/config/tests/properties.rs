//! What holds for every file that is given as a configuration: accepted or refused with mistakes,
//! never a panic.

use proptest::prelude::*;

use super::parse;

const EXAMPLE: &str = include_str!("../../../docs/example.yaml");

fn cases() -> ProptestConfig {
    ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn any_text_is_accepted_or_refused_with_mistakes(text in "(?s).{0,200}") {
        if let Err(mistakes) = parse(&text) {
            prop_assert!(!mistakes.is_empty());
        }
    }

    #[test]
    fn text_like_yaml_is_accepted_or_refused_with_mistakes(
        text in "([a-z]{1,8}: ?|- |\\{|\\}|\\[|\\]|\"|'|&a |\\*a|<<: |\\||>|# |\n|  |[0-9.e+-]{1,6}|\\$\\{[A-Z]{0,5}\\}?|!!str ){0,60}",
    ) {
        if let Err(mistakes) = parse(&text) {
            prop_assert!(!mistakes.is_empty());
        }
    }

    #[test]
    fn a_damaged_example_is_accepted_or_refused_with_mistakes(
        at in any::<prop::sample::Index>(),
        length in 0_usize..30,
        instead in "(?s).{0,10}",
    ) {
        let chars: Vec<char> = EXAMPLE.chars().collect();
        let at = at.index(chars.len());
        let end = (at + length).min(chars.len());
        let text: String =
            chars[..at].iter().copied().chain(instead.chars()).chain(chars[end..].iter().copied()).collect();
        if let Err(mistakes) = parse(&text) {
            prop_assert!(!mistakes.is_empty());
        }
    }
}
