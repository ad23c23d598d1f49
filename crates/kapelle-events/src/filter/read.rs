//! Filters as they are written: JSON in the shape of the CloudEvents Subscriptions API, with two languages more.

use kapelle_feel::{Context, Expr, Value};

use super::pattern::Pattern;
use super::{Filter, Sql};
use crate::document::{Read, refuse};

/// Filters in each other; matching recurses as deep.
const DEPTH_MAX: usize = 32;

/// Filters in one.
const FILTERS_MAX: usize = 1_000;

const LANGUAGES: [&str; 9] = [
    "exact", "prefix", "suffix", "all", "any", "not", "sql", "pattern", "feel",
];

impl Filter {
    /// Reads a filter: an object with one language as its key, or a list of such, all of which are to be passed.
    ///
    /// ```
    /// use kapelle_events::filter::Filter;
    /// use kapelle_feel::json;
    /// let document = json::to_value(r#"{"any": [{"exact": {"type": "a"}}, {"sql": "subject LIKE 'x%'"}]}"#).unwrap();
    /// assert!(Filter::from_value(&document).is_ok());
    /// let error = Filter::from_value(&json::to_value(r#"{"exakt": {"type": "a"}}"#).unwrap()).unwrap_err();
    /// assert_eq!(error.to_string(), "filter: \"exakt\" is no filter language, did you mean \"exact\"?");
    /// ```
    ///
    /// # Errors
    /// The first place that is wrong.
    pub fn from_value(document: &Value) -> Read<Self> {
        let mut reader = Reader { filters: 0 };
        reader.filter(document, "filter", 0)
    }
}

struct Reader {
    filters: usize,
}

impl Reader {
    fn filter(&mut self, document: &Value, at: &str, depth: usize) -> Read<Filter> {
        self.filters += 1;
        if self.filters > FILTERS_MAX {
            return refuse(
                at,
                format!("a filter consists of at most {FILTERS_MAX} filters"),
            );
        }
        if depth > DEPTH_MAX {
            return refuse(at, format!("filters are nested more than {DEPTH_MAX} deep"));
        }
        match document {
            Value::List(_) => self.list(document, at, depth).map(Filter::All),
            Value::Context(context) => match context.entries() {
                [(language, body)] => {
                    self.language(language, body, &format!("{at}.{language}"), at, depth)
                }
                entries => refuse(
                    at,
                    format!(
                        "a filter is an object with one language as its key, this one has {}",
                        entries.len()
                    ),
                ),
            },
            other => refuse(
                at,
                format!(
                    "a filter is an object or a list of them, found {}",
                    other.type_name()
                ),
            ),
        }
    }

    fn language(
        &mut self,
        language: &str,
        body: &Value,
        at: &str,
        outer: &str,
        depth: usize,
    ) -> Read<Filter> {
        Ok(match language {
            "exact" => Filter::Exact(attributes(body, at)?),
            "prefix" => Filter::Prefix(attributes(body, at)?),
            "suffix" => Filter::Suffix(attributes(body, at)?),
            "all" => Filter::All(self.some(body, at, depth)?),
            "any" => Filter::Any(self.some(body, at, depth)?),
            "not" => Filter::Not(Box::new(self.filter(body, at, depth + 1)?)),
            "sql" => Filter::Sql(sql(text(body, at)?, at)?),
            "pattern" => Filter::Pattern(pattern(body, at)?),
            "feel" => Filter::Feel(feel(text(body, at)?, at)?),
            _ => return refuse(outer, unknown(language)),
        })
    }

    fn some(&mut self, body: &Value, at: &str, depth: usize) -> Read<Vec<Filter>> {
        match body.as_list() {
            Some(list) if list.is_empty() => refuse(at, "at least one filter is needed"),
            Some(_) => self.list(body, at, depth),
            None => refuse(
                at,
                format!("a list of filters is needed, found {}", body.type_name()),
            ),
        }
    }

    fn list(&mut self, body: &Value, at: &str, depth: usize) -> Read<Vec<Filter>> {
        let items = body
            .as_list()
            .map(|list| list.as_slice())
            .unwrap_or_default();
        items
            .iter()
            .enumerate()
            .map(|(place, item)| self.filter(item, &format!("{at}[{place}]"), depth + 1))
            .collect()
    }
}

fn text<'v>(body: &'v Value, at: &str) -> Read<&'v str> {
    match body.as_str() {
        Some(text) if !text.trim().is_empty() => Ok(text),
        Some(_) => refuse(at, "the expression is empty"),
        None => refuse(at, format!("a text is needed, found {}", body.type_name())),
    }
}

fn attributes(body: &Value, at: &str) -> Read<Vec<(Box<str>, Box<str>)>> {
    let entries = body.as_context().map(Context::entries).unwrap_or_default();
    if entries.is_empty() {
        return refuse(
            at,
            "an object of attribute names and texts is needed, with one at least",
        );
    }
    let attribute = |(name, value): &(kapelle_feel::Text, Value)| {
        let well_named = name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        match value.as_str() {
            _ if !well_named || name == "data" => {
                let why = format!(
                    "\"{name}\" is no attribute; names are lower-case letters and digits, and data is for pattern and feel"
                );
                refuse(at, why)
            }
            Some("") => refuse(
                &format!("{at}.{name}"),
                "the text is empty, and no attribute is",
            ),
            Some(text) => Ok((Box::from(name.as_str()), Box::from(text))),
            None => refuse(
                &format!("{at}.{name}"),
                format!("a text is needed, found {}", value.type_name()),
            ),
        }
    };
    entries.iter().map(attribute).collect()
}

fn sql(text: &str, at: &str) -> Read<Sql> {
    let sql = Sql::parse(text).or_else(|error| refuse(at, error.to_string()))?;
    match sql.unknown_functions().first() {
        Some(name) => refuse(
            at,
            format!("CESQL has no function {name} with these arguments"),
        ),
        None => Ok(sql),
    }
}

fn pattern(body: &Value, at: &str) -> Read<Pattern> {
    Pattern::from_value(body).or_else(|error| refuse(&format!("{at}{}", error.at), error.why))
}

fn feel(text: &str, at: &str) -> Read<Expr> {
    Expr::parse(text).or_else(|error| refuse(at, error.to_string()))
}

fn unknown(language: &str) -> String {
    let alike = LANGUAGES
        .into_iter()
        .min_by_key(|known| strsim::levenshtein(known, language));
    match alike.filter(|known| strsim::levenshtein(known, language) <= 2) {
        Some(known) => format!("\"{language}\" is no filter language, did you mean \"{known}\"?"),
        None => format!(
            "\"{language}\" is no filter language; there are {}",
            LANGUAGES.join(", ")
        ),
    }
}
