//! What a disk was made to write. Of the whole disk, because nothing finer is true: the kernel charges a process a whole
//! large page for each block of it that became dirty, a hundred times what goes to the disk when little is synced often.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

/// The kernel counts sectors of this size whatever the disk's own are.
const SECTOR: u64 = 512;

/// Bytes written so far to the device below `folder`, after everything dirty was written; `None` where it is no disk.
pub(crate) fn written(folder: &Path) -> Option<u64> {
    let device = std::fs::metadata(folder).ok()?.dev();
    let major = (device >> 8) & 0xfff;
    let minor = (device & 0xff) | ((device >> 12) & 0xf_ff00);
    if !Command::new("sync").status().ok()?.success() {
        return None;
    }
    let stat = std::fs::read_to_string(format!("/sys/dev/block/{major}:{minor}/stat")).ok()?;
    let sectors: u64 = stat.split_whitespace().nth(6)?.parse().ok()?;
    Some(sectors * SECTOR)
}
