//! What the loop around a target asks of whatever tells it: look, act, confirm.
//!
//! Owns the order of one attempt. How a look or an act is done is the teller's.

use std::future::Future;

use super::attempt::Report;
use crate::{generation::Visible, rendering::OutputPath};

/// What a look found.
#[derive(Debug)]
pub enum Look<E> {
    /// It can be told; the evidence is the baseline.
    Ready(Option<E>),
    /// It has read this generation when it started.
    Fresh,
    /// Not now.
    Wait(Report),
}

/// Tells one target, once for each round of look, act and confirm; the loop decides when.
pub trait Tell: Send {
    /// What `verify` compares.
    type Evidence: Send + Sync;

    /// Looks whether the target can be told. Cancel safe.
    fn look(
        &mut self,
        visible: &Visible,
        repeat: bool,
    ) -> impl Future<Output = Look<Self::Evidence>> + Send;

    /// Tells the target. A call in flight runs to its deadline.
    fn act(
        &mut self,
        generation: u64,
        changed: &[OutputPath],
    ) -> impl Future<Output = Report> + Send;

    /// Turns the end of the call into the end of the attempt. Cancel safe.
    fn confirm(
        &mut self,
        told: Report,
        before: Option<&Self::Evidence>,
    ) -> impl Future<Output = Report> + Send;
}
