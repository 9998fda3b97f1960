//! `Statements`: what is asked of the table, in the words that both databases understand.
//!
//! A row holds a record (`version` and `document`), a lease (`holder` and its times), or both. A row
//! of a lease alone is no record.

use super::table::Table;

/// The statements that are the same in both databases, and the lease, which is not.
pub(super) struct Statements {
    pub(super) load: String,
    pub(super) insert: String,
    pub(super) update: String,
    pub(super) lease: String,
    pub(super) forget: String,
    pub(super) release: String,
    pub(super) delete: String,
}

impl Statements {
    pub(super) fn new(table: &Table, lease: String) -> Self {
        Self {
            // A second row would say that the table is not the one that `migrate` creates.
            load: format!("SELECT version, document FROM {table} WHERE key = $1 LIMIT 2"),
            // A row of a lease alone becomes the record's.
            insert: format!(
                "INSERT INTO {table} AS present (key, version, document) VALUES ($1, $2, $3) \
                 ON CONFLICT (key) DO UPDATE \
                 SET version = excluded.version, document = excluded.document \
                 WHERE present.version IS NULL AND present.document IS NULL"
            ),
            // The count keeps two rows of one key, in a table without a primary key, as they are.
            update: format!(
                "UPDATE {table} SET version = $2, document = $3 \
                 WHERE key = $1 AND version = $4 AND document IS NOT NULL \
                 AND (SELECT count(*) FROM {table} WHERE key = $1) = 1"
            ),
            lease,
            forget: format!(
                "DELETE FROM {table} \
                 WHERE key = $1 AND holder = $2 AND version IS NULL AND document IS NULL"
            ),
            release: format!("UPDATE {table} SET holder = NULL WHERE key = $1 AND holder = $2"),
            delete: format!("DELETE FROM {table} WHERE key = $1"),
        }
    }
}
