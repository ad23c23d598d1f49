//! Which installation this is: a UUID that belongs to the data directory, in its file `cluster-id`.
//!
//! Clients see it in the topology, and receivers in the `source` of what processes publish: two installations must not
//! publish under the same source and id, or a receiver would take one's CloudEvents for repeats of the other's.
//!
//! **Invariant**: once written it never changes. It is written only while the directory is locked, before anything uses it
//! that outlives the process.

use std::fs;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;
use std::path::{Path, PathBuf};

use kapelle_storage::files::{self, OsFiles};

use super::ServeError;

const FILE: &str = "cluster-id";

/// The id of a data directory.
pub(super) struct ClusterId {
    path: PathBuf,
    pub(super) id: String,
    is_new: bool,
}

impl ClusterId {
    /// As it is in the file, or a new one that is not kept yet.
    pub(super) fn of(dir: &Path) -> Result<Self, ServeError> {
        let path = dir.join(FILE);
        let (id, is_new) = match fs::read_to_string(&path) {
            Ok(text) => (text.trim().to_owned(), false),
            // Also where there is no directory: it is for those to say who open it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => (random_uuid(), true),
            Err(source) => return Err(ServeError::ClusterId { path, source }),
        };
        if !is_uuid(&id) {
            let source = io::Error::new(io::ErrorKind::InvalidData, "it does not hold a UUID");
            return Err(ServeError::ClusterId { path, source });
        }
        Ok(Self { path, id, is_new })
    }

    /// Writes a new one down. The directory is locked.
    pub(super) fn keep(&self) -> Result<(), ServeError> {
        if !self.is_new {
            return Ok(());
        }
        let dir = self.path.parent().unwrap_or(Path::new("."));
        // Whole or not at all: a half-written id would keep the server from starting.
        let text = format!("{}\n", self.id);
        files::replace(&*OsFiles::shared(), dir, FILE, text.as_bytes()).map_err(|source| {
            ServeError::ClusterId {
                path: self.path.clone(),
                source,
            }
        })
    }
}

fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    let is_hex = |group: &&str| group.bytes().all(|byte| byte.is_ascii_hexdigit());
    lengths == [8, 4, 4, 4, 12] && groups.iter().all(is_hex)
}

/// Version 4. It has to differ from others', not to be a secret: the seeds of the standard library's hash maps will do.
fn random_uuid() -> String {
    let half = || u128::from(RandomState::new().build_hasher().finish());
    let version_and_variant = 0x4000 << 64 | 0x8 << 60;
    let unset = !(0xf000 << 64 | 0xc << 60);
    let bits = (half() << 64 | half()) & unset | version_and_variant;
    let hex = format!("{bits:032x}");
    let group = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    [(0, 8), (8, 12), (12, 16), (16, 20), (20, 32)]
        .map(|(from, to)| group(from, to))
        .join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_id_is_a_uuid_of_version_4_and_another_one_each_time() {
        let (one, two) = (random_uuid(), random_uuid());
        assert_ne!(one, two);
        for id in [&one, &two] {
            assert!(is_uuid(id), "{id}");
            assert_eq!(id.as_bytes()[14], b'4', "{id}");
            assert!(b"89ab".contains(&id.as_bytes()[19]), "{id}");
        }
    }

    #[test]
    fn what_is_no_uuid_is_refused() {
        for text in ["", "default", "0000000-00000-4000-8000-000000000000"] {
            assert!(!is_uuid(text), "{text}");
        }
    }
}
