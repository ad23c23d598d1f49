//! A journal on a simulated disk, and a tiny generator of random numbers.

use kapelle_storage::{
    files::MemFiles,
    journal::{self, DirectJournal, Journal, Opened, Options, Read},
    position::Sequence,
};
use std::path::{Path, PathBuf};

pub(crate) const DIR: &str = "/data/journal";

/// Segments of 16 blocks: a handful of batches fills one.
pub(crate) fn small() -> Options {
    Options {
        partition: 1,
        segment_bytes: 64 << 10,
        first_segment_bytes: 64 << 10,
        batch_bytes_max: 40 << 10,
    }
}

pub(crate) fn open(disk: &MemFiles) -> Result<Opened, journal::Error> {
    journal::open(disk.shared(), Path::new(DIR), small(), None)
}

/// Opens and takes over.
pub(crate) fn start(disk: &MemFiles) -> DirectJournal {
    let opened = open(disk).expect("the journal opens");
    DirectJournal::new(
        opened
            .announce(7, b"note")
            .expect("the journal is announced"),
    )
}

/// Appends a batch of the records, durably.
pub(crate) fn append(journal: &mut DirectJournal, records: &[&[u8]]) -> Sequence {
    submit(journal, records);
    journal.complete().expect("the batch is written").sequence
}

pub(crate) fn submit(journal: &mut DirectJournal, records: &[&[u8]]) -> Sequence {
    let mut batch = journal.batch();
    for record in records {
        batch.push(record);
    }
    journal.submit(batch).expect("the batch is taken").sequence
}

/// All records of the application with their sequences, fences left out.
pub(crate) fn read_all(reader: &dyn Read) -> Result<Vec<(u64, Vec<u8>)>, journal::Error> {
    read_from(reader, reader.first())
}

pub(crate) fn read_from(
    reader: &dyn Read,
    from: Sequence,
) -> Result<Vec<(u64, Vec<u8>)>, journal::Error> {
    let mut cursor = reader.read_from(from)?;
    let mut all = Vec::new();
    while let Some(batch) = cursor.next_batch()? {
        if batch.kind == journal::BatchKind::Records {
            all.extend(
                batch
                    .records()
                    .map(|(sequence, record)| (sequence.0, record.to_vec())),
            );
        }
    }
    Ok(all)
}

/// Only the records as text.
pub(crate) fn texts(reader: &dyn Read) -> Vec<String> {
    read_all(reader)
        .expect("the journal is readable")
        .into_iter()
        .map(|(_, record)| String::from_utf8(record).expect("records of tests are text"))
        .collect()
}

/// The segment files that were ever created, by number.
pub(crate) fn segment(number: u64) -> PathBuf {
    Path::new(DIR).join(format!("{number:08}.segment"))
}

/// splitmix64: small, and a run is a function of its seed.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// A directory of the real disk, removed in the end.
pub(crate) struct TempDir(PathBuf);

impl TempDir {
    pub(crate) fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("kapelle-storage-{}-{name}", std::process::id()));
        std::fs::remove_dir_all(&path).ok();
        std::fs::create_dir_all(&path).expect("the temporary directory is created");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}
