//! A record as databases keep it: a version and a document.

use super::document;
use super::{Record, StoreError, Version};

/// Makes a record of both columns; `None` if both are empty.
pub(super) fn record(
    version: Option<i64>,
    json: Option<String>,
) -> Result<Option<Record>, StoreError> {
    match (version, json) {
        (None, None) => Ok(None),
        (Some(version), Some(json)) => {
            let version = Version::from_number(version);
            document::text(json.as_bytes())
                .map_err(|error| StoreError::corrupt(error).with_version(version))?;
            Ok(Some(Record::with_version(version, json)))
        }
        (Some(_), None) => Err(StoreError::corrupt("a version is stored without a document")),
        (None, Some(_)) => Err(StoreError::corrupt("a document is stored without a version")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_record_is_corrupt() {
        assert!(record(None, None).unwrap().is_none());
        let json = || Some(r#"{"access_token":"secret"}"#.to_owned());
        assert_eq!(record(Some(7), json()).unwrap().unwrap().version(), Version::from_number(7));
        for (version, document, replaceable) in [
            (Some(7), None, None),
            (None, json(), None),
            (Some(7), Some(String::new()), Some(7)),
            (Some(7), Some(r#"{"access_token":"secr"#.to_owned()), Some(7)),
            (Some(7), Some(r#"{"access_token":"secret"} x"#.to_owned()), Some(7)),
        ] {
            let error = record(version, document).unwrap_err();
            assert_eq!(error.version(), replaceable.map(Version::from_number));
            assert!(error.is_corrupt());
            assert!(!format!("{error:?}").contains("secr"), "{error:?}");
        }
    }
}
