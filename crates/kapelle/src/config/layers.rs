//! Reads the layers into one tree: file, then environment, then flags; each overwrites what is below.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::error::Error;
use super::tree::{Node, Origin, Raw, Tree};

/// One setting given on the command line.
#[derive(Clone, Debug)]
pub(crate) struct Flag {
    /// Dotted: `server.rest-address`.
    pub(crate) key: &'static str,
    /// As the user typed it: `--port`.
    pub(crate) name: &'static str,
    pub(crate) value: String,
}

/// What is to be read. Plain data: tests give their own environment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layers {
    /// `--config`: must exist.
    pub(crate) file: Option<PathBuf>,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) flags: Vec<Flag>,
    /// Where a file is looked for when none is given; the first that exists is read.
    pub(crate) search: Vec<PathBuf>,
}

const PREFIX: &str = "KAPELLE_";

impl Layers {
    /// The process's own environment and the usual places.
    pub(crate) fn of_process(file: Option<PathBuf>, flags: Vec<Flag>) -> Self {
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self {
            file,
            environment,
            flags,
            search: places(
                std::env::var_os("XDG_CONFIG_HOME"),
                std::env::var_os("HOME"),
            ),
        }
    }

    pub(super) fn read(&self) -> Result<Tree, Error> {
        let mut tree = match self
            .file
            .as_ref()
            .or_else(|| self.search.iter().find(|path| path.is_file()))
        {
            Some(path) => read_file(path)?,
            None => Tree::default(),
        };
        for (name, value) in &self.environment {
            // Only names with a section: `KAPELLE_ADDRESS` and its like belong to the client.
            let Some((section, key)) = name
                .strip_prefix(PREFIX)
                .and_then(|rest| rest.split_once("__"))
            else {
                continue;
            };
            let path = format!("{section}__{key}")
                .to_ascii_lowercase()
                .replace("__", ".")
                .replace('_', "-");
            let path: Vec<&str> = path.split('.').collect();
            let origin = Origin::Environment(name.as_str().into());
            tree.set(
                &path,
                Node {
                    raw: Raw::Text(value.clone()),
                    origin,
                },
            );
        }
        for flag in &self.flags {
            let path: Vec<&str> = flag.key.split('.').collect();
            tree.set(
                &path,
                Node {
                    raw: Raw::Text(flag.value.clone()),
                    origin: Origin::Flag(flag.name.into()),
                },
            );
        }
        Ok(tree)
    }
}

fn places(config_home: Option<OsString>, home: Option<OsString>) -> Vec<PathBuf> {
    let config_home = config_home
        .map(PathBuf::from)
        .or_else(|| home.map(|home| Path::new(&home).join(".config")));
    let mut places = vec![PathBuf::from("kapelle.toml")];
    places.extend(config_home.map(|home| home.join("kapelle/kapelle.toml")));
    places.push(PathBuf::from("/etc/kapelle/kapelle.toml"));
    places
}

fn read_file(path: &Path) -> Result<Tree, Error> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    let file = File {
        path: Arc::new(path.to_owned()),
        text: &text,
    };
    let table = DeTable::parse(&text).map_err(|error| {
        let (line, column) = file.place(error.span().map_or(0, |span| span.start));
        let message = error.message().to_owned();
        Error::Syntax {
            path: path.to_owned(),
            line,
            column,
            message,
        }
    })?;
    Ok(file.table(table.get_ref()))
}

struct File<'a> {
    path: Arc<PathBuf>,
    text: &'a str,
}

impl File<'_> {
    fn table(&self, table: &DeTable<'_>) -> Tree {
        let entries = table.iter().map(|(key, value)| {
            let (line, _) = self.place(key.span().start);
            (key.get_ref().to_string(), self.node(value.get_ref(), line))
        });
        Tree(entries.collect())
    }

    // The depth is TOML's own: its parser refuses deeper nesting than it can build.
    fn node(&self, value: &DeValue<'_>, line: usize) -> Node {
        let raw = match value {
            DeValue::String(text) => Raw::Text(text.to_string()),
            DeValue::Integer(number) => Raw::Number(number.to_string()),
            DeValue::Float(number) => Raw::Number(number.to_string()),
            DeValue::Boolean(value) => Raw::Bool(*value),
            DeValue::Datetime(time) => Raw::Text(time.to_string()),
            DeValue::Array(items) => Raw::List(
                items
                    .iter()
                    .map(|item| self.node(item.get_ref(), line))
                    .collect(),
            ),
            DeValue::Table(table) => Raw::Table(self.table(table)),
        };
        Node {
            raw,
            origin: Origin::File {
                path: Arc::clone(&self.path),
                line,
            },
        }
    }

    /// Line and column, from 1.
    fn place(&self, offset: usize) -> (usize, usize) {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before
            .rsplit('\n')
            .next()
            .map_or(0, |rest| rest.chars().count())
            + 1;
        (line, column)
    }
}
