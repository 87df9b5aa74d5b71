//! The `[round]` section: who takes part in a round, and how long each phase of it may take.

use serde::Serialize;

use super::federation::SITES_MAX;
use super::reader::{Choice, Section};
use super::staleness::Staleness;
use super::units::PlanDuration;

/// Who takes part in a round and how long it may take. Every phase ends: with enough sites, or at its `time.max`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RoundPlan {
    /// Sites chosen for each round; 0 chooses every site that is there.
    pub cohort: u32,
    /// Before the first round: which sites it waits for.
    pub arrival: Arrival,
    /// While a round is open: which updates it waits for.
    pub updates: Updates,
    /// After the last round: how long sites may take to measure the final model.
    pub evaluation: Evaluation,
    /// Rounds without a common beginning; absent: synchronous ones.
    #[serde(rename = "async", skip_serializing_if = "Option::is_none")]
    pub asynchronous: Option<Async>,
}

/// Buffered asynchronous rounds (FedBuff: Nguyen et al., AISTATS 2022, algorithm 1): each site trains from the newest model as
/// soon as it is free, and `buffer` updates make the next model, which is a round.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Async {
    /// Updates that make a model.
    pub buffer: u32,
    /// Sites that train at the same time, at most; 0: all.
    pub concurrency: u32,
    /// What an update counts for that was trained from an older model.
    pub staleness: Staleness,
    /// Updates that are more rounds old do not count.
    pub staleness_max: u32,
}

/// What happens to updates that come after their round has closed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Late {
    /// They are answered, told of in the events, and do not count.
    Drop,
    /// They count in the round that is open then, besides those it needs. A site that still works on an earlier round gets no
    /// task until its update came or is too old.
    Fold {
        /// What they count for.
        staleness: Staleness,
        /// Updates that are more rounds late do not count.
        staleness_max: u32,
    },
}

/// How many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Count {
    /// At least so many.
    pub min: u32,
    /// No more than so many; absent: everyone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<u32>,
}

/// How long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Time {
    /// At least so long, also when enough are there.
    pub min: PlanDuration,
    /// At most so long.
    pub max: PlanDuration,
}

/// Before the first round.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Arrival {
    /// `min` sites must be there before the first round begins; with `max` of them it does not wait for more.
    pub count: Count,
    /// The first round begins no earlier than `min`, and the run stops when too few sites are there after `max`.
    pub time: Time,
}

/// While a round is open.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Updates {
    /// A round needs `min` updates, 0 means one from every member of the cohort; it takes no more than `max`.
    pub count: Count,
    /// A round closes no earlier than `min` and no later than `max`, except as `on_too_few` says.
    pub time: Time,
    /// How much longer the round stays open for the rest once it has `count.min` updates.
    pub grace: PlanDuration,
    /// What happens when `time.max` is over, or nobody is left to wait for, and there are too few updates.
    pub on_too_few: OnTooFew,
    /// What happens to updates that come after their round has closed.
    pub late: Late,
}

/// After the last round.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    /// Sites that have not measured the final model after `max` are named and left out.
    pub time: TimeMax,
}

/// How long at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TimeMax {
    /// At most so long.
    pub max: PlanDuration,
}

/// What happens when a round has too few updates in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnTooFew {
    /// The run stops and says who was missing.
    Stop,
    /// The round begins again with the sites that are there; the run stops after so many attempts more.
    Retry {
        /// How often at most.
        times: u32,
    },
    /// The round stays open, also for sites that come now; the run stops when this time is over as well.
    Wait {
        /// How much longer than `time.max`.
        longer: PlanDuration,
    },
    /// The round closes with the updates it has, if these are not too few either; the run says so at its end.
    Shrink {
        /// The fewest updates it closes with, at least 1.
        floor: u32,
    },
}

const ON_TOO_FEW: &[&str] = &["stop", "retry", "wait", "shrink"];

/// Keys of earlier releases, and what they are called now.
const MOVED: &[(&str, &str)] = &[
    ("sites_min", "arrival.count.min"),
    ("arrive_max", "arrival.time.max"),
    ("updates_min", "updates.count.min"),
    ("time_max", "updates.time.max"),
    ("grace", "updates.grace"),
    ("on_too_few", "updates.on_too_few"),
    ("retries_max", "updates.on_too_few.retry.times"),
];

