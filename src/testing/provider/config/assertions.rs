use std::fmt;
use std::sync::Arc;

/// Which assertions and foreign tokens are accepted (RFC 7523 §3).
#[derive(Clone)]
pub(crate) struct Assertions(Arc<dyn Fn(&str) -> bool + Send + Sync>);

impl Assertions {
    pub(crate) fn new(accepts: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(accepts))
    }

    pub(crate) fn accept(&self, assertion: &str) -> bool {
        (self.0)(assertion)
    }
}

impl fmt::Debug for Assertions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Assertions")
    }
}
