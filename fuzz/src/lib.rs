//! Fuzz targets for everything in Kapelle that reads bytes of others, and what all of them share.
//!
//! A [`Target`] is a function of bytes that panics when a promise is broken. `src/bin/` has a binary for each, driven by
//! libFuzzer.
//!
//! **Invariant**: a target is a function of its input: no clock, no state that one input leaves for the next.
//!
//! Deliberately absent: the fuzzer (libFuzzer), and running it (`cargo xtask fuzz`).

// Whose functions the instrumented code calls: nothing else brings them into a test.
#[cfg(test)]
use libfuzzer_sys as _;

pub mod guard;
pub mod mutate;
pub mod seeds;
pub mod targets;

/// Something that reads bytes, with its promises.
pub struct Target {
    /// That of its binary.
    pub name: &'static str,
    /// Panics when a promise is broken.
    pub run: fn(&[u8]),
    /// Inputs to begin with.
    pub seeds: fn(&mut seeds::Seeds),
    /// Words of the language, one a line.
    pub dictionary: &'static str,
    /// Longer inputs are not made.
    pub len_max: usize,
    /// Bytes that may be allocated at once while one input is read.
    pub bytes_max: usize,
    /// Processor time that one input may take.
    pub cpu_ms_max: u64,
}

impl Target {
    /// Runs one input within the limits of memory and time; ends the process where they are passed.
    pub fn run(&self, input: &[u8]) {
        guard::watched(self.bytes_max, self.cpu_ms_max, || (self.run)(input));
    }

    /// Where the environment asks for it, writes what the runner has to know into that directory, and ends the process:
    /// `seeds/`, `dictionary`, `options`, and in `skipped` what seeds would have been taken from.
    pub fn describe_if_asked(&self) {
        let Some(dir) = std::env::var_os("KAPELLE_FUZZ_DESCRIBE") else {
            return;
        };
        let result = self.describe(std::path::Path::new(&dir));
        std::process::exit(match result {
            Ok(()) => 0,
            Err(error) => {
                eprintln!("failed to describe {}: {error}", self.name);
                1
            }
        });
    }

    fn describe(&self, dir: &std::path::Path) -> std::io::Result<()> {
        let mut seeds = seeds::Seeds::default();
        (self.seeds)(&mut seeds);
        let folder = dir.join("seeds");
        std::fs::create_dir_all(&folder)?;
        for (number, seed) in seeds.all().iter().enumerate() {
            std::fs::write(folder.join(format!("seed-{number:04}")), seed)?;
        }
        std::fs::write(dir.join("skipped"), seeds.missing())?;
        std::fs::write(dir.join("dictionary"), mutate::dictionary(self.dictionary))?;
        std::fs::write(dir.join("options"), format!("-max_len={}\n", self.len_max))
    }
}

/// The binary of a target.
#[macro_export]
macro_rules! fuzz {
    ($target:path) => {
        #[global_allocator]
        static ALLOCATOR: kapelle_fuzz::guard::Counting = kapelle_fuzz::guard::Counting;

        libfuzzer_sys::fuzz_target!(
            init: {
                kapelle_fuzz::guard::prepare();
                $target.describe_if_asked();
            },
            |input: &[u8]| {
                $target.run(input);
            }
        );

        libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max: usize, seed: u32| {
            match kapelle_fuzz::mutate::mutate(&data[..size], max, seed) {
                Some(mutated) => {
                    data[..mutated.len()].copy_from_slice(&mutated);
                    mutated.len()
                }
                None => libfuzzer_sys::fuzzer_mutate(data, size, max),
            }
        });
    };
}
