//! The audit: one JSON object a line for each event of the catalogue, and of each event only the fields that the catalogue gives it.
//! Values are escaped and cut, so that one event is one line whatever others wrote into it (FAULTS 107, 108).

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use liaison_protocol::id::Micros;
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer};

use super::events::{self, EVENTS, Event, LAG};
use super::gathered::{Gathered, Line};
use super::sink::{self, Gathers, Sink};
use crate::clock::SharedClock;
use crate::config::AuditTo;

/// What is said to the audit: `tracing` events with this target.
pub const TARGET: &str = "audit";
/// Longest value, escaped.
pub(super) const VALUE_BYTES_MAX: usize = 256;

/// The audit of one process: it writes, and it counts what it heard.
pub struct Audit {
    sink: Sink,
    clock: SharedClock,
    gathered: Arc<Gathered>,
    /// By event and reason, in the catalogue's order; last of each row, reasons that are not in the catalogue.
    tally: Vec<Vec<AtomicU64>>,
}

impl Audit {
    /// Opens the sink and starts its thread.
    pub(super) fn start(to: &AuditTo, clock: SharedClock) -> io::Result<Self> {
        let gathered = Arc::new(Gathered::default());
        let gatherer = Gatherer { gathered: gathered.clone(), clock: clock.clone() };
        let sink = Sink::start("audit", sink::open(to)?, Some(Box::new(gatherer)))?;
        Ok(Self::over(sink, gathered, clock))
    }

    fn over(sink: Sink, gathered: Arc<Gathered>, clock: SharedClock) -> Self {
        let row = |event: &Event| (0..=event.reasons.count()).map(|_| AtomicU64::new(0)).collect();
        Self { sink, clock, gathered, tally: EVENTS.iter().map(row).collect() }
    }

    /// Events lost since the start.
    pub fn lost(&self) -> u64 {
        self.sink.lost()
    }

    /// Whether events were lost and the audit could not say so yet, or its sink takes nothing.
    pub fn is_losing(&self) -> bool {
        self.sink.is_losing(self.clock.monotonic())
    }

    /// How often each event was heard, with its reason where it has one; what was never heard is left out.
    pub fn heard(&self) -> Vec<(&'static str, &'static str, u64)> {
        let rows = EVENTS.iter().zip(&self.tally);
        let all = rows.flat_map(|(event, row)| {
            let counts = row.iter().enumerate();
            counts.map(move |(nth, count)| (event.name, event.reasons.word(nth), count.load(Relaxed)))
        });
        all.filter(|(_, _, count)| *count > 0).collect()
    }

    pub(super) fn flush(&self, limit: Duration) {
        self.sink.flush(limit);
    }

    fn hear(&self, said: &tracing::Event<'_>) {
        let mut heard = Heard::default();
        said.record(&mut heard);
        let name = heard.0.iter().find_map(|(field, value)| (*field == "event").then(|| value.as_str())?);
        // What is not in the catalogue cannot be said: the tests of the tree hold that nothing tries to.
        let Some((nth, event)) = name.and_then(events::find) else { return };
        let mut line = begin(&self.clock, *said.metadata().level(), event.name);
        let (mut count, mut reason) = (1, None);
        for (field, value) in heard.0 {
            match field {
                "reason" => reason = value.as_str().map(str::to_owned),
                "count" => count = value.as_u64().unwrap_or(1),
                _ => {}
            }
            if event.fields.contains(&field) {
                line.insert(field.into(), value);
            }
        }
        let place = event.reasons.place(reason.as_deref());
        self.tally[nth][place].fetch_add(count, Relaxed);
        if event.by.is_empty() {
            self.sink.push(text(line));
        } else if self.gathered.note(event, place, count, line, self.clock.monotonic()) {
            self.sink.is_due();
        }
    }
}

/// The sink's questions about what is gathered.
struct Gatherer {
    gathered: Arc<Gathered>,
    clock: SharedClock,
}

impl Gathers for Gatherer {
    fn lag(&self, lost: u64) -> Vec<u8> {
        let mut line = begin(&self.clock, tracing::Level::ERROR, LAG);
        line.insert("lost".into(), lost.into());
        text(line)
    }

    fn due(&self, all: bool) -> Vec<(u64, Vec<u8>)> {
        let due = self.gathered.take(self.clock.monotonic(), all);
        due.into_iter().map(|(count, line)| (count, text(line))).collect()
    }

    fn next_due(&self) -> Option<Duration> {
        self.gathered.next().map(|due| due.saturating_sub(self.clock.monotonic()))
    }

    fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }
}

fn begin(clock: &SharedClock, level: tracing::Level, event: &str) -> Line {
    let mut line = Line::new();
    line.insert("time".into(), moment(clock.now()).into());
    line.insert("level".into(), level.as_str().to_ascii_lowercase().into());
    line.insert("event".into(), event.into());
    line
}

fn moment(now: Micros) -> String {
    jiff::Timestamp::from_microsecond(now.0).map_or_else(|_| now.0.to_string(), |time| format!("{time:.6}"))
}

