//! Suggestions for misspelt names.

/// Suggests the known name closest to an unknown one, if it is close enough.
///
/// Case, underscores and hyphens do not count, so that `iam_region` leads to `iamRegion`.
pub fn suggest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = folded(name);
    known
        .into_iter()
        .map(|candidate| (distance(&wanted, &folded(candidate)), candidate))
        // One slip, and one more for every five characters of the shorter name.
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len().min(wanted.len()) / 5)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn folded(name: &str) -> Vec<char> {
    // Longer names than any parameter's would only cost time.
    name.chars().filter(|c| !matches!(c, '_' | '-')).flat_map(char::to_lowercase).take(64).collect()
}

/// Returns the optimal string alignment distance: insertions, deletions, substitutions and
/// neighbours swapped.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let substituted = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = substituted.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
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
}
