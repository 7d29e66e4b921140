//! Failpoints: places at which a test makes one task hang or panic.
//!
//! Without the feature `failpoints` nothing of it is compiled: what ships cannot be told to fail.
//! With it `REHUP_FAILPOINTS` names a file that may change at any time; each of its lines is a point
//! and `hang` or `panic`. `silence` and a duration shorten what heartbeats allow, from the start.

#[cfg(feature = "failpoints")]
mod armed {
    use std::{ffi::OsString, sync::LazyLock, time::Duration};

    static FILE: LazyLock<Option<OsString>> =
        LazyLock::new(|| std::env::var_os("REHUP_FAILPOINTS"));

    const AGAIN: Duration = Duration::from_millis(20);

    /// What the file says of a point, now.
    fn order(point: &str) -> Option<String> {
        let text = std::fs::read_to_string(FILE.as_ref()?).ok()?;
        let said = text.lines().filter_map(|line| line.split_once(' '));
        said.filter(|(name, _)| *name == point).map(|(_, order)| order.to_owned()).next_back()
    }

    /// Whether to hang; panics if that is the order.
    fn hangs(point: &str) -> bool {
        match order(point).as_deref() {
            Some("hang") => true,
            Some("panic") => panic!("failpoint {point}"),
            _ => false,
        }
    }

    pub(crate) async fn pass(point: &str) {
        while hangs(point) {
            tokio::time::sleep(AGAIN).await;
        }
    }

    #[expect(clippy::disallowed_methods, reason = "a thread that hangs on purpose")]
    pub(crate) fn pass_thread(point: &str) {
        while hangs(point) {
            std::thread::sleep(AGAIN);
        }
    }

    pub(crate) fn silence() -> Option<Duration> {
        humantime::parse_duration(&order("silence")?).ok()
    }
}

#[cfg(feature = "failpoints")]
pub(crate) use armed::{pass, pass_thread, silence};

#[cfg(not(feature = "failpoints"))]
pub(crate) use absent::{pass, pass_thread, silence};

#[cfg(not(feature = "failpoints"))]
mod absent {
    use std::{future::Ready, time::Duration};

    #[inline]
    pub(crate) fn pass(_point: &str) -> Ready<()> {
        std::future::ready(())
    }

    #[inline]
    pub(crate) fn pass_thread(_point: &str) {}

    #[inline]
    pub(crate) fn silence() -> Option<Duration> {
        None
    }
}
