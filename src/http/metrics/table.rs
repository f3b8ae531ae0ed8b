//! The table itself.

use std::collections::BTreeMap;
use std::time::Duration;

use liaison_protocol::id::Micros;

use super::{Kind, Metric, Reading, Sample, Value};
use crate::counts::{Answered, Histogram};
use crate::exchange::Exchange;
use crate::http::{Serving, unready};
use crate::telemetry::events::{EVENTS, Event};

const REASON: (&str, &str) = ("reason", "a word of docs/ERRORS.md");
const LANE: (&str, &str) = ("lane", "urgent, submissions");
const PARTNER: (&str, &str) = ("partner", "partners of the directory in force");

/// All of them.
pub static METRICS: &[Metric] = &[
    Metric {
        name: "liaison_submissions",
        kind: Kind::Counter,
        unit: "",
        labels: &[("outcome", "accepted, duplicate, refused"), ("reason", "empty, or a word of docs/ERRORS.md")],
        meaning: "Notices that partners submitted, by what became of them.",
        read: |reading| answered(&reading.ops.counts.submitted, "accepted"),
    },
    Metric {
        name: "liaison_acknowledgements",
        kind: Kind::Counter,
        unit: "",
        labels: &[("outcome", "stated, duplicate, refused"), ("reason", "empty, or a word of docs/ERRORS.md")],
        meaning: "Items that recipients acknowledged, by what became of them.",
        read: |reading| answered(&reading.ops.counts.acknowledged, "stated"),
    },
    Metric {
        name: "liaison_audiences",
        kind: Kind::Counter,
        unit: "",
        labels: &[("found", "remembered, resolved")],
        meaning: "Audiences of submitted notices: remembered from an earlier notice, or resolved from the directory in force.",
        read: |reading| {
            let counts = &reading.ops.counts;
            let found = [("remembered", &counts.audiences_remembered), ("resolved", &counts.audiences_resolved)];
            found.map(|(found, counter)| labelled([found], counter.count() as f64)).into()
        },
    },
    Metric {
        name: "liaison_deliveries",
        kind: Kind::Counter,
        unit: "",
        labels: &[],
        meaning: "Notices put on the wire to their recipients; sent again they count again.",
        read: |reading| one(reading.ops.counts.delivered.count() as f64),
    },
    Metric {
        name: "liaison_signatures_verified",
        kind: Kind::Counter,
        unit: "",
        labels: &[("table", "with, without")],
        meaning: "Ed25519 signatures of notices and acknowledgements that were verified, right or wrong, with a table of their key or without.",
        read: |reading| {
            serving(reading, |serving| {
                let counts = serving.exchange.signatures();
                [("with", counts.with_table), ("without", counts.without_table)]
                    .map(|(table, count)| labelled([table], count as f64))
                    .into()
            })
        },
    },
    Metric {
        name: "liaison_signer_tables",
        kind: Kind::Gauge,
        unit: "",
        labels: &[],
        meaning: "Keys of which a table is kept, 110 KiB each and 256 at most.",
        read: |reading| exchange(reading, |exchange| exchange.signatures().tables as f64),
    },
    Metric {
        name: "liaison_call",
        kind: Kind::Histogram,
        unit: "seconds",
        labels: &[("method", "methods of partners' services as Service/Method, other")],
        meaning: "From a partner's call until its answer; a stream is answered by its beginning. Calls turned away by a limit are not in it.",
        read: |reading| {
            let times = reading.ops.counts.calls.times();
            times.flat_map(|(method, times)| histogram(times, 1e-6, &[method])).collect()
        },
    },
    Metric {
        name: "liaison_batch_statements",
        kind: Kind::Histogram,
        unit: "",
        labels: &[],
        meaning: "Statements in each batch that was committed.",
        read: |reading| histogram(&reading.ops.counts.batch, 1.0, &[]),
    },
    Metric {
        name: "liaison_batch_commit",
        kind: Kind::Histogram,
        unit: "seconds",
        labels: &[],
        meaning: "From handing a batch to the store until it is on disk, the fsync in it.",
        read: |reading| histogram(&reading.ops.counts.commit_us, 1e-6, &[]),
    },
    Metric {
        name: "liaison_checkpoint_sign",
        kind: Kind::Histogram,
        unit: "seconds",
        labels: &[],
        meaning: "Signing a checkpoint.",
        read: |reading| histogram(&reading.ops.counts.sign_us, 1e-6, &[]),
    },
    Metric {
        name: "liaison_queue_proposals",
        kind: Kind::Gauge,
        unit: "",
        labels: &[LANE],
        meaning: "Proposals on their way to the log; at 16384 in a lane callers are told BUSY.",
        read: |reading| {
            serving(reading, |serving| {
                let under_way = serving.exchange.under_way();
                [("urgent", under_way[0]), ("submissions", under_way[1])]
                    .map(|(lane, count)| labelled([lane], count as f64))
                    .into()
            })
        },
    },
    Metric {
        name: "liaison_log_leaves",
        kind: Kind::Gauge,
        unit: "",
        labels: &[],
        meaning: "Leaves under the newest checkpoint.",
        read: |reading| exchange(reading, |exchange| exchange.published().size() as f64),
    },
    Metric {
        name: "liaison_checkpoint_age",
        kind: Kind::Gauge,
        unit: "seconds",
        labels: &[],
        meaning: "Since the newest checkpoint was signed; it grows while nothing is stated.",
        read: |reading| {
            let age = reading.ops.counts.signed.age(reading.ops.clock.monotonic());
            serving(reading, |_| one(age.as_secs_f64()))
        },
    },
    Metric {
        name: "liaison_writer_silence",
        kind: Kind::Gauge,
        unit: "seconds",
        labels: &[],
        meaning: "Since the single writer last came round, which it does at least every second.",
        read: |reading| {
            let age = reading.ops.counts.turned.age(reading.ops.clock.monotonic());
            serving(reading, |_| one(age.as_secs_f64()))
        },
    },
    Metric {
        name: "liaison_mailboxes_waiting",
        kind: Kind::Gauge,
        unit: "",
        labels: &[],
        meaning: "Deliveries that wait for an acknowledgement, all mailboxes together.",
        read: |reading| {
            exchange(reading, |exchange| exchange.backlog().iter().map(|(_, waiting, _)| *waiting as f64).sum())
        },
    },
    Metric {
        name: "liaison_mailbox_waiting",
        kind: Kind::Gauge,
        unit: "",
        labels: &[PARTNER],
        meaning: "Notices that wait for this partner's acknowledgement.",
        read: |reading| mailboxes(reading, |(_, waiting, _)| *waiting as f64),
    },
    Metric {
        name: "liaison_collect_streams",
        kind: Kind::Gauge,
        unit: "",
        labels: &[PARTNER],
        meaning: "Collect streams that this partner has open.",
        read: |reading| mailboxes(reading, |(_, _, streams)| f64::from(*streams)),
    },
    Metric {
        name: "liaison_connections",
        kind: Kind::Gauge,
        unit: "",
        labels: &[],
        meaning: "Partners' connections open now.",
        read: |reading| serving(reading, |serving| one(serving.process.connections() as f64)),
    },
    Metric {
        name: "liaison_handshakes",
        kind: Kind::Counter,
        unit: "",
        labels: &[],
        meaning: "Connections that came through the handshake.",
        read: |reading| one(reading.ops.counts.lines.count() as f64),
    },
    Metric {
        name: "liaison_tls_rejects",
        kind: Kind::Counter,
        unit: "",
        labels: &[("reason", "reasons of tls.reject in docs/AUDIT.md, other")],
        meaning: "Handshakes that were refused.",
        read: |reading| of_event(reading, "tls.reject"),
    },
    Metric {
        name: "liaison_connections_limited",
        kind: Kind::Counter,
        unit: "",
        labels: &[("reason", "reasons of conn.limited in docs/AUDIT.md, other")],
        meaning: "Connections turned away because a limit stands against them.",
        read: |reading| of_event(reading, "conn.limited"),
    },
    Metric {
        name: "liaison_calls_refused",
        kind: Kind::Counter,
        unit: "",
        labels: &[REASON],
        meaning: "Calls refused because of who called, before they were read.",
        read: |reading| of_event(reading, "call.refused"),
    },
    Metric {
        name: "liaison_audit_events",
        kind: Kind::Counter,
        unit: "",
        labels: &[("event", "events of docs/AUDIT.md")],
        meaning: "Audit events, whether or not they could be written.",
        read: |reading| {
            // Every event from the start: the increase from nothing to the first would be seen by no alert.
            let mut events: Vec<(&str, u64)> = EVENTS.iter().map(|event| (event.name, 0)).collect();
            for (heard, _, count) in reading.ops.audit.heard() {
                events.iter_mut().filter(|(event, _)| *event == heard).for_each(|(_, sum)| *sum += count);
            }
            events.into_iter().map(|(event, count)| labelled([event], count as f64)).collect()
        },
    },
    Metric {
        name: "liaison_audit_events_lost",
        kind: Kind::Counter,
        unit: "",
        labels: &[],
        meaning: "Audit events that could not be written because the sink was blocked or full.",
        read: |reading| one(reading.ops.audit.lost() as f64),
    },
    Metric {
        name: "liaison_directory_version",
        kind: Kind::Gauge,
        unit: "",
        labels: &[],
        meaning: "The directory in force.",
        read: |reading| exchange(reading, |exchange| exchange.directories().in_force().version().0 as f64),
    },
    Metric {
        name: "liaison_directory_age",
        kind: Kind::Gauge,
        unit: "seconds",
        labels: &[],
        meaning: "Since the directory in force was signed, by the node's wall clock.",
        read: |reading| {
            let now = reading.ops.clock.now();
            exchange(reading, |exchange| {
                let issued = exchange.directories().in_force().directory().head().issued_at();
                seconds(now.since(issued))
            })
        },
    },
    Metric {
        name: "liaison_directory_renewal_left",
        kind: Kind::Gauge,
        unit: "seconds",
        labels: &[],
        meaning: "Until a newer directory is due; negative: overdue, which never stops traffic.",
        read: |reading| {
            let now = reading.ops.clock.now();
            exchange(reading, |exchange| {
                seconds(exchange.directories().in_force().directory().head().renew_by().since(now))
            })
        },
    },
    Metric {
        name: "liaison_certificate_left",
        kind: Kind::Gauge,
        unit: "seconds",
        labels: &[],
        meaning: "Until the node's own certificate ends; negative: it has ended.",
        read: |reading| {
            let now = reading.ops.clock.now();
            serving(reading, |serving| one(seconds(serving.process.certificate_valid_until().since(now))))
        },
    },
    Metric {
        name: "liaison_unready",
        kind: Kind::Gauge,
        unit: "",
        labels: &[("reason", "reasons of /readyz in docs/OPERATING.md")],
        meaning: "1 for each reason why the node is not ready, 0 for each that does not stand.",
        read: |reading| {
            let stand = unready(&reading.ops.facts());
            let each = crate::http::Unready::ALL.iter();
            each.map(|reason| labelled([reason.word()], f64::from(u8::from(stand.contains(reason))))).collect()
        },
    },
    Metric {
        name: "liaison_build_info",
        kind: Kind::Gauge,
        unit: "",
        labels: &[("version", "this program's")],
        meaning: "Always 1.",
        read: |_| vec![labelled([env!("CARGO_PKG_VERSION")], 1.0)],
    },
    Metric {
        name: "process_start_time",
        kind: Kind::Gauge,
        unit: "seconds",
        labels: &[],
        meaning: "When the process started, seconds since 1970.",
        read: |reading| one(seconds(reading.ops.started.0.0)),
    },
    Metric {
        name: "process_uptime",
        kind: Kind::Gauge,
        unit: "seconds",
        labels: &[],
        meaning: "Since the process started, by the clock that cannot be set.",
        read: |reading| {
            let up: Duration = reading.ops.clock.monotonic().saturating_sub(reading.ops.started.1);
            one(up.as_secs_f64())
        },
    },
    Metric {
        name: "process_cpu",
        kind: Kind::Counter,
        unit: "seconds",
        labels: &[],
        meaning: "Processor time used, user and system.",
        read: |reading| maybe(reading.process.cpu_seconds),
    },
    Metric {
        name: "process_resident_memory",
        kind: Kind::Gauge,
        unit: "bytes",
        labels: &[],
        meaning: "Memory that is resident.",
        read: |reading| maybe(reading.process.resident_bytes.map(|bytes| bytes as f64)),
    },
    Metric {
        name: "process_open_fds",
        kind: Kind::Gauge,
        unit: "",
        labels: &[],
        meaning: "File descriptors open now.",
        read: |reading| maybe(reading.process.open_descriptors.map(|open| open as f64)),
    },
    Metric {
        name: "process_max_fds",
        kind: Kind::Gauge,
        unit: "",
        labels: &[],
        meaning: "File descriptors that may be open.",
        read: |reading| maybe(reading.process.descriptors_max.map(|max| max as f64)),
    },
    Metric {
        name: "process_threads",
        kind: Kind::Gauge,
        unit: "",
        labels: &[],
        meaning: "Threads.",
        read: |reading| maybe(reading.process.threads.map(|threads| threads as f64)),
    },
];

