//! What holds for every name on the volume.

use std::path::{Component, Path};

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::mutation::{harmed_text, trials};

fn nearly_paths() -> impl Strategy<Value = String> {
    let part = prop_oneof!["[a-zA-Z0-9._-]{0,12}", Just("..".to_owned()), Just(".".to_owned())];
    harmed_text(vec(part, 0..6).prop_map(|parts| parts.join("/")))
}

proptest! {
    #![proptest_config(trials())]

    #[test]
    fn a_path_that_is_accepted_stays_below_the_root(text in prop_oneof![nearly_paths(), any::<String>()]) {
        let Ok(path) = OutputPath::parse(&text) else { return Ok(()) };
        let mut parts = Path::new(path.as_str()).components();
        prop_assert!(parts.all(|part| matches!(part, Component::Normal(_))), "{text:?}");
        prop_assert!(!path.top().starts_with(".."), "{text:?} begins with what is ours");
        prop_assert!(path.as_str().split('/').all(|part| (1..=255).contains(&part.len())));
        prop_assert!(!path.as_str().chars().any(char::is_control));
        // As the kernel sees it: nothing was folded away.
        prop_assert_eq!(Path::new(path.as_str()).components().count(), text.split('/').count());
    }

    #[test]
    fn a_path_is_read_back_as_it_was_written(text in nearly_paths()) {
        if let Ok(path) = OutputPath::parse(&text) {
            let json = serde_json::to_string(&path).expect("a text");
            prop_assert_eq!(serde_json::from_str::<OutputPath>(&json).expect("a path"), path);
        } else {
            let json = serde_json::to_string(&text).expect("a text");
            prop_assert!(serde_json::from_str::<OutputPath>(&json).is_err(), "a way around parse");
        }
    }

    #[test]
    fn a_refused_path_makes_one_line(text in any::<String>()) {
        if let Err(error) = OutputPath::parse(&text) {
            prop_assert!(!error.to_string().contains('\n'));
        }
    }
}
