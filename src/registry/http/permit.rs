//! A permit for each request: never more than the run's bound at once, never more for a host than its pace allows.
//! Who waits holds none, so a slow, limited or resting host takes nothing from another; hosts share evenly.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::registry::http::pace::{Outcome, Pace, Why};

/// All permits of a run.
#[derive(Debug)]
pub(crate) struct Permits {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    most: usize,
    free: usize,
    hosts: HashMap<Arc<str>, Line>,
    /// Hosts that somebody waits for, the one whose turn it is first.
    turns: VecDeque<Arc<str>>,
}

/// One host, and who waits for it.
#[derive(Debug)]
struct Line {
    pace: Pace,
    waiting: VecDeque<oneshot::Sender<Permit>>,
}

/// Leave to send one request; it ends with the value.
#[derive(Debug)]
pub(crate) struct Permit {
    /// `None` once it has been taken back.
    permits: Option<Arc<Permits>>,
    host: Arc<str>,
    number: u64,
    outcome: Outcome,
}

/// Where somebody stands in a host's line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Before the others: they would wait for the answer.
    First,
    /// Behind the others.
    Last,
}

/// What became of a question for a permit.
enum Asked {
    Granted(Permit),
    Rests(Instant),
    Waits(oneshot::Receiver<Permit>),
}

impl Permits {
    /// At most `most` at once, over all hosts.
    pub(crate) fn new(most: usize) -> Arc<Self> {
        let most = most.max(1);
        let state = State { most, free: most, hosts: HashMap::new(), turns: VecDeque::new() };
        Arc::new(Self { state: Mutex::new(state) })
    }

    /// Sets the bound, before anything is asked.
    pub(crate) fn bound(&self, most: usize) {
        let mut state = self.lock();
        (state.most, state.free) = (most.max(1), most.max(1));
    }

    /// A permit for `host`, when it is its turn; why not, where the host is asked no more.
    pub(crate) async fn take(self: &Arc<Self>, host: &str, place: Place) -> Result<Permit, Why> {
        loop {
            match self.ask(host, place)? {
                Asked::Granted(permit) => return Ok(permit),
                Asked::Rests(until) => tokio::time::sleep_until(until).await,
                Asked::Waits(turn) => {
                    // Who is sent away looks again: the host rests, or is given up.
                    if let Ok(permit) = turn.await {
                        return Ok(permit);
                    }
                }
            }
        }
    }

    fn ask(self: &Arc<Self>, host: &str, place: Place) -> Result<Asked, Why> {
        let now = Instant::now();
        let mut state = self.lock();
        let host = match state.hosts.get_key_value(host) {
            Some((host, _)) => Arc::clone(host),
            None => Arc::from(host),
        };
        let most = state.most;
        let line = state
            .hosts
            .entry(Arc::clone(&host))
            .or_insert_with(|| Line { pace: Pace::new(most), waiting: VecDeque::new() });
        if let Some(why) = line.pace.given_up(now) {
            return Err(why);
        }
        if let Some(until) = line.pace.resting(now) {
            return Ok(Asked::Rests(until));
        }
        let at_once = line.waiting.is_empty() && line.pace.may_start(now);
        if at_once && state.free > 0 {
            return Ok(Asked::Granted(state.grant(self, &host, now)));
        }
        let (sender, turn) = oneshot::channel();
        let line = state.hosts.get_mut(&host).expect("it was put there above");
        match place {
            Place::First => line.waiting.push_front(sender),
            Place::Last => line.waiting.push_back(sender),
        }
        if !state.turns.contains(&host) {
            state.turns.push_back(host);
        }
        Ok(Asked::Waits(turn))
    }

    fn end(self: &Arc<Self>, host: &str, number: u64, outcome: Outcome) {
        let now = Instant::now();
        let mut state = self.lock();
        state.free += 1;
        if let Some(line) = state.hosts.get_mut(host) {
            line.pace.end(number, outcome, now);
            if line.pace.given_up(now).is_some() {
                line.waiting.clear();
                state.turns.retain(|other| **other != *host);
            }
        }
        state.hand_out(self, now);
    }

