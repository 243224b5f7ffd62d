//! The suffixes in the names of blue/green deployments.

use std::borrow::Cow;

use crate::endpoint::Endpoint;

const GREEN: &str = "-green-";
/// The letters and digits after [`GREEN`].
const RANDOM_LEN: usize = 6;

/// Returns a host name or a bare instance id without the suffix of a blue/green deployment's green
/// side.
///
/// The suffix is `-green-` and six letters or digits at the end of the id, in any case; for a
/// custom name, the first label counts as the id. Text that has no such suffix or is not a host
/// name is returned unchanged, and so is a name that would change its kind: `10-green-abc123.0.0.1`
/// would become an address.
///
/// Source: "Overview of Amazon RDS Blue/Green Deployments" in the RDS user guide, which appends the
/// suffix to the names of the green side's resources.
///
/// # Examples
///
/// ```
/// use host_pattern::without_green;
///
/// assert_eq!(without_green("orders-1-green-5jznso"), "orders-1");
/// assert_eq!(
///     without_green("orders-1-green-5jznso.abc123.us-east-2.rds.amazonaws.com"),
///     "orders-1.abc123.us-east-2.rds.amazonaws.com",
/// );
/// ```
pub fn without_green(name: &str) -> Cow<'_, str> {
    let Ok(endpoint) = Endpoint::parse(name) else { return Cow::Borrowed(name) };
    // The canonical name differs only in case and the trailing dot, so its positions hold in
    // `name`.
    match endpoint.green_suffix() {
        Some(suffix) => Cow::Owned(format!("{}{}", &name[..suffix.start], &name[suffix.end..])),
        None => Cow::Borrowed(name),
    }
}

/// Returns where the green suffix at the end of `id` starts, if something is left in front of it.
pub(crate) fn green_suffix(id: &str) -> Option<usize> {
    let start = id.len().checked_sub(GREEN.len() + RANDOM_LEN)?;
    let random = start + GREEN.len();
    let is_green = id.get(start..random)?.eq_ignore_ascii_case(GREEN)
        && id[random..].bytes().all(|byte| byte.is_ascii_alphanumeric());
    // An id may have several labels; the last one must not become empty either.
    (is_green && start > 0 && !id[..start].ends_with('.')).then_some(start)
}