fn text(line: Line) -> Vec<u8> {
    let mut bytes = Value::Object(line).to_string().into_bytes();
    bytes.push(b'\n');
    bytes
}

/// ASCII on one line, and no longer than a value may be.
fn value(text: &str) -> Value {
    let mut escaped = String::new();
    for character in text.chars() {
        let next = match character {
            // Quotes and backslashes are JSON's business.
            ' '..='~' => String::from(character),
            other => other.escape_default().to_string(),
        };
        if escaped.len() + next.len() > VALUE_BYTES_MAX {
            break;
        }
        escaped += &next;
    }
    escaped.into()
}

/// What an event carries. `message` is for people and stays out.
#[derive(Default)]
struct Heard(Vec<(&'static str, Value)>);

impl Visit for Heard {
    fn record_debug(&mut self, field: &Field, shown: &dyn fmt::Debug) {
        // `%x` comes here too: tracing shows it through Debug.
        self.0.push((field.name(), value(&format!("{shown:?}"))));
    }

    fn record_str(&mut self, field: &Field, text: &str) {
        self.0.push((field.name(), value(text)));
    }

    fn record_u64(&mut self, field: &Field, number: u64) {
        self.0.push((field.name(), number.into()));
    }

    fn record_i64(&mut self, field: &Field, number: i64) {
        self.0.push((field.name(), number.into()));
    }

    fn record_bool(&mut self, field: &Field, so: bool) {
        self.0.push((field.name(), so.into()));
    }
}

/// Hands what is said in this process to the audit.
pub(super) struct Listener(pub(super) Arc<Audit>);

impl<S: tracing::Subscriber> Layer<S> for Listener {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        self.0.hear(event);
    }
}

#[cfg(test)]
mod tests {
    use super::super::sink::collected;
    use super::*;
    use crate::clock::SystemClock;
    use tracing_subscriber::layer::SubscriberExt as _;

    fn heard(say: impl FnOnce()) -> (Vec<Value>, Vec<(&'static str, &'static str, u64)>) {
        let (sink, next) = collected(16);
        let clock: SharedClock = Arc::new(SystemClock::new());
        let gathered = Arc::new(Gathered::default());
        let gatherer = Gatherer { gathered: gathered.clone(), clock: clock.clone() };
        let audit = Arc::new(Audit::over(sink, gathered, clock));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(Listener(audit.clone())), say);
        let due = gatherer.due(true).into_iter().map(|(_, line)| line);
        let lines = std::iter::from_fn(next).chain(due).map(|line| {
            assert!(line.is_ascii() && line.ends_with(b"\n"));
            assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1, "one event, one line");
            serde_json::from_slice(&line).unwrap()
        });
        (lines.collect(), audit.heard())
    }

    #[test]
    fn fault_108_one_event_is_one_short_line_whatever_others_wrote_into_it() {
        let forged = "x\n{\"event\":\"forged\"}\u{202e}\0";
        let long = "\u{e9}".repeat(9_000);
        let (lines, _) = heard(|| {
            tracing::warn!(target: TARGET, event = "tls.reject", reason = "expired", issuer = forged, detail = long.as_str());
        });
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0]["issuer"], r#"x\n{"event":"forged"}\u{202e}\u{0}"#);
        let cut = lines[0]["detail"].as_str().unwrap();
        assert!(cut.len() <= VALUE_BYTES_MAX && cut.ends_with("\\u{e9}"), "whole characters only: {cut}");
        assert_eq!((&lines[0]["event"], &lines[0]["level"]), (&"tls.reject".into(), &"warn".into()));
    }

    #[test]
    fn fault_107_a_field_that_the_catalogue_does_not_give_an_event_is_not_written() {
        let (lines, tally) = heard(|| {
            tracing::warn!(target: TARGET, event = "refused", reason = "BUSY", partner = "FR", subject = "Doe, John", "John Doe");
            tracing::warn!(target: TARGET, event = "made.up", reason = "BUSY");
        });
        assert_eq!(lines.len(), 1, "what is not in the catalogue is not said");
        let mut fields: Vec<_> = lines[0].as_object().unwrap().keys().map(String::as_str).collect();
        fields.sort_unstable();
        assert_eq!(fields, ["count", "event", "level", "partner", "reason", "time"]);
        assert_eq!(tally, [("refused", "BUSY", 1)]);
    }

    #[test]
    fn events_told_together_count_as_many_and_gathered_ones_are_one_line() {
        let (lines, tally) = heard(|| {
            tracing::warn!(target: TARGET, event = "conn.limited", reason = "handshakes", count = 41_u64);
            tracing::warn!(target: TARGET, event = "conn.limited", reason = "handshakes");
            tracing::warn!(target: TARGET, event = "conn.limited", reason = "no such word");
        });
        assert_eq!(tally, [("conn.limited", "handshakes", 42), ("conn.limited", "other", 1)]);
        let counts: Vec<_> = lines.iter().map(|line| line["count"].as_u64().unwrap()).collect();
        assert_eq!(counts, [42, 1]);
    }
}
