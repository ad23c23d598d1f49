//! Renders the configuration: the effective one for `config show`, and the reference page.

use std::fmt::Write as _;

use super::Loaded;
use super::rule::Rule;
use super::section::{Field, Section};
use super::sections::{
    Data, EventStore, Events, History, Limits, Log, MqttSink, MqttSource, NatsSink, NatsSource,
    Outbox, RabbitmqSink, RabbitmqSource, Server, SinkConfig, SourceConfig, WebhookSink,
};
use super::tree::Tree;

/// A setting as it is in effect.
#[derive(Clone, Debug)]
pub(crate) struct Effective {
    /// `server`, or `sinks` and the sink's name.
    pub(crate) section: Vec<String>,
    pub(crate) key: String,
    /// As TOML and as JSON: they write texts, numbers and switches alike. Secrets as asterisks.
    pub(crate) value: String,
    pub(crate) origin: String,
}

/// Every setting that has a value, in the order of the manual.
pub(crate) fn effective(loaded: &Loaded) -> Vec<Effective> {
    let config = &loaded.config;
    let mut all = List {
        settings: Vec::new(),
        tree: &loaded.tree,
    };
    all.section(&[Server::NAME], config.server.fields());
    all.section(&[Data::NAME], config.data.fields());
    all.section(&[Limits::NAME], config.limits.fields());
    all.section(&[Events::NAME], config.events.fields());
    all.section(&[Outbox::NAME], config.outbox.fields());
    all.section(&[History::NAME], config.history.fields());
    all.section(&[EventStore::NAME], config.event_store.fields());
    all.section(&[Log::NAME], config.log.fields());
    for (name, source) in &config.sources {
        let fields = match source {
            SourceConfig::Mqtt(source) => source.fields(),
            SourceConfig::Nats(source) => source.fields(),
            SourceConfig::Rabbitmq(source) => source.fields(),
        };
        all.section(&["sources", name], fields);
        if let Some(rule) = config.rules.get(name) {
            all.section(&["sources", name, Rule::NAME], Rule::of(rule).fields());
        }
    }
    for (name, sink) in &config.sinks {
        let fields = match sink {
            SinkConfig::Mqtt(sink) => sink.fields(),
            SinkConfig::Nats(sink) => sink.fields(),
            SinkConfig::Rabbitmq(sink) => sink.fields(),
            SinkConfig::Webhook(sink) => sink.fields(),
        };
        all.section(&["sinks", name], fields);
    }
    all.settings
}

struct List<'a> {
    settings: Vec<Effective>,
    tree: &'a Tree,
}

impl List<'_> {
    fn section(&mut self, section: &[&str], fields: Vec<Field>) {
        for Field { key, value, .. } in fields {
            let Some(value) = value else { continue };
            let path = [section, &[key.as_str()]].concat();
            let written = self.tree.find(&path).map(|node| node.origin.to_string());
            let origin = written.unwrap_or_else(|| "default".to_owned());
            let section = section.iter().map(|name| (*name).to_owned()).collect();
            self.settings.push(Effective {
                section,
                key,
                value,
                origin,
            });
        }
    }
}

/// The effective configuration as TOML; with `origin`, a comment says where each value comes from.
pub(crate) fn show(loaded: &Loaded, origin: bool) -> String {
    let mut text = String::new();
    let mut section = Vec::new();
    for setting in effective(loaded) {
        if setting.section != section {
            let names: Vec<String> = setting.section.iter().map(|name| key(name)).collect();
            let gap = if text.is_empty() { "" } else { "\n" };
            _ = writeln!(text, "{gap}[{}]", names.join("."));
            section = setting.section;
        }
        let line = format!("{} = {}", setting.key, setting.value);
        match origin {
            true => _ = writeln!(text, "{line:<44} # {}", setting.origin),
            false => _ = writeln!(text, "{line}"),
        }
    }
    text
}

/// A key, quoted where TOML wants it.
fn key(name: &str) -> String {
    let bare = !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if bare {
        name.to_owned()
    } else {
        super::setting::quoted(name)
    }
}

/// `docs/reference/config.md`.
pub(crate) fn reference_page() -> String {
    let mut page = String::from(HEAD);
    describe::<Server>(&mut page, "server");
    describe::<Data>(&mut page, "data");
    describe::<Limits>(&mut page, "limits");
    describe::<Events>(&mut page, "events");
    describe::<Outbox>(&mut page, "outbox");
    describe::<History>(&mut page, "history");
    describe::<EventStore>(&mut page, "event-store");
    describe::<Log>(&mut page, "log");
    describe::<MqttSource>(&mut page, "sources.NAME, kind mqtt");
    describe::<MqttSink>(&mut page, "sinks.NAME, kind mqtt");
    describe::<NatsSource>(&mut page, "sources.NAME, kind nats");
    describe::<NatsSink>(&mut page, "sinks.NAME, kind nats");
    describe::<RabbitmqSource>(&mut page, "sources.NAME, kind rabbitmq");
    describe::<Rule>(&mut page, "sources.NAME.rule");
    describe::<RabbitmqSink>(&mut page, "sinks.NAME, kind rabbitmq");
    describe::<WebhookSink>(&mut page, "sinks.NAME, kind webhook");
    page
}

const HEAD: &str = "\
# Configuration

<!-- Generated from crates/kapelle/src/config/sections.rs. Do not edit: `UPDATE_EXPECT=1 cargo test -p kapelle config`. -->

`kapelle.toml` is looked for in the working directory, in `$XDG_CONFIG_HOME/kapelle/` and in `/etc/kapelle/`; the first
one is read, or the one that `--config FILE` names. The environment goes over the file: `KAPELLE_SERVER__REST_ADDRESS`
is `rest-address` of the section `server`. Flags go over both. A key that does not exist is an error.
`kapelle config show --origin` prints what is in effect and where it comes from, `kapelle config check` only judges.
";

fn describe<S: Section>(page: &mut String, title: &str) {
    _ = write!(page, "\n## `[{title}]`\n\n{}\n", paragraph(S::DOC));
    page.push_str("| key | value | default | |\n|---|---|---|---|\n");
    for field in S::default().fields() {
        let Field {
            key,
            kind,
            value,
            bounds,
            doc,
        } = field;
        let kind = bounds.map_or_else(|| kind.to_owned(), |bounds| format!("{kind}, {bounds}"));
        let value = match value.as_deref() {
            None | Some("\"\"") => "—".to_owned(),
            Some(value) => format!("`{value}`"),
        };
        _ = writeln!(
            page,
            "| `{key}` | {kind} | {value} | {} |",
            paragraph(doc).trim()
        );
    }
}

/// A doc comment without its indentation.
fn paragraph(doc: &str) -> String {
    doc.lines()
        .map(str::trim)
        .collect::<Vec<_>>()
        .join(" ")
        .trim()
        .to_owned()
        + "\n"
}
