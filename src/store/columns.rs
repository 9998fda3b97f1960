//! What is common to the stores that keep a record in somebody else's database.

use serde::de::IgnoredAny;

use super::{Record, StoreError, Version};

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
}
