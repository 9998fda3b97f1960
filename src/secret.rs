//! Secret text: kept out of `Debug`, wiped when dropped.
//!
//! Invariant: an access token reaches the request as a `HeaderValue` over memory that is wiped when
//! the last clone of the header is gone. Copies that the HTTP stack makes in its own write buffers
//! are beyond our reach.

use bytes::Bytes;
use http::HeaderValue;
use secrecy::zeroize::Zeroizing;

/// Bytes that are wiped when their last reference is dropped.
pub(crate) fn zeroizing_bytes(bytes: Zeroizing<Vec<u8>>) -> Bytes {
    // A slice takes less memory than a vector, and a process may hold a million of these. The vector is
    // wiped here.
    Bytes::from_owner(Zeroizing::new(Box::<[u8]>::from(bytes.as_slice())))
}

/// A header value that is marked sensitive and wiped when dropped.
pub(crate) fn sensitive(text: Zeroizing<Vec<u8>>) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_maybe_shared(zeroizing_bytes(text)).ok()?;
    value.set_sensitive(true);
    Some(value)
}
