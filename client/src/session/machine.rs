//! What a session decides: when to connect again, what to do with a task, when to send an update, when to give up.
//!
//! Two things go on beside each other and each has its phases. The line: waiting, connecting, online. What is in hand:
//! nothing, a job that runs, an update that is made durable, an update to deliver, metrics. What is in hand outlives the
//! line.

use std::time::Duration;

use synod_common::ids::{Digest, RoundId};
use synod_common::time::Millis;
use synod_common::wire::{Answer, TaskKind};

use super::actions::{Begin, Fault, JobKey, Kept, Product, SessionAction, SessionEnd, SessionEvent, SiteEvent};
use super::backoff::Backoff;

/// How often a damaged update is sent, at most: what damages it three times in a row is no accident of the line.
const DAMAGED_MAX: u32 = 3;

/// What a session goes by.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// How long the coordinator may be unreachable before the session gives up, in milliseconds. With a task in hand it
    /// goes on at least until that is due.
    pub unreachable_ms_max: u64,
    /// Spreads the pauses of sites, so that a hundred of them do not come back in the same instant: any byte of the site's
    /// id.
    pub spread: u8,
}

/// A site's session: two state machines beside each other, the line and what is in hand.
#[derive(Debug)]
pub struct Session {
    rules: Rules,
    line: Line,
    hand: Hand,
    /// The task that came while an update of another was on its way, which is let through first: a plan may count late ones.
    next: Option<NextTask>,
    /// Of the newest greeting.
    plan: Option<Digest>,
    /// Between attempts to connect.
    pauses: Backoff,
    /// Between attempts to send one update over a line that stands.
    upload_pauses: Backoff,
}

#[derive(Clone, Copy, Debug)]
struct NextTask {
    key: JobKey,
    kind: TaskKind,
    due: Millis,
}

#[derive(Debug)]
enum Line {
    /// Not begun.
    None,
    Over,
    Connecting(Absence),
    Waiting {
        absence: Absence,
        until: Millis,
    },
    Online {
        /// The task that came last over this line.
        asked: Option<JobKey>,
    },
}

/// A time without a line.
#[derive(Clone, Copy, Debug)]
struct Absence {
    since: Millis,
}

#[derive(Debug)]
enum Hand {
    Nothing,
    /// An earlier life of the client began this training; its task has not come again yet.
    Begun(JobKey),
    Working {
        key: JobKey,
        kind: TaskKind,
        due: Millis,
    },
    Storing {
        product: Product,
        due: Millis,
    },
    Update {
        product: Product,
        due: Millis,
        delivery: Delivery,
    },
    Metrics {
        key: JobKey,
    },
}

/// How far the delivery of an update is.
#[derive(Clone, Copy, Debug)]
enum Delivery {
    /// Until its task comes again: an earlier life of the client made it, or the coordinator did not want it unasked.
    AwaitsTask,
    /// Until there is a line.
    AwaitsLine,
    Sending {
        damaged: u32,
    },
    Paused {
        until: Millis,
        damaged: u32,
    },
    /// It counts. It stays in hand until the round is over, because the round may be asked for again.
    Accepted,
}

