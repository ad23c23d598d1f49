//! The variables of an instance.

/// Variables of about that many bytes as JSON, with a key of their own. Many small members rather than one long text:
/// that is what real variables look like and what a codec has to work for.
pub fn variables(key: &str, bytes: usize) -> String {
    let mut text = format!("{{\"key\":\"{key}\"");
    let mut member = 0;
    while text.len() + 40 < bytes {
        text.push_str(&format!(
            ",\"field{member}\":\"value of field {member:06}\""
        ));
        member += 1;
    }
    text.push('}');
    text
}
