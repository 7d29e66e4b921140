//! The configuration: read, checked as a whole, and typed.
//!
//! Everything after `Config` trusts it; nothing after it reads the environment.

pub mod follow;
pub mod shape;
pub mod source;