    fn rest(&self, host: &str, wait: Duration) {
        let mut state = self.lock();
        if let Some(line) = state.hosts.get_mut(host) {
            line.pace.rest(Instant::now(), wait);
            line.waiting.clear();
            state.turns.retain(|other| **other != *host);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn grant(&mut self, permits: &Arc<Permits>, host: &Arc<str>, now: Instant) -> Permit {
        let line = self.hosts.get_mut(host).expect("a host that is waited for is known");
        self.free -= 1;
        let number = line.pace.start(now);
        Permit { permits: Some(Arc::clone(permits)), host: Arc::clone(host), number, outcome: Outcome::Unclear }
    }

    /// Gives what is free to the host that has the fewest requests under way, the one whose turn it is among equals:
    /// a slow host would else come to hold them all.
    fn hand_out(&mut self, permits: &Arc<Permits>, now: Instant) {
        while self.free > 0 {
            let hosts = &self.hosts;
            let running = |host: &Arc<str>| {
                let line = hosts.get(host).filter(|line| !line.waiting.is_empty() && line.pace.may_start(now));
                line.map(|line| line.pace.running())
            };
            let turns = self.turns.iter().enumerate();
            let least = turns.filter_map(|(at, host)| Some((running(host)?, at))).min();
            let Some((_, at)) = least else { return };
            let host = self.turns.remove(at).expect("it was found there");
            let line = self.hosts.get_mut(&host).expect("a host that is waited for is known");
            let sender = line.waiting.pop_front().expect("somebody waits there");
            let more = !line.waiting.is_empty();
            let permit = self.grant(permits, &host, now);
            if let Err(unwanted) = sender.send(permit) {
                self.take_back(unwanted, now);
            }
            if more {
                self.turns.push_back(host);
            }
        }
    }

    /// A permit whose receiver is gone; its own drop would wait for the lock that is held here.
    fn take_back(&mut self, mut permit: Permit, now: Instant) {
        self.free += 1;
        if let Some(line) = self.hosts.get_mut(&permit.host) {
            line.pace.end(permit.number, Outcome::Unclear, now);
        }
        permit.permits = None;
    }
}

impl Permit {
    /// What the request came to; the last word counts.
    pub(crate) fn says(&mut self, outcome: Outcome) {
        self.outcome = outcome;
    }

    /// The host asked for a rest of `wait`.
    pub(crate) fn rest(&self, wait: Duration) {
        if let Some(permits) = &self.permits {
            permits.rest(&self.host, wait);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(permits) = self.permits.take() {
            permits.end(&self.host, self.number, self.outcome);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SOON: Duration = Duration::from_millis(50);

    async fn waits(permits: &Arc<Permits>, host: &str) -> bool {
        tokio::time::timeout(SOON, permits.take(host, Place::Last)).await.is_err()
    }

    #[tokio::test]
    async fn the_bound_holds_over_all_hosts() {
        let permits = Permits::new(2);
        let first = permits.take("a", Place::Last).await.unwrap();
        let _second = permits.take("b", Place::Last).await.unwrap();
        assert!(waits(&permits, "a").await && waits(&permits, "c").await);
        drop(first);
        assert!(permits.take("c", Place::Last).await.is_ok());
    }

    #[tokio::test]
    async fn a_limited_host_takes_nothing_from_another() {
        let permits = Permits::new(4);
        for _ in 0..3 {
            permits.take("slow", Place::Last).await.unwrap().says(Outcome::Limited);
        }
        let slow = permits.take("slow", Place::Last).await.unwrap();
        let waiting: Vec<_> = (0..10)
            .map(|_| {
                let permits = Arc::clone(&permits);
                tokio::spawn(async move { permits.take("slow", Place::Last).await.map(drop) })
            })
            .collect();
        tokio::task::yield_now().await;
        assert!(waits(&permits, "slow").await, "one at a time by now");
        let mut others = Vec::new();
        for _ in 0..3 {
            others.push(permits.take("quick", Place::Last).await.unwrap());
        }
        drop((slow, others));
        for waiting in waiting {
            waiting.await.unwrap().unwrap();
        }
    }

    #[tokio::test]
    async fn a_rest_is_for_all_who_wait_for_that_host_alone() {
        let permits = Permits::new(1);
        let permit = permits.take("a", Place::Last).await.unwrap();
        let since = Instant::now();
        let (a, b) = (Arc::clone(&permits), Arc::clone(&permits));
        let a = tokio::spawn(async move { a.take("a", Place::Last).await.map(|_| since.elapsed()) });
        tokio::task::yield_now().await;
        permit.rest(SOON * 3);
        drop(permit);
        assert!(b.take("b", Place::Last).await.is_ok(), "nobody who sleeps holds the one permit");
        assert!(a.await.unwrap().unwrap() >= SOON * 3);
    }

    #[tokio::test]
    async fn hosts_take_turns() {
        let permits = Permits::new(1);
        let held = permits.take("a", Place::Last).await.unwrap();
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        for host in ["a", "a", "a", "b", "b", "c"] {
            let (permits, order) = (Arc::clone(&permits), Arc::clone(&order));
            tasks.push(tokio::spawn(async move {
                let _permit = permits.take(host, Place::Last).await.unwrap();
                order.lock().unwrap().push(host);
            }));
            tokio::task::yield_now().await;
        }
        drop(held);
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*order.lock().unwrap(), ["a", "b", "c", "a", "b", "a"]);
    }

    #[tokio::test]
    async fn who_unlocks_others_goes_first() {
        let permits = Permits::new(1);
        let held = permits.take("a", Place::Last).await.unwrap();
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        for (name, place) in [("one", Place::Last), ("two", Place::Last), ("token", Place::First)] {
            let (permits, order) = (Arc::clone(&permits), Arc::clone(&order));
            tasks.push(tokio::spawn(async move {
                let _permit = permits.take("a", place).await.unwrap();
                order.lock().unwrap().push(name);
            }));
            tokio::task::yield_now().await;
        }
        drop(held);
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*order.lock().unwrap(), ["token", "one", "two"]);
    }

    #[tokio::test]
    async fn a_slow_host_does_not_come_to_hold_all_permits() {
        let permits = Permits::new(4);
        let mut slow = Vec::new();
        for _ in 0..4 {
            slow.push(permits.take("slow", Place::Last).await.unwrap());
        }
        let (sender, mut granted) = tokio::sync::mpsc::unbounded_channel();
        for host in ["slow", "slow", "slow", "quick", "quick", "quick"] {
            let (permits, sender) = (Arc::clone(&permits), sender.clone());
            tokio::spawn(async move {
                let permit = permits.take(host, Place::Last).await.unwrap();
                let _ = sender.send((host, permit));
            });
            tokio::task::yield_now().await;
        }
        // Two of the slow host's end: the other gets both, and keeps its half when one of its own ends.
        drop(slow.pop());
        let (first, permit) = granted.recv().await.unwrap();
        drop(slow.pop());
        let (second, _held) = granted.recv().await.unwrap();
        drop(permit);
        let (third, _other) = granted.recv().await.unwrap();
        assert_eq!([first, second, third], ["quick"; 3]);
    }

    #[tokio::test]
    async fn who_left_the_line_leaves_no_permit_behind() {
        let permits = Permits::new(1);
        let held = permits.take("a", Place::Last).await.unwrap();
        for _ in 0..5 {
            assert!(waits(&permits, "a").await);
        }
        drop(held);
        for _ in 0..3 {
            assert!(permits.take("a", Place::Last).await.is_ok());
        }
    }
}
