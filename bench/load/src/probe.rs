//! What the machine can do, measured in the same run: without it no figure means anything.

use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::Failure;
use crate::histogram::Histogram;

/// Enough for a stable median, short enough not to matter.
const ROUNDS: usize = 500;

/// Time of one 4 KiB write with `fdatasync` on an already written file, as a journal does it.
pub(crate) fn sync_time(folder: &Path) -> Result<Histogram, Failure> {
    let path = folder.join(format!(".kapelle-load-probe-{}", std::process::id()));
    let mut file = OpenOptions::new()
        .create_new(true)
        .read(true)
        .write(true)
        .open(&path)?;
    let block = [0x5a_u8; 4096];
    for _ in 0..ROUNDS {
        file.write_all(&block)?;
    }
    file.sync_all()?;
    std::io::Seek::rewind(&mut file)?;
    let mut times = Histogram::default();
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        file.write_all(&block)?;
        file.sync_data()?;
        times.record(begun.elapsed());
    }
    drop(file);
    std::fs::remove_file(&path)?;
    Ok(times)
}

/// Time of one byte there and back over loopback TCP, between two threads.
pub(crate) fn round_trip() -> Result<Histogram, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let echo = std::thread::spawn(move || -> std::io::Result<()> {
        let (mut peer, _) = listener.accept()?;
        peer.set_nodelay(true)?;
        let mut byte = [0];
        for _ in 0..ROUNDS {
            peer.read_exact(&mut byte)?;
            peer.write_all(&byte)?;
        }
        Ok(())
    });
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut times = Histogram::default();
    let mut byte = [1];
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        stream.write_all(&byte)?;
        stream.read_exact(&mut byte)?;
        times.record(begun.elapsed());
    }
    echo.join().map_err(|_| "the echo thread panicked")??;
    Ok(times)
}