impl Session {
    /// A session that has not begun. [`SessionEvent::Start`] begins it.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        let backoff = || Backoff::new(rules.spread);
        let (line, hand) = (Line::None, Hand::Nothing);
        Self { rules, line, hand, next: None, plan: None, pauses: backoff(), upload_pauses: backoff() }
    }

    /// The task in hand. What a driver holds of others is of no use any more.
    #[must_use]
    pub fn in_hand(&self) -> Option<JobKey> {
        match &self.hand {
            Hand::Nothing => None,
            Hand::Begun(key) | Hand::Working { key, .. } | Hand::Metrics { key } => Some(*key),
            Hand::Storing { product, .. } | Hand::Update { product, .. } => Some(product.key),
        }
    }

    /// The task that waits for its turn. A driver keeps the model that came with it.
    #[must_use]
    pub fn next_task(&self) -> Option<JobKey> {
        self.next.map(|next| next.key)
    }

    /// Takes one event and says what should be done. Never fails; what comes too late or out of place changes nothing.
    pub fn step(&mut self, now: Millis, event: SessionEvent, out: &mut Vec<SessionAction>) {
        match event {
            SessionEvent::Start => {
                if let Line::None = self.line {
                    self.line = Line::Connecting(Absence { since: now });
                    out.push(SessionAction::Connect);
                }
            }
            SessionEvent::Tick => self.on_tick(now, out),
            SessionEvent::Greeted { plan, kept } => self.on_greeted(now, plan, kept, out),
            SessionEvent::Disconnected { fault, reason } => self.on_disconnected(now, fault, reason, out),
            SessionEvent::Unfit { reason } => self.end(SessionEnd::Unfit { reason }, out),
            SessionEvent::Task { key, kind, due } => self.on_task(key, kind, due, out),
            SessionEvent::BadTask { round, reason } => {
                if self.is_online() {
                    out.push(SessionAction::Decline { round, reason });
                }
            }
            SessionEvent::Progress { key, progress } => {
                if self.is_online() && self.works_on(key) && progress.loss.is_finite() {
                    out.push(SessionAction::Report(progress));
                }
            }
            SessionEvent::Trained(product) => {
                if let Hand::Working { key, kind: TaskKind::Train, due } = self.hand
                    && key == product.key
                {
                    self.hand = Hand::Storing { product, due };
                    out.push(SessionAction::Store(key));
                }
            }
            SessionEvent::Measured(key) => {
                if self.works_on(key) {
                    self.hand = Hand::Metrics { key };
                    if self.is_online() {
                        out.push(SessionAction::SendMetrics(key));
                    }
                }
            }
            SessionEvent::Failed { key, reason } => {
                if self.works_on(key) {
                    self.give_up(key.round, reason, out);
                }
            }
            SessionEvent::Stored(key) => self.on_stored(key, out),
            SessionEvent::NotStored { key, reason } => {
                if matches!(&self.hand, Hand::Storing { product, .. } if product.key == key) {
                    out.push(SessionAction::Tell(SiteEvent::NotKept { round: key.round, reason }));
                }
                self.on_stored(key, out);
            }
            SessionEvent::Answered { key, answer } => self.on_answer(key, answer, out),
            SessionEvent::UploadBroke { key, reason } => self.on_upload_broke(now, key, reason, out),
            SessionEvent::Finished(finish) => {
                // A run that was merely stopped may be taken up again, and then asks for the same round.
                if finish.completed {
                    self.forget(out);
                }
                self.end(SessionEnd::Finished(finish), out);
            }
            SessionEvent::Interrupt => self.end(SessionEnd::Interrupted, out),
        }
    }

    fn is_online(&self) -> bool {
        matches!(self.line, Line::Online { .. })
    }

    fn works_on(&self, key: JobKey) -> bool {
        matches!(&self.hand, Hand::Working { key: working, .. } if *working == key)
    }

    fn on_tick(&mut self, now: Millis, out: &mut Vec<SessionAction>) {
        match (&self.line, &mut self.hand) {
            (Line::Waiting { absence, until }, _) if now >= *until => {
                self.line = Line::Connecting(*absence);
                out.push(SessionAction::Connect);
            }
            (Line::Waiting { until, .. }, _) => out.push(SessionAction::WakeAt(*until)),
            (Line::Online { .. }, Hand::Update { product, delivery, .. }) => {
                if let Delivery::Paused { until, damaged } = *delivery {
                    if now >= until {
                        *delivery = Delivery::Sending { damaged };
                        out.push(SessionAction::Upload(product.key));
                    } else {
                        out.push(SessionAction::WakeAt(until));
                    }
                }
            }
            (Line::None | Line::Over | Line::Connecting(_) | Line::Online { .. }, _) => {}
        }
    }

    fn on_greeted(&mut self, now: Millis, plan: Digest, kept: Kept, out: &mut Vec<SessionAction>) {
        let Line::Connecting(_) = self.line else { return };
        self.line = Line::Online { asked: None };
        self.pauses.reset();
        if self.plan != Some(plan) {
            self.plan = Some(plan);
            self.stop_job(out);
            self.hand = match kept {
                Kept::Nothing => Hand::Nothing,
                Kept::Begun(key) => Hand::Begun(key),
                Kept::Update(product) => Hand::Update { product, due: now, delivery: Delivery::AwaitsTask },
            };
        }
        if let Hand::Update { delivery: Delivery::AwaitsLine, .. } = self.hand {
            self.upload(out);
        }
    }

    fn on_disconnected(&mut self, now: Millis, fault: Fault, reason: String, out: &mut Vec<SessionAction>) {
        let absence = match self.line {
            Line::Connecting(absence) => absence,
            Line::Online { .. } => Absence { since: now },
            Line::None | Line::Over | Line::Waiting { .. } => return,
        };
        if let Hand::Update { delivery, .. } = &mut self.hand
            && let Delivery::Sending { .. } | Delivery::Paused { .. } = delivery
        {
            *delivery = Delivery::AwaitsLine;
        }
        // It comes again with the next line.
        self.next = None;
        if fault == Fault::Lasting {
            return self.end(SessionEnd::Refused { reason }, out);
        }
        let (after, limit) = (now.since(absence.since), self.patience(absence));
        if after >= limit {
            return self.end(SessionEnd::Unreachable { after_ms: after, reason }, out);
        }
        let pause = self.pauses.next().min(Duration::from_millis(limit - after));
        let until = now.plus(millis(pause));
        self.line = Line::Waiting { absence, until };
        out.extend([SessionAction::Tell(SiteEvent::Retrying { reason, pause }), SessionAction::WakeAt(until)]);
    }

    /// How long an absence may last, in milliseconds.
    fn patience(&self, absence: Absence) -> u64 {
        let due = match &self.hand {
            Hand::Working { due, .. } | Hand::Storing { due, .. } => *due,
            // What counts already need not be delivered.
            Hand::Update { delivery: Delivery::Accepted, .. } => absence.since,
            Hand::Update { due, .. } => *due,
            Hand::Nothing | Hand::Begun(_) | Hand::Metrics { .. } => absence.since,
        };
        self.rules.unreachable_ms_max.max(due.since(absence.since))
    }

    fn on_task(&mut self, key: JobKey, kind: TaskKind, due: Millis, out: &mut Vec<SessionAction>) {
        let Line::Online { asked } = &mut self.line else { return };
        *asked = Some(key);
        match (&mut self.hand, kind) {
            (Hand::Working { key: working, kind: doing, due: until }, _) if (*working, *doing) == (key, kind) => {
                *until = due;
                return;
            }
            (Hand::Storing { product, due: until }, TaskKind::Train) if product.key == key => {
                (*until, self.next) = (due, None);
                return;
            }
            (Hand::Update { product, due: until, delivery }, TaskKind::Train) if product.key == key => {
                (*until, self.next) = (due, None);
                if let Delivery::AwaitsTask | Delivery::AwaitsLine | Delivery::Accepted = delivery {
                    out.push(SessionAction::Tell(SiteEvent::AnsweredFromKept { round: key.round }));
                    self.upload(out);
                }
                return;
            }
            (Hand::Metrics { key: measured }, TaskKind::Evaluate) if *measured == key => {
                out.push(SessionAction::SendMetrics(key));
                return;
            }
            (Hand::Storing { .. }, _)
            | (Hand::Update { delivery: Delivery::Sending { .. } | Delivery::Paused { .. }, .. }, _) => {
                self.next = Some(NextTask { key, kind, due });
                return;
            }
            _ => {}
        }
        self.begin(key, kind, due, out);
    }

    /// Begins what was put off, now that the update before it is answered, or cannot be sent.
    fn begin_next(&mut self, out: &mut Vec<SessionAction>) {
        if let Some(NextTask { key, kind, due }) = self.next.take() {
            self.begin(key, kind, due, out);
        }
    }

    fn begin(&mut self, key: JobKey, kind: TaskKind, due: Millis, out: &mut Vec<SessionAction>) {
        let begin = match self.hand {
            Hand::Begun(begun) if begun == key && kind == TaskKind::Train => Begin::Continued,
            _ => {
                self.abandon(out);
                Begin::Anew
            }
        };
        let trains = kind == TaskKind::Train;
        out.push(SessionAction::Tell(SiteEvent::TaskStarted { round: key.round, trains }));
        out.push(SessionAction::Start { key, kind, begin });
        self.hand = Hand::Working { key, kind, due };
    }

    fn on_stored(&mut self, key: JobKey, out: &mut Vec<SessionAction>) {
        let Hand::Storing { product, due } = self.hand else { return };
        if product.key == key {
            self.hand = Hand::Update { product, due, delivery: Delivery::AwaitsLine };
            if self.is_online() {
                self.upload(out);
            }
        }
    }

    /// Begins to send the update in hand.
    fn upload(&mut self, out: &mut Vec<SessionAction>) {
        if let Hand::Update { product, delivery, .. } = &mut self.hand {
            self.upload_pauses.reset();
            *delivery = Delivery::Sending { damaged: 0 };
            out.push(SessionAction::Upload(product.key));
        }
    }

    fn on_answer(&mut self, key: JobKey, answer: Answer, out: &mut Vec<SessionAction>) {
        let Line::Online { asked } = self.line else { return };
        let Hand::Update { product: Product { key: sent, loss }, delivery, .. } = &mut self.hand else { return };
        let Delivery::Sending { damaged } = *delivery else { return };
        if *sent != key {
            return;
        }
        let (round, loss) = (key.round, *loss);
        match answer {
            Answer::Accepted => {
                *delivery = Delivery::Accepted;
                out.push(SessionAction::Tell(SiteEvent::Accepted { round, loss }));
            }
            // A coordinator that was started again may not be at this round yet; it will ask.
            Answer::Refused { .. } if asked.is_none() => *delivery = Delivery::AwaitsTask,
            Answer::Refused { reason } => {
                out.push(SessionAction::Tell(SiteEvent::Refused { round, reason }));
                out.push(SessionAction::Forget(key));
                self.hand = Hand::Nothing;
            }
            Answer::Damaged { .. } if damaged + 1 < DAMAGED_MAX => {
                *delivery = Delivery::Sending { damaged: damaged + 1 };
                out.push(SessionAction::Upload(key));
                return;
            }
            Answer::Damaged { reason } => {
                out.push(SessionAction::Forget(key));
                self.give_up(round, reason, out);
            }
        }
        self.begin_next(out);
    }

    fn on_upload_broke(&mut self, now: Millis, key: JobKey, reason: String, out: &mut Vec<SessionAction>) {
        if let Hand::Update { product, delivery, .. } = &mut self.hand
            && product.key == key
            && let Delivery::Sending { damaged } = *delivery
        {
            if self.next.is_some() {
                // There is something better to do than to wait.
                return self.begin_next(out);
            }
            let pause = self.upload_pauses.next();
            let until = now.plus(millis(pause));
            *delivery = Delivery::Paused { until, damaged };
            out.push(SessionAction::Tell(SiteEvent::UploadBroke { round: key.round, reason, pause }));
            out.push(SessionAction::WakeAt(until));
        }
    }

    /// The task in hand comes to nothing, and the coordinator hears why.
    fn give_up(&mut self, round: RoundId, reason: String, out: &mut Vec<SessionAction>) {
        self.hand = Hand::Nothing;
        if self.is_online() {
            out.push(SessionAction::Decline { round, reason: reason.clone() });
        }
        out.push(SessionAction::Tell(SiteEvent::Refused { round, reason }));
    }

    /// Another task has come: what is in hand is of no use any more.
    fn abandon(&mut self, out: &mut Vec<SessionAction>) {
        let dropped = match &self.hand {
            Hand::Begun(key) => Some((*key, "the training that had begun")),
            Hand::Working { key, kind: TaskKind::Train, .. } => Some((*key, "the training")),
            Hand::Storing { product, .. } => Some((product.key, "the update")),
            Hand::Update { delivery: Delivery::Accepted, .. } | Hand::Nothing | Hand::Metrics { .. } => None,
            Hand::Working { kind: TaskKind::Evaluate, .. } => None,
            Hand::Update { product, .. } => Some((product.key, "the update")),
        };
        if let Some((key, what)) = dropped {
            let reason = format!("{what} is dropped: the coordinator asks for something else, the round is over");
            out.push(SessionAction::Tell(SiteEvent::Dropped { round: key.round, reason }));
        }
        self.stop_job(out);
        self.forget(out);
    }

    fn stop_job(&mut self, out: &mut Vec<SessionAction>) {
        if let Hand::Working { key, .. } = self.hand {
            out.push(SessionAction::Cancel(key));
        }
    }

    fn forget(&mut self, out: &mut Vec<SessionAction>) {
        if let Some(key) = self.in_hand() {
            out.push(SessionAction::Forget(key));
        }
    }

    fn end(&mut self, end: SessionEnd, out: &mut Vec<SessionAction>) {
        if !matches!(self.line, Line::Over) {
            self.stop_job(out);
            self.line = Line::Over;
            (self.hand, self.next) = (Hand::Nothing, None);
            out.push(SessionAction::End(end));
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod laws;
#[cfg(test)]
mod transcripts;
