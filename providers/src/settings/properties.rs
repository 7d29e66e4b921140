//! What holds for every duration and size that somebody may write.

use std::time::Duration;

use proptest::prelude::*;

use super::{duration, size};

fn trials() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(trials())]

    #[test]
    fn any_text_is_a_duration_or_none(text in prop_oneof![
        any::<String>(),
        "([0-9]{1,30} ?(ns|us|ms|s|m|h|d|w|M|y|years?)? ?){0,4}",
        "[0-9]{0,400}[a-z]{0,3}",
    ]) {
        if let Ok(read) = duration::parse(&text) {
            let again = duration::parse(&humantime::format_duration(read).to_string());
            prop_assert_eq!(again, Ok(read));
        }
    }

    #[test]
    fn a_duration_is_read_as_it_was_written(seconds in any::<u32>(), nanos in 0..1_000_000_000_u32) {
        let written = Duration::new(seconds.into(), nanos);
        let text = humantime::format_duration(written).to_string();
        prop_assert_eq!(duration::parse(&text), Ok(written));
    }

    #[test]
    fn any_text_is_a_size_or_none(text in prop_oneof![
        any::<String>(),
        "[0-9]{0,30} ?(B|KiB|MiB|GiB|TiB|kb|.)?",
        "[0-9]{300}",
    ]) {
        if let Ok(read) = size::parse(&text) {
            prop_assert_eq!(size::parse(&read.to_string()), Ok(read));
        }
    }

    #[test]
    fn a_size_is_its_number_times_its_unit(number in any::<u64>(), unit in 0..4_usize) {
        let names = ["B", "KiB", "MiB", "GiB"];
        let text = format!("{number}{}", names[unit]);
        let exact = u128::from(number) << (10 * unit);
        prop_assert_eq!(size::parse(&text).ok(), u64::try_from(exact).ok());
    }
}
