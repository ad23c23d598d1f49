//! "Did you mean": the known word nearest to an unknown one.

// A swap of neighbours counts as one edit, because that is how people mistype.
use strsim::osa_distance as distance;

/// The candidate that is at most a third of the word's length away, if there is one.
pub(crate) fn closest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_swap_of_neighbours_is_one_edit() {
        assert_eq!(distance("grpc-adrdess", "grpc-address"), 1);
        assert_eq!(distance("", "abc"), 3);
    }

    #[test]
    fn a_word_far_from_all_gets_no_suggestion() {
        assert_eq!(closest("quux", ["server", "data"]), None);
        assert_eq!(closest("sever", ["server", "data"]), Some("server"));
    }
}
