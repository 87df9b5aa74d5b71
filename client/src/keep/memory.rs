//! States in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use synod_common::ids::RoundId;
use synod_common::state::State;

/// The states of one site. Empty for a site that never took part.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    states: BTreeMap<RoundId, Arc<State>>,
}

impl Kept {
    /// What the site kept of `round`; round 0 is the beginning, of which nothing is known. `None` if it is lost.
    #[must_use]
    pub fn of(&self, round: RoundId) -> Option<Arc<State>> {
        if round.0 == 0 { Some(Arc::default()) } else { self.states.get(&round).cloned() }
    }

    /// Keeps the state after `round`, which began with the state of `base`. All others are dropped.
    pub fn keep(&mut self, base: RoundId, round: RoundId, state: State) {
        self.states.retain(|kept, _| *kept == base);
        self.states.insert(round, Arc::new(state));
    }

    /// `round` is committed and the site's update counted: no task begins before it any more.
    pub fn settle(&mut self, round: RoundId) {
        self.states.retain(|kept, _| *kept == round);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(value: f32) -> State {
        let mut state = State::default();
        state.set_vector("v", vec![value]);
        state
    }

    #[test]
    fn a_round_asked_for_again_begins_where_it_began() {
        let mut kept = Kept::default();
        let value = |kept: &Kept, round| kept.of(RoundId(round)).map(|s| s.vector("v").map(|v| v[0]));
        assert_eq!(value(&kept, 0), Some(None));
        assert_eq!(value(&kept, 1), None, "lost, not empty");
        kept.keep(RoundId(0), RoundId(1), state(1.0));
        kept.keep(RoundId(1), RoundId(2), state(2.0));
        // Round 2 did not count, the site takes part in round 4 instead.
        assert_eq!(value(&kept, 1), Some(Some(1.0)));
        kept.keep(RoundId(1), RoundId(4), state(4.0));
        assert_eq!((value(&kept, 2), value(&kept, 4)), (None, Some(Some(4.0))));
        kept.settle(RoundId(4));
        assert_eq!((value(&kept, 1), value(&kept, 4)), (None, Some(Some(4.0))));
    }
}
