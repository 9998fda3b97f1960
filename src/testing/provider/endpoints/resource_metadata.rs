use serde_json::{Value, json};

use crate::testing::provider::state::Shared;

/// The API's document (RFC 9728 §2), for [`metadata::endpoint`](super::metadata::endpoint).
pub(crate) fn document(shared: &Shared) -> Value {
    let mut document = json!({
        "resource": shared.api_url(),
        "authorization_servers": [shared.issuer()],
        "bearer_methods_supported": ["header"],
    });
    if let (Some(edit), Value::Object(members)) = (&shared.config.resource.edit, &mut document) {
        edit(members);
    }
    document
}
