//! Segments of the journal: opened, read to the end, taken over, written on, and opened again.

use std::path::Path;
use std::sync::Arc;

use kapelle_storage::files::{Files, MemFiles};
use kapelle_storage::format::{BLOCK, BatchHeader, SegmentHeader};
use kapelle_storage::journal::{
    self, BatchKind, DirectJournal, Journal as _, Opened, Options, Read,
};
use kapelle_storage::position::{Chain, Point, Sequence};

use super::{KIB, MIB};
use crate::Target;
use crate::seeds::{Seeds, pieces, put_piece};

/// An input is pieces. What no mutation would ever hit, checksums and the chain, is put in by [`write`], unless the kind says
/// not to.
pub const JOURNAL: Target = Target {
    name: "journal",
    run,
    seeds,
    dictionary: "KPLS\nKPLB",
    len_max: 8 * KIB,
    bytes_max: 64 * MIB,
    cpu_ms_max: 1_000,
};

const DIR: &str = "/data/journal";

/// Begins a file; the bytes are its name's digits, or nothing for the next number.
const FILE: u8 = 0;
/// A header of a segment, with its checksum.
const SEGMENT: u8 = 1;
/// A batch with its checksums, continuing the chain of the one before.
const BATCH: u8 = 2;
/// A batch with its checksums, but with the chain that it says itself.
const UNCHAINED: u8 = 3;
/// Bytes as they are.
const KINDS: u8 = 5;

fn options() -> Options {
    Options {
        partition: 1,
        segment_bytes: 64 << 10,
        first_segment_bytes: 64 << 10,
        batch_bytes_max: 40 << 10,
    }
}

fn run(input: &[u8]) {
    let disk = MemFiles::new();
    write(&disk, input);
    let Ok(opened) = open(&disk) else {
        return;
    };
    // Asked before anything is changed.
    drop(opened.check(opened.end()));
    drop(opened.check(Point {
        sequence: Sequence(u64::MAX),
        chain: Chain(0),
    }));
    drop(opened.check_reaches(Sequence(1)));
    let first = opened.reader().first();
    let before = read(&*opened.reader(), first);
    let Ok(announced) = opened.announce(7, b"note") else {
        return;
    };
    let mut journal = DirectJournal::new(announced);
    let mut batch = journal.batch();
    batch.push(b"written behind what was found");
    let Ok(_) = journal.submit(batch) else {
        return;
    };
    let Ok(end) = journal.complete() else {
        return;
    };
    drop(journal);
    // What was readable is, and what was written behind it, too.
    let Ok(mut records) = before else {
        return;
    };
    let opened = open(&disk)
        .unwrap_or_else(|error| panic!("what was taken over is not opened again: {error}"));
    assert_eq!(opened.end(), end);
    opened.check(end).expect("the end is the end");
    let after = read(&*opened.reader(), first)
        .unwrap_or_else(|error| panic!("what was taken over is not read again: {error}"));
    records.push((end.sequence, b"written behind what was found".to_vec()));
    assert_eq!(after, records);
}

fn open(disk: &MemFiles) -> Result<Opened, journal::Error> {
    journal::open(disk.shared(), Path::new(DIR), options(), None)
}

/// All records but the fences, from `from` on.
fn read(reader: &dyn Read, from: Sequence) -> Result<Vec<(Sequence, Vec<u8>)>, journal::Error> {
    let mut all = Vec::new();
    let mut cursor = reader.read_from(from)?;
    let mut last = None;
    while let Some(batch) = cursor.next_batch()? {
        assert!(last < Some(batch.first), "sequences go on");
        last = Some(batch.last());
        let records = batch
            .records()
            .map(|(sequence, record)| (sequence, record.to_vec()));
        if batch.kind == BatchKind::Records {
            all.extend(records);
        }
    }
    Ok(all)
}

/// Makes the files that an input describes.
fn write(disk: &MemFiles, input: &[u8]) {
    let files = disk.shared();
    files
        .create_dir(Path::new(DIR))
        .expect("a disk in memory has room");
    let mut writer = Writer {
        files,
        files_made: 0,
        file: None,
        offset: 0,
        before: Point::default(),
    };
    for (kind, bytes) in pieces(input) {
        writer.piece(kind % KINDS, bytes);
    }
}

struct Writer {
    files: Arc<dyn Files>,
    files_made: u64,
    file: Option<Arc<dyn kapelle_storage::files::File>>,
    offset: u64,
    before: Point,
}

impl Writer {
    fn piece(&mut self, kind: u8, bytes: &[u8]) {
        match kind {
            FILE => self.begin(bytes),
            SEGMENT => {
                let mut header = padded(bytes);
                // Generation, first sequence and epoch.
                [16, 24, 48]
                    .into_iter()
                    .for_each(|at| keep_countable(&mut header, at));
                sign(&mut header, *b"KPLS");
                if let Ok(segment) = SegmentHeader::decode(&header) {
                    self.before = Point {
                        sequence: segment.first.before(),
                        chain: segment.chain_before,
                    };
                }
                self.block(&header);
            }
            BATCH | UNCHAINED => self.batch(kind, bytes),
            _ => self.block(bytes),
        }
    }

