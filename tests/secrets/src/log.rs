//! `Log`: all that is shown and logged.

use std::any::type_name;
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::io::Write;
use std::sync::{Arc, Mutex};

use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt;

#[derive(Clone, Default)]
pub struct Log {
    text: Arc<Mutex<Vec<u8>>>,
    shown: Arc<Mutex<BTreeSet<String>>>,
}

impl Log {
    /// Collects whatever is logged from now on: by `tracing`, and by the `log` crate.
    pub fn collecting() -> Self {
        let log = Self::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
            .with_writer(log.clone());
        subscriber.finish().init();
        log
    }

    pub fn show<T: Debug>(&self, value: &T) {
        self.shown.lock().unwrap().insert(simple(type_name::<T>()).to_owned());
        write!(self.clone(), "{value:?}\n{value:#?}\n").unwrap();
    }

    /// With all its causes.
    pub fn show_error<E: std::error::Error>(&self, error: &E) {
        self.show(error);
        writeln!(self.clone(), "{error} {error:#}").unwrap();
        let mut cause = error.source();
        while let Some(error) = cause {
            writeln!(self.clone(), "{error} {error:#} {error:?} {error:#?}").unwrap();
            cause = error.source();
        }
    }

    /// The types that were shown, by their last name.
    pub fn shown(&self) -> BTreeSet<String> {
        self.shown.lock().unwrap().clone()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.text.lock().unwrap()).into_owned()
    }
}

/// The name of a type without its path and its parameters.
pub fn simple(name: &str) -> &str {
    let name = name.split('<').next().unwrap();
    name.rsplit("::").next().unwrap()
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.text.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