fn one(value: f64) -> Vec<Sample> {
    vec![Sample { labels: Vec::new(), value: Value::Number(value) }]
}

fn maybe(value: Option<f64>) -> Vec<Sample> {
    value.map(one).unwrap_or_default()
}

fn labelled<const N: usize>(labels: [&str; N], value: f64) -> Sample {
    Sample { labels: labels.map(str::to_owned).into(), value: Value::Number(value) }
}

fn seconds(micros: i64) -> f64 {
    micros as f64 / Micros::SECOND as f64
}

/// Nothing while the node starts or stops.
fn serving(reading: &Reading, read: impl FnOnce(&Serving) -> Vec<Sample>) -> Vec<Sample> {
    reading.serving.as_deref().map(read).unwrap_or_default()
}

fn exchange(reading: &Reading, read: impl FnOnce(&Exchange) -> f64) -> Vec<Sample> {
    serving(reading, |serving| one(read(&serving.exchange)))
}

fn answered(answered: &Answered, taken: &str) -> Vec<Sample> {
    let mut samples = vec![
        labelled([taken, ""], answered.taken.count() as f64),
        labelled(["duplicate", ""], answered.duplicate.count() as f64),
    ];
    samples.extend(answered.refused().map(|(reason, count)| labelled(["refused", reason.word()], count as f64)));
    samples
}

