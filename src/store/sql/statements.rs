//! `Statements`: SQL that both databases understand.

use super::table_name::TableName;

pub(super) struct Statements {
    pub(super) load: String,
    pub(super) insert: String,
    pub(super) update: String,
}

impl Statements {
    pub(super) fn new(table: &TableName) -> Self {
        Self {
            // A second row means that `migrate` did not create this table.
            load: format!("SELECT version, document FROM {table} WHERE key = $1 LIMIT 2"),
            insert: format!(
                "INSERT INTO {table} (key, version, document) VALUES ($1, $2, $3) \
                 ON CONFLICT (key) DO NOTHING"
            ),
            // The count leaves two rows of one key, in a table without a primary key, unchanged.
            update: format!(
                "UPDATE {table} SET version = $2, document = $3 \
                 WHERE key = $1 AND version = $4 AND document IS NOT NULL \
                 AND (SELECT count(*) FROM {table} WHERE key = $1) = 1"
            ),
        }
    }
}
