//! What a refused file leaves.

use std::path::Path;

use super::{GOOD, Overrides, Salvaged, variable, with};
use crate::config::shape::Layout;

fn salvage(yaml: &str) -> Salvaged {
    Salvaged::from(yaml, &variable, &Overrides::default())
}

#[test]
fn of_a_file_with_mistakes_all_is_used_that_is_right() {
    let admin = "setle: off\nadmin: { listen: \"127.0.0.1:1\" }";
    let salvaged = salvage(&with(admin).replace("/shared", "\"${VOLUME}\", layout: files"));
    let volume = salvaged.volume().expect("a path");
    assert_eq!((volume.path.as_path(), volume.layout), (Path::new("/shared"), Layout::Files));
    assert_eq!(salvaged.listen().port(), 1);
}

#[test]
fn of_a_file_that_is_no_yaml_the_sections_are_used() {
    let broken = GOOD.replace("'x'", "{{ x }}").replace(
        "output: { path: /shared }",
        "output:\n  # the volume\n  path: /shared\n\n  layout: set\nadmin:\n  listen: 127.0.0.1:1",
    );
    let salvaged = salvage(&broken);
    let volume = salvaged.volume().expect("a path");
    assert_eq!((volume.path.as_path(), volume.layout), (Path::new("/shared"), Layout::Set));
    assert_eq!(salvaged.listen().port(), 1);
}

#[test]
fn what_is_unknown_stays_unknown() {
    for yaml in ["{{{{", "", "output: [", "output: { path: \"${NOT_SET}\" }", "output: { path: 5 }"]
    {
        assert!(salvage(yaml).volume().is_none(), "{yaml}");
        assert_eq!(salvage(yaml).listen().port(), 9533, "{yaml}");
    }
}

#[test]
fn the_command_line_stands_above_the_file() {
    let overrides = Overrides {
        output: Some("/other".into()),
        listen: Some("127.0.0.1:2".parse().expect("an address")),
    };
    let salvaged = Salvaged::from(GOOD, &variable, &overrides);
    assert_eq!(salvaged.volume().expect("a path").path, Path::new("/other"));
    assert_eq!(salvaged.listen().port(), 2);
}
