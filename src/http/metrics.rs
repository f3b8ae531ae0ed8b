//! The metrics: one table that says for each its name, type, unit, labels and meaning, and reads it. docs/METRICS.md is this table
//! for people and an interface: a metric is added, never changed under its name.

mod table;

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use super::process::ProcessNumbers;
use super::{Ops, Serving};

pub use prometheus_client::encoding::prometheus_text::CONTENT_TYPE;
pub use table::METRICS;

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only ever grows, until the node is started again.
    Counter,
    /// Goes up and down.
    Gauge,
    /// How often a value fell into which bucket.
    Histogram,
}

/// One metric.
pub struct Metric {
    /// Without the unit and without `_total`.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// `seconds`, `bytes`; empty for what is counted.
    pub unit: &'static str,
    /// Each label, and what its values are bounded by.
    pub labels: &'static [(&'static str, &'static str)],
    /// What it says, in a sentence.
    pub meaning: &'static str,
    read: fn(&Reading) -> Vec<Sample>,
}

impl Metric {
    /// As it stands in a scrape, before the suffixes that a histogram has.
    pub fn full_name(&self) -> String {
        let unit = if self.unit.is_empty() { String::new() } else { format!("_{}", self.unit) };
        let total = if self.kind == Kind::Counter { "_total" } else { "" };
        format!("{}{unit}{total}", self.name)
    }
}

/// Everything one scrape looks at, each once.
struct Reading {
    ops: Arc<Ops>,
    serving: Option<Arc<Serving>>,
    process: ProcessNumbers,
}

/// One value, with the values of the metric's labels in their order.
struct Sample {
    labels: Vec<String>,
    value: Value,
}

enum Value {
    Number(f64),
    /// Sum of what was observed, and each upper bound with what lies below it and above the one before.
    Buckets(f64, Vec<(f64, u64)>),
}

/// The page that a scraper gets.
pub(super) fn exposition(ops: Arc<Ops>) -> Result<String, fmt::Error> {
    let serving = ops.serving.load_full();
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Reading { ops, serving, process: ProcessNumbers::now() }));
    let mut page = String::new();
    prometheus_client::encoding::prometheus_text::encode(&mut page, &registry)?;
    Ok(page)
}

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reading").finish_non_exhaustive()
    }
}

impl Collector for Reading {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for metric in METRICS {
            let samples = (metric.read)(self);
            if samples.is_empty() {
                continue;
            }
            let unit = (!metric.unit.is_empty()).then(|| Unit::Other(metric.unit.into()));
            let kind = match metric.kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
                Kind::Histogram => MetricType::Histogram,
            };
            let help = metric.meaning.trim_end_matches('.');
            let mut family = encoder.encode_descriptor(metric.name, help, unit.as_ref(), kind)?;
            for Sample { labels, value } in samples {
                if labels.is_empty() {
                    write(&mut family, metric.kind, &value)?;
                    continue;
                }
                let names = metric.labels.iter().map(|(name, _)| *name);
                let labels: Vec<(&str, String)> = names.zip(labels).collect();
                write(&mut family.encode_family(&labels)?, metric.kind, &value)?;
            }
        }
        Ok(())
    }
}

fn write(encoder: &mut MetricEncoder<'_>, kind: Kind, value: &Value) -> fmt::Result {
    match (value, kind) {
        (Value::Buckets(sum, buckets), _) => {
            let count = buckets.iter().map(|(_, count)| count).sum();
            encoder.encode_histogram::<NoLabelSet>(*sum, count, buckets, None)
        }
        (Value::Number(value), Kind::Counter) => encoder.encode_counter::<NoLabelSet, _, f64>(value, None),
        (Value::Number(value), _) => encoder.encode_gauge(value),
    }
}
