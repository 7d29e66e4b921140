//! What a process uses as time goes by: descriptors, threads, resident memory.

use std::{fmt, fs};

use super::patience::eventually;

/// Samples of one process, the first after it has warmed up.
pub struct Growth {
    process: u32,
    samples: Vec<Use>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Use {
    descriptors: usize,
    threads: usize,
    /// KiB.
    resident: usize,
}

/// How much more than at first is still flat: the allocator's own ups and downs.
const SLACK: usize = 4 << 10;

impl Growth {
    /// Begins with a sample.
    pub fn of(process: u32) -> Self {
        let mut growth = Self { process, samples: Vec::new() };
        growth.sample();
        growth
    }

    /// Takes another.
    pub fn sample(&mut self) {
        self.samples.push(self.now());
    }

    fn now(&self) -> Use {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process));
        let status = status.expect("a running process");
        let number = |field: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(field));
            let number = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
            number.unwrap_or_else(|| panic!("{field} in its status"))
        };
        let descriptors = fs::read_dir(format!("/proc/{}/fd", self.process));
        Use {
            descriptors: descriptors.expect("a running process").count(),
            threads: number("Threads:"),
            resident: number("VmRSS:"),
        }
    }

    /// Fails if the second half of the samples used more than the first: descriptors at all, memory
    /// beyond a twentieth and the allocator's slack. Threads work beside each other now and then,
    /// as chance has it, so what counts is that they become as few again.
    #[track_caller]
    pub fn is_flat(&self) {
        let (first, second) = self.halves();
        assert!(second.descriptors <= first.descriptors, "descriptors grow: {self}");
        eventually(format_args!("no more threads than at first: {self}"), || {
            (self.now().threads <= first.threads).then_some(())
        });
        let bound = first.resident + first.resident / 20 + SLACK;
        assert!(second.resident <= bound, "memory grows: {self}");
    }

    /// The most of each half.
    fn halves(&self) -> (Use, Use) {
        let most = |samples: &[Use]| Use {
            descriptors: samples.iter().map(|it| it.descriptors).max().unwrap_or(0),
            threads: samples.iter().map(|it| it.threads).max().unwrap_or(0),
            resident: samples.iter().map(|it| it.resident).max().unwrap_or(0),
        };
        let (first, second) = self.samples.split_at(self.samples.len().div_ceil(2));
        (most(first), most(second))
    }
}

impl fmt::Display for Growth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, second) = self.halves();
        write!(
            f,
            "at most {} then {} descriptors, {} then {} threads, {} then {} KiB in {} samples",
            first.descriptors,
            second.descriptors,
            first.threads,
            second.threads,
            first.resident,
            second.resident,
            self.samples.len()
        )
    }
}
