//! `TableName`.

use std::fmt;

use crate::store::StoreError;

/// PostgreSQL truncates longer names, so two of them could mean one table.
const LONGEST: usize = 63;

/// The name of a table, with its schema if it has one. `Display` quotes it, for use in a statement.
#[derive(Debug, Clone)]
pub(super) struct TableName {
    schema: Option<String>,
    name: String,
}

impl TableName {
    /// `name`, or `schema.name`.
    pub(super) fn parse(text: &str) -> Result<Self, StoreError> {
        let (schema, name) = match text.split_once('.') {
            Some((schema, name)) => (Some(identifier(schema)?), identifier(name)?),
            None => (None, identifier(text)?),
        };
        Ok(Self { schema, name })
    }
}

impl Default for TableName {
    fn default() -> Self {
        Self { schema: None, name: "oauth_tokens".to_owned() }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(schema) = &self.schema {
            write!(f, "\"{schema}\".")?;
        }
        write!(f, "\"{}\"", self.name)
    }
}

fn identifier(text: &str) -> Result<String, StoreError> {
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let goes_on = text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if begins && goes_on && text.len() <= LONGEST {
        return Ok(text.to_owned());
    }
    Err(StoreError::config(format!(
        "not the name of a table: it is `name` or `schema.name`, each of ASCII letters, digits and \
         underscores, not beginning with a digit, of at most {LONGEST} characters: {text:?}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let long = "a".repeat(LONGEST);
        for (name, quoted) in [
            ("tokens", "\"tokens\""),
            ("_Tokens2", "\"_Tokens2\""),
            ("auth.tokens", "\"auth\".\"tokens\""),
            ("order", "\"order\""),
            (&long, &format!("\"{long}\"")),
        ] {
            assert_eq!(TableName::parse(name).unwrap().to_string(), quoted);
        }
        let longer = "a".repeat(LONGEST + 1);
        for name in [
            "", ".", "a.", ".a", "a.b.c", "a b", "a\"b", "\"a\"", "a;b", "a$$b", "2a", "a.2b", "ä",
            "a\0", "a'b", "a--", &longer,
        ] {
            assert!(TableName::parse(name).unwrap_err().is_config(), "{name:?}");
        }
    }
}
