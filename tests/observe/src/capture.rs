//! `Capture`: the events, spans and metrics of one test, on its thread.

use std::io::Write;
use std::sync::{Arc, Mutex, Once};

use metrics::{LocalRecorderGuard, set_default_local_recorder};
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use serde_json::Value;
use tracing::span::{Attributes, Id};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer};

const FILTER: &str = "off,reqwest_oauth2=debug,observe=error";

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What follows from what, and which spans are open.
#[derive(Clone, Default)]
struct Spans {
    links: Arc<Mutex<Vec<String>>>,
    open: Arc<Mutex<Vec<String>>>,
}

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Spans {
    fn on_new_span(&self, span: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        self.open.lock().unwrap().push(span.metadata().name().to_owned());
    }

    fn on_follows_from(&self, span: &Id, follows: &Id, context: Context<'_, S>) {
        let name = |id| context.span(id).unwrap().name();
        let link = format!("{} follows from {}", name(span), name(follows));
        self.links.lock().unwrap().push(link);
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let name = context.span(&id).unwrap().name();
        let mut open = self.open.lock().unwrap();
        let place = open.iter().position(|open| open == name).unwrap();
        open.remove(place);
    }
}

pub struct Capture {
    lines: Lines,
    spans: Spans,
    recorder: DebuggingRecorder,
}

impl Capture {
    pub fn new() -> Self {
        Self {
            lines: Lines::default(),
            spans: Spans::default(),
            recorder: DebuggingRecorder::new(),
        }
    }

    /// On for this thread, while the guards live.
    pub fn on(&self) -> (DefaultGuard, LocalRecorderGuard<'_>) {
        // One that is always there: an event that is first met while no subscriber lives would be
        // off for good.
        static ALWAYS: Once = Once::new();
        ALWAYS.call_once(|| {
            let silent = tracing_subscriber::registry().with(EnvFilter::new(FILTER));
            tracing::subscriber::set_global_default(silent).unwrap();
        });
        let lines = self.lines.clone();
        let print = tracing_subscriber::fmt::layer().json().with_writer(move || lines.clone());
        let subscriber = tracing_subscriber::registry()
            .with(EnvFilter::new(FILTER))
            .with(print)
            .with(self.spans.clone());
        (tracing::subscriber::set_default(subscriber), set_default_local_recorder(&self.recorder))
    }

    /// `LEVEL spans name field=value …`, the fields sorted, without the message.
    pub fn events(&self) -> Vec<String> {
        let lines = self.lines.0.lock().unwrap().clone();
        let text = String::from_utf8(lines).unwrap();
        text.lines().map(|line| event(&serde_json::from_str(line).unwrap())).collect()
    }

    pub fn links(&self) -> Vec<String> {
        self.spans.links.lock().unwrap().clone()
    }

    pub fn open(&self) -> Vec<String> {
        self.spans.open.lock().unwrap().clone()
    }

    /// `name{labels} value`, sorted. Takes what was recorded.
    pub fn metrics(&self) -> Vec<String> {
        let mut metrics: Vec<_> = (self.recorder.snapshotter().snapshot().into_vec().into_iter())
            .map(|(key, _, _, value)| {
                let (name, labels) = key.key().clone().into_parts();
                let labels: Vec<_> =
                    labels.iter().map(|l| format!("{}={}", l.key(), l.value())).collect();
                let value = match value {
                    DebugValue::Counter(count) => count.to_string(),
                    DebugValue::Gauge(value) => value.to_string(),
                    DebugValue::Histogram(values) => format!("{values:?}"),
                };
                format!("{}{{{}}} {value}", name.as_str(), labels.join(","))
            })
            .collect();
        metrics.sort();
        metrics
    }
}

/// `name`, or `name{field=value}` with what the token is for.
fn span(span: &Value) -> String {
    let fields = ["resource", "scope"].iter().filter_map(|field| {
        let value = span.get(*field)?.as_str()?;
        Some(format!("{{{field}={value}}}"))
    });
    span["name"].as_str().unwrap().to_owned() + &fields.collect::<String>()
}

fn event(line: &Value) -> String {
    assert_eq!(line["target"], "reqwest_oauth2", "{line}");
    let spans = line["spans"].as_array().map(Vec::as_slice).unwrap_or_default();
    let names: Vec<_> = spans.iter().map(span).collect();
    for span in spans {
        assert_eq!((&span["client_id"], &span["host"]), (&"foo".into(), &"127.0.0.1".into()));
    }
    let fields = line["fields"].as_object().unwrap();
    assert!(fields.contains_key("message"), "{line}");
    let mut text = format!(
        "{} {} {}",
        line["level"].as_str().unwrap(),
        names.join("/"),
        fields["event"].as_str().unwrap()
    );
    let mut rest: Vec<_> =
        fields.iter().filter(|(name, _)| *name != "event" && *name != "message").collect();
    rest.sort_by_key(|(name, _)| *name);
    for (name, value) in rest {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        text += &format!(" {name}={value}");
    }
    text
}
