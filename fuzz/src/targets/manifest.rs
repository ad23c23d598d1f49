//! The small files that say what a data directory is: manifests of checkpoints, and the format.

use std::path::Path;

use kapelle_storage::dir::{DataDir, RoomLimits};
use kapelle_storage::files::MemFiles;
use kapelle_storage::position::{Chain, Sequence};
use kapelle_storage::store::Manifest;

use super::{KIB, MIB};
use crate::Target;
use crate::seeds::Seeds;

/// The first byte says whether the checksum of a manifest is put right, which no mutation would do.
pub const MANIFEST: Target = Target {
    name: "manifest",
    run,
    seeds,
    dictionary: "KPLM\nkapelle data directory, format \n1\n18446744073709551616",
    len_max: KIB,
    bytes_max: MIB,
    cpu_ms_max: 300,
};

fn run(input: &[u8]) {
    let Some((kind, bytes)) = input.split_first() else {
        return;
    };
    if kind % 3 == 0 {
        return format(bytes);
    }
    let mut bytes = bytes.to_vec();
    if kind % 3 == 1
        && let Some(at) = bytes.len().checked_sub(4)
    {
        let crc = crc32c::crc32c(&bytes[..at]);
        bytes[at..].copy_from_slice(&crc.to_le_bytes());
    }
    if let Ok((number, manifest)) = Manifest::decode(&bytes, Path::new("m")) {
        let written = manifest.encode(number);
        let again = Manifest::decode(&written, Path::new("m")).expect("a manifest is read again");
        assert_eq!(again, (number, manifest));
    }
}

fn format(text: &[u8]) {
    let dir = Path::new("/data");
    let disk = MemFiles::new();
    let files = disk.shared();
    files.create_dir(dir).expect("a disk in memory has room");
    let file = files
        .create(&dir.join("FORMAT"))
        .expect("a disk in memory has room");
    file.write_at(0, text).expect("a disk in memory has room");
    drop(DataDir::open(files, dir, RoomLimits::default()));
}

fn seeds(seeds: &mut Seeds) {
    let manifest = Manifest {
        replay_from: Sequence(17),
        cut: Sequence(40),
        max_position: Sequence(99),
        chain: Chain(0x1234_5678_9abc_def0),
        lineage: 7,
        record_format: 1,
        semantics: 1,
    };
    for kind in [1, 2] {
        seeds.add([&[kind], &manifest.encode(3)[..]].concat());
        seeds.add([&[kind], &Manifest::default().encode(u64::MAX)[..]].concat());
    }
    seeds.add([&[0], &b"kapelle data directory, format 1\n"[..]].concat());
}
