//! Tests against real servers and real processes; the module list and nothing else.

#![expect(clippy::disallowed_methods, reason = "tests start processes and poll conditions")]
#![expect(clippy::print_stderr, reason = "a failed test tells what its processes printed")]
#![allow(unreachable_pub, reason = "a test binary has no outside")]

mod attack;
mod bad_input;
mod calls;
mod charts;
mod checks;
mod clock;
mod compose;
mod confined;
mod consul;
mod crash;
mod delivery;
mod deploy;
mod e2e;
mod endings;
mod etcd;
mod files;
mod guards;
mod honesty;
mod hostile;
mod lifecycle;
mod malice;
mod manifests;
mod matrix;
mod migration;
mod names;
mod newer;
mod operator;
mod outage;
mod publish;
mod quoting;
mod readers;
mod readme;
mod real;
mod recipes;
mod reload;
mod rollback;
mod secrets;
mod signals;
mod simulation;
mod spread;
mod starts;
mod supply;
mod support;
mod targets;
mod tidy;
mod visitors;
mod volume;
mod wear;
