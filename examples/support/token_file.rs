//! A token in a file: for its owner's eyes only, and replaced in one step.

use std::fs;
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use reqwest_oauth2::{BoxError, Token, TokenSaver};

/// The saver, and where the stored token comes from.
#[derive(Clone)]
pub(crate) struct TokenFile(pub(crate) PathBuf);

#[async_trait::async_trait]
impl TokenSaver for TokenFile {
    async fn save(&self, token: Token) -> Result<(), BoxError> {
        let (path, json) = (self.0.clone(), serde_json::to_vec(&token)?);
        Ok(tokio::task::spawn_blocking(move || replace(&path, &json)).await??)
    }
}

impl TokenFile {
    /// Better known before the provider gives out a token that cannot be kept.
    pub(crate) fn check(&self) -> Result<(), BoxError> {
        match create_beside(&self.0).and_then(|(_, temporary)| fs::remove_file(temporary)) {
            Ok(()) => Ok(()),
            Err(error) => Err(format!("{} could not be saved: {error}", self.0.display()).into()),
        }
    }

    /// The stored token; `None` where there is no file yet.
    pub(crate) fn load(&self) -> Result<Option<Token>, BoxError> {
        let shown = self.0.display();
        let json = match fs::read(&self.0) {
            Ok(json) => json,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("{shown} cannot be read: {error}").into()),
        };
        // Where it went wrong, and no more: the text of the error may repeat what is in the file.
        serde_json::from_slice(&json).map(Some).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            format!("{shown} holds no token in JSON (line {line}, column {column})").into()
        })
    }
}

/// Puts the new content in the place of the old in one step: no crash leaves half a token.
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let (mut file, temporary) = create_beside(path)?;
    let written = file
        .write_all(content)
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// An empty file in the same directory, for the eyes of its owner only.
fn create_beside(path: &Path) -> io::Result<(fs::File, PathBuf)> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    Ok((options.open(&temporary)?, temporary))
}
