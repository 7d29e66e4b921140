//! E02, E08 and E17.
