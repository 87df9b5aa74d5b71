//! One connection after its greeting: tasks come in, progress and updates go out.

use std::time::Duration;

use quinn::{Connection, RecvStream, SendStream};
use synod_common::extra::Extras;
use synod_common::update::Update;
use synod_common::wire::{Answer, Declined, Evaluated, Finished, Ready, Task, TaskKind, shorten};
use synod_transport::{StreamError, explain_connection_error, receive, receive_values, send, send_values};
use tokio::time::timeout;

use super::actions::{JobKey, SiteEvent};
use super::job::{Job, JobEvent, JobOrder, Product};
use super::run::State;

/// How long the model or an update may take: a 2 GB model over 10 Mbit/s.
const TRANSFER_MAX: Duration = Duration::from_secs(1800);
/// How often a damaged upload is sent again.
const UPLOADS_MAX: u32 = 3;
/// Most classes whose counts are told.
const CLASS_COUNTS_MAX: usize = 1024;

pub(super) enum TalkEnd {
    /// The run is over.
    Finished(Finished),
    /// The line broke.
    Lost(String),
}

pub(super) struct Talk<'a> {
    state: &'a mut State,
    connection: Connection,
    up: SendStream,
}

impl<'a> Talk<'a> {
    pub(super) fn new(state: &'a mut State, connection: Connection, up: SendStream) -> Self {
        Self { state, connection, up }
    }

    /// Talks until the run is over or the line breaks; `down` is the control stream from the coordinator.
    pub(super) async fn run(mut self, down: RecvStream) -> TalkEnd {
        match self.talk(down).await {
            Ok(finished) => TalkEnd::Finished(finished),
            Err(error) => {
                let reason =
                    self.connection.close_reason().map_or_else(|| error.to_string(), |e| explain_connection_error(&e));
                TalkEnd::Lost(reason)
            }
        }
    }

    async fn talk(&mut self, mut down: RecvStream) -> Result<Finished, StreamError> {
        self.say_ready().await?;
        // Beside everything else: the word that the run is over may come while an answer is waited for that will never
        // come.
        tokio::select! {
            biased;
            finished = receive::<Finished>(&mut down) => finished,
            error = self.work() => Err(error),
        }
    }

    /// Takes tasks and delivers what comes of them, until the line breaks.
    async fn work(&mut self) -> StreamError {
        let connection = self.connection.clone();
        loop {
            let done = tokio::select! {
                stream = connection.accept_uni() => match stream {
                    Ok(mut stream) => self.take_task(&mut stream).await,
                    Err(error) => Err(StreamError::Connection(explain_connection_error(&error))),
                },
                event = self.state.inbox.recv() => match event {
                    Some(event) => self.on_job(event).await,
                    None => Ok(()),
                },
            };
            if let Err(error) = done {
                return error;
            }
        }
    }

    async fn say_ready(&mut self) -> Result<(), StreamError> {
        let Some(prepared) = &self.state.prepared else { return Err(StreamError::Ended) };
        let classes = prepared.plan.task.classes();
        let class_counts =
            if classes <= CLASS_COUNTS_MAX { prepared.work.data.train.class_counts(classes) } else { Vec::new() };
        let ready = Ready { plan: prepared.digest, samples: prepared.work.samples(), class_counts };
        send(&mut self.up, &ready).await
    }