    fn begin(&mut self, digits: &[u8]) {
        self.files_made += 1;
        let name = match std::str::from_utf8(digits) {
            Ok(digits)
                if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) =>
            {
                digits.to_owned()
            }
            _ => format!("{:08}", self.files_made),
        };
        let path = Path::new(DIR).join(format!("{name}.segment"));
        if let Ok(file) = self.files.create(&path) {
            self.file = Some(file);
            self.offset = 0;
        }
    }

    /// Everything begins at a block.
    fn block(&mut self, bytes: &[u8]) {
        if self.file.is_none() {
            self.begin(&[]);
        }
        let file = self.file.as_ref().expect("it was made above");
        let length = (bytes.len() as u64).next_multiple_of(BLOCK).max(BLOCK);
        file.set_len(self.offset + length)
            .expect("a disk in memory has room");
        file.write_at(self.offset, bytes)
            .expect("a disk in memory has room");
        self.offset += length;
    }

    fn batch(&mut self, kind: u8, bytes: &[u8]) {
        let (header, payload) = bytes.split_at(bytes.len().min(96));
        let mut header = padded(header);
        header[8..12].copy_from_slice(
            &u32::try_from(payload.len())
                .expect("pieces are small")
                .to_le_bytes(),
        );
        header[20..24].copy_from_slice(&crc32c::crc32c(payload).to_le_bytes());
        [24, 32, 56]
            .into_iter()
            .for_each(|at| keep_countable(&mut header, at));
        if kind == BATCH {
            header[56..64].copy_from_slice(&self.before.sequence.next().0.to_le_bytes());
            header[64..72].copy_from_slice(&self.before.chain.0.to_le_bytes());
        }
        self.before = sign_batch(&mut header);
        self.block(&[&header, payload].concat());
    }
}

fn padded(bytes: &[u8]) -> [u8; 96] {
    let mut header = [0; 96];
    let length = bytes.len().min(96);
    header[..length].copy_from_slice(&bytes[..length]);
    header
}

/// Numbers near the end of all numbers are refused by the format; what is left has to have room to count on.
fn keep_countable(header: &mut [u8; 96], at: usize) {
    header[at + 6..at + 8].fill(0);
}

fn sign(header: &mut [u8; 96], magic: [u8; 4]) {
    header[..4].copy_from_slice(&magic);
    header[4] = 1;
    let crc = crc32c::crc32c(&header[..92]);
    header[92..].copy_from_slice(&crc.to_le_bytes());
}

/// Puts in the chain, which `decode` wants to be right, and the checksum. Where the batch ends.
fn sign_batch(header: &mut [u8; 96]) -> Point {
    let long = |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().expect("eight bytes"));
    let short = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().expect("four bytes"));
    let mut batch = BatchHeader {
        kind: if header[5] == 2 {
            BatchKind::LeaderAnnounced
        } else {
            BatchKind::Records
        },
        payload_bytes: short(8),
        count: short(12),
        partition: short(16),
        payload_crc: short(20),
        generation: long(24),
        leader: kapelle_storage::position::Leader {
            epoch: long(32),
            incarnation: u128::from(long(40)) | u128::from(long(48)) << 64,
        },
        first: Sequence(long(56)),
        chain_before: Chain(long(64)),
        chain: Chain(0),
        durable: Sequence(long(80)),
    };
    batch.chain = batch.compute_chain();
    *header = batch.encode();
    Point {
        sequence: batch.last(),
        chain: batch.chain,
    }
}

/// Real journals, taken apart.
fn seeds(seeds: &mut Seeds) {
    for incarnations in 1..4_u64 {
        let disk = MemFiles::new();
        for incarnation in 0..incarnations {
            let opened = open(&disk).expect("a journal in memory opens");
            let announced = opened
                .announce(u128::from(incarnation) + 7, b"note")
                .expect("it is taken over");
            let mut journal = DirectJournal::new(announced);
            for number in 0..3 * incarnations {
                let mut batch = journal.batch();
                for _ in 0..=number {
                    batch.push(format!("record {number}").as_bytes());
                }
                journal.submit(batch).expect("there is room");
                journal.complete().expect("there is room");
            }
        }
        seeds.add(describe(&*disk.shared()));
    }
}

fn describe(files: &dyn Files) -> Vec<u8> {
    let mut input = Vec::new();
    let mut piece = |kind: u8, bytes: &[u8]| put_piece(&mut input, kind, bytes);
    for name in files.list(Path::new(DIR)).expect("the directory is there") {
        piece(FILE, name.trim_end_matches(".segment").as_bytes());
        let file = files
            .open(&Path::new(DIR).join(&name))
            .expect("it was listed");
        let mut bytes =
            vec![0; usize::try_from(file.len().expect("it is open")).expect("it is small")];
        file.read_at(0, &mut bytes).expect("it is open");
        let block = usize::try_from(BLOCK).expect("a block is small");
        for block in bytes.chunks(block) {
            if block.starts_with(b"KPLS") {
                piece(SEGMENT, &block[..96]);
            } else if let Ok(header) = BatchHeader::decode(block) {
                piece(BATCH, &block[..96 + header.payload_bytes as usize]);
            }
        }
    }
    input
}
