//! What was due is done. Which of all that is due comes first is the engine's to say; that it was due is checked.

use kapelle_engine::event::{AvailableCause, Event};

use super::Reference;
use super::journal::Decided;
use super::said::{Said, TimerOf};
use super::state::{At, Timer};
use crate::process::Wait;
use crate::value::Values;

impl Reference {
    pub(super) fn due(&mut self, decided: &Decided) -> Result<(), String> {
        for (_, event) in &decided.events {
            match event {
                Event::TimerTriggered(timer) => {
                    let of = self.names.timer(timer.timer).cloned();
                    return self.timer_fires(of.ok_or("a timer that never was fires")?);
                }
                Event::JobMadeAvailable { job, cause, .. } => {
                    let at = self.job_at(job.job)?;
                    return self.job_is_due(at, *cause);
                }
                Event::MessageExpired(expired) => {
                    let message = self.names.message(expired.message);
                    return self.message_is_due(message.ok_or("a message that never was expires")?);
                }
                Event::RequestForgotten { request, .. } => {
                    let kept = self.requests.remove(request).ok_or("no such request")?;
                    let case = kept.case;
                    if kept.until > self.now {
                        return Err(format!(
                            "request {request} is forgotten too early: {kept:?}"
                        ));
                    }
                    self.say(Said::Forgotten {
                        request: request.clone(),
                        case,
                    });
                    return Ok(());
                }
                Event::DedupBucketDropped { bucket } => return self.bucket_is_over(*bucket),
                Event::DueMoved {
                    due, to: Some(_), ..
                } => {
                    let of = self.names.due(due).ok_or("what is put off never was")?;
                    return self.put_off(&of);
                }
                Event::DueMoved { due, to: None, .. } if decided.events.len() == 1 => {
                    let of = self.names.due(due).ok_or("what is dropped never was")?;
                    return self.dropped(&of);
                }
                _ => {}
            }
        }
        // Housework of the window.
        Ok(())
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
        if timer.due > now || timer.dropped || case.set_aside || !case.is_live(at.node) {
            return Err(format!("{of:?} fires and must not: {timer:?}"));
        }
        if timer.put_off {
            self.say(Said::DueDropped);
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
        if due.is_none_or(|due| due > now) || self.case(at.case).set_aside {
            return Err(format!(
                "the job at {at:?} is made available before its time: {job:?}"
            ));
        }
        if job.put_off {
            self.say(Said::DueDropped);
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
    fn dropped(&mut self, of: &TimerOf) -> Result<(), String> {
        let now = self.now;
        let (at, timer) = self.timer_of(of)?;
        let (is_due, was_dropped) = (timer.due <= now, timer.dropped);
        timer.dropped = true;
        if !is_due || was_dropped || self.case(at.case).is_live(at.node) {
            return Err(format!("{of:?} is dropped and must not be"));
        }
        self.say(Said::DueDropped);
        Ok(())
    }

    /// Its instance is set aside.
    fn put_off(&mut self, of: &TimerOf) -> Result<(), String> {
        let TimerOf::Node(node, _) = of else {
            return Err(format!("{of:?} is put off and is no instance's"));
        };
        let at = self
            .find_node(node.number)
            .ok_or("what is put off is gone")?;
        if !self.case(at.case).set_aside {
            return Err(format!(
                "{of:?} is put off and its instance is not set aside"
            ));
        }
        match self.timer_of(of) {
            Ok((_, timer)) => timer.put_off = true,
            Err(_) => self.job_mut(at).put_off = true,
        }
        self.say(Said::DuePutOff);
        Ok(())
    }

    /// What is due by now and was not done, when all is done.
    pub(crate) fn overdue(&self, now: i64) -> Option<String> {
        for case in self.cases.values().filter(|case| !case.set_aside) {
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
