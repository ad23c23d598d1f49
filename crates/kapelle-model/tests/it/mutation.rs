//! Damaged models: no input panics, hangs or is half accepted.

use kapelle_model::{Limits, SEMANTICS, compile, parse_bpmn};

/// A model with every element that runs.
const EVERYTHING: &[u8] = include_bytes!("../../testdata/everything-1.bpmn");

/// SplitMix64: a fixed seed gives the same mutations on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(limit.max(1)).expect("a length fits"))
            .expect("a remainder fits")
    }
}

fn mutate(random: &mut Random, original: &[u8]) -> Vec<u8> {
    let mut bytes = original.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        let to = (at + random.below(40)).min(bytes.len());
        match random.below(6) {
            0 => bytes[at] = b"<>\"'=&;/ \xff\x00a"[random.below(12)],
            1 => drop(bytes.drain(at..to)),
            2 => {
                let copy = bytes[at..to].to_vec();
                let place = random.below(bytes.len());
                bytes.splice(place..place, copy);
            }
            3 => swap_words(random, &mut bytes),
            4 => bytes.truncate(at),
            _ => swap_words(random, &mut bytes),
        }
        if bytes.is_empty() {
            break;
        }
    }
    bytes
}

/// Puts one quoted value or tag name in the place of another: well-formed documents with wrong content.
fn swap_words(random: &mut Random, bytes: &mut Vec<u8>) {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let words: Vec<(usize, &str)> = text
        .match_indices('"')
        .map(|(at, _)| at)
        .collect::<Vec<_>>()
        .chunks(2)
        .filter_map(|pair| match pair {
            [from, to] => Some((*from, &text[*from..*to])),
            _ => None,
        })
        .collect();
    if words.is_empty() {
        return;
    }
    let (at, old) = words[random.below(words.len())];
    let (_, new) = words[random.below(words.len())];
    let mut out = text.clone();
    out.replace_range(at..at + old.len(), new);
    *bytes = out.into_bytes();
}

#[test]
fn damaged_models_are_refused_or_sound() {
    let mut random = Random(42);
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..3_000 {
        let bytes = mutate(&mut random, EVERYTHING);
        let (bpmn, diagnostics) = parse_bpmn("m.bpmn", &bytes, &Limits::default());
        match bpmn {
            Some(bpmn) => {
                accepted += 1;
                for process in &bpmn.processes {
                    assert_sound(process);
                }
                let again = compile(&bytes, SEMANTICS).expect("accepted bytes compile");
                assert_eq!(again.processes.len(), bpmn.processes.len());
            }
            None => {
                refused += 1;
                assert!(
                    diagnostics.iter().any(|d| d.is_error() && d.line > 0),
                    "a refusal says why and where"
                );
                // Replay of what was never accepted must not panic either.
                let _ = compile(&bytes, SEMANTICS);
            }
        }
    }
    assert!(
        accepted > 50 && refused > 1_000,
        "both outcomes are exercised: {accepted} accepted, {refused} refused"
    );
}

/// The promises of `graph`'s module documentation.
fn assert_sound(process: &kapelle_model::Process) {
    use kapelle_model::graph::{ElementIndex, ElementKind};
    assert!(matches!(process.elements[0].kind, ElementKind::Process));
    for index in process.indexes() {
        let element = process.element(index);
        assert!(element.scope < index || index == ElementIndex::ROOT);
        assert_eq!(process.find(&element.id), Some(index));
        for flow in &element.outgoing {
            assert_eq!(process.flow(*flow).source, index);
        }
        for flow in &element.incoming {
            assert_eq!(process.flow(*flow).target, index);
        }
        for event in &element.boundary {
            assert_eq!(process.element(*event).scope, element.scope);
            let ElementKind::BoundaryEvent(boundary) = &process.element(*event).kind else {
                panic!("{event:?} is no boundary event")
            };
            assert_eq!(boundary.attached_to, index);
        }
        if let Some(message) = element.kind.awaited_message() {
            let message = process.message(message);
            let is_start = matches!(element.kind, ElementKind::StartEvent(_));
            assert!(if is_start {
                message.name.as_static().is_some()
            } else {
                message.correlation_key.is_some()
            });
        }
        if let ElementKind::SubProcess { start } = element.kind {
            assert_eq!(process.element(start).scope, index);
        }
    }
    for flow in &process.flows {
        assert_eq!(
            process.element(flow.source).scope,
            process.element(flow.target).scope
        );
    }
    let _ = process.to_text();
}
