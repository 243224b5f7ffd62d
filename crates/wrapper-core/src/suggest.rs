//! Suggestions for misspelt names.

use strsim::osa_distance;

/// Suggests the known name closest to an unknown one, if it is close enough.
///
/// Case, underscores and hyphens do not count, so that `iam_region` leads to `iamRegion`.
pub fn suggest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = folded(name);
    let length = wanted.chars().count();
    known
        .into_iter()
        .map(|candidate| (osa_distance(&wanted, &folded(candidate)), candidate))
        // One slip, and one more for every five characters of the shorter name.
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len().min(length) / 5)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn folded(name: &str) -> String {
    // Longer names than any parameter's would only cost time.
    name.chars().filter(|c| !matches!(c, '_' | '-')).flat_map(char::to_lowercase).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_name_is_found_through_typos_case_and_underscores() {
        let known = ["iamHost", "iamRegion", "password", "iamTokenExpiration"];

        assert_eq!(suggest("passwrod", known), Some("password"));
        assert_eq!(suggest("iam_region", known), Some("iamRegion"));
        assert_eq!(suggest("IAMHOST", known), Some("iamHost"));
        assert_eq!(suggest("colour", known), None);
        assert_eq!(suggest("", known), None);
    }

    #[test]
    fn name_of_any_script_and_length_is_compared_by_characters() {
        assert_eq!(suggest("pässwörd", ["password"]), Some("password"));
        assert_eq!(suggest("ééééé", ["a"]), None);
        assert_eq!(suggest(&"x".repeat(100_000), ["password"]), None);
    }
}
