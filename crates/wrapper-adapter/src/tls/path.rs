//! Paths in messages.

/// Quotes a path for a message if the text looks like one: misplaced text may be a password.
pub(super) fn shown_path(path: &str) -> String {
    let is_path = path.chars().all(|c| c.is_alphanumeric() || "/\\._-~ ".contains(c) || c == ':');
    let is_short = path.len() <= 256 && path.split(['/', '\\']).all(|piece| piece.len() <= 64);
    let is_drive = path.match_indices(':').all(|(at, _)| at == 1);
    if is_path && is_short && is_drive { format!("`{path}`") } else { "a file".to_owned() }
}
