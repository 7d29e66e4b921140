//! One run: a due view is rendered, staged, checked and made visible, or left where it is.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Pipeline, sleep_until};
use crate::{
    chain::chain,
    digest::{Digest, DigestBuilder},
    failpoint,
    flow::{Decision, Due},
    publish::Staged,
    rendering::Rendering,
    status::Cause,
    template::TemplateError,
    world::{Publisher, World},
};

/// What this machine was short of is asked for again after this: nobody else is troubled by that.
const SHORT_AGAIN: Duration = Duration::from_secs(1);

impl<W: World> Pipeline<W> {
    /// Renders a view and takes the result as far as it may go.
    pub(super) async fn produce(&mut self, due: Due, shutdown: &CancellationToken) {
        let lacking = self.flow.lacking(&due.view);
        if !lacking.is_empty() {
            let why = format!("required keys are missing: {}", lacking.join(", "));
            return self.show_cause(Cause::Render, Some(why));
        }
        let inputs = self.inputs(&due);
        if self.poison == Some(inputs) {
            let why = "these inputs ended the process twice; they are held until they change";
            return self.show_cause(Cause::Render, Some(why.to_owned()));
        }
        let rendering = match self.render(&due, inputs).await {
            Ok(rendering) => rendering,
            Err(errors) => {
                if errors.iter().any(|error| error.passing) {
                    self.flow.retry(Instant::now() + SHORT_AGAIN);
                }
                return self.show_render_errors(&errors);
            }
        };
        self.show_cause(Cause::Render, None);
        let digest = *rendering.digest();
        let decision = self.flow.decide(&digest);
        self.end_quarantine(&digest).await;
        match decision {
            Decision::Same => {
                self.wires.metrics.noop_render();
                self.found_same().await;
            }
            Decision::Refused => {}
            Decision::Quarantined => self.show_quarantined(),
            Decision::Publish => self.publish(due, rendering, shutdown).await,
        }
    }

    /// What a render depends on.
    fn inputs(&self, due: &Due) -> Digest {
        let mut builder = DigestBuilder::default();
        builder.part(self.plan.digest.as_bytes()).part(due.view.identity().as_bytes()).finish()
    }

    /// Renders aside: a long template must not silence the probes. A marker on the
    /// volume tells the next process, if this one does not survive it.
    async fn render(
        &mut self,
        due: &Due,
        inputs: Digest,
    ) -> Result<Arc<Rendering>, Vec<TemplateError>> {
        self.mark(Some(inputs)).await;
        let mut templates = std::mem::take(&mut self.plan.templates);
        let view = due.view.clone();
        let pulse = self.wires.pulse.helper("render");
        let work = move || {
            let _pulse = pulse;
            failpoint::pass_thread("render");
            let rendering = templates.render(&view);
            (templates, rendering)
        };
        let aside = self.wires.world.aside(work);
        let (templates, rendering) = self.wires.pulse.wait(aside).await;
        self.wires.metrics.rendered(templates.rendered());
        self.plan.templates = templates;
        self.mark(None).await;
        rendering
    }

    async fn mark(&self, inputs: Option<Digest>) {
        if let Err(error) = self.wires.world.volume().mark_inputs(inputs).await {
            // A full volume must not stop a rendering that may be the same as what is visible.
            tracing::debug!(error = chain(&error), "no marker of the inputs");
        }
    }

    /// Stages, checks and flips.
    async fn publish(&mut self, due: Due, rendering: Arc<Rendering>, shutdown: &CancellationToken) {
        let sources = due.view.revisions();
        let staged = match self.wires.world.volume().stage(Arc::clone(&rendering), sources).await {
            Ok(staged) => staged,
            Err(error) => return self.publish_failed(&error),
        };
        match self.checked(&staged, &rendering, shutdown).await {
            Answer::Yes => {}
            Answer::No => return self.wires.world.volume().discard(staged).await,
            Answer::Newer => {
                self.flow.retry(Instant::now());
                return self.wires.world.volume().discard(staged).await;
            }
        }
        match self.wires.world.volume().publish(staged, false).await {
            Ok(published) => {
                self.wires.metrics.change_to_visible(due.since.elapsed());
                self.flow.published(Some(*rendering.digest()));
                self.became_visible(published, false, due.since);
                self.show_fresh();
            }
            Err(error) => self.publish_failed(&error),
        }
    }

    /// Runs the checks, unless a newer view makes them pointless; that happens never twice in a
    /// row, so that a busy store cannot keep everything unpublished.
    async fn checked(
        &mut self,
        staged: &Staged,
        rendering: &Rendering,
        shutdown: &CancellationToken,
    ) -> Answer {
        if self.plan.checks.is_empty() {
            self.show_cause(Cause::Check, None);
            return Answer::Yes;
        }
        let (checks, world) = (Arc::clone(&self.plan.checks), self.wires.world.clone());
        let may_give_up = !std::mem::take(&mut self.gave_up);
        let (pulse, deadline) =
            (Arc::clone(&self.wires.pulse), checks.iter().map(|check| check.timeout).sum());
        let verdict = async {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => None,
                verdict = world.check(&checks, &staged.dir, rendering) => Some(verdict),
                () = self.newer_view(), if may_give_up => {
                    self.gave_up = true;
                    None
                }
            }
        };
        let Some(verdict) = pulse.within(deadline, verdict).await else { return Answer::Newer };
        match verdict {
            Ok(skipped) => {
                for check in skipped {
                    self.wires.metrics.check_skipped();
                    tracing::warn!(check = check.check, "check skipped: nobody answers there");
                }
                self.show_cause(Cause::Check, None);
                Answer::Yes
            }
            Err(error) => {
                self.show_cause(Cause::Check, Some(chain(&error)));
                if error.said_no {
                    self.flow.refused(*rendering.digest());
                } else {
                    self.flow.retry(Instant::now() + self.backoff.next(None));
                }
                Answer::No
            }
        }
    }

    /// Completes when a newer view is due.
    async fn newer_view(&mut self) {
        loop {
            if self.flow.due().is_some_and(|due| due <= Instant::now()) {
                return;
            }
            let due = self.flow.due();
            tokio::select! {
                biased;
                () = self.wires.inbox.arrival() => self.take_arrivals(),
                () = sleep_until(due) => {}
            }
        }
    }
}

/// What the checks lead to.
enum Answer {
    Yes,
    No,
    Newer,
}
