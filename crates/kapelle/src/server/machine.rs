//! What the machine allows a process: file handles, and the size of files.
//!
//! **Invariant**: connections never take the handles that the disk needs. A checkpoint that cannot open its file ends the
//! partition, so whoever opened enough connections could end the server (tried: 100 of them at `ulimit -n 128`).

/// Handles for the journal, the checkpoint store (which keeps 128 tables open), the search database and its queries, and
/// 64 deliveries on the way.
const FOR_THE_DISK: u64 = 384;

/// More than this many handles are of no use to us.
const HANDLES_MAX: u64 = 65_536;

/// Open connections for each listener. More workers than this on one machine are a mistake, and each costs some 20 KiB.
const CONNECTIONS_MAX: u64 = 4_096;

/// REST, gRPC, management.
const LISTENERS: u64 = 3;

/// Takes as many handles as there are and tells how many connections a listener may have open; makes a file that would grow
/// over its limit an error like any other, where the system would end the process without a word.
pub(super) fn prepare() -> usize {
    #[cfg(unix)]
    survive_size_limit();
    let connections = connections_max(handles());
    tracing::debug!(connections, "connections for each listener");
    connections
}

fn connections_max(handles: u64) -> usize {
    let for_the_disk = FOR_THE_DISK.min(handles / 2);
    let each = ((handles - for_the_disk) / LISTENERS).clamp(4, CONNECTIONS_MAX);
    usize::try_from(each).expect("a few thousand fit")
}

#[cfg(target_os = "linux")]
fn handles() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let now = current.unwrap_or(HANDLES_MAX);
    let wanted = maximum.unwrap_or(HANDLES_MAX).min(HANDLES_MAX);
    if wanted <= now {
        return now;
    }
    let raised = Rlimit {
        current: Some(wanted),
        maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => wanted,
        Err(_) => now,
    }
}

#[cfg(not(target_os = "linux"))]
fn handles() -> u64 {
    // Where the limit cannot be read: the usual one.
    1_024
}

/// `SIGXFSZ` ends a process that does not listen to it.
#[cfg(unix)]
fn survive_size_limit() {
    use tokio::signal::unix::{SignalKind, signal};
    #[cfg(target_os = "linux")]
    const SIZE_LIMIT: i32 = rustix::process::Signal::XFSZ.as_raw();
    // Of the BSDs, macOS among them.
    #[cfg(not(target_os = "linux"))]
    const SIZE_LIMIT: i32 = 25;
    // A listener once installed stays; that it hears anything is not needed.
    signal(SignalKind::from_raw(SIZE_LIMIT)).ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_disk_has_its_handles_before_connections_have_theirs() {
        for handles in [64, 128, 1_024, 4_096, HANDLES_MAX] {
            let connections = connections_max(handles) as u64 * LISTENERS;
            assert!(
                connections + FOR_THE_DISK.min(handles / 2) <= handles,
                "{handles}"
            );
        }
        assert_eq!(connections_max(1_024), 213);
        assert_eq!(connections_max(HANDLES_MAX), 4_096);
    }
}