impl RoundPlan {
    pub(super) fn read(mut s: Section<'_, '_>) -> Self {
        for (old, new) in MOVED {
            s.moved(old, new);
        }
        let cohort = s.number("cohort", 0, 0..=SITES_MAX);
        let plan = Self {
            cohort,
            arrival: Arrival::read(s.section_or_empty("arrival")),
            updates: Updates::read(s.section_or_empty("updates"), cohort),
            evaluation: Evaluation::read(s.section_or_empty("evaluation")),
            asynchronous: s.section("async").map(Async::read),
        };
        plan.check(&s);
        s.finish();
        plan
    }

    fn check(&self, s: &Section<'_, '_>) {
        let retries = matches!(self.updates.on_too_few, OnTooFew::Retry { .. });
        if retries && self.asynchronous.is_some() {
            let message = "asynchronous rounds have no beginning that could be tried again";
            s.problem("updates", message, Some("use on_too_few = \"wait\", \"shrink\" or \"stop\""));
        }
        if retries && self.updates.late != Late::Drop {
            let message = "a round that begins again would lose the late updates that were folded into it";
            s.problem(
                "updates",
                message,
                Some("use on_too_few = \"wait\", \"shrink\" or \"stop\", or late = \"drop\""),
            );
        }
        let Some(asynchronous) = self.asynchronous else { return };
        let has_counts = self.updates.count != Count { min: 0, max: None } || self.cohort != 0;
        if has_counts || self.updates.late != Late::Drop || self.updates.grace.as_millis() > 0 {
            let message = "asynchronous rounds have `async.buffer` updates from whoever is ready";
            let help = "remove cohort, updates.count, updates.grace and updates.late, or [round.async]";
            s.problem("async", message, Some(help));
        }
        let Async { buffer, concurrency, .. } = asynchronous;
        if concurrency != 0 && concurrency < buffer {
            let message =
                format!("`concurrency` is {concurrency}, less than the buffer of {buffer}: it might never fill");
            s.problem("async", message, Some("raise async.concurrency or lower async.buffer"));
        }
        if self.arrival.count.min < buffer {
            let message = format!(
                "a site trains once from each model, so a buffer of {buffer} may take {buffer} sites; {} are enough to begin",
                self.arrival.count.min
            );
            s.problem("async", message, Some("raise arrival.count.min or lower async.buffer"));
        }
    }

    /// What an update counts for that is `age` rounds old; `None` if it does not count.
    #[must_use]
    pub fn weight_at(&self, age: u64) -> Option<f64> {
        let (staleness, max) = match (self.asynchronous, self.updates.late) {
            (Some(Async { staleness, staleness_max, .. }), _) => (staleness, staleness_max),
            (None, Late::Fold { staleness, staleness_max }) => (staleness, staleness_max),
            (None, Late::Drop) => (Staleness::Constant, 0),
        };
        (age <= u64::from(max)).then(|| staleness.weight(age))
    }

    /// Whether updates of earlier rounds may count.
    #[must_use]
    pub fn takes_old(&self) -> bool {
        self.asynchronous.is_some() || self.updates.late != Late::Drop
    }

    /// Whether it matters in which order updates come.
    #[must_use]
    pub fn depends_on_order(&self) -> bool {
        self.takes_old() || self.updates.count != Count { min: 0, max: None }
    }

    /// The fewest updates that a round of this plan closes with, where at least `there` sites take part; 0 if nothing is
    /// known of it before the run.
    #[must_use]
    pub fn updates_floor(&self, there: u32) -> u32 {
        match self.updates.on_too_few {
            OnTooFew::Shrink { floor } => floor,
            _ if let Some(Async { buffer, .. }) = self.asynchronous => buffer,
            OnTooFew::Stop | OnTooFew::Retry { .. } | OnTooFew::Wait { .. } => {
                let known = [self.updates.count.min, self.cohort, there].into_iter().find(|n| *n > 0).unwrap_or(0);
                self.updates.count.max.map_or(known, |max| known.min(max))
            }
        }
    }
}

impl Arrival {
    fn read(mut s: Section<'_, '_>) -> Self {
        let arrival = Self {
            count: Count::read(s.section_or_empty("count"), 2, 1),
            time: Time::read(s.section_or_empty("time"), PlanDuration::from_secs(600)),
        };
        s.finish();
        arrival
    }
}

