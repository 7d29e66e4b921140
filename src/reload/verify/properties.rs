//! What holds for every page that is asked for evidence.

use proptest::prelude::*;

use super::*;
use crate::mutation::{harmed_text, trials};

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn pages() -> impl Strategy<Value = String> {
    let line = ("[a-z_:]{1,8}", "[a-z]{1,4}", ".{0,8}", any::<f64>()).prop_map(
        |(name, label, value, number)| {
            format!("{name}{{{label}=\"{}\",x=\"y\"}} {number} 17\n", escaped(&value))
        },
    );
    prop::collection::vec(line, 0..8).prop_map(|lines| lines.concat())
}

proptest! {
    #![proptest_config(trials())]

    #[test]
    fn any_page_is_read_or_refused(page in harmed_text(pages()), name in "[a-z_]{0,3}") {
        let labels = BTreeMap::from([("x".to_owned(), "y".to_owned())]);
        sample(&page, &name, &labels);
        sample(&page, &name, &BTreeMap::new());
    }

    #[test]
    fn a_sample_is_found_whatever_its_label_holds(value in any::<String>(), number in any::<i32>()) {
        let page = format!("# HELP up x\nup{{z=\"1\",a=\"{}\"}} {number}\n", escaped(&value));
        let labels = |value: &str| BTreeMap::from([("a".to_owned(), value.to_owned())]);
        // A line ends at a line feed, and a carriage return before it belongs to the end.
        prop_assert_eq!(sample(&page, "up", &labels(&value)), Some(f64::from(number)));
        prop_assert_eq!(sample(&page, "up", &labels(&format!("{value}x"))), None);
    }
}
