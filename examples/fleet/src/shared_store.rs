//! The store that the processes share.

use std::path::Path;
use std::sync::Arc;

use clap::ValueEnum;
use reqwest_oauth2::BoxError;
use reqwest_oauth2::store::{FileStore, PostgresStore, RedisStore, SqliteStore, TokenStore};
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub(crate) enum StoreName {
    File,
    Sqlite,
    Postgres,
    Redis,
}

/// Where it is, for each process to open it by itself.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Place {
    name: StoreName,
    /// A directory, a file, or a URL.
    at: String,
}

impl StoreName {
    /// A new one, what is in files in that directory; or what is missing for it.
    pub(crate) fn place(self, directory: &Path) -> Result<Place, String> {
        let server = |variable: &str| {
            std::env::var(variable).map_err(|_| {
                format!(
                    "{variable} is not set; tests/stores/run COMMAND starts servers and sets it"
                )
            })
        };
        let file = |name: &str| directory.join(name).to_string_lossy().into_owned();
        let at = match self {
            Self::File => file("tokens"),
            Self::Sqlite => file("tokens.sqlite"),
            Self::Postgres => server("POSTGRES_URL")?,
            Self::Redis => server("REDIS_URL")?,
        };
        Ok(Place { name: self, at })
    }
}

impl Place {
    pub(crate) async fn open(&self) -> Result<Arc<dyn TokenStore>, BoxError> {
        Ok(match self.name {
            StoreName::File => Arc::new(FileStore::directory(&self.at)),
            StoreName::Sqlite => {
                let store = SqliteStore::open(&self.at).await?;
                store.migrate().await?;
                Arc::new(store)
            }
            StoreName::Postgres => {
                let pool = sqlx::postgres::PgPoolOptions::new().max_connections(4);
                let store = PostgresStore::new(pool.connect(&self.at).await?);
                store.migrate().await?;
                Arc::new(store)
            }
            StoreName::Redis => {
                let client = redis::Client::open(self.at.as_str())?;
                Arc::new(RedisStore::new(client.get_connection_manager().await?))
            }
        })
    }
}
