//! Names of types, as people say them.

/// `soloop::sources::generic::Generic<std::fs::File>` is `Generic<File>` for short.
pub(crate) fn without_paths(type_name: &str) -> String {
    let mut short = String::new();
    let mut word = 0;
    let mut chars = type_name.chars().peekable();
    while let Some(c) = chars.next() {
        if c == ':' && chars.next_if_eq(&':').is_some() {
            short.truncate(word);
        } else {
            short.push(c);
            if !(c.is_alphanumeric() || c == '_') {
                word = short.len();
            }
        }
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_names_lose_their_paths() {
        let short = without_paths("a::b::Generic<c::d::File, (e::F, &mut [g::H])>");
        assert_eq!(short, "Generic<File, (F, &mut [H])>");
        assert_eq!(without_paths("Timer"), "Timer");
    }
}
