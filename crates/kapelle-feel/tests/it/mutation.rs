//! No text makes the parser or the evaluator panic, hang or grow: the suite's expressions are cut, joined and changed by
//! chance, with a fixed seed.

use kapelle_feel::{Env, Expr, Limits, json, msgpack};

use crate::{conformance, on_a_small_stack};

/// SplitMix64.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % end.max(1) as u64) as usize
    }
}

const PIECES: &[&str] = &[
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    ".",
    "..",
    "?",
    "=",
    "<",
    ">",
    "-",
    "+",
    "*",
    "/",
    "**",
    "`",
    "\"",
    "@\"",
    "\\",
    "//",
    "/*",
    "*/",
    " in ",
    " between ",
    " and ",
    " or ",
    " not(",
    " if ",
    " then ",
    " else ",
    " for x in ",
    " return ",
    " some x in ",
    " satisfies ",
    " instance of ",
    "function(x) ",
    "partial",
    "item",
    "null",
    "1e9999",
    "0.1",
    "9999999999999999999999999999999999",
    "-1",
    "\u{0}",
    "ä",
    "🐎",
    "\u{202e}",
    "date(\"2024-02-29\")",
    "@\"P1D\"",
    "@\"PT1H@Europe/Berlin\"",
    "duration(\"P999999999Y\")",
    "list<",
    "1..3",
    "(1..10]",
    "sort(",
];

fn mutate(chance: &mut Chance, seeds: &[String]) -> String {
    let mut text: Vec<char> = seeds[chance.below(seeds.len())].chars().collect();
    for _ in 0..=chance.below(4) {
        let at = chance.below(text.len() + 1);
        match chance.below(4) {
            0 => {
                let end = (at + chance.below(6)).min(text.len());
                text.drain(at..end);
            }
            1 => {
                let piece = PIECES[chance.below(PIECES.len())].chars();
                text.splice(at..at, piece);
            }
            2 => {
                let other: Vec<char> = seeds[chance.below(seeds.len())].chars().collect();
                let cut = chance.below(other.len() + 1);
                text.splice(at.., other.into_iter().skip(cut));
            }
            _ => {
                if let Some(place) = text.get_mut(at) {
                    *place = char::from_u32(chance.below(0x250) as u32).unwrap_or('x');
                }
            }
        }
    }
    text.into_iter().collect()
}

/// From the environment, for a longer campaign than every build needs.
fn number_of(variable: &str, usual: usize) -> usize {
    let text = std::env::var_os(variable).and_then(|text| text.into_string().ok());
    text.and_then(|text| text.parse().ok()).unwrap_or(usual)
}

#[test]
fn mutated_expressions_have_an_answer() {
    let Some(assertions) = conformance::load() else {
        return;
    };
    on_a_small_stack(move || {
        let seeds: Vec<String> = assertions
            .iter()
            .map(|assertion| assertion.text.clone())
            .collect();
        let env = Env {
            limits: Limits {
                steps: 20_000,
                bytes: 1 << 20,
                depth: 200,
            },
            ..Env::default()
        };
        let mut chance = Chance(number_of("KAPELLE_FUZZ_SEED", 7) as u64);
        let (mut parsed, mut refused) = (0, 0);
        for round in 0..number_of("KAPELLE_FUZZ_ROUNDS", 20_000) {
            let text = mutate(&mut chance, &seeds);
            let expr = if round % 2 == 0 {
                Expr::parse(&text)
            } else {
                Expr::parse_unary_tests(&text)
            };
            let Ok(expr) = expr else {
                refused += 1;
                continue;
            };
            parsed += 1;
            let variables = &assertions[chance.below(assertions.len())].variables;
            if let Ok(evaluation) = expr.evaluate(variables, &env) {
                // What comes out can be stored, read back and written.
                let bytes = msgpack::to_msgpack(&evaluation.value);
                msgpack::validate(&bytes).unwrap_or_else(|error| panic!("{text}: {error}"));
                assert_eq!(
                    json::to_msgpack(json::from_msgpack(&bytes).as_bytes()).unwrap(),
                    bytes,
                    "{text}"
                );
                let again = expr.evaluate(variables, &env).unwrap();
                assert_eq!(
                    again.value.to_string(),
                    evaluation.value.to_string(),
                    "{text}"
                );
            }
        }
        assert!(
            parsed > 3_000 && refused > 3_000,
            "nothing was tried: {parsed} parsed, {refused} refused"
        );
    });
}

#[test]
fn bytes_by_chance_have_an_answer() {
    let mut chance = Chance(11);
    let mut valid = 0;
    for _ in 0..50_000 {
        let bytes: Vec<u8> = (0..chance.below(24))
            .map(|_| chance.below(256) as u8)
            .collect();
        let accepted = msgpack::validate(&bytes).is_ok();
        let decoded = msgpack::from_msgpack(&bytes);
        if accepted {
            valid += 1;
            assert!(decoded.is_ok(), "{bytes:?} is valid but cannot be read");
        }
        let _ = json::from_msgpack(&bytes);
        let _ = msgpack::entries(&bytes).count() + msgpack::items(&bytes).count();
        let _ = json::to_msgpack(&bytes);
        if let Ok(text) = std::str::from_utf8(&bytes) {
            let _ = Expr::parse(text);
        }
    }
    assert!(valid > 100, "no valid value was tried: {valid}");
}
