//! Patterns of `LIKE`: `%` is any text, `_` any one character, a backslash takes the meaning from either.

/// A compiled pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern(Box<[Item]>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Item {
    Character(char),
    AnyCharacter,
    AnyText,
}

impl Pattern {
    pub(super) fn new(text: &str) -> Self {
        let mut items = Vec::new();
        let mut characters = text.chars().peekable();
        while let Some(character) = characters.next() {
            let escaped =
                (character == '\\').then(|| characters.next_if(|next| matches!(next, '%' | '_')));
            items.push(match (character, escaped.flatten()) {
                (_, Some(literal)) => Item::Character(literal),
                ('%', _) => Item::AnyText,
                ('_', _) => Item::AnyCharacter,
                (literal, _) => Item::Character(literal),
            });
        }
        items.dedup_by(|next, before| *next == Item::AnyText && *before == Item::AnyText);
        Self(items.into())
    }

    /// What every text that it matches begins with.
    pub(super) fn literal_prefix(&self) -> String {
        self.0
            .iter()
            .map_while(|item| match item {
                Item::Character(character) => Some(*character),
                Item::AnyCharacter | Item::AnyText => None,
            })
            .collect()
    }

    /// Goes back only to the last `%`: what was before it matched as early as it could, which is never worse.
    pub(super) fn matches(&self, text: &str) -> bool {
        let (mut item, mut rest) = (0, text.chars());
        let mut last_any: Option<(usize, std::str::Chars<'_>)> = None;
        loop {
            let mut ahead = rest.clone();
            let fits = match (self.0.get(item), ahead.next()) {
                (Some(Item::AnyText), _) => {
                    item += 1;
                    last_any = Some((item, rest.clone()));
                    continue;
                }
                (None, None) => return true,
                (Some(Item::AnyCharacter), Some(_)) => true,
                (Some(Item::Character(wanted)), Some(found)) => *wanted == found,
                _ => false,
            };
            if fits {
                item += 1;
                rest = ahead;
                continue;
            }
            let Some((after_any, begin)) = &mut last_any else {
                return false;
            };
            if begin.next().is_none() {
                return false;
            }
            item = *after_any;
            rest = begin.clone();
        }
    }
}
