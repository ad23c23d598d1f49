//! Base copies: an older state of a fjall directory to go back to if the live one does not open again.
//!
//! A copy is made right after a flush, when everything is in immutable tables, which are hard-linked; what is small is
//! copied. fjall's own log is left out (all of it is in the tables). A compaction may run meanwhile, so each tree is
//! linked between two looks at its `current` file: if both name the same version, the tables of that version were all
//! there, because fjall never removes a table of the current version.
//!
//! Invariant: a directory with the name of a base is whole and synced (it was renamed last). Deliberately absent:
//! [`crate::files::Files`]; these are fjall's files, which it reads and writes by itself.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

const BASE_PREFIX: &str = "base-";
const BROKEN_PREFIX: &str = "broken-";
const HALF_MADE: &str = "half-made";
const TREES: &str = "keyspaces";
const CURRENT: &str = "current";
const LOCK: &str = "lock";
/// Where a tree keeps what never changes.
const IMMUTABLE: [&str; 2] = ["tables", "blobs"];
/// Compactions change a tree a few times a second at most.
const ATTEMPTS: usize = 100;
/// The last base may turn out to be damaged like the live store, so the one before is kept too.
pub(super) const BASES_KEPT: usize = 2;

/// The bases in a store's directory, oldest first.
pub(super) fn list(dir: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    numbered(dir, BASE_PREFIX)
}

fn numbered(dir: &Path, prefix: &str) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let number = entry
            .file_name()
            .to_str()
            .and_then(|name| name.strip_prefix(prefix)?.parse().ok());
        if let Some(number) = number {
            found.push((number, entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

/// Copies the flushed fjall directory `live` to a new base in `dir` and gives up the oldest. Says whether it did: on a
/// full disk the bases there are have to do, at the price of more journal.
pub(super) fn keep(dir: &Path, live: &Path) -> io::Result<bool> {
    let bases = list(dir)?;
    let number = bases.last().map_or(1, |(number, _)| number + 1);
    match link(live, dir, &dir.join(format!("{BASE_PREFIX}{number}"))) {
        Err(error) if crate::files::is_full(&error) => {
            fs::remove_dir_all(dir.join(HALF_MADE))?;
            return Ok(false);
        }
        result => result?,
    }
    let too_many = (bases.len() + 1).saturating_sub(BASES_KEPT);
    for (_, path) in bases.iter().take(too_many) {
        fs::remove_dir_all(path)?;
    }
    Ok(true)
}

/// Puts a copy of the base in the place of `live`, which is not there.
pub(super) fn restore(dir: &Path, base: &Path, live: &Path) -> io::Result<()> {
    link(base, dir, live)
}

/// Moves a store that does not open out of the way; nothing of it is deleted.
pub(super) fn set_aside(dir: &Path, live: &Path) -> io::Result<Option<PathBuf>> {
    if !live.try_exists()? {
        return Ok(None);
    }
    let number = numbered(dir, BROKEN_PREFIX)?
        .last()
        .map_or(1, |(number, _)| number + 1);
    let aside = dir.join(format!("{BROKEN_PREFIX}{number}"));
    fs::rename(live, &aside)?;
    sync_dir(dir)?;
    Ok(Some(aside))
}

/// Makes `to` a whole copy of the fjall directory `from`, or nothing.
fn link(from: &Path, dir: &Path, to: &Path) -> io::Result<()> {
    let half = dir.join(HALF_MADE);
    if half.try_exists()? {
        fs::remove_dir_all(&half)?;
    }
    fs::create_dir(&half)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_file() && is_wanted(&entry.file_name()) {
            copy(&entry.path(), &half.join(entry.file_name()))?;
        }
    }
    // fjall wants to find the file that it locks.
    File::create(half.join(LOCK))?.sync_all()?;
    // Without any log fjall would take itself for new and count from zero again; with an empty one it looks what its
    // tables hold.
    File::create(half.join("0.jnl"))?.sync_all()?;
    let trees = half.join(TREES);
    fs::create_dir(&trees)?;
    for entry in fs::read_dir(from.join(TREES))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            link_tree(&entry.path(), &trees.join(entry.file_name()))?;
        }
    }
    sync_dir(&trees)?;
    sync_dir(&half)?;
    fs::rename(&half, to)?;
    sync_dir(dir)
}

/// Not fjall's logs, its lock, or what is being written.
fn is_wanted(name: &std::ffi::OsStr) -> bool {
    let path = Path::new(name);
    let unwanted = ["jnl", "tmp"];
    name != LOCK
        && path
            .extension()
            .is_none_or(|extension| unwanted.iter().all(|other| extension != *other))
}

fn link_tree(from: &Path, to: &Path) -> io::Result<()> {
    for _ in 0..ATTEMPTS {
        let before = fs::read(from.join(CURRENT))?;
        fs::create_dir(to)?;
        let linked = link_version(from, to, &before);
        let unchanged = fs::read(from.join(CURRENT))? == before;
        match linked {
            Ok(()) if unchanged => return sync_dir(to),
            Err(error) if unchanged => return Err(error),
            _ => fs::remove_dir_all(to)?,
        }
    }
    Err(io::Error::other("the tree changed each time it was copied"))
}

fn link_version(from: &Path, to: &Path, current: &[u8]) -> io::Result<()> {
    // `current` begins with the number of the version file it names.
    let number = current
        .first_chunk::<8>()
        .map(|bytes| u64::from_le_bytes(*bytes))
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "`current` names no version"))?;
    let version = format!("v{number}");
    // Copied, not linked: fjall may write a version file of the same name anew, in place.
    copy(&from.join(&version), &to.join(&version))?;
    for folder in IMMUTABLE {
        let source = from.join(folder);
        if !source.try_exists()? {
            continue;
        }
        let target = to.join(folder);
        fs::create_dir(&target)?;
        for entry in fs::read_dir(&source)? {
            let entry = entry?;
            match link_or_copy(&entry.path(), &target.join(entry.file_name())) {
                // Removed meanwhile: then `current` has changed, or it was not of this version.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                result => result?,
            }
        }
        sync_dir(&target)?;
    }
    let file = to.join(CURRENT);
    fs::write(&file, current)?;
    File::open(&file)?.sync_all()
}

/// Some file systems have no hard links; a copy costs time and room but is as good.
fn link_or_copy(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::Unsupported
                    | io::ErrorKind::PermissionDenied
                    | io::ErrorKind::TooManyLinks
            ) =>
        {
            copy(from, to)
        }
        result => result,
    }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::copy(from, to)?;
    File::open(to)?.sync_all()
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
