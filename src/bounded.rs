//! Files that others write, read up to a bound: what is larger is refused, not read.
//!
//! Must not know what the files mean.

use std::{
    fs::{File, OpenOptions},
    io::{Error, ErrorKind, Read as _, Result},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

/// The whole content of what `path` leads to, at most `most` bytes. It waits for the writer of a
/// FIFO, as everything does that reads one.
pub(crate) fn read(path: &Path, most: u64) -> Result<Vec<u8>> {
    whole(File::open(path)?, most)
}

/// The same of a regular file alone, which never waits.
pub(crate) fn read_file(path: &Path, most: u64) -> Result<Vec<u8>> {
    let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = OpenOptions::new().read(true).custom_flags(nonblocking).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(Error::new(ErrorKind::InvalidInput, "it is no file"));
    }
    whole(file, most)
}

/// The rest of an open file; one that says beforehand that it is larger is not read at all.
pub(crate) fn whole(file: File, most: u64) -> Result<Vec<u8>> {
    let too_large =
        || Error::new(ErrorKind::FileTooLarge, format!("it is larger than {most} bytes"));
    let size = file.metadata()?.len();
    if size > most {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most { Err(too_large()) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_up_to_its_bound_and_not_beyond() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("f");
        std::fs::write(&path, "12345678").expect("a file");
        assert_eq!(read(&path, 8).expect("it fits"), b"12345678");
        for too_small in [read(&path, 7), read_file(&path, 7), read(Path::new("/dev/zero"), 7)] {
            assert_eq!(too_small.expect_err("too large").kind(), ErrorKind::FileTooLarge);
        }
        assert!(read_file(Path::new("/dev/zero"), 7).is_err(), "a device is no file");
    }
}
