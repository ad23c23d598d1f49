//! `cargo xtask sim`: campaigns of the simulator.
//!
//! Ends with an error if a run failed or if too little was exercised.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use kapelle_sim::exercised::Exercised;

const HELP: &str = "kapelle-sim [--seconds N | --minutes N] [--seed S] [--runs N]";

/// What was typed.
struct Arguments {
    time: Option<Duration>,
    seed: u64,
    runs: Option<u64>,
}

fn parse(arguments: &[String]) -> Result<Arguments, String> {
    let mut parsed = Arguments {
        time: None,
        seed: 1,
        runs: None,
    };
    for pair in arguments.chunks(2) {
        let (name, value) = match pair {
            [name, value] => (name.as_str(), value.as_str()),
            _ => return Err(HELP.to_owned()),
        };
        let number: u64 = value
            .parse()
            .map_err(|_| format!("{name} takes a number, not '{value}'\n{HELP}"))?;
        match name {
            "--seconds" => parsed.time = Some(Duration::from_secs(number)),
            "--minutes" => parsed.time = Some(Duration::from_secs(number * 60)),
            "--seed" => parsed.seed = number,
            "--runs" => parsed.runs = Some(number),
            _ => return Err(format!("there is no {name}\n{HELP}")),
        }
    }
    if parsed.time.is_none() && parsed.runs.is_none() {
        parsed.time = Some(Duration::from_secs(60));
    }
    Ok(parsed)
}

#[expect(clippy::print_stdout, reason = "it is a tool at a terminal")]
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = parse(&arguments).and_then(|arguments| {
        // Panics of this thread are findings, not accidents.
        std::thread::Builder::new()
            .name("simulation".to_owned())
            .spawn(move || campaign(&arguments))
            .map_err(|error| error.to_string())?
            .join()
            .map_err(|_| "the simulator itself panicked".to_owned())?
    });
    match result {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(text) => {
            println!("{text}");
            ExitCode::FAILURE
        }
    }
}

fn campaign(arguments: &Arguments) -> Result<String, String> {
    let began = Instant::now();
    let mut total = Exercised::default();
    for index in 0.. {
        let is_over = arguments.time.is_some_and(|time| began.elapsed() >= time)
            || arguments.runs.is_some_and(|runs| index >= runs);
        if is_over {
            break;
        }
        let seed = arguments.seed.wrapping_add(index);
        match kapelle_sim::run(seed, None) {
            Ok(exercised) => total.add(&exercised),
            Err(failure) => return Err(format!("{failure}\nafter:\n{total}")),
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    let lacks = if arguments.runs == Some(1) {
        // Somebody looks at one seed.
        Vec::new()
    } else {
        total.lacks()
    };
    if lacks.is_empty() {
        Ok(format!(
            "{total}\nin {seconds:.1} s: nothing lost, nothing doubled"
        ))
    } else {
        Err(format!(
            "{total}\ntoo little was exercised:\n  {}",
            lacks.join("\n  ")
        ))
    }
}
