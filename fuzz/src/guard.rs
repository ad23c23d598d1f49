//! Limits that libFuzzer does not watch without a sanitizer: memory, processor time, and the depth of the stack.
//!
//! **Invariant**: whatever passes a limit ends the process by a signal that libFuzzer answers by writing the input down.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(usize::MAX);

/// The system's allocator, counting.
pub struct Counting;

impl Counting {
    fn add(bytes: usize) {
        let live = LIVE.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if live > MOST.load(Ordering::Relaxed) {
            // The message takes memory, too.
            MOST.store(usize::MAX, Ordering::Relaxed);
            eprintln!(
                "MEMORY: an input took more than it may, with {bytes} bytes at once in the end"
            );
            std::process::abort();
        }
    }
}

#[expect(unsafe_code, reason = "an allocator cannot be written without")]
// SAFETY: all calls are passed to the system's allocator as they are.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::add(layout.size());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Self::add(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        Self::add(size);
        // SAFETY: as above.
        unsafe { System.realloc(place, layout, size) }
    }
}

/// Runs it with at most so much more memory than is taken now, and panics if it took longer than that on the processor.
/// Wall time would tell how busy the machine is; what waits without end is the fuzzer's to find.
pub fn watched(bytes_max: usize, cpu_ms_max: u64, run: impl FnOnce()) {
    MOST.store(LIVE.load(Ordering::Relaxed) + bytes_max, Ordering::Relaxed);
    let begun = cpu_time();
    run();
    let took = cpu_time().saturating_sub(begun);
    MOST.store(usize::MAX, Ordering::Relaxed);
    assert!(
        took <= Duration::from_millis(cpu_ms_max),
        "TIME: an input took {took:?} of processor time, {cpu_ms_max} ms are allowed"
    );
}

#[expect(
    unsafe_code,
    reason = "the standard library has no clock of processor time"
)]
fn cpu_time() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a place for the answer.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(
        time.tv_sec.unsigned_abs(),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

/// Prepares the process: a second stack for the handler of signals, so that libFuzzer can still write down the input when the
/// first one is used up; reports of panics without a limit.
#[expect(
    unsafe_code,
    reason = "the standard library does this only for its own main function"
)]
pub fn prepare() {
    const BYTES: usize = 256 * 1024;
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        // A report takes memory, too.
        MOST.store(usize::MAX, Ordering::Relaxed);
        report(panic);
    }));
    let stack = Box::leak(vec![0_u8; BYTES].into_boxed_slice());
    let alternative = libc::stack_t {
        ss_sp: stack.as_mut_ptr().cast(),
        ss_flags: 0,
        ss_size: BYTES,
    };
    // SAFETY: the stack is never freed; a zeroed action is the default one, whose flags libFuzzer keeps for its own.
    unsafe {
        libc::sigaltstack(&raw const alternative, std::ptr::null_mut());
        for signal in [libc::SIGSEGV, libc::SIGBUS] {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_flags = libc::SA_ONSTACK;
            libc::sigaction(signal, &raw const action, std::ptr::null_mut());
        }
    }
}
