//! Reads what `trace.c` wrote.

use std::fmt;
use std::path::Path;

use super::content::Bytes;

const MAGIC: u32 = 0x4352_544b;
const HEADER: usize = 56;
/// The result of a call that was under way when the process was killed.
const UNDECIDED: i64 = i64::MIN;

/// A change of a file or a name, or a sync.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Opened {
        path: String,
        ino: u64,
        created: bool,
        emptied: bool,
    },
    Write {
        ino: u64,
        offset: u64,
        bytes: Bytes,
    },
    /// The file has this length now; what is new is zeros.
    Length {
        ino: u64,
        length: u64,
    },
    /// The file has at least this length now.
    Allocated {
        ino: u64,
        length: u64,
    },
    Rename {
        from: String,
        to: String,
    },
    Remove {
        path: String,
    },
    Link {
        from: String,
        to: String,
    },
    MakeFolder {
        path: String,
    },
    Sync {
        ino: u64,
        data_only: bool,
    },
    Mapped {
        ino: u64,
    },
}

#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) change: Change,
    /// Whether it is known that it happened: false only for a sync that had not ended.
    pub(crate) is_done: bool,
}

impl Record {
    pub(crate) fn is_sync(&self) -> bool {
        matches!(self.change, Change::Sync { .. })
    }

    /// Whether a cut just before or after it is worth more than another.
    pub(crate) fn is_telling(&self) -> bool {
        !matches!(self.change, Change::Write { .. } | Change::Mapped { .. })
            && !matches!(self.change, Change::Opened { created: false, .. })
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.change {
            Change::Write { ino, offset, bytes } => {
                write!(
                    f,
                    "write {} bytes at {offset} of file {ino}",
                    bytes.length()
                )
            }
            other => write!(f, "{other:?}"),
        }
    }
}

/// All records of a life, oldest first, paths below `root`. Calls that failed are left out; of the one that was under way
/// at the end `root` itself tells what it did.
pub(crate) fn read(file: &Path, root: &Path) -> Vec<Record> {
    let Ok(bytes) = std::fs::read(file) else {
        // Killed before the tracer began.
        return Vec::new();
    };
    let mut records = Vec::new();
    let mut rest = bytes.as_slice();
    while let Some((raw, after)) = RawRecord::split(rest) {
        rest = after;
        records.extend(raw.record(root));
    }
    records
}

struct RawRecord<'b> {
    kind: u16,
    flags: u16,
    ino: u64,
    offset: u64,
    length: u64,
    path: &'b str,
    path_to: &'b str,
    payload: &'b [u8],
    result: i64,
}

impl<'b> RawRecord<'b> {
    /// The first record and what follows; `None` for a record that was cut off, or none.
    fn split(bytes: &'b [u8]) -> Option<(Self, &'b [u8])> {
        let (header, rest) = bytes.split_at_checked(HEADER)?;
        let short = |at: usize| u16::from_le_bytes(header[at..at + 2].try_into().unwrap());
        let word = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().unwrap());
        let long = |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().unwrap());
        assert_eq!(word(0), MAGIC, "a record begins here");
        let (path, rest) = rest.split_at_checked(word(40) as usize)?;
        let (path_to, rest) = rest.split_at_checked(word(44) as usize)?;
        let (payload, rest) = rest.split_at_checked(long(32) as usize)?;
        let text = |bytes: &'b [u8]| std::str::from_utf8(bytes).unwrap();
        let record = Self {
            kind: short(4),
            flags: short(6),
            ino: long(8),
            offset: long(16),
            length: long(24),
            path: text(path),
            path_to: text(path_to),
            payload,
            result: long(48).cast_signed(),
        };
        Some((record, rest))
    }

    fn record(&self, root: &Path) -> Option<Record> {
        let is_decided = self.result != UNDECIDED;
        if is_decided && self.result < 0 {
            return None;
        }
        let is_done = is_decided || self.is_there();
        let inside = |path: &str| {
            let inside = Path::new(path)
                .strip_prefix(root)
                .expect("it is below the root");
            inside.to_str().unwrap().to_owned()
        };
        let path = || inside(self.path);
        let (ino, flag) = (self.ino, |bit: u16| self.flags & bit != 0);
        let change = match self.kind {
            1 => Change::Opened {
                path: path(),
                ino,
                created: flag(1),
                emptied: flag(2),
            },
            2 => {
                let bytes = if flag(1) {
                    Bytes::Zeros(self.length)
                } else {
                    Bytes::Data(self.payload.into())
                };
                // A write that was under way: all of it may be there, or less.
                let length = if is_decided {
                    self.result.cast_unsigned()
                } else {
                    self.length
                };
                Change::Write {
                    ino,
                    offset: self.offset,
                    bytes: bytes.cut(length),
                }
            }
            3 => Change::Length {
                ino,
                length: self.offset,
            },
            4 => Change::Allocated {
                ino,
                length: self.offset + self.length,
            },
            5 => Change::Rename {
                from: path(),
                to: inside(self.path_to),
            },
            6 | 7 => Change::Remove { path: path() },
            8 => Change::Link {
                from: path(),
                to: inside(self.path_to),
            },
            9 => Change::MakeFolder { path: path() },
            10 => Change::Sync {
                ino,
                data_only: flag(1),
            },
            11 => Change::Mapped { ino },
            other => panic!(
                "the tracer saw a call of kind {other} on {}, which nobody can replay",
                self.path
            ),
        };
        // Of names it is known whether they changed, of a sync that it did not end; contents are looked at later.
        (is_done || matches!(self.kind, 2..=4 | 10)).then_some(Record { change, is_done })
    }

    /// Of a change of names that was the last before a kill: whether it happened.
    fn is_there(&self) -> bool {
        let exists = |path: &str| Path::new(path).symlink_metadata().is_ok();
        match self.kind {
            1 | 9 => exists(self.path),
            8 => exists(self.path_to),
            5..=7 => !exists(self.path),
            _ => false,
        }
    }
}
