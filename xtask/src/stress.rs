//! `cargo xtask stress`: the real binary under what the world does to it.
//!
//! What takes hours or measures times is here. What kills the server, cuts its power, takes its disk, handles and clock is in
//! `crates/kapelle/tests/it`, whose checkers know what was acknowledged; `campaign` runs those for long on a release binary.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::clients::target;
use crate::run;

mod campaign;
mod events;
mod figures;
mod http;
mod judge;
mod load;
mod overload;
mod soak;

pub(crate) fn run(root: &Path, arguments: &[String]) -> anyhow::Result<()> {
    match arguments.split_first() {
        Some((first, rest)) if first == "soak" => soak::run(root, &Options::read(rest)?),
        Some((first, rest)) if first == "overload" => overload::run(root, &Options::read(rest)?),
        _ => campaign::run(root, &Options::read(arguments)?),
    }
}

/// What was asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Options {
    /// Names with their values.
    given: Vec<(String, String)>,
}

impl Options {
    /// `--name value`, any number of them.
    fn read(arguments: &[String]) -> anyhow::Result<Self> {
        let mut given = Vec::new();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let name = argument
                .strip_prefix("--")
                .with_context(|| format!("`{argument}` is no option"))?;
            let value = rest
                .next()
                .with_context(|| format!("`--{name}` needs a value"))?;
            given.push((name.to_owned(), value.clone()));
        }
        Ok(Self { given })
    }

    fn check(&self, known: &[&str]) -> anyhow::Result<()> {
        match self
            .given
            .iter()
            .find(|(name, _)| !known.contains(&name.as_str()))
        {
            Some((name, _)) => bail!("`--{name}` is not known; known are {}", known.join(", ")),
            None => Ok(()),
        }
    }

    fn text(&self, name: &str) -> Option<&str> {
        let of_name = self.given.iter().rev().find(|(given, _)| given == name);
        of_name.map(|(_, value)| value.as_str())
    }

    fn number<T: std::str::FromStr>(&self, name: &str, default: T) -> anyhow::Result<T> {
        match self.text(name) {
            None => Ok(default),
            Some(text) => text
                .parse()
                .ok()
                .with_context(|| format!("`--{name}` takes a number, not `{text}`")),
        }
    }
}

/// The release binary: the one that was named, or one that is built now.
fn server_binary(root: &Path, options: &Options) -> anyhow::Result<PathBuf> {
    if let Some(path) = options.text("binary") {
        return Ok(PathBuf::from(path));
    }
    run::program(
        Command::new("cargo")
            .args(["build", "--release", "--locked", "--package", "kapelle"])
            .current_dir(root),
    )?;
    Ok(target(root).join("release/kapelle"))
}

/// `kapelle-load`, a project of its own: the one that was named, or one that is built now.
fn load_binary(root: &Path, options: &Options) -> anyhow::Result<PathBuf> {
    if let Some(path) = options.text("load") {
        return Ok(PathBuf::from(path));
    }
    let home = root.join("bench/load");
    run::program(
        Command::new("cargo")
            .args(["build", "--release", "--locked"])
            .current_dir(&home),
    )?;
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| home.join("target"), PathBuf::from);
    Ok(target.join("release/kapelle-load"))
}

/// Where a run keeps its data and leaves its tables.
fn workshop(root: &Path) -> anyhow::Result<PathBuf> {
    let folder = root.join("build/stress");
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::Options;

    fn read(words: &[&str]) -> anyhow::Result<Options> {
        Options::read(
            &words
                .iter()
                .map(|word| (*word).to_owned())
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn options_are_names_with_values_and_the_last_one_counts() {
        let options = read(&["--minutes", "3", "--minutes", "4"]).unwrap();
        assert_eq!(options.number("minutes", 1).unwrap(), 4);
        assert_eq!(options.number("rate", 7).unwrap(), 7);
        assert!(options.number::<u32>("minutes", 1).is_ok());
        assert!(options.check(&["minutes"]).is_ok());
        assert!(options.check(&["rate"]).is_err());
    }

    #[test]
    fn what_is_no_option_or_has_no_value_is_refused() {
        assert!(read(&["minutes"]).is_err());
        assert!(read(&["--minutes"]).is_err());
        let options = read(&["--minutes", "many"]).unwrap();
        assert!(options.number("minutes", 1_u64).is_err());
    }
}