fn histogram(histogram: &Histogram, scale: f64, labels: &[&str]) -> Vec<Sample> {
    let bound = |bound: Option<u64>| bound.map_or(f64::INFINITY, |bound| bound as f64 * scale);
    let buckets = histogram.buckets().map(|(upper, count)| (bound(upper), count)).collect();
    let labels = labels.iter().map(|label| (*label).to_owned()).collect();
    vec![Sample { labels, value: Value::Buckets(histogram.sum() as f64 * scale, buckets) }]
}

fn mailboxes(reading: &Reading, read: impl Fn(&(liaison_protocol::id::PartnerId, u64, u32)) -> f64) -> Vec<Sample> {
    serving(reading, |serving| {
        serving.exchange.backlog().iter().map(|mailbox| labelled([mailbox.0.as_str()], read(mailbox))).collect()
    })
}

/// The audit's own count, so that page and audit cannot disagree. Reasons of the event's own stand at 0 from the start, so that an
/// alert sees the first.
fn of_event(reading: &Reading, event: &str) -> Vec<Sample> {
    let mut counts = BTreeMap::<&str, u64>::new();
    let known = EVENTS.iter().filter(|known| known.name == event);
    counts.extend(known.flat_map(Event::reason_labels).map(|reason| (reason, 0)));
    let heard = reading.ops.audit.heard();
    let of_this = heard.into_iter().filter(|(name, _, _)| *name == event);
    of_this.for_each(|(_, reason, count)| *counts.entry(reason).or_default() += count);
    counts.into_iter().map(|(reason, count)| labelled([reason], count as f64)).collect()
}
