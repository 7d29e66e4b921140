//! What takes minutes: `make e2e-full`.

mod outage;
