//! Tests against real servers and real processes; the module list and nothing else.

#![expect(clippy::disallowed_methods, reason = "tests start processes and poll conditions")]
#![expect(clippy::print_stderr, reason = "a failed test tells what its processes printed")]
#![allow(unreachable_pub, reason = "a test binary has no outside")]

mod bad_input;
mod calls;
mod clock;
mod consul;
mod crash;
mod delivery;
mod etcd;
mod files;
mod guards;
mod honesty;
mod hostile;
mod lifecycle;
mod matrix;
mod newer;
mod operator;
mod publish;
mod outage;
mod readers;
mod rollback;
mod readme;
mod real;
mod simulation;
mod spread;
mod targets;
mod tidy;
mod starts;
mod support;
mod reload;
mod visitors;
mod wear;
