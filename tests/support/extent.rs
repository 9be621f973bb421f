//! How far a test goes: a little in every run, and as far as an environment variable says in a long one.

/// Returns how often something is done: as often as the variable says, or as usual.
pub(crate) fn times(variable: &str, usual: u64) -> u64 {
    std::env::var_os(variable).map_or(usual, |times| times.to_str().unwrap().parse().unwrap())
}
