//! Statements as tokens, to compare them regardless of blanks, case and schema qualifiers.

/// Writes a statement's tokens with one blank between them: words in lower case, texts as they are,
/// without `pg_catalog.` and with `OPERATOR(…)` as the bare operator.
pub(crate) fn canonical(sql: &str) -> String {
    let tokens = tokens(sql);
    let mut kept = Vec::with_capacity(tokens.len());
    let mut rest = &tokens[..];
    while let Some((token, tail)) = rest.split_first() {
        let is = |at: usize, text: &str| tail.get(at).is_some_and(|token| token == text);
        if token == "pg_catalog" && is(0, ".") {
            rest = &tail[1..];
        } else if token == "operator" && is(0, "(") {
            // The closing parenthesis of `OPERATOR(pg_catalog.=)` is dropped too.
            let end = tail.iter().position(|token| token == ")").unwrap_or(tail.len());
            kept.extend(tail[1..end].iter().rfind(|token| !matches!(token.as_str(), "pg_catalog" | ".")));
            rest = tail.get(end + 1..).unwrap_or_default();
        } else {
            kept.push(token);
            rest = tail;
        }
    }
    while kept.last().is_some_and(|token| *token == ";") {
        kept.pop();
    }
    kept.iter().map(|token| token.as_str()).collect::<Vec<_>>().join(" ")
}

/// Splits a query string at the semicolons that are not in a quoted text; empty statements are left
/// out.
pub(crate) fn split(sql: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut quote) = (0, None);
    for (at, byte) in sql.bytes().enumerate() {
        match (quote, byte) {
            (None, b'\'' | b'"' | b'`') => quote = Some(byte),
            (Some(open), _) if open == byte => quote = None,
            (None, b';') => {
                parts.push(&sql[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&sql[start..]);
    parts.into_iter().map(str::trim).filter(|part| !part.is_empty()).collect()
}

/// Splits a canonical select list at the commas that stand outside of parentheses.
pub(crate) fn items(list: &str) -> Vec<String> {
    let mut items = vec![String::new()];
    let mut depth = 0;
    for token in tokens(list) {
        match token.as_str() {
            "," if depth == 0 => {
                items.push(String::new());
                continue;
            }
            "(" => depth += 1,
            ")" => depth -= 1,
            _ => {}
        }
        // The list always has a last item.
        if let Some(item) = items.last_mut() {
            if !item.is_empty() {
                item.push(' ');
            }
            item.push_str(&token);
        }
    }
    items
}

/// Returns the first word in lower case, after comments and opening parentheses.
pub(crate) fn verb(sql: &str) -> String {
    let mut sql = sql;
    loop {
        sql = sql.trim_start_matches(|c: char| c.is_whitespace() || c == '(');
        let Some(comment) = sql.strip_prefix("/*") else { break };
        sql = comment.split_once("*/").map_or("", |(_, rest)| rest);
    }
    sql.chars().take_while(char::is_ascii_alphabetic).collect::<String>().to_ascii_lowercase()
}

/// Returns whether a statement with this first word changes data, so that a reader refuses it.
pub(crate) fn is_write(verb: &str) -> bool {
    const WRITES: [&str; 10] =
        ["alter", "create", "delete", "drop", "grant", "insert", "merge", "replace", "truncate", "update"];
    WRITES.contains(&verb)
}

fn tokens(sql: &str) -> Vec<String> {
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '@' | '$');
    let is_operator = |c: char| "<>=!:|~".contains(c);
    let mut tokens = Vec::new();
    let mut rest = sql.trim_start();
    while let Some(first) = rest.chars().next() {
        let end = match first {
            '\'' => rest[1..].find('\'').map_or(rest.len(), |end| end + 2),
            '"' | '`' => rest[1..].find(first).map_or(rest.len(), |end| end + 2),
            _ if is_word(first) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            _ if is_operator(first) => rest.find(|c| !is_operator(c)).unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        let token = &rest[..end];
        tokens.push(match first {
            '\'' => token.to_owned(),
            '"' | '`' => token.trim_matches(first).to_owned(),
            _ => token.to_lowercase(),
        });
        rest = rest[end..].trim_start();
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn qualified_and_unqualified_statements_are_the_same() {
        let plain = "select SERVER_ID from aurora_replica_status() where session_id = 'MASTER_SESSION_ID'";
        let qualified = "SELECT SERVER_ID\n FROM pg_catalog.aurora_replica_status( ) \
                         WHERE SESSION_ID OPERATOR(pg_catalog.=) 'MASTER_SESSION_ID';";
        assert_eq!(canonical(plain), canonical(qualified));
        assert_eq!(
            canonical(plain),
            "select server_id from aurora_replica_status ( ) where session_id = 'MASTER_SESSION_ID'"
        );
        assert_ne!(canonical("SELECT 'a'"), canonical("SELECT 'A'"));
    }

    #[test]
    fn malformed_statement_has_tokens() {
        for text in
            ["", ";", "'", "\"", "operator(", "operator", "pg_catalog.", "ü'ü", "SELECT 'a", "(((", "\0"]
        {
            canonical(text);
            split(text);
            items(text);
            verb(text);
        }
        assert_eq!(canonical(" ; "), "");
    }

    #[test]
    fn query_string_is_split_outside_of_texts() {
        assert_eq!(split("SELECT 'a;b'; ; SET x = \"c;\";"), ["SELECT 'a;b'", "SET x = \"c;\""]);
        assert_eq!(split(" ; "), <[&str; 0]>::default());
    }

    #[test]
    fn select_list_is_split_outside_of_parentheses() {
        assert_eq!(items("cpu , coalesce ( lag , 0 )"), ["cpu", "coalesce ( lag , 0 )"]);
    }

    #[test]
    fn verb_is_found_behind_comments() {
        assert_eq!(verb("  /* a */ ( Select 1)"), "select");
        assert_eq!(verb("/* a *//* b */ UPDATE x"), "update");
        assert_eq!(verb("(select 1)"), "select");
    }
}
