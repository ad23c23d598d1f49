//! What of a store is safe, and what of the journal it needs.
//!
//! Two generations are kept in two slots, written in turns: a damaged newer one leaves the older, which only means to
//! replay more. Each is written aside, synced, renamed, and the directory synced.
//!
//! Layout (little endian): magic "KPLM", format (4), number (8), replay from (8), cut (8), max position (8), chain (8),
//! lineage (16), record format (4), model semantics (4), CRC32C of all before (4).

use super::Error;
use crate::{
    files::{self, Files},
    format::{array_at, put, u32_at, u64_at, u128_at},
    position::{Chain, Sequence},
};
use std::{
    io,
    path::{Path, PathBuf},
};

const MAGIC: [u8; 4] = *b"KPLM";
const FORMAT: u32 = 1;
const BYTES: usize = 80;
const CRC_AT: usize = BYTES - 4;
const SLOTS: [&str; 2] = ["manifest-0", "manifest-1"];

/// Where replay begins, and what the store is known to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Manifest {
    /// Replaying from this record on brings every target up to date.
    pub replay_from: Sequence,
    /// The position of the indexes.
    pub cut: Sequence,
    /// The newest position that anything in the store reflects: it has to be in the journal.
    pub max_position: Sequence,
    /// The journal's chain at `max_position`.
    pub chain: Chain,
    /// Drawn anew when a snapshot is restored, so that receivers of the outbox can tell.
    pub lineage: u128,
    /// The newest format of records and blobs in here.
    pub record_format: u32,
    /// The semantics version of the definition model.
    pub semantics: u32,
}

impl Manifest {
    /// The bytes of the manifest with that number.
    #[must_use]
    pub fn encode(&self, number: u64) -> [u8; BYTES] {
        let mut out = [0; BYTES];
        put(&mut out, 0, MAGIC);
        put(&mut out, 4, FORMAT.to_le_bytes());
        put(&mut out, 8, number.to_le_bytes());
        put(&mut out, 16, self.replay_from.0.to_le_bytes());
        put(&mut out, 24, self.cut.0.to_le_bytes());
        put(&mut out, 32, self.max_position.0.to_le_bytes());
        put(&mut out, 40, self.chain.0.to_le_bytes());
        put(&mut out, 48, self.lineage.to_le_bytes());
        put(&mut out, 64, self.record_format.to_le_bytes());
        put(&mut out, 68, self.semantics.to_le_bytes());
        let crc = crc32c::crc32c(&out[..CRC_AT]);
        put(&mut out, CRC_AT, crc.to_le_bytes());
        out
    }

    /// Number and manifest of these bytes; `file` is for messages.
    ///
    /// # Errors
    /// They are damaged, or of a newer format.
    pub fn decode(bytes: &[u8], file: &Path) -> Result<(u64, Self), Error> {
        let damaged = |why: &str| Error::Manifest {
            file: file.to_owned(),
            why: why.to_owned(),
        };
        // A newer format may be longer, but begins alike and ends with the checksum.
        if bytes.len() < BYTES || array_at::<4>(bytes, 0) != MAGIC {
            return Err(damaged("it is no manifest"));
        }
        let crc_at = bytes.len() - 4;
        if crc32c::crc32c(&bytes[..crc_at]) != u32_at(bytes, crc_at) {
            return Err(damaged("its checksum does not match"));
        }
        let format = u32_at(bytes, 4);
        if format > FORMAT {
            return Err(Error::NewerFormat {
                file: file.to_owned(),
                found: format,
                supported: FORMAT,
            });
        }
        let manifest = Self {
            replay_from: Sequence(u64_at(bytes, 16)),
            cut: Sequence(u64_at(bytes, 24)),
            max_position: Sequence(u64_at(bytes, 32)),
            chain: Chain(u64_at(bytes, 40)),
            lineage: u128_at(bytes, 48),
            record_format: u32_at(bytes, 64),
            semantics: u32_at(bytes, 68),
        };
        Ok((u64_at(bytes, 8), manifest))
    }
}

/// The two slots of a store.
#[derive(Debug)]
pub(crate) struct Manifests {
    dir: PathBuf,
    current: Option<(u64, Manifest)>,
    previous: Option<(u64, Manifest)>,
    /// A slot that could not be read, if the other one could.
    pub(crate) damaged: Option<PathBuf>,
}

impl Manifests {
    pub(crate) fn open(files: &dyn Files, dir: &Path) -> Result<Self, Error> {
        let mut found = Vec::new();
        let mut failed = None;
        for slot in SLOTS {
            let path = dir.join(slot);
            match files::read_small(files, &path, 4096) {
                Ok(bytes) => match Manifest::decode(&bytes, &path) {
                    Ok(numbered) => found.push(numbered),
                    Err(error @ Error::Manifest { .. }) => failed = Some((path, error)),
                    Err(error) => return Err(error),
                },
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => {
                    return Err(Error::Io {
                        attempt: "read",
                        path,
                        source,
                    });
                }
            }
        }
        found.sort_by_key(|(number, _)| *number);
        let current = found.pop();
        match failed {
            // Written in turns and renamed whole: a first manifest cannot be damaged without the disk's help.
            Some((_, error)) if current.is_none() => Err(error),
            failed => Ok(Self {
                dir: dir.to_owned(),
                current,
                previous: found.pop(),
                damaged: failed.map(|(path, _)| path),
            }),
        }
    }

    pub(crate) fn current(&self) -> Option<Manifest> {
        self.current.map(|(_, manifest)| manifest)
    }

    pub(crate) fn previous(&self) -> Option<Manifest> {
        self.previous.map(|(_, manifest)| manifest)
    }

    /// 0 before the first.
    pub(crate) fn number(&self) -> u64 {
        self.current.map_or(0, |(number, _)| number)
    }

    /// What comes after the current one. The caller makes persistent what it speaks of, writes it, and replaces.
    pub(crate) fn next(&self, manifest: Manifest) -> Next {
        let number = self.number() + 1;
        Next {
            dir: self.dir.clone(),
            number,
            manifest,
        }
    }

    pub(crate) fn replace(&mut self, next: Next) {
        self.previous = self.current.replace((next.number, next.manifest));
    }
}

/// A manifest on its way to disk.
#[derive(Debug)]
pub(crate) struct Next {
    dir: PathBuf,
    pub(crate) number: u64,
    manifest: Manifest,
}

impl Next {
    pub(crate) fn write(&self, files: &dyn Files) -> Result<(), Error> {
        // Parity by number: the slot of the older one is overwritten.
        let slot = SLOTS[usize::from(self.number % 2 == 1)];
        files::replace(files, &self.dir, slot, &self.manifest.encode(self.number)).map_err(
            |source| Error::Io {
                attempt: "write",
                path: self.dir.join(slot),
                source,
            },
        )
    }
}