impl Updates {
    fn read(mut s: Section<'_, '_>, cohort: u32) -> Self {
        let updates = Self {
            count: Count::read(s.section_or_empty("count"), 0, 0),
            time: Time::read(s.section_or_empty("time"), PlanDuration::from_secs(1800)),
            grace: s.or("grace", PlanDuration::from_secs(0)),
            on_too_few: OnTooFew::read(&mut s),
            late: Late::read(&mut s),
        };
        let min = updates.count.min;
        if cohort != 0 && min > cohort {
            s.problem(
                "count",
                format!("`min` is {min}, more than the cohort of {cohort}: no round could ever close"),
                Some("lower updates.count.min or raise cohort"),
            );
        }
        if let OnTooFew::Shrink { floor } = updates.on_too_few
            && min != 0
            && floor > min
        {
            let message = format!("`floor` is {floor}, more than the {min} updates a round needs anyway");
            s.problem("on_too_few", message, Some("lower floor, or raise updates.count.min"));
        }
        s.finish();
        updates
    }
}

impl Async {
    fn read(mut s: Section<'_, '_>) -> Self {
        let asynchronous = Self {
            buffer: s.number("buffer", 2, 1..=SITES_MAX),
            concurrency: s.number("concurrency", 0, 0..=SITES_MAX),
            staleness: Staleness::read(&mut s),
            staleness_max: s.number("staleness_max", 10, 0..=1_000_000),
        };
        s.finish();
        asynchronous
    }
}

impl Late {
    fn read(s: &mut Section<'_, '_>) -> Self {
        let Some(choice) = s.choice("late") else { return Self::Drop };
        let mut o = choice.options;
        let late = match choice.name.as_str() {
            "drop" => Self::Drop,
            "fold" => Self::Fold {
                staleness: Staleness::read(&mut o),
                staleness_max: o.number("staleness_max", 3, 1..=1_000_000),
            },
            _ => {
                Choice { options: o, ..choice }.unknown("rule", &["drop", "fold"]);
                return Self::Drop;
            }
        };
        o.finish();
        late
    }
}

impl Evaluation {
    fn read(mut s: Section<'_, '_>) -> Self {
        let mut time = s.section_or_empty("time");
        let evaluation = Self { time: TimeMax { max: time.or("max", PlanDuration::from_secs(600)) } };
        time.finish();
        s.finish();
        evaluation
    }
}

impl Count {
    fn read(mut s: Section<'_, '_>, min: u32, lowest: u32) -> Self {
        let count = Self {
            min: s.number("min", min, lowest..=SITES_MAX),
            max: s.optional_number("max", lowest.max(1)..=SITES_MAX),
        };
        if let Some(max) = count.max
            && max < count.min
        {
            s.problem("max", format!("`max` is {max}, less than `min`, which is {}", count.min), None);
        }
        s.finish();
        count
    }

    /// Whether `count` is as many as are taken.
    #[must_use]
    pub fn is_full(self, count: usize) -> bool {
        self.max.is_some_and(|max| count >= max as usize)
    }
}

impl Time {
    fn read(mut s: Section<'_, '_>, max: PlanDuration) -> Self {
        let time = Self { min: s.or("min", PlanDuration::from_secs(0)), max: s.or("max", max) };
        if time.min > time.max {
            s.problem("min", format!("`min` is {}, longer than `max`, which is {}", time.min, time.max), None);
        }
        s.finish();
        time
    }
}

