//! `docs/METRICS.md` is the table of `liaison::http::metrics`, for people.
//! `LIAISON_GENERATE=1 cargo test --test tidy metrics` writes it anew.

use std::fmt::Write as _;
use std::path::Path;

use liaison::http::metrics::{Kind, METRICS};

fn page() -> String {
    let mut page = String::from(
        "# Metrics\n\n\
         `GET /metrics` on the ops port (`ops.listen`) answers in Prometheus' text format 0.0.4. This page is an interface: a metric may be \
         added, but what stands under a name does not change. Label values are bounded by what the column says, so nobody can make the \
         page grow by what he sends. Counters begin at 0 when the node starts. What cannot be said yet, while a node starts, is left \
         out. Audit events, and the reasons that an event has for itself, are there at 0 from the start, so that an alert sees the first; \
         a reason of docs/ERRORS.md is there once it has been given.\n\n\
         `deploy/alerts.yml` has rules that use them; `docs/OPERATING.md` says what to do when one fires.\n\n\
         | metric | type | unit | labels | means |\n|---|---|---|---|---|\n",
    );
    for metric in METRICS {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let labels: Vec<_> = metric.labels.iter().map(|(name, values)| format!("`{name}`: {values}")).collect();
        let _ = writeln!(
            page,
            "| `{}` | {kind} | {} | {} | {} |",
            metric.full_name(),
            metric.unit,
            labels.join("; "),
            metric.meaning
        );
    }
    page
}

#[test]
fn the_page_of_metrics_is_the_table() {
    super::audit::is_fresh("docs/METRICS.md", &page());
}

#[test]
fn alerts_and_runbook_name_metrics_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let names: Vec<_> = METRICS.iter().map(liaison::http::metrics::Metric::full_name).collect();
    for file in ["deploy/alerts.yml", "docs/OPERATING.md"] {
        let text = std::fs::read_to_string(root.join(file)).expect(file);
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let used: Vec<_> = text
            .split(|c| !word(c))
            .filter(|word| ["liaison_", "process_"].iter().any(|prefix| word.starts_with(prefix)))
            .collect();
        assert!(used.len() > 3, "{file}");
        for name in used {
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
            assert!(
                names.iter().any(|known| known == name || Some(known.as_str()) == base),
                "{file} names {name}, which is no metric"
            );
        }
    }
}

/// Every method that partners may call has its own times; what is only the operator's has none.
#[test]
fn every_method_of_partners_services_is_timed_under_its_own_name() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto/liaison/v1");
    let mut served = std::collections::BTreeSet::new();
    for file in std::fs::read_dir(folder).expect("the protos") {
        let text = std::fs::read_to_string(file.expect("readable").path()).expect("readable");
        let mut service = String::new();
        for line in text.lines() {
            if let Some(name) = line.strip_prefix("service ") {
                service = name.trim_end_matches(" {").to_owned();
            } else if let Some(rpc) = line.strip_prefix("  rpc ") {
                served.insert(format!("{service}/{}", rpc.split('(').next().unwrap_or_default()));
            }
        }
    }
    served.retain(|method| !method.starts_with("OperatorService/"));
    assert_eq!(
        liaison::counts::METHODS.map(str::to_owned).into_iter().collect::<std::collections::BTreeSet<_>>(),
        served
    );
}
