//! What one run showed.

use std::time::Duration;

use super::Options;
use crate::cli::Output;
use crate::cli::bench::collect::Counted;
use crate::cli::bench::cost::{Alone, Disk, cores};
use crate::cli::bench::load::Tally;
use crate::cli::bench::node::{Start, Usage};
use crate::cli::bench::{disturbed, round};

/// What one run showed.
pub(in crate::cli::bench) struct Measured {
    pub(super) options: Options,
    pub(super) signed: usize,
    pub(super) tally: Tally,
    pub(super) elapsed: Duration,
    pub(super) collected: Counted,
    pub(in crate::cli::bench) audience_hits: u64,
    pub(in crate::cli::bench) audience_misses: u64,
    /// From starting the node until partners could call.
    pub(super) ready: Duration,
    pub(super) before: Usage,
    pub(super) after: Usage,
    /// Started again after it was killed, with all that was measured in its log. None: it was not.
    pub(super) after_kill: Option<Start>,
    /// One strict verification on one core.
    pub(in crate::cli::bench) verify_us: f64,
    pub(super) alone: Alone,
    pub(super) disk: Disk,
    pub(super) receipts_checked: usize,
    pub(super) leaves_checked: u64,
}

impl Measured {
    fn per_s(&self, count: u64) -> f64 {
        count as f64 / self.elapsed.as_secs_f64()
    }

    /// Notices accepted and answered a second.
    pub(in crate::cli::bench) fn accepted_per_s(&self) -> f64 {
        self.per_s(self.tally.accepted)
    }

    /// Notices that came all the way a second: accepted, delivered to every recipient, and signed for by each.
    pub(in crate::cli::bench) fn through_per_s(&self) -> f64 {
        self.accepted_per_s().min(self.acknowledgements_per_s() / f64::from(self.options.recipients))
    }

    /// Notices that were told to come later, and when.
    pub(in crate::cli::bench) fn busy(&self) -> u64 {
        self.tally.busy
    }

    /// Notices that were refused in any other way.
    pub(in crate::cli::bench) fn refused(&self) -> u64 {
        self.tally.refused
    }

    /// Of what all cores verify when they do nothing else.
    pub(in crate::cli::bench) fn accepted_per_verification(&self) -> f64 {
        self.accepted_per_s() / self.verifications_per_s()
    }

    /// Strict verifications a second on all cores, alone.
    pub(in crate::cli::bench) fn verifications_per_s(&self) -> f64 {
        self.alone.per_s()
    }

    /// The part of the cores that nothing else took while verification ran alone.
    pub(in crate::cli::bench) fn core_share(&self) -> f64 {
        self.alone.core_share()
    }

    /// Deliveries a second, all recipients together.
    pub(in crate::cli::bench) fn deliveries_per_s(&self) -> f64 {
        self.per_s(self.collected.delivered)
    }

    /// Deliveries signed for a second, all recipients together.
    pub(in crate::cli::bench) fn acknowledgements_per_s(&self) -> f64 {
        self.per_s(self.collected.acknowledged)
    }

    /// The node's CPU time for each notice accepted.
    pub(in crate::cli::bench) fn cpu_us(&self) -> f64 {
        self.after.cpu_since(&self.before).as_secs_f64() * 1e6 / self.tally.accepted as f64
    }

    /// The same as a number of strict verifications.
    pub(in crate::cli::bench) fn cpu_ratio(&self) -> f64 {
        self.cpu_us() / self.verify_us
    }

    /// From when a notice was due to its receipt: what this share of all stays within.
    pub(in crate::cli::bench) fn latency_us(&self, share: f64) -> u32 {
        self.tally.latency_us(share)
    }

    /// A synchronised write of our own during the run: what this share of all stays within.
    pub(in crate::cli::bench) fn disk_us(&self, share: f64) -> u32 {
        self.disk.latency_us(share)
    }

    /// A receipt's median over that of a synchronised write.
    pub(in crate::cli::bench) fn receipt_over_disk(&self) -> f64 {
        f64::from(self.latency_us(0.50)) / f64::from(self.disk_us(0.50).max(1))
    }

    /// Bytes that the node handed to the disk for each byte of content it accepted.
    pub(in crate::cli::bench) fn written_per_payload_byte(&self) -> f64 {
        let written = self.after.written.saturating_sub(self.before.written);
        written as f64 / (self.tally.accepted as f64 * f64::from(self.options.payload))
    }

    /// How much the node's resident memory has grown; negative where it shrank.
    pub(in crate::cli::bench) fn growth_kib(&self) -> i64 {
        self.after.resident_kib.cast_signed() - self.before.resident_kib.cast_signed()
    }

    /// Until partners could call again after the node was killed, milliseconds. None: it was not.
    pub(in crate::cli::bench) fn ready_after_kill_ms(&self) -> Option<f64> {
        self.after_kill.as_ref().map(|start| ms(start.ready))
    }

    /// The most that was resident when the load ended, or when the node was ready again after it was killed, KiB.
    pub(in crate::cli::bench) fn resident_kib(&self) -> u64 {
        self.after_kill.as_ref().map_or(0, |start| start.resident_kib).max(self.after.resident_kib)
    }

    /// For people, and for programs.
    pub(in crate::cli::bench) fn print(&self, output: &mut Output) {
        self.lines(output);
        self.figures(output);
    }

    /// The notices signed beforehand ended before the time did.
    fn ran_out(&self) -> bool {
        match self.options.rate {
            Some(rate) => (self.signed as u64) < u64::from(rate) * self.options.seconds,
            None => self.tally.answered() >= self.signed as u64,
        }
    }

