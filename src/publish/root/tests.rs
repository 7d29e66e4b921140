use super::*;

/// A folder with the file `within/deep/file`, and links that lead to a file beside it.
fn folder_with_links() -> (tempfile::TempDir, Dir) {
    let base = tempfile::tempdir().expect("a folder");
    let (root, outside) = (base.path().join("root"), base.path().join("outside"));
    for folder in [root.join("within/deep"), outside.join("deep")] {
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join("file"), "text").expect("a file");
    }
    for (link, target) in [
        ("first", outside.clone()),
        ("within/second", outside.join("deep")),
        ("within/last", outside.join("deep/file")),
    ] {
        std::os::unix::fs::symlink(target, root.join(link)).expect("a link");
    }
    let dir = Dir::root(&root).expect("a root");
    (base, dir)
}

#[test]
fn no_link_on_the_way_is_followed_with_openat2_or_without() {
    let (_base, root) = folder_with_links();
    for open in [Dir::open_below, Dir::step_below] {
        let open = |path| open(&root, path, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC);
        assert!(open("within/deep/file").is_ok(), "what is below is opened");
        for path in ["first/deep/file", "within/second/file", "within/last"] {
            let error = open(path).expect_err("a link is in the way");
            assert!(matches!(error, Errno::LOOP | Errno::NOTDIR), "{path}: {error}");
        }
    }
}