impl OnTooFew {
    /// The name in a plan.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Retry { .. } => "retry",
            Self::Wait { .. } => "wait",
            Self::Shrink { .. } => "shrink",
        }
    }

    fn read(s: &mut Section<'_, '_>) -> Self {
        let Some(choice) = s.choice("on_too_few") else { return Self::Stop };
        let mut o = choice.options;
        let rule = match choice.name.as_str() {
            "stop" => Self::Stop,
            "retry" => Self::Retry { times: o.number("times", 3, 1..=1000) },
            "wait" => Self::Wait { longer: o.or("longer", PlanDuration::from_secs(3600)) },
            "shrink" => Self::Shrink { floor: o.number("floor", 1, 1..=SITES_MAX) },
            _ => {
                Choice { options: o, ..choice }.unknown("rule", ON_TOO_FEW);
                return Self::Stop;
            }
        };
        o.finish();
        rule
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{AnyLoss, Plan};

    fn read(round: &str) -> Result<RoundPlan, Vec<(String, String, Option<String>)>> {
        let text = format!(
            "model = \"logistic\"\n[task.classification]\nclasses = 10\n[data]\nsource = \"digits\"\n[round]\n{round}"
        );
        let plan = Plan::read(&text, &AnyLoss);
        plan.map(|plan| plan.round)
            .map_err(|error| error.problems.into_iter().map(|p| (p.path, p.message, p.help)).collect())
    }

    #[test]
    fn phases_have_counts_and_times() {
        let round = read(
            "cohort = 8\narrival = { count = { min = 3, max = 9 }, time = { min = \"1s\", max = \"1m\" } }\nevaluation.time.max = \"5s\"\n\
             [round.updates]\ncount = { min = 4, max = 6 }\ntime = { max = \"2m\" }\ngrace = \"9s\"\non_too_few = { shrink = { floor = 2 } }",
        )
        .unwrap();
        assert_eq!(round.arrival.count, Count { min: 3, max: Some(9) });
        assert_eq!(round.updates.on_too_few, OnTooFew::Shrink { floor: 2 });
        assert_eq!(round.updates.time.max, PlanDuration::from_secs(120));
        assert_eq!(round.evaluation.time.max, PlanDuration::from_secs(5));
        assert_eq!(round.updates_floor(100), 2);
        assert!(round.updates.count.is_full(6) && !round.updates.count.is_full(5));
    }

    #[test]
    fn every_rule_reads_back_with_its_options() {
        for rule in ["\"stop\"", "\"wait\"", "{ wait = { longer = \"2h\" } }", "\"retry\"", "\"shrink\""] {
            let text = format!(
                "rounds = 1\nmodel = \"logistic\"\n[task.classification]\nclasses = 10\n[data]\nsource = \"digits\"\n[round.updates]\non_too_few = {rule}\n"
            );
            let plan = Plan::read(&text, &AnyLoss).unwrap();
            assert_eq!(Plan::read(&plan.to_toml(), &AnyLoss).unwrap(), plan);
        }
    }

    #[test]
    fn old_updates_weigh_what_the_plan_says() {
        let of = |text: &str| read(text).unwrap();
        let fresh = of("cohort = 0");
        assert_eq!([0, 1].map(|age| fresh.weight_at(age)), [Some(1.0), None]);
        assert!(!fresh.depends_on_order());
        let fold = of("updates.late = { fold = { staleness = { hinge = { a = 1, b = 0 } }, staleness_max = 2 } }");
        assert_eq!([0, 1, 2, 3].map(|age| fold.weight_at(age)), [Some(1.0), Some(0.5), Some(1.0 / 3.0), None]);
        let buffered = of("async = { buffer = 2, staleness = \"polynomial\", staleness_max = 3 }");
        assert_eq!([0, 3, 4].map(|age| buffered.weight_at(age)), [Some(1.0), Some(0.5), None]);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let wrong = [
            "cohort = 2\nupdates.count.min = 3",
            "updates.count = { min = 3, max = 2 }",
            "arrival.time = { min = \"2m\", max = \"1m\" }",
            "updates = { count = { min = 1 }, on_too_few = { shrink = { floor = 2 } } }",
            "updates.on_too_few = \"shrug\"",
            "updates.on_too_few = { wait = { times = 3 } }",
            "async = { buffer = 3, concurrency = 2 }\nupdates.count.min = 1",
            "async = { staleness = \"linear\" }\nupdates.on_too_few = \"retry\"",
            "updates.late = \"fold\"\nupdates.on_too_few = \"retry\"",
        ];
        insta::assert_debug_snapshot!(wrong.map(|text| read(text).unwrap_err()));
    }

    #[test]
    fn old_keys_name_the_new_ones() {
        let old = "sites_min = 2\narrive_max = \"1m\"\nupdates_min = 1\ntime_max = \"1m\"\ngrace = \"1s\"\n\
                   on_too_few = \"retry\"\nretries_max = 2\n";
        insta::assert_debug_snapshot!(read(old).unwrap_err());
    }
}
