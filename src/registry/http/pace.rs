//! How many requests one host bears at once: it starts high, halves when the host strains, and rises with answers.
//! Pure: the time is passed in, and nothing here sleeps or sends.

use std::time::Duration;

use tokio::time::Instant;

use crate::limits;

/// What a request says of the host that it went to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It answered, whatever it said.
    Served,
    /// It asked for fewer requests: 429.
    Limited,
    /// It could not: 502, 503, 504, a time-out, a reset.
    Failed,
    /// A plain 500, which may be one repository's own: no reason to ask for less, but no answer either.
    Broken,
    /// Nothing that tells: dropped on our side.
    Unclear,
}

/// Why a host is asked no more in this run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// It asked for fewer requests again and again, or for more rest than a run has.
    Limited,
    /// It failed again and again.
    Failed,
    /// The run has been asking it for too long, whatever it answered.
    Slow,
}

/// The pace of one host.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    most: usize,
    limit: usize,
    running: usize,
    /// Answers since the limit last changed.
    served: usize,
    /// Requests started so far; the number of a request is what it was before.
    started: u64,
    /// Requests with a lower number were under way at the last cut, which was for them too.
    cut_at: u64,
    rests_until: Option<Instant>,
    /// All rests so far. No answer gives them back: who rests after each answer would hold the run for ever.
    rested: Duration,
    /// The first request.
    since: Option<Instant>,
    strained: Option<Strain>,
}

/// Failures without an answer in between.
#[derive(Clone, Copy, Debug)]
struct Strain {
    since: Instant,
    cuts: u32,
    last: Outcome,
}

impl Pace {
    /// At most `most` at once, and no fewer to begin with.
    pub(crate) fn new(most: usize) -> Self {
        let most = most.max(1);
        Self {
            most,
            limit: most,
            running: 0,
            served: 0,
            started: 0,
            cut_at: 0,
            rests_until: None,
            rested: Duration::ZERO,
            since: None,
            strained: None,
        }
    }

    /// Whether another request may start now.
    pub(crate) fn may_start(&self, now: Instant) -> bool {
        self.running < self.limit && self.resting(now).is_none()
    }

    /// Requests under way.
    pub(crate) fn running(&self) -> usize {
        self.running
    }

    /// Until when the host wants no request at all; `None` when it takes them.
    pub(crate) fn resting(&self, now: Instant) -> Option<Instant> {
        self.rests_until.filter(|until| *until > now)
    }

    /// Why, once the host has failed, rested or taken for so long that it is asked no more.
    pub(crate) fn given_up(&self, now: Instant) -> Option<Why> {
        if self.since.is_some_and(|since| now.saturating_duration_since(since) >= limits::HOST_TIME) {
            return Some(Why::Slow);
        }
        if self.rested > limits::RESTS {
            return Some(Why::Limited);
        }
        let strain = self.strained.as_ref()?;
        let long = now.saturating_duration_since(strain.since) >= limits::PATIENCE;
        let why = if strain.last == Outcome::Limited { Why::Limited } else { Why::Failed };
        (long && strain.cuts >= limits::ATTEMPTS).then_some(why)
    }

    /// Starts a request and tells its number.
    pub(crate) fn start(&mut self, now: Instant) -> u64 {
        self.since.get_or_insert(now);
        self.running += 1;
        self.started += 1;
        self.started - 1
    }

    /// Ends the request of that number.
    pub(crate) fn end(&mut self, number: u64, outcome: Outcome, now: Instant) {
        self.running -= 1;
        match outcome {
            Outcome::Served => {
                self.strained = None;
                self.served += 1;
                // One more for each round of answers: a host that strained is not hit as hard at once.
                if self.served >= self.limit && self.limit < self.most {
                    self.limit += 1;
                    self.served = 0;
                }
            }
            Outcome::Limited | Outcome::Failed | Outcome::Broken => self.strain(number, outcome, now),
            Outcome::Unclear => {}
        }
    }

    /// Halves, once for all requests that were under way together.
    fn strain(&mut self, number: u64, outcome: Outcome, now: Instant) {
        let strain = self.strained.get_or_insert(Strain { since: now, cuts: 0, last: outcome });
        strain.last = outcome;
        if outcome == Outcome::Broken {
            strain.cuts = strain.cuts.saturating_add(1);
            return;
        }
        if number < self.cut_at {
            return;
        }
        strain.cuts = strain.cuts.saturating_add(1);
        self.cut_at = self.started;
        self.limit = (self.limit / 2).max(1);
        self.served = 0;
    }

