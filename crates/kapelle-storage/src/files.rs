//! The one door to the disk for everything this crate writes itself.
//!
//! Invariant: nothing but an implementation of [`Files`] touches a file system, so that a simulator can tear, lose and
//! refuse writes. fjall does its own I/O and sits behind [`crate::store::Store`] instead.
//! Deliberately absent: streams, permissions, partial reads of directories; the journal needs positioned I/O only.

mod memory;
mod os;

use std::{any::Any, fmt, io, path::Path, sync::Arc};

pub use memory::{Crash, MemFiles};
pub use os::OsFiles;

/// A directory tree on some disk.
pub trait Files: fmt::Debug + Send + Sync {
    /// Creates the directory and its parents, durably; one that exists is fine.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;

    /// The names of the files (not directories) in `dir`, sorted.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Creates a file for reading and writing; fails with `AlreadyExists`.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>>;

    /// Opens an existing file for reading and writing.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>>;

    /// Replaces `to` atomically. Durable after [`Files::sync_dir`].
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes creations, renames and removals in `dir` durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Takes the exclusive lock of the file at `path`, which is created if need be. `None`: somebody else holds it.
    fn lock(&self, path: &Path) -> io::Result<Option<Lock>>;

    /// Bytes that an unprivileged process can still write on the file system that holds `dir`.
    fn free_space(&self, dir: &Path) -> io::Result<u64>;
}

/// One open file. All methods take `&self`: readers run beside the writer.
pub trait File: fmt::Debug + Send + Sync {
    /// Reads what is there, at most `buf.len()` bytes; fewer only at the end of the file.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize>;

    /// Writes all of `bytes`. After an error any part of it may have been written.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes the content durable (`fdatasync`). After an error nothing is known of any earlier write.
    fn sync(&self) -> io::Result<()>;

    fn len(&self) -> io::Result<u64>;

    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    fn set_len(&self, len: u64) -> io::Result<()>;
}

/// Held until dropped. Keeps the locked file open to write the owner into it.
#[derive(Debug)]
pub struct Lock {
    pub file: Arc<dyn File>,
    _guard: Box<dyn Guard>,
}

/// What an implementation keeps alive while the lock is held.
trait Guard: fmt::Debug + Any + Send + Sync {}
impl<T: fmt::Debug + Any + Send + Sync> Guard for T {}

impl Lock {
    /// For implementations of [`Files::lock`].
    pub fn new<G: fmt::Debug + Any + Send + Sync>(file: Arc<dyn File>, guard: G) -> Self {
        Self {
            file,
            _guard: Box::new(guard),
        }
    }
}

/// Whether there is no room for what was to be written: on the disk, in a quota, or below a limit of file size.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

/// Reads a whole small file. Refuses one over `bytes_max`, which in our own files can only be damage.
pub(crate) fn read_small(files: &dyn Files, path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let file = files.open(path)?;
    let len = file.len()?;
    if len > bytes_max {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("{len} bytes where at most {bytes_max} are expected"),
        ));
    }
    let len = usize::try_from(len).expect("bounded by bytes_max, which is small");
    let mut bytes = vec![0; len];
    let read = file.read_at(0, &mut bytes)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// Replaces a small file so that after a crash either the old or the new content is there, whole.
/// # Errors
/// What the file system says; the old content is there then, or the new one.
pub fn replace(files: &dyn Files, dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let temporary = dir.join(format!("{name}.tmp"));
    match files.remove(&temporary) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let file = files.create(&temporary)?;
    file.write_at(0, bytes)?;
    file.sync()?;
    files.rename(&temporary, &dir.join(name))?;
    files.sync_dir(dir)
}