    fn lines(&self, output: &Output) {
        let Options { connections, recipients, payload, .. } = &self.options;
        let after = &self.after;
        let seconds = self.elapsed.as_secs_f64();
        let (mode, pace) = (self.options.mode().word(), self.options.pace());
        let line = |name: &str, figure: f64, places: usize, rest: String| {
            output.line(format!(" {name:<16} {figure:>10.places$} {rest}"));
        };
        output.line(format!(
            " {mode}, {connections} connections with {pace}, {recipients} recipients, {payload} bytes, {seconds:.1} s"
        ));
        let refused = format!("/s      {} refused, {} told to come later", self.refused(), self.busy());
        line("accepted", self.accepted_per_s(), 0, refused);
        let alone = format!("of {:.0} verifications /s alone on {} cores", self.verifications_per_s(), cores());
        line("", self.accepted_per_verification(), 2, format!("        {alone}"));
        let delivered = match self.options.collect {
            true => format!(
                "/s      {:.0} acknowledged /s, {:.0} under one signature",
                self.acknowledgements_per_s(),
                self.collected.batch()
            ),
            false => "/s      nobody collected; see --collect".into(),
        };
        line("delivered", self.deliveries_per_s(), 0, delivered);
        line("server CPU", self.cpu_us(), 1, "µs      for each notice accepted".into());
        line("verification", self.verify_us, 1, "µs      one Ed25519 signature, strictly".into());
        line("ratio", self.cpu_ratio(), 2, String::new());
        line("audiences", self.audience_hits as f64, 0, format!("        hits; {} misses", self.audience_misses));
        let latency = |share| f64::from(self.latency_us(share));
        line("durable receipt", latency(0.50), 0, format!("µs      p50; p99 {} µs", latency(0.99)));
        let disk = format!("µs      p50; p99 {} µs, 4 KiB written and synchronised meanwhile", self.disk_us(0.99));
        line("the disk", f64::from(self.disk_us(0.50)), 0, disk);
        line("written", self.written_per_payload_byte(), 2, "bytes   for each byte of content".into());
        let memory =
            format!("KiB     resident; {:+} since the start, {} at most", self.growth_kib(), after.peak_kib);
        line("memory", after.resident_kib as f64, 0, memory);
        if let Some(again) = &self.after_kill {
            let killed = format!("ms      {:.0} ms after it was killed", ms(again.ready));
            line("ready", ms(self.ready), 0, killed);
            line("memory then", again.resident_kib as f64, 0, "KiB     resident, when it is ready again".into());
        }
        disturbed(self.core_share(), output);
        output.line(format!(
            " ✔ {} receipts verified, and the log of {} leaves as it is stored",
            self.receipts_checked, self.leaves_checked
        ));
    }

    fn figures(&self, output: &mut Output) {
        let Self { options, tally, before, after, .. } = self;
        output.set("mode", options.mode().word());
        output.set("recipients", options.recipients);
        output.set("connections", options.connections);
        output.set("in_flight", options.in_flight());
        output.set("rate", options.rate);
        output.set("overload", options.overload);
        output.set("payload_bytes", options.payload);
        output.set("seconds", round(self.elapsed.as_secs_f64()));
        output.set("notices_signed", self.signed);
        output.set("ran_out", self.ran_out());
        output.set("accepted", tally.accepted);
        output.set("busy", self.busy());
        output.set("refused", self.refused());
        output.set("refusal", tally.refusal());
        output.set("accepted_per_s", round(self.accepted_per_s()));
        output.set("verifications_per_s", round(self.verifications_per_s()));
        output.set("accepted_per_verification", round(self.accepted_per_verification()));
        output.set("cores", cores());
        output.set("core_share", round(self.core_share()));
        output.set("collected", options.collect);
        output.set("deliveries_per_s", round(self.deliveries_per_s()));
        output.set("acknowledgements_per_s", round(self.acknowledgements_per_s()));
        output.set("acknowledged_in_batches_of", round(self.collected.batch()));
        output.set("server_cpu_us_per_notice", round(self.cpu_us()));
        output.set("verify_us", round(self.verify_us));
        output.set("cpu_ratio", round(self.cpu_ratio()));
        output.set("audience_hits", self.audience_hits);
        output.set("audience_misses", self.audience_misses);
        output.set("p50_us", self.latency_us(0.50));
        output.set("p99_us", self.latency_us(0.99));
        output.set("sent_late_p50_us", tally.late_us(0.50));
        output.set("sent_late_p99_us", tally.late_us(0.99));
        output.set("disk_p50_us", self.disk_us(0.50));
        output.set("disk_p99_us", self.disk_us(0.99));
        output.set("receipt_over_disk_p50", round(self.receipt_over_disk()));
        output.set("bytes_written", after.written.saturating_sub(before.written));
        output.set("bytes_written_per_payload_byte", round(self.written_per_payload_byte()));
        output.set("resident_start_kib", before.resident_kib);
        output.set("resident_end_kib", after.resident_kib);
        output.set("resident_peak_kib", after.peak_kib);
        output.set("ready_ms", round(ms(self.ready)));
        output.set("ready_after_kill_ms", self.ready_after_kill_ms().map(round));
        output.set("resident_after_kill_kib", self.after_kill.as_ref().map(|start| start.resident_kib));
        output.set("receipts_checked", self.receipts_checked);
        output.set("leaves_checked", self.leaves_checked);
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
