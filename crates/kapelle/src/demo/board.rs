//! What the views show, read from the server over its public API.
//!
//! **Invariant:** every event is counted once, with its final outcome: an outgoing one when it is delivered or dead, or
//! when it has been under way for so long that waiting for it would hold up the others.

use std::collections::{BTreeMap, BTreeSet};

use crate::client::{Client, Document, Error, Object};

/// Events that stay on the screen.
const EVENTS_MAX: usize = 400;
/// Outgoing events waited for before the board goes on without their outcome.
const PENDING_MAX: usize = 200;
/// Events asked for at once; as many as the API gives.
const PAGE: usize = 1_000;
/// Process instances on the screen.
const INSTANCES_MAX: i64 = 60;

/// A live picture.
pub(super) struct Board {
    client: Client,
    /// Everything up to here is counted.
    floor: u64,
    counted: BTreeSet<u64>,
    /// By position.
    pub(super) events: BTreeMap<u64, Document>,
    pub(super) outcomes: BTreeMap<String, u64>,
    pub(super) instances: Vec<Instance>,
    pub(super) totals: Totals,
    /// By instance: the subject of the event that started it.
    subjects: BTreeMap<String, String>,
}

/// A process instance on the screen.
#[derive(Clone, Debug, Default)]
pub(super) struct Instance {
    pub(super) key: String,
    pub(super) process: String,
    pub(super) subject: String,
    /// Where its tokens stand.
    pub(super) elements: Vec<String>,
    pub(super) has_incident: bool,
}

/// How many there are.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    pub(super) active: i64,
    pub(super) completed: i64,
    pub(super) terminated: i64,
    pub(super) incidents: i64,
}

impl Board {
    /// A board that begins with what comes from now on.
    pub(super) async fn open(client: Client) -> Result<Self, Error> {
        let page = client.get("/v2/kapelle/events?limit=1").await?;
        Ok(Self {
            client,
            floor: end_position(&page).unwrap_or(0),
            counted: BTreeSet::new(),
            events: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            instances: Vec::new(),
            totals: Totals::default(),
            subjects: BTreeMap::new(),
        })
    }

    /// A board without a server, to be drawn.
    #[cfg(test)]
    pub(super) fn picture(events: BTreeMap<u64, Document>, instances: Vec<Instance>) -> Self {
        let totals = Totals {
            active: 1,
            completed: 2,
            terminated: 0,
            incidents: 1,
        };
        Self {
            client: Client::new("http://localhost").expect("invariant: that is an address"),
            floor: 0,
            counted: BTreeSet::new(),
            events,
            outcomes: BTreeMap::from([("STARTED".to_owned(), 3)]),
            instances,
            totals,
            subjects: BTreeMap::new(),
        }
    }

    /// The number of the newest order of an earlier demo on the same data.
    pub(super) async fn last_order(&self) -> Result<Option<u64>, Error> {
        let page = self
            .client
            .get("/v2/kapelle/events?type=order.placed&limit=1000")
            .await?;
        let subjects = page.list("items");
        Ok(subjects
            .iter()
            .filter_map(|event| super::order::Order::number_in(event.text("subject")?))
            .max())
    }

    /// Reads what is new; answers the events whose outcome has become final, in order.
    pub(super) async fn read_events(&mut self) -> Result<Vec<Document>, Error> {
        let page = self
            .client
            .get(&format!(
                "/v2/kapelle/events?after={}&limit={PAGE}",
                self.floor
            ))
            .await?;
        let items = page.list("items");
        let mut news = Vec::new();
        let mut pending = Vec::new();
        for event in &items {
            let Some(position) = position(event) else {
                continue;
            };
            if event.text("outcome") == Some("PENDING") {
                pending.push(position);
            } else if self.counted.insert(position) {
                self.count(event);
                news.push(event.clone());
            }
            self.show(position, event);
        }
        let excess = pending.len().saturating_sub(PENDING_MAX);
        for event in items
            .iter()
            .filter(|event| event.text("outcome") == Some("PENDING"))
            .take(excess)
        {
            self.count(event);
        }
        self.floor = match (pending.get(excess), end_position(&page)) {
            (Some(oldest), _) => oldest - 1,
            (None, Some(end)) => end.max(self.floor),
            (None, None) => self.floor,
        };
        self.counted = self.counted.split_off(&(self.floor + 1));
        Ok(news)
    }

    fn count(&mut self, event: &Document) {
        let outcome = event.text("outcome").unwrap_or("UNKNOWN");
        *self.outcomes.entry(outcome.to_owned()).or_default() += 1;
    }

