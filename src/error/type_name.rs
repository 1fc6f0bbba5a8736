//! Names of types, as people say them.

/// `soloop::sources::generic::Generic<std::fs::File>` is `Generic<File>` for short.
pub(crate) fn without_paths(type_name: &str) -> String {
    let ends_path = |c: char| !(c.is_alphanumeric() || c == '_' || c == ':');
    let paths = type_name.split_inclusive(ends_path);
    paths.filter_map(|path| path.rsplit("::").next()).collect()
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
