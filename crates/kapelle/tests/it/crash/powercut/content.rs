//! What a file holds, without its zeros: segments of the journal are 64 MiB of them.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

const BLOCK: usize = 4096;

/// Bytes of a file; a clone shares them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Content {
    length: u64,
    /// What is not here is zeros.
    blocks: BTreeMap<u64, Arc<[u8; BLOCK]>>,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Bytes {
    Zeros(u64),
    Data(Arc<[u8]>),
}

impl Bytes {
    pub(crate) fn length(&self) -> u64 {
        match self {
            Self::Zeros(length) => *length,
            Self::Data(data) => data.len() as u64,
        }
    }

    /// The first of them.
    pub(crate) fn cut(self, length: u64) -> Self {
        match self {
            Self::Zeros(all) => Self::Zeros(all.min(length)),
            Self::Data(data) => Self::Data(data[..data.len().min(length as usize)].into()),
        }
    }
}

impl Content {
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    pub(crate) fn set_length(&mut self, length: u64) {
        if length < self.length {
            // What is cut off must not come back when the file grows again.
            self.zero(length, self.length);
        }
        self.length = length;
    }

    pub(crate) fn write(&mut self, offset: u64, bytes: &Bytes) {
        self.write_part(offset, bytes, 0, bytes.length());
    }

    /// Writes the part of `bytes` from `from` to `to` where it belongs, if `bytes` begin at `offset`.
    pub(crate) fn write_part(&mut self, offset: u64, bytes: &Bytes, from: u64, to: u64) {
        if from >= to {
            return;
        }
        match bytes {
            Bytes::Zeros(_) => self.zero(offset + from, offset + to),
            Bytes::Data(data) => self.put(offset + from, &data[from as usize..to as usize]),
        }
        self.length = self.length.max(offset + to);
    }

    fn put(&mut self, mut at: u64, mut data: &[u8]) {
        while !data.is_empty() {
            let (block, inside) = (at / BLOCK as u64, (at % BLOCK as u64) as usize);
            let count = data.len().min(BLOCK - inside);
            let (now, later) = data.split_at(count);
            let bytes = self
                .blocks
                .entry(block)
                .or_insert_with(|| Arc::new([0; BLOCK]));
            Arc::make_mut(bytes)[inside..inside + count].copy_from_slice(now);
            data = later;
            at += count as u64;
        }
    }

    fn zero(&mut self, from: u64, to: u64) {
        let blocks: Vec<u64> = self
            .blocks
            .range(from / BLOCK as u64..to.div_ceil(BLOCK as u64))
            .map(|(block, _)| *block)
            .collect();
        for block in blocks {
            let begin = block * BLOCK as u64;
            let (first, last) = (
                from.saturating_sub(begin) as usize,
                (to - begin).min(BLOCK as u64) as usize,
            );
            if (first, last) == (0, BLOCK) {
                self.blocks.remove(&block);
            } else if let Some(bytes) = self.blocks.get_mut(&block) {
                Arc::make_mut(bytes)[first..last].fill(0);
            }
        }
    }

    /// Where it differs from a real file first.
    pub(crate) fn difference(&self, file: &File) -> Option<String> {
        let length = file.metadata().unwrap().len();
        if length != self.length {
            return Some(format!("has {length} bytes and not {}", self.length));
        }
        let mut found = vec![0; 256 * BLOCK];
        for start in (0..length).step_by(found.len()) {
            let count = (length - start).min(found.len() as u64) as usize;
            file.read_exact_at(&mut found[..count], start).unwrap();
            for (index, found) in found[..count].chunks(BLOCK).enumerate() {
                let block = start / BLOCK as u64 + index as u64;
                let wanted = self
                    .blocks
                    .get(&block)
                    .map_or(&[0; BLOCK], |bytes| &**bytes);
                if *found != wanted[..found.len()] {
                    return Some(format!("differs in the block at {}", block * BLOCK as u64));
                }
            }
        }
        None
    }

    /// Writes it to an empty file.
    pub(crate) fn write_to(&self, file: &File) {
        file.set_len(self.length).unwrap();
        for (block, bytes) in &self.blocks {
            let offset = block * BLOCK as u64;
            let Some(left) = self.length.checked_sub(offset) else {
                continue;
            };
            let count = left.min(BLOCK as u64) as usize;
            file.write_all_at(&bytes[..count], offset).unwrap();
        }
    }
}