    async fn take_task(&mut self, stream: &mut RecvStream) -> Result<(), StreamError> {
        let Some(prepared) = &self.state.prepared else { return Ok(()) };
        let (work, pool, digest) = (prepared.work.clone(), prepared.pool.clone(), prepared.digest);
        let extras = Extras::new(&prepared.plan, work.trainer.layout());
        let keeper = prepared.keeper.clone();
        let task: Task = receive(stream).await?;
        let mut model = pool.take();
        let mut extra = extras.of_task(task.kind).map(|values| pool.take_of(values));
        let transfer = async {
            receive_values(stream, &mut model).await?;
            match &mut extra {
                Some(extra) => receive_values(stream, extra).await,
                None => Ok(()),
            }
        };
        match timeout(TRANSFER_MAX, transfer).await {
            Ok(received) => received?,
            Err(_) => return Err(StreamError::Connection("the model took too long".to_owned())),
        }
        if task.plan != digest || work.trainer.layout().model_digest(&model) != task.model {
            return self.decline(task.round, "the model that came is not the one announced").await;
        }
        let key = JobKey { round: task.round, model: task.model };
        if task.kind == TaskKind::Train {
            // Asked again for what is done already: the line broke before the answer, or the round is tried again.
            match self.state.product.take() {
                Some((done, product)) if done == key => return self.deliver(key, product).await,
                _ => {}
            }
            if self.state.job.as_ref().is_some_and(|job| job.key == key) {
                return Ok(());
            }
        }
        let trains = task.kind == TaskKind::Train;
        (self.state.watch)(SiteEvent::TaskStarted { round: task.round, trains });
        // A task for another round ends the old one: its round is closed.
        let events = self.state.events.clone();
        let order = JobOrder { key, model, extra, last_counted: task.last_counted };
        self.state.job = Some(if trains {
            Job::train(&work, order, pool.take(), keeper, events)
        } else {
            Job::evaluate(&work, order, keeper, events)
        });
        Ok(())
    }

    async fn on_job(&mut self, event: JobEvent) -> Result<(), StreamError> {
        match event {
            JobEvent::Progress(progress) => {
                let current = self.state.job.as_ref().is_some_and(|job| job.key.round == progress.round);
                if current && progress.loss.is_finite() {
                    send(&mut self.up, &progress).await?;
                }
                Ok(())
            }
            JobEvent::StateLost { key, reason } => {
                (self.state.watch)(SiteEvent::StateLost { round: key.round, reason });
                Ok(())
            }
            // A job that was replaced may still report: nobody waits for it.
            JobEvent::Done(key, product) if self.state.job.as_ref().is_some_and(|job| job.key == key) => {
                self.state.job = None;
                self.deliver(key, product).await
            }
            JobEvent::Done(..) => Ok(()),
        }
    }

    async fn deliver(&mut self, key: JobKey, product: Product) -> Result<(), StreamError> {
        match product {
            Product::Update(update) => {
                let answer = self.upload(&update).await;
                let loss = update.header.train.get("loss");
                // Kept until another task comes, so that it can be sent again.
                self.state.product = Some((key, Product::Update(update)));
                match answer? {
                    Answer::Accepted => (self.state.watch)(SiteEvent::Accepted { round: key.round, loss }),
                    Answer::Refused { reason } | Answer::Damaged { reason } => self.tell_refused(key, reason),
                }
                Ok(())
            }
            Product::Evaluated { round, metrics } => send(&mut self.up, &Evaluated { round, metrics }).await,
            Product::Failed { round, reason } => {
                self.tell_refused(key, reason.clone());
                self.decline(round, &reason).await
            }
        }
    }

    fn tell_refused(&self, key: JobKey, reason: String) {
        (self.state.watch)(SiteEvent::Refused { round: key.round, reason });
    }

    async fn decline(&mut self, round: synod_common::ids::RoundId, reason: &str) -> Result<(), StreamError> {
        send(&mut self.up, &Declined { round, reason: shorten(reason) }).await
    }

    async fn upload(&self, update: &Update) -> Result<Answer, StreamError> {
        let mut answer = self.upload_once(update).await?;
        for _ in 1..UPLOADS_MAX {
            match &answer {
                Answer::Damaged { .. } => answer = self.upload_once(update).await?,
                Answer::Accepted | Answer::Refused { .. } => break,
            }
        }
        Ok(answer)
    }

    async fn upload_once(&self, update: &Update) -> Result<Answer, StreamError> {
        let transfer = async {
            let opened = self.connection.open_bi().await;
            let (mut up, mut down) = opened.map_err(|e| StreamError::Connection(explain_connection_error(&e)))?;
            send(&mut up, &update.header).await?;
            send_values(&mut up, &update.delta).await?;
            if let Some(extra) = &update.extra {
                send_values(&mut up, extra).await?;
            }
            let _ = up.finish();
            receive::<Answer>(&mut down).await
        };
        match timeout(TRANSFER_MAX, transfer).await {
            Ok(result) => result,
            Err(_) => Err(StreamError::Connection("the upload took too long".to_owned())),
        }
    }
}
