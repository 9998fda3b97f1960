//! What is common to the stores that keep a record in somebody else's database.

use std::time::Duration;

use serde::de::IgnoredAny;

use super::{Record, StoreError, Version};

/// No lease is longer: a century, in milliseconds. Any date that a database counts to from now.
const LONGEST: i64 = 100 * 365 * 24 * 60 * 60 * 1000;

/// What was found, as a record: nothing, or a version with a JSON document.
pub(super) fn record(
    version: Option<i64>,
    document: Option<String>,
) -> Result<Option<Record>, StoreError> {
    match (version, document) {
        (None, None) => Ok(None),
        (Some(version), Some(document)) => {
            // serde_json's words quote nothing of the document, but say where it ends: not ours to tell.
            serde_json::from_str::<IgnoredAny>(&document)
                .map_err(|_| StoreError::corrupt("the stored document is not JSON"))?;
            Ok(Some(Record::with_version(Version::from_number(version), document)))
        }
        (Some(_), None) => Err(StoreError::corrupt("a version is stored without a document")),
        (None, Some(_)) => Err(StoreError::corrupt("a document is stored without a version")),
    }
}

/// In milliseconds, never less than asked for but for the bound.
pub(super) fn millis(ttl: Duration) -> i64 {
    i64::try_from(ttl.as_nanos().div_ceil(1_000_000)).unwrap_or(LONGEST).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_record_is_corrupt() {
        assert!(record(None, None).unwrap().is_none());
        let json = || Some(r#"{"access_token":"secret"}"#.to_owned());
        assert_eq!(record(Some(7), json()).unwrap().unwrap().version(), Version::from_number(7));
        for (version, document) in [
            (Some(7), None),
            (None, json()),
            (Some(7), Some(String::new())),
            (Some(7), Some(r#"{"access_token":"secr"#.to_owned())),
            (Some(7), Some(r#"{"access_token":"secret"} x"#.to_owned())),
        ] {
            let error = record(version, document).unwrap_err();
            assert!(error.is_corrupt());
            assert!(!format!("{error:?}").contains("secr"), "{error:?}");
        }
    }

    #[test]
    fn durations() {
        assert_eq!(millis(Duration::ZERO), 0);
        assert_eq!(millis(Duration::from_nanos(1)), 1);
        assert_eq!(millis(Duration::from_millis(300)), 300);
        assert_eq!(millis(Duration::from_secs(4_000_000_000)), LONGEST);
        assert_eq!(millis(Duration::MAX), LONGEST);
    }
}
