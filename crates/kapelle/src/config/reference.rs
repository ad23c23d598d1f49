//! Renders the configuration: the effective one for `config show`, and the reference page.

use std::fmt::Write as _;

use super::section::{Field, Section};
use super::sections::{
    Data, Events, History, Limits, Log, Outbox, RabbitmqSink, RabbitmqSource, Server, SinkConfig,
    SourceConfig, WebhookSink,
};
use super::tree::Tree;
use super::{Config, Loaded};

/// The effective configuration as TOML; with `origin`, a comment says where each value comes from.
pub(crate) fn show(loaded: &Loaded, origin: bool) -> String {
    let Config {
        server,
        data,
        limits,
        events,
        outbox,
        history,
        log,
        sources,
        sinks,
    } = &loaded.config;
    let mut page = Page {
        text: String::new(),
        tree: &loaded.tree,
        origin,
    };
    page.section(&[Server::NAME], &server.fields());
    page.section(&[Data::NAME], &data.fields());
    page.section(&[Limits::NAME], &limits.fields());
    page.section(&[Events::NAME], &events.fields());
    page.section(&[Outbox::NAME], &outbox.fields());
    page.section(&[History::NAME], &history.fields());
    page.section(&[Log::NAME], &log.fields());
    for (name, SourceConfig::Rabbitmq(source)) in sources {
        page.section(&["sources", name], &source.fields());
    }
    for (name, sink) in sinks {
        let fields = match sink {
            SinkConfig::Rabbitmq(sink) => sink.fields(),
            SinkConfig::Webhook(sink) => sink.fields(),
        };
        page.section(&["sinks", name], &fields);
    }
    page.text
}

struct Page<'a> {
    text: String,
    tree: &'a Tree,
    origin: bool,
}

impl Page<'_> {
    fn section(&mut self, path: &[&str], fields: &[Field]) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        let names: Vec<String> = path.iter().map(|name| key(name)).collect();
        self.line(&format!("[{}]", names.join(".")), None);
        for field in fields {
            let Some(value) = &field.value else { continue };
            let mut path = path.to_vec();
            path.push(&field.key);
            let origin = self
                .tree
                .find(&path)
                .map_or_else(|| "default".to_owned(), |node| node.origin.to_string());
            self.line(&format!("{} = {value}", field.key), Some(origin));
        }
    }

    fn line(&mut self, text: &str, origin: Option<String>) {
        match origin.filter(|_| self.origin) {
            Some(origin) => _ = writeln!(self.text, "{text:<44} # {origin}"),
            None => _ = writeln!(self.text, "{text}"),
        }
    }
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
    describe::<Log>(&mut page, "log");
    describe::<RabbitmqSource>(&mut page, "sources.NAME, kind rabbitmq");
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
