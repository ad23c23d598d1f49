//! Changes to inputs that know what texts are made of: brackets that belong together, quoted texts, numbers, elements, lines.
//!
//! Half of all changes are libFuzzer's own (bytes, its dictionary, what comparisons wanted); these here keep an input
//! well-formed while its meaning changes, which bytes alone hardly ever do.

/// Numbers at which something ends.
const NUMBERS: [&str; 14] = [
    "0",
    "-1",
    "1",
    "2147483647",
    "2147483648",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551616",
    "0.1",
    "1e9",
    "1e308",
    "1e400",
    "9999999999999999999999999999999999",
    "-0",
];

/// The changed input, or `None` to leave it to libFuzzer.
#[must_use]
pub fn mutate(input: &[u8], max: usize, seed: u32) -> Option<Vec<u8>> {
    let mut chance = Chance(u64::from(seed) << 8 | 1);
    if input.is_empty() || chance.below(2) == 0 {
        return None;
    }
    let mut output = input.to_vec();
    for _ in 0..=chance.below(2) {
        output = change(&output, &mut chance)?;
    }
    (!output.is_empty() && output.len() <= max && output != input).then_some(output)
}

fn change(input: &[u8], chance: &mut Chance) -> Option<Vec<u8>> {
    let kind = chance.below(6);
    let places = match kind {
        0 => brackets(input),
        1 => quoted(input),
        2 => elements(input),
        3 => lines(input),
        4 => words(input),
        _ => numbers(input),
    };
    // Binary inputs have no structure that these know.
    let (from, to) = *places.get(chance.below(places.len()))?;
    let mut output = input.to_vec();
    if kind == 5 {
        let number = NUMBERS[chance.below(NUMBERS.len())];
        output.splice(from..to, number.bytes());
        return Some(output);
    }
    let (other_from, other_to) = places[chance.below(places.len())];
    match chance.below(5) {
        // Another one in its place.
        0 | 1 => drop(output.splice(from..to, input[other_from..other_to].iter().copied())),
        // Twice.
        2 => drop(output.splice(to..to, input[from..to].iter().copied())),
        // Gone.
        3 => drop(output.drain(from..to)),
        // Inside of itself, a few times: what has no limit on nesting shows.
        _ => {
            let (head, tail) = input[from..to].split_at((to - from) / 2);
            let times = 1 + chance.below(8);
            let nested = [head.repeat(times), tail.repeat(times)].concat();
            output.splice(from..to, nested);
        }
    }
    Some(output)
}

/// From an opening bracket to the one that closes it.
fn brackets(input: &[u8]) -> Vec<(usize, usize)> {
    let mut open = Vec::new();
    let mut found = Vec::new();
    for (at, byte) in input.iter().enumerate() {
        match byte {
            b'(' | b'[' | b'{' => open.push(at),
            b')' | b']' | b'}' => found.extend(open.pop().map(|from| (from, at + 1))),
            _ => {}
        }
    }
    found
}

/// What stands between quotes.
fn quoted(input: &[u8]) -> Vec<(usize, usize)> {
    let marks: Vec<usize> = (0..input.len()).filter(|at| input[*at] == b'"').collect();
    marks
        .chunks_exact(2)
        .map(|pair| (pair[0] + 1, pair[1]))
        .collect()
}

/// `<a …/>` and `<a …>…</a>`.
fn elements(input: &[u8]) -> Vec<(usize, usize)> {
    let mut open = Vec::new();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(from) = position(input, at, b'<') {
        let Some(to) = position(input, from, b'>') else {
            break;
        };
        match (input.get(from + 1), input[to - 1]) {
            (Some(b'/'), _) => found.extend(open.pop().map(|begin| (begin, to + 1))),
            (_, b'/') => found.push((from, to + 1)),
            (Some(b'?' | b'!'), _) => {}
            _ => open.push(from),
        }
        at = to + 1;
    }
    found
}

fn lines(input: &[u8]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(to) = position(input, from, b'\n') {
        found.push((from, to + 1));
        from = to + 1;
    }
    found
}

fn words(input: &[u8]) -> Vec<(usize, usize)> {
    runs(input, |byte| {
        byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
    })
}

fn numbers(input: &[u8]) -> Vec<(usize, usize)> {
    runs(input, |byte| byte.is_ascii_digit())
}

fn runs(input: &[u8], belongs: impl Fn(u8) -> bool) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut from = None;
    for (at, byte) in input.iter().chain(std::iter::once(&b' ')).enumerate() {
        match (from, belongs(*byte)) {
            (None, true) => from = Some(at),
            (Some(begin), false) => {
                found.push((begin, at));
                from = None;
            }
            _ => {}
        }
    }
    found
}

fn position(input: &[u8], from: usize, byte: u8) -> Option<usize> {
    Some(from + input.get(from..)?.iter().position(|other| *other == byte)?)
}

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

/// Words, one a line, as libFuzzer wants them.
#[must_use]
pub fn dictionary(words: &str) -> String {
    let mut text = String::new();
    for word in words.lines().filter(|word| !word.is_empty()) {
        text.push('"');
        for byte in word.bytes() {
            match byte {
                b'"' | b'\\' => text.extend(['\\', char::from(byte)]),
                0x20..0x7f => text.push(char::from(byte)),
                _ => text.push_str(&format!("\\x{byte:02X}")),
            }
        }
        text.push_str("\"\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_together_is_found() {
        let shown = |find: fn(&[u8]) -> Vec<(usize, usize)>, text: &str| {
            find(text.as_bytes())
                .into_iter()
                .map(|(from, to)| text[from..to].to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(shown(brackets, "a(b[c])d"), ["[c]", "(b[c])"]);
        assert_eq!(shown(quoted, r#"x="a" y="b""#), ["a", "b"]);
        assert_eq!(
            shown(elements, "<a><b c='1'/>t</a>"),
            ["<b c='1'/>", "<a><b c='1'/>t</a>"]
        );
        assert_eq!(shown(lines, "a\nb\nc"), ["a\n", "b\n"]);
        assert_eq!(shown(numbers, "a12+3"), ["12", "3"]);
    }

    #[test]
    fn inputs_are_changed_and_stay_within_their_length() {
        let input = b"if a[1] > 2 then {\"b\": \"c\"} else f(\"d\", 3)\n<x><y/></x>";
        let changed = (0..1_000)
            .filter_map(|seed| mutate(input, 200, seed))
            .collect::<Vec<_>>();
        assert!(changed.len() > 300, "{}", changed.len());
        assert!(
            changed
                .iter()
                .all(|output| output.len() <= 200 && output != input)
        );
        let different: std::collections::BTreeSet<_> = changed.iter().collect();
        assert!(different.len() > 100, "{}", different.len());
    }

    #[test]
    fn a_dictionary_is_quoted() {
        assert_eq!(
            dictionary("a\n\"b\"\n\nä\n"),
            "\"a\"\n\"\\\"b\\\"\"\n\"\\xC3\\xA4\"\n"
        );
    }
}
