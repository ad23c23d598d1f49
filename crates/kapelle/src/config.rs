//! The configuration: one tree, read in layers, every value knowing where it came from.
//!
//! Defaults < file < environment (`KAPELLE_SECTION__KEY`) < flags. The doc comment of a field is its manual entry: the
//! reference page is made of them (`reference.rs`).
//!
//! **Invariant:** a [`Config`] that exists is valid; everything wrong with it was reported at once, each with the file
//! and line, the variable or the flag it stands in. No secret is ever rendered.
//! Deliberately absent: reloading, and any meaning that needs the outside world (whether a port is free, a broker there).

mod error;
mod layers;
mod reference;
mod rule;
mod section;
mod sections;
mod setting;
mod suggest;
mod tree;

use std::collections::BTreeMap;

pub(crate) use error::{Error, Problem};
pub(crate) use layers::{Flag, Layers};
pub(crate) use reference::{Effective, effective, reference_page, show};
pub(crate) use sections::{
    Data, DeliveryMode, EventStore, Events, History, Limits, Log, LogLevel, MqttSink, MqttSource,
    MqttVersion, NatsSink, NatsSource, Outbox, RabbitmqSink, RabbitmqSource, Server, SinkConfig,
    SourceConfig, WebhookSink,
};
pub(crate) use setting::{Address, Secret, Span};
#[cfg(test)]
pub(crate) use setting::{Bytes, Port};

use rule::Rule;
use section::{Reader, Section as _};
use tree::Tree;

/// Everything that can be configured, valid and complete.
#[derive(Clone, Debug, Default)]
pub(crate) struct Config {
    pub(crate) server: Server,
    pub(crate) data: Data,
    pub(crate) limits: Limits,
    pub(crate) events: Events,
    pub(crate) outbox: Outbox,
    pub(crate) history: History,
    pub(crate) event_store: EventStore,
    pub(crate) log: Log,
    /// By name: the name is part of the CloudEvents' way in, so that it shows in metrics and in *explain*.
    pub(crate) sources: BTreeMap<String, SourceConfig>,
    /// By the source's name: what becomes of its records that are no CloudEvents.
    pub(crate) rules: BTreeMap<String, kapelle_events::rule::Rule>,
    /// By name: what `kapelle:publish to=` refers to.
    pub(crate) sinks: BTreeMap<String, SinkConfig>,
}

/// A configuration and where each of its values came from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Loaded {
    pub(crate) config: Config,
    tree: Tree,
}

impl Config {
    /// Reads all layers.
    ///
    /// # Errors
    /// When a file cannot be read or is no TOML, or with every key that is unknown and every value that is wrong.
    pub(crate) fn load(layers: &Layers) -> Result<Loaded, Error> {
        let tree = layers.read()?;
        let mut config = Self::default();
        let mut reader = Reader::default();
        config.take(&tree, &mut reader);
        if reader.problems.is_empty() {
            Ok(Loaded { config, tree })
        } else {
            Err(Error::Invalid {
                problems: reader.problems,
            })
        }
    }

    fn take(&mut self, tree: &Tree, reader: &mut Reader) {
        let Self {
            server,
            data,
            limits,
            events,
            outbox,
            history,
            event_store,
            log,
            sources,
            rules,
            sinks,
        } = self;
        for (key, node) in tree.entries() {
            if !SECTIONS.contains(&key) {
                reader.unknown(key, node, &SECTIONS, "section");
                continue;
            }
            reader.at(key, |reader| match key {
                Server::NAME => server.take(node, reader),
                Data::NAME => data.take(node, reader),
                Limits::NAME => limits.take(node, reader),
                Events::NAME => events.take(node, reader),
                Outbox::NAME => outbox.take(node, reader),
                History::NAME => history.take(node, reader),
                EventStore::NAME => event_store.take(node, reader),
                Log::NAME => log.take(node, reader),
                "sources" => reader.named(node, |name, node, reader| {
                    let (node, rule) = Rule::split(node);
                    let Some(source) = SourceConfig::read(&node, reader) else {
                        return;
                    };
                    reader.at(Rule::NAME, |reader| {
                        let rule = rule.and_then(|rule| Rule::read(&rule, source.place(), reader));
                        rules.extend(rule.map(|rule| (name.to_owned(), rule)));
                    });
                    sources.insert(name.to_owned(), source);
                }),
                "sinks" => reader.named(node, |name, node, reader| {
                    sinks
                        .extend(SinkConfig::read(node, reader).map(|sink| (name.to_owned(), sink)));
                }),
                _ => unreachable!("every name in SECTIONS has an arm"),
            });
        }
    }
}

const SECTIONS: [&str; 10] = [
    Server::NAME,
    Data::NAME,
    Limits::NAME,
    Events::NAME,
    Outbox::NAME,
    History::NAME,
    EventStore::NAME,
    Log::NAME,
    "sources",
    "sinks",
];

#[cfg(test)]
mod tests;