    /// Lets the whole host rest; a rest is never shortened by another.
    pub(crate) fn rest(&mut self, now: Instant, wait: Duration) {
        let from = self.rests_until.map_or(now, |until| until.max(now));
        let until = (now + wait).max(from);
        self.rested += until - from;
        self.rests_until = Some(until);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn many(pace: &mut Pace, count: usize, outcome: Outcome, now: Instant) {
        let numbers: Vec<u64> = (0..count).map(|_| pace.start(now)).collect();
        for number in numbers {
            pace.end(number, outcome, now);
        }
    }

    #[test]
    fn a_window_of_failures_halves_once() {
        let now = Instant::now();
        let mut pace = Pace::new(32);
        let limits: Vec<usize> = (0..7)
            .map(|_| {
                let at_once = pace.limit;
                many(&mut pace, at_once, Outcome::Limited, now);
                pace.limit
            })
            .collect();
        assert_eq!(limits, [16, 8, 4, 2, 1, 1, 1]);
    }

    #[test]
    fn it_rises_by_one_for_each_round_of_answers() {
        let now = Instant::now();
        let mut pace = Pace::new(8);
        many(&mut pace, 8, Outcome::Failed, now);
        many(&mut pace, 3, Outcome::Served, now);
        assert_eq!(pace.limit, 4);
        many(&mut pace, 1, Outcome::Served, now);
        assert_eq!(pace.limit, 5);
        many(&mut pace, 1_000, Outcome::Served, now);
        assert_eq!(pace.limit, 8);
        many(&mut pace, 10, Outcome::Unclear, now);
        assert_eq!(pace.limit, 8);
    }

    #[test]
    fn a_rest_is_for_the_whole_host_and_never_shortened() {
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        let mut pace = Pace::new(8);
        pace.rest(now, second * 5);
        pace.rest(now, second);
        assert!(!pace.may_start(now) && !pace.may_start(now + second * 4));
        assert_eq!(pace.resting(now + second), Some(now + second * 5));
        assert!(pace.may_start(now + second * 5));
    }

    #[test]
    fn only_a_host_that_fails_for_long_is_given_up() {
        let now = Instant::now();
        let late = now + limits::PATIENCE;
        let mut pace = Pace::new(8);
        for _ in 0..10 {
            many(&mut pace, 8, Outcome::Limited, now);
        }
        assert_eq!(pace.given_up(now), None, "a short trouble");
        assert_eq!(pace.given_up(late), Some(Why::Limited));
        many(&mut pace, 1, Outcome::Served, late);
        assert_eq!(pace.given_up(late), None, "it has answered");
        many(&mut pace, 8, Outcome::Failed, late);
        assert_eq!(pace.given_up(late + limits::PATIENCE), None, "one failure is not many");
    }

    #[test]
    fn rests_add_up_whatever_is_answered_in_between() {
        let (mut now, mut pace, wait) = (Instant::now(), Pace::new(8), Duration::from_secs(30));
        let mut rests = 0;
        while pace.given_up(now).is_none() {
            pace.rest(now, wait);
            pace.rest(now, wait / 2);
            now += wait;
            many(&mut pace, 8, Outcome::Served, now);
            rests += 1;
            assert!(rests < 1_000, "it would be asked for ever");
        }
        assert_eq!((pace.given_up(now), rests), (Some(Why::Limited), 11));
    }

    #[test]
    fn a_host_that_answers_500_and_nothing_else_is_given_up_and_its_neighbours_not_slowed() {
        let now = Instant::now();
        let mut pace = Pace::new(8);
        many(&mut pace, 8, Outcome::Broken, now);
        assert_eq!((pace.limit, pace.given_up(now)), (8, None));
        assert_eq!(pace.given_up(now + limits::PATIENCE), Some(Why::Failed));
        many(&mut pace, 1, Outcome::Served, now);
        assert_eq!(pace.given_up(now + limits::PATIENCE), None, "it has answered another repository");
    }

    #[test]
    fn a_host_has_so_much_of_a_run_and_no_more() {
        let now = Instant::now();
        let mut pace = Pace::new(8);
        assert_eq!(pace.given_up(now + limits::HOST_TIME), None, "it was never asked");
        many(&mut pace, 8, Outcome::Served, now);
        many(&mut pace, 8, Outcome::Served, now + limits::HOST_TIME / 2);
        assert_eq!(pace.given_up(now + limits::HOST_TIME / 2), None);
        assert_eq!(pace.given_up(now + limits::HOST_TIME), Some(Why::Slow));
    }

    proptest! {
        #[test]
        fn the_limit_stays_in_its_bounds_and_something_may_always_run(
            most in 1_usize..70,
            steps in prop::collection::vec((0_u8..8, 0_usize..100), 0..400),
        ) {
            let mut now = Instant::now();
            let mut pace = Pace::new(most);
            let mut under_way = Vec::new();
            for (what, which) in steps {
                match what {
                    0..=3 if pace.may_start(now) => under_way.push(pace.start(now)),
                    4..=6 if !under_way.is_empty() => {
                        let number = under_way.swap_remove(which % under_way.len());
                        let outcome = [Outcome::Served, Outcome::Limited, Outcome::Failed][usize::from(what - 4)];
                        let before = pace.limit;
                        pace.end(number, outcome, now);
                        prop_assert!(pace.limit >= before / 2 && pace.limit <= before + 1);
                    }
                    7 => {
                        now += Duration::from_millis(which as u64);
                        if which % 5 == 0 {
                            pace.rest(now, Duration::from_millis(which as u64));
                        }
                    }
                    _ => {}
                }
                prop_assert!((1..=most).contains(&pace.limit));
                prop_assert_eq!(pace.running, under_way.len());
                prop_assert!(pace.running > 0 || pace.may_start(now) || pace.resting(now).is_some());
            }
            for number in under_way {
                pace.end(number, Outcome::Unclear, now);
            }
            now += Duration::from_secs(1);
            many(&mut pace, most * most + most, Outcome::Served, now);
            prop_assert_eq!(pace.limit, most);
        }
    }
}
