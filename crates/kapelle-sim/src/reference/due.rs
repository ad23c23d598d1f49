//! What was due is done. Which of all that is due comes first is the engine's to say; that it was due is checked.

use kapelle_engine::command::{Due, DueKind};
use kapelle_engine::event::{AvailableCause, Event};
use kapelle_engine::ids::{JobKey, Timestamp};

use super::Reference;
use super::journal::Decided;
use super::said::{Said, TimerOf};
use super::state::{At, Timer};
use crate::process::Wait;
use crate::value::Values;

impl Reference {
    pub(super) fn due(&mut self, decided: &Decided) -> Result<(), String> {
        let mut was_done = false;
        for (_, event) in &decided.events {
            if !was_done && self.due_is_done(event)? {
                was_done = true;
            } else if let Event::DueMoved { due, to, .. } = event {
                self.due_moves(due, *to, was_done)?;
                was_done = true;
            }
        }
        Ok(())
    }

    /// What is due is done; `false` if that event says nothing of it.
    fn due_is_done(&mut self, event: &Event) -> Result<bool, String> {
        match event {
            Event::TimerTriggered(timer) => {
                let of = self.names.timer(timer.timer).cloned();
                self.timer_fires(of.ok_or("a timer that never was fires")?)?;
            }
            Event::JobMadeAvailable { job, cause, .. } => {
                let at = self.job_at(job.job)?;
                self.job_is_due(at, *cause)?;
            }
            Event::MessageExpired(expired) => {
                let message = self.names.message(expired.message);
                self.message_is_due(message.ok_or("a message that never was expires")?)?;
            }
            Event::RequestForgotten { request, .. } => {
                let kept = self.requests.remove(request).ok_or("no such request")?;
                if kept.until > self.now {
                    return Err(format!(
                        "request {request} is forgotten too early: {kept:?}"
                    ));
                }
                self.say(Said::Forgotten {
                    request: request.clone(),
                    case: kept.case,
                });
            }
            Event::DedupBucketDropped { bucket } => self.bucket_is_over(*bucket)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// An entry among what is due is put off, or dropped: because it was put off before and is done now or needless, or
    /// because nobody could go on with it.
    fn due_moves(
        &mut self,
        due: &Due,
        to: Option<Timestamp>,
        was_done: bool,
    ) -> Result<(), String> {
        if let Some(to) = to {
            self.put_off(due, to);
            self.say(Said::DuePutOff);
            return self.check_put_off(due);
        }
        if due.what == DueKind::PostponedStep {
            let step = self.postponed.remove(&due.key);
            let step = step.ok_or("a follow-up is due that was not put off")?;
            self.push_step(step);
        } else if !self.put_off.remove(due) {
            if was_done {
                return Err(format!("{due:?} is done and was elsewhere"));
            }
            let of = self.names.due(due).ok_or("what is dropped is no timer")?;
            self.drop_timer(&of)?;
        }
        self.say(Said::DueDropped);
        Ok(())
    }

    /// It is not where it was any more, but at that time.
    pub(super) fn put_off(&mut self, due: &Due, to: Timestamp) {
        self.put_off.remove(due);
        self.put_off.insert(Due { at: to, ..*due });
        if due.what == DueKind::JobDeadline
            && let Ok(at) = self.job_at(JobKey(due.key))
            && let Some(job) = &mut self.standing_mut(at).job
            && job.deadline == Some(due.at.0)
        {
            job.deadline_is_put_off = true;
        }
    }

    /// By itself only what belongs to an instance that is set aside is put off.
    fn check_put_off(&self, due: &Due) -> Result<(), String> {
        let node = match due.what {
            DueKind::Timer => match self.names.due(due) {
                Some(TimerOf::Node(node, _)) => Some(node.number),
                _ => None,
            },
            DueKind::JobDeadline | DueKind::JobBackoff => {
                self.names.job(JobKey(due.key)).map(|node| node.number)
            }
            _ => None,
        };
        let at = node.and_then(|node| self.find_node(node));
        // What waited there may be gone, while its entry is only found to be needless when it is due.
        let is_aside = at.is_none_or(|at| self.case(at.case).set_aside.is_some());
        match node {
            Some(_) if is_aside => Ok(()),
            _ => Err(format!(
                "{due:?} is put off, and its instance is not set aside"
            )),
        }
    }

    fn timer_of(&mut self, of: &TimerOf) -> Result<(At, &mut Timer), String> {
        let TimerOf::Node(node, element) = of else {
            return Err(format!("{of:?} is no timer of an instance"));
        };
        let at = self
            .find_node(node.number)
            .ok_or_else(|| format!("{node:?} is gone and its time has come"))?;
        let timers = &mut self.standing_mut(at).timers;
        let timer = timers.iter_mut().find(|timer| timer.element == *element);
        Ok((at, timer.ok_or_else(|| format!("{of:?} does not wait"))?))
    }

    fn timer_fires(&mut self, of: TimerOf) -> Result<(), String> {
        if let TimerOf::Process(process, version) = &of {
            return self.start_timer_fires(&of, process, *version);
        }
        let now = self.now;
        let (at, timer) = self.timer_of(&of)?;
        let timer = timer.clone();
        let standing = self.standing_mut(at);
        standing
            .timers
            .retain(|other| other.element != timer.element);
        let case = self.case(at.case);
        if timer.due > now || timer.dropped || case.set_aside.is_some() || !case.is_live(at.node) {
            return Err(format!("{of:?} fires and must not: {timer:?}"));
        }
        self.say(Said::TimerFired { of });
        let interval = self.interval(at, &timer);
        if timer.left != Some(0)
            && let Some(ms) = interval
        {
            let left = timer.left.map(|left| left - 1);
            self.set_timer(at, timer.element.clone(), timer.due + ms, left);
        }
        self.trigger(at, &timer.element, Values::new());
        Ok(())
    }

    fn interval(&self, at: At, timer: &Timer) -> Option<i64> {
        let case = self.case(at.case);
        let host = case.process.find(&case.nodes[&at.node].element)?;
        let mut boundaries = host.boundaries.iter();
        let boundary = boundaries.find(|boundary| *boundary.name == *timer.element)?;
        match boundary.wait()? {
            Wait::Every { ms, .. } => Some(*ms),
            _ => None,
        }
    }

    fn start_timer_fires(
        &mut self,
        of: &TimerOf,
        process: &str,
        version: i32,
    ) -> Result<(), String> {
        let now = self.now;
        let versions = self.versions.get_mut(process).ok_or("no such process")?;
        let found = versions.iter_mut().find(|known| known.version == version);
        let found = found.ok_or("no such version")?;
        let (due, left) = found
            .timer
            .take()
            .ok_or_else(|| format!("{of:?} does not wait"))?;
        if due > now {
            return Err(format!("{of:?} fires before {due}"));
        }
        let next = match found.process.start() {
            Some(Wait::Every { ms, .. }) if left != Some(0) => {
                Some((due + ms, left.map(|left| left - 1)))
            }
            _ => None,
        };
        found.timer = next;
        self.say(Said::TimerFired { of: of.clone() });
        if let Some((due, left)) = next {
            self.say(Said::TimerSet {
                of: of.clone(),
                due,
                left,
            });
        }
        self.start(process, version, None, None);
        Ok(())
    }

    fn job_is_due(&mut self, at: At, cause: AvailableCause) -> Result<(), String> {
        let now = self.now;
        let job = self.job(at)?;
        let due = match cause {
            AvailableCause::TimedOut => job.deadline,
            AvailableCause::BackoffOver => job.backoff_until,
            _ => None,
        };
        if due.is_none_or(|due| due > now) || self.case(at.case).set_aside.is_some() {
            return Err(format!(
                "the job at {at:?} is made available before its time: {job:?}"
            ));
        }
        self.free_job(at, cause);
        Ok(())
    }

    fn message_is_due(&mut self, message: u64) -> Result<(), String> {
        match self.messages.get(&message) {
            Some(kept) if kept.expires <= self.now => {
                self.expire(message);
                Ok(())
            }
            other => Err(format!(
                "message {message} expires before its time: {other:?}"
            )),
        }
    }

    /// Nobody could go on with it.
    fn drop_timer(&mut self, of: &TimerOf) -> Result<(), String> {
        let now = self.now;
        let (at, timer) = self.timer_of(of)?;
        let (is_due, was_dropped) = (timer.due <= now, timer.dropped);
        timer.dropped = true;
        if !is_due || was_dropped || self.case(at.case).is_live(at.node) {
            return Err(format!("{of:?} is dropped and must not be"));
        }
        Ok(())
    }

    /// What is due by now and was not done, when all is done.
    pub(crate) fn overdue(&self, now: i64) -> Option<String> {
        if !self.put_off.is_empty() {
            // It is looked at again when its pause is over.
            return None;
        }
        for case in self.cases.values().filter(|case| case.set_aside.is_none()) {
            for (number, standing) in &case.nodes {
                let timers = standing.timers.iter().filter(|timer| !timer.dropped);
                let mut due: Vec<i64> = timers.map(|timer| timer.due).collect();
                if let Some(job) = &standing.job {
                    due.extend(job.deadline.into_iter().chain(job.backoff_until));
                }
                if due.iter().any(|due| *due <= now) && case.is_live(*number) {
                    return Some(format!("{}#{number} was due at {due:?}", standing.element));
                }
            }
        }
        let message = self.messages.iter().find(|(_, kept)| kept.expires <= now);
        let request = self.requests.iter().find(|(_, kept)| kept.until <= now);
        message
            .map(|(number, _)| format!("message {number} should have expired"))
            .or_else(|| request.map(|(name, _)| format!("request {name} should be forgotten")))
    }
}
