//! Processes as one line of text, for tests.
//!
//! Purpose: a scenario shows its process beside what happens in it. The text becomes BPMN XML and goes through the real
//! front end, so tests run what users deploy. Behind the feature `notation`.
//!
//! ```
//! let process = kapelle_model::notation::process(
//!     "start -> charge -> gate{big: total > 1000, small: default} ; big -> review:user -> end ; small -> end",
//! );
//! assert_eq!(process.elements.len(), 6);
//! ```
//!
//! Statements are divided by `;` or line ends, outside brackets. A statement is a chain `a -> b -> c`; a name that was
//! there before is the same node. `process NAME` names the process, which is `process` otherwise.
//!
//! | node | means |
//! |---|---|
//! | `a`, `a:service(type x, retries 5, header k v)` | service task; job type = name if not given |
//! | `start…`, `s:start`, `s:start(message placed)`, `s:start(cycle R3/PT10S)` | start event |
//! | `end…`, `e:end(terminate)`, `e:end(error CODE)`, `e:end(job t)`, `e:end(publish t)` | end event |
//! | `t:throw`, `t:throw(job t)`, `s:send(message paid, key =id, id =x, ttl PT1H)`, `s:send(publish order.done, subject =id, data ={a: 1}, to hook)` | throw event, send task |
//! | `c:catch(message paid, key orderId)`, `c:catch(duration PT1H)`, `c:catch(date =due)` | catch event |
//! | `r:receive(message paid, key orderId)` | receive task |
//! | `u:user(assignee =x)`, `m:manual`, `t:task` | user, manual, undefined task |
//! | `gate{a: x > 5, b: default}`, `gate…`, `merge…`, `g:exclusive` | exclusive gateway; `a` and `b` are its flows and may begin chains |
//! | `fork…`, `join…`, `g:parallel` · `race…`, `g:event` | parallel · event-based gateway |
//! | `sub[start2 -> b -> end2]` | subprocess |
//! | `late(duration PT5M) on a`, `tick(cycle R/PT1M) beside a`, `oops(error CODE) on a`, `oops(error) on a` | boundary event that interrupts (`on`) or not (`beside`) |
//!
//! Every node takes `in path = expression` and `out path = expression` among its arguments; a message takes `event TYPE`,
//! `filter …`, `eventkey …`, `variables …`, `eventttl …` and `lock false` for its `kapelle:event`. Values with a leading
//! `=` are expressions; keys, filters, conditions and mappings are expressions without it.
//!
//! Invariant: the same text gives the same XML. Deliberately absent: errors as values; a wrong text panics and says why.

use std::fmt::Write;

use crate::graph::Process;
use crate::{Limits, parse_bpmn};

mod text;
mod write;

/// The one process that `text` describes.
#[must_use]
pub fn process(text: &str) -> Process {
    let xml = xml(text);
    let (bpmn, diagnostics) = parse_bpmn("notation", xml.as_bytes(), &Limits::default());
    match bpmn {
        Some(bpmn) => bpmn
            .processes
            .into_iter()
            .next()
            .expect("invariant: an accepted document has a process"),
        None => {
            let mut all = String::new();
            for diagnostic in &diagnostics {
                writeln!(all, "{diagnostic}").expect("invariant: writing to a string cannot fail");
            }
            panic!("the process is refused:\n{all}in: {text}\nas: {xml}");
        }
    }
}

/// The BPMN document that `text` describes, accepted or not.
#[must_use]
pub fn xml(text: &str) -> String {
    write::document(&text::parse(text))
}

#[cfg(test)]
mod tests;
