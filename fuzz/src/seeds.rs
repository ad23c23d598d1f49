//! Inputs to begin with: what lies in the repository, and the outside suites where they are.

use std::path::{Path, PathBuf};

/// Inputs to begin with. Duplicates and what is too long are left out by the fuzzer.
#[derive(Debug, Default)]
pub struct Seeds {
    inputs: Vec<Vec<u8>>,
    missing: Vec<String>,
}

impl Seeds {
    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[Vec<u8>] {
        &self.inputs
    }

    /// What is not on this machine, a line each.
    #[must_use]
    pub fn missing(&self) -> String {
        self.missing.join("\n")
    }

    pub fn add(&mut self, input: impl Into<Vec<u8>>) {
        self.inputs.push(input.into());
    }

    /// Every line of a text.
    pub fn lines(&mut self, text: &str) {
        text.lines()
            .filter(|line| !line.is_empty())
            .for_each(|line| self.add(line));
    }

    /// Every file below a folder of the repository whose name ends so.
    pub fn files(&mut self, folder: &str, ending: &str) {
        let found = files(&repository().join(folder), ending);
        assert!(!found.is_empty(), "{folder} has no {ending}");
        self.inputs.extend(found);
    }

    /// The files below a folder of the outside suites; nothing where it is missing, which is told.
    pub fn suite_files(&mut self, folder: &str, ending: &str) -> Vec<Vec<u8>> {
        let folder = suites().join(folder);
        let found = files(&folder, ending);
        if found.is_empty() {
            self.missing
                .push(format!("no {ending} in {}", folder.display()));
        }
        found
    }
}

fn files(folder: &Path, ending: &str) -> Vec<Vec<u8>> {
    let mut paths = Vec::new();
    collect(folder, ending, &mut paths);
    paths.sort();
    paths
        .iter()
        .map(|path| std::fs::read(path).expect("a listed file can be read"))
        .collect()
}

fn collect(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, ending, found);
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
}

/// The root of the repository.
#[must_use]
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Where the outside suites are, or would be.
fn suites() -> PathBuf {
    match std::env::var_os("KAPELLE_CONFORMANCE") {
        Some(folder) => PathBuf::from(folder),
        None => repository().join("../shared/conformance"),
    }
}

/// An input of several texts is cut at these lines.
const CUT: &str = "\n%%\n";

/// The texts of an input, if it is one.
#[must_use]
pub fn texts(input: &[u8]) -> Option<Vec<&str>> {
    Some(std::str::from_utf8(input).ok()?.split(CUT).collect())
}

/// An input of several texts.
#[must_use]
pub fn joined(texts: &[&str]) -> Vec<u8> {
    texts.join(CUT).into_bytes()
}

/// The pieces of a binary input: a kind, a length of two bytes, and so many bytes. The last one may be shorter than it says.
pub fn pieces(mut input: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let (&[kind, low, high], rest) = input.split_first_chunk::<3>()?;
        let length = usize::from(u16::from_le_bytes([low, high])).min(rest.len());
        let (piece, rest) = rest.split_at(length);
        input = rest;
        Some((kind, piece))
    })
}

/// The counterpart of [`pieces`].
pub fn put_piece(input: &mut Vec<u8>, kind: u8, piece: &[u8]) {
    let length = u16::try_from(piece.len()).expect("pieces of seeds are small");
    input.push(kind);
    input.extend(length.to_le_bytes());
    input.extend(piece);
}