    fn show(&mut self, position: u64, event: &Document) {
        if let (Some("STARTED"), Some(key), Some(subject)) = (
            event.text("outcome"),
            event.text("processInstanceKey"),
            event.text("subject"),
        ) {
            self.subjects.insert(key.to_owned(), subject.to_owned());
            // Keys grow, so the first one is the oldest.
            if self.subjects.len() > 10 * EVENTS_MAX {
                self.subjects.pop_first();
            }
        }
        self.events.insert(position, event.clone());
        if self.events.len() > EVENTS_MAX {
            self.events.pop_first();
        }
    }

    /// Reads how many instances there are.
    pub(super) async fn read_totals(&mut self) -> Result<(), Error> {
        let count = async |what: &str, key: &str, state: &str| {
            let query = search(Object::new().text("state", state), 1, key);
            self.client
                .post(&format!("/v2/{what}/search"), query)
                .await
                .map(|found| total(&found))
        };
        let instances =
            async |state: &str| count("process-instances", "processInstanceKey", state).await;
        self.totals = Totals {
            active: instances("ACTIVE").await?,
            completed: instances("COMPLETED").await?,
            terminated: instances("TERMINATED").await?,
            incidents: count("incidents", "incidentKey", "ACTIVE").await?,
        };
        Ok(())
    }

    /// Reads which instances run and where they stand.
    pub(super) async fn read_instances(&mut self) -> Result<(), Error> {
        let active = || Object::new().text("state", "ACTIVE");
        let query = search(active(), INSTANCES_MAX, "processInstanceKey");
        let instances = self
            .client
            .post("/v2/process-instances/search", query)
            .await?
            .list("items");
        let query = search(active(), 4 * INSTANCES_MAX, "elementInstanceKey");
        let elements = self
            .client
            .post("/v2/element-instances/search", query)
            .await?
            .list("items");
        let mut places: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for element in elements
            .iter()
            .filter(|element| element.text("type") != Some("PROCESS"))
        {
            let name = element
                .text("elementName")
                .or(element.text("elementId"))
                .unwrap_or_default();
            places
                .entry(element.text("processInstanceKey").unwrap_or_default())
                .or_default()
                .push(name.to_owned());
        }
        self.instances = instances
            .iter()
            .map(|instance| self.instance(instance, &places))
            .collect();
        Ok(())
    }

    fn instance(&self, found: &Document, places: &BTreeMap<&str, Vec<String>>) -> Instance {
        let key = found.text("processInstanceKey").unwrap_or_default();
        Instance {
            key: key.to_owned(),
            process: found
                .text("processDefinitionId")
                .unwrap_or_default()
                .to_owned(),
            subject: self.subjects.get(key).cloned().unwrap_or_default(),
            elements: places.get(key).cloned().unwrap_or_default(),
            has_incident: found.flag("hasIncident").unwrap_or_default(),
        }
    }

    /// The newest event that did nothing, else the newest: what a person who asks "why" most likely means.
    pub(super) fn most_puzzling(&self) -> Option<u64> {
        const ORDINARY: [&str; 5] = ["STARTED", "CORRELATED", "DELIVERED", "PENDING", "FILTERED"];
        let is_puzzling = |event: &Document| {
            event
                .text("outcome")
                .is_some_and(|outcome| !ORDINARY.contains(&outcome))
        };
        let puzzling = self
            .events
            .iter()
            .rev()
            .find(|(_, event)| is_puzzling(event));
        puzzling
            .or_else(|| self.events.iter().next_back())
            .map(|(position, _)| *position)
    }

    /// Why an event came to its outcome.
    pub(super) async fn explain(&self, position: u64) -> Result<Document, Error> {
        self.client
            .get(&format!("/v2/kapelle/events/{position}/explain"))
            .await
    }
}

fn search(filter: Object, limit: i64, newest_by: &str) -> Object {
    let sort = Object::new()
        .text("field", newest_by)
        .text("order", "DESC")
        .into_text();
    Object::new()
        .object("filter", filter)
        .raw("sort", &format!("[{sort}]"))
        .object("page", Object::new().number("limit", limit))
}

fn total(found: &Document) -> i64 {
    found
        .child("page")
        .and_then(|page| page.number("totalItems"))
        .unwrap_or_default()
}

pub(super) fn position(event: &Document) -> Option<u64> {
    event.text("position")?.parse().ok()
}

fn end_position(page: &Document) -> Option<u64> {
    page.child("page")?.text("endPosition")?.parse().ok()
}
