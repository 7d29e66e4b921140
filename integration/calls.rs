//! Calls of a target over HTTP, with the built binary: who answers what, who does not, and what may
//! be said to whom.

use crate::support::owed::{change, configure, count, ends, owes, with_targets};

mod answers;
mod credentials;
mod evidence;
mod places;
mod tls;
