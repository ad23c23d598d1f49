//! Everything that history finds at the end.

use std::collections::{BTreeMap, BTreeSet};

use kapelle_feel::json::pull::Raw;

use super::search::{self, Item};
use super::victim::Addresses;
use super::wire;

#[derive(Debug, Default, PartialEq)]
pub(crate) struct Found {
    pub(crate) instances: BTreeMap<i64, Item>,
    /// Keys of the instances whose variable `id` has this value.
    pub(crate) instances_by_id: BTreeMap<String, Vec<i64>>,
    /// By instance and name, as plain text.
    pub(crate) variables: BTreeMap<(i64, String), String>,
    /// The state of each job.
    pub(crate) jobs: BTreeMap<i64, String>,
    job_instances: BTreeMap<i64, Vec<i64>>,
    /// The states of the incidents of each job.
    pub(crate) incidents: BTreeMap<i64, Vec<String>>,
    /// The outcomes of each arrived CloudEvent.
    pub(crate) events_in: BTreeMap<String, Vec<String>>,
    /// The state of each CloudEvent that left.
    pub(crate) events_out: BTreeMap<String, String>,
    doubles: Vec<String>,
}

impl Found {
    pub(crate) async fn all(addresses: &Addresses) -> Self {
        let mut found = Self::default();
        for item in search::all(addresses, "process-instances", "{}").await {
            let key = key(&item, "processInstanceKey");
            if found.instances.insert(key, item).is_some() {
                found.doubles.push(format!("instance {key} is found twice"));
            }
        }
        for item in search::all(
            addresses,
            "variables",
            r#"{"name":{"$in":["id","by","paid","set"]}}"#,
        )
        .await
        {
            found.take_variable(&item);
        }
        for item in search::all(addresses, "jobs", "{}").await {
            let job = key(&item, "jobKey");
            found
                .job_instances
                .entry(key(&item, "processInstanceKey"))
                .or_default()
                .push(job);
            if found.jobs.insert(job, item["state"].clone()).is_some() {
                found.doubles.push(format!("job {job} is found twice"));
            }
        }
        let mut seen = BTreeSet::new();
        for item in search::all(addresses, "incidents", "{}").await {
            found
                .incidents
                .entry(key(&item, "jobKey"))
                .or_default()
                .push(item["state"].clone());
            if !seen.insert(key(&item, "incidentKey")) {
                found
                    .doubles
                    .push(format!("incident {} is found twice", item["incidentKey"]));
            }
        }
        found.take_events(addresses).await;
        found
    }

    fn take_variable(&mut self, item: &Item) {
        let (instance, name) = (key(item, "processInstanceKey"), &item["name"]);
        let value = Raw::parse(&item["value"]).map(search::plain).unwrap();
        if name == "id" {
            self.instances_by_id
                .entry(value.clone())
                .or_default()
                .push(instance);
        }
        if self
            .variables
            .insert((instance, name.clone()), value)
            .is_some()
        {
            self.doubles
                .push(format!("variable {name} of {instance} is found twice"));
        }
    }

    async fn take_events(&mut self, addresses: &Addresses) {
        let mut after = "0".to_owned();
        loop {
            let path = format!("/v2/kapelle/events?after={after}&limit=1000");
            let answer = wire::rest(addresses, "GET", &path, "application/json", "")
                .await
                .unwrap();
            let answer = Raw::parse(&answer).unwrap();
            let mut count = 0;
            for item in search::member(answer, "items").unwrap().elements() {
                count += 1;
                let text = |name: &str| search::text(item, name).unwrap_or_default();
                if text("direction") == "in" {
                    self.events_in
                        .entry(text("id"))
                        .or_default()
                        .push(text("outcome"));
                } else if self
                    .events_out
                    .insert(text("id"), text("outcome"))
                    .is_some()
                {
                    self.doubles
                        .push(format!("CloudEvent {} left twice", text("id")));
                }
            }
            if count == 0 {
                return;
            }
            after = search::text(search::member(answer, "page").unwrap(), "endPosition").unwrap();
        }
    }

    pub(crate) fn jobs_of(&self, instance: i64) -> &[i64] {
        self.job_instances.get(&instance).map_or(&[], Vec::as_slice)
    }

    /// What stands in history twice, or without the instance that it belongs to.
    pub(crate) fn doubles(&self) -> Vec<String> {
        let mut findings = self.doubles.clone();
        for (id, keys) in self
            .instances_by_id
            .iter()
            .filter(|(_, keys)| keys.len() > 1)
        {
            findings.push(format!("{id} is there as {keys:?}"));
        }
        let with_id: BTreeSet<&i64> = self.instances_by_id.values().flatten().collect();
        for key in self.instances.keys().filter(|key| !with_id.contains(key)) {
            findings.push(format!("instance {key} has no id"));
        }
        for key in with_id
            .into_iter()
            .filter(|key| !self.instances.contains_key(key))
        {
            findings.push(format!(
                "the variables of {key} are there, the instance is not"
            ));
        }
        findings
    }
}

fn key(item: &Item, name: &str) -> i64 {
    item[name]
        .parse()
        .unwrap_or_else(|_| panic!("{name} of {item:?} is a key"))
}
