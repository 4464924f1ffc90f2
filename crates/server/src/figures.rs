//! The gateway's own figures, as `/metrics` shows them.

mod certificates;

use crate::health::Health;
use crate::logging::DroppedLines;
use crate::metrics::{Figures, Page};
use crate::records::RecordCounts;
use crate::restarts::Restarts;
use async_trait::async_trait;
use narthex_api::Desk;
use narthex_model::Clock;
use narthex_proxy::Meters;
use narthex_snapshot::Live;
use narthex_store::OwedRevocations;
use std::fmt;
use std::sync::Arc;

/// Where the figures come from.
pub(crate) struct GatewayFigures {
    pub(crate) meters: Arc<Meters>,
    pub(crate) live: Arc<Live>,
    pub(crate) counts: Arc<RecordCounts>,
    pub(crate) revocations: Arc<OwedRevocations>,
    pub(crate) dropped_lines: DroppedLines,
    pub(crate) health: Arc<Health>,
    pub(crate) restarts: Arc<Restarts>,
    pub(crate) desk: Arc<Desk>,
    pub(crate) clock: Clock,
}

impl fmt::Debug for GatewayFigures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GatewayFigures")
    }
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl GatewayFigures {
    fn write_queue_delays(&self, page: &mut Page<'_>) -> fmt::Result {
        let delays = self.meters.queue_delays().enumerate();
        let delays: Vec<_> = delays.map(|(core, delay)| (core.to_string(), delay)).collect();
        let labels: Vec<_> = delays.iter().map(|(core, _)| [("core", core.as_str())]).collect();
        let samples: Vec<_> = (labels.iter().zip(&delays))
            .map(|(labels, (_, delay))| {
                (&labels[..], i64::try_from(delay.as_micros()).unwrap_or(i64::MAX))
            })
            .collect();
        page.gauge("queue_delay_microseconds", "How long work waits for its turn", &samples)
    }
}

#[async_trait]
impl Figures for GatewayFigures {
    fn write(&self, page: &mut Page<'_>) -> fmt::Result {
        let read = self.meters.read();
        page.counter(
            "requests",
            "Requests by what became of them",
            &[
                (&[("verdict", "admitted_person")], read.admitted_person),
                (&[("verdict", "admitted_machine")], read.admitted_machine),
                (&[("verdict", "admitted_bypass")], read.admitted_bypass),
                (&[("verdict", "sent_to_login")], read.sent_to_login),
                (&[("verdict", "unauthenticated")], read.unauthenticated),
                (&[("verdict", "forbidden")], read.forbidden),
                (&[("verdict", "malformed")], read.malformed),
                (&[("verdict", "unreadable")], read.unreadable),
                (&[("verdict", "not_found")], read.not_found),
                (&[("verdict", "control")], read.control),
                (&[("verdict", "panicked")], read.panics),
            ],
        )?;
        page.counter(
            "connections",
            "TCP connections by what became of them",
            &[
                (&[("outcome", "accepted")], read.connections_accepted),
                (&[("outcome", "refused")], read.connections_refused),
                (&[("outcome", "accept_failed")], read.accept_failures),
            ],
        )?;
        page.counter(
            "write_stalls",
            "Connections and HTTP/2 streams ended because the client took nothing",
            &[(&[], read.write_stalls)],
        )?;
        page.counter(
            "shed_requests",
            "Requests turned away because of overload",
            &[
                (&[("asker", "stranger")], read.shed_strangers),
                (&[("asker", "known")], read.shed_known),
            ],
        )?;
        page.counter(
            "connections_delayed",
            "Times that accepting connections waited because of overload",
            &[(&[], read.connections_delayed)],
        )?;
        page.gauge(
            "overloaded_cores",
            "Cores that are overloaded now",
            &[(&[], whole(read.overloaded))],
        )?;
        self.write_queue_delays(page)?;
        page.gauge(
            "connections_open",
            "Connections open now",
            &[(&[], whole(read.connections_open))],
        )?;
        page.counter(
            "handshakes",
            "TLS handshakes by what became of them",
            &[
                (&[("outcome", "completed")], read.handshakes),
                (&[("outcome", "failed")], read.handshakes_failed),
                (&[("outcome", "unknown_name")], read.handshakes_unknown_name),
            ],
        )?;
        page.counter(
            "token_lookups",
            "Credentials by where their verdict came from",
            &[
                (&[("from", "connection")], read.memo_hits),
                (&[("from", "core")], read.token_hits),
                (&[("from", "verification")], read.token_misses),
            ],
        )?;
        page.counter(
            "upstream_failures",
            "Requests that an origin failed to answer",
            &[(&[], read.upstream_failures)],
        )?;
        page.counter(
            "upstream_retries",
            "Requests that were sent to an origin a second time",
            &[(&[], read.upstream_retries)],
        )?;
        page.counter(
            "upstream_addresses",
            "Times that a core began to pass over an origin's address that did not answer, and took it up again",
            &[
                (&[("event", "ejected")], read.upstream_ejections),
                (&[("event", "returned")], read.upstream_returns),
            ],
        )?;
        page.counter(
            "impostors",
            "Answers in which an origin spoke in the gateway's name",
            &[(&[], read.impostors)],
        )?;
        page.counter(
            "control_busy",
            "Requests that the control side was too busy for",
            &[(&[], read.control_busy)],
        )?;
        page.counter(
            "records_written",
            "Access records that are durable",
            &[(&[], self.counts.written())],
        )?;
        page.counter(
            "records_dropped",
            "Access records that were lost to a full queue",
            &[(&[], read.records_dropped)],
        )?;
        page.counter(
            "record_retries",
            "Batches of records that the store refused at first",
            &[(&[], self.counts.retries())],
        )?;
        page.counter(
            "records_spilled",
            "Access records that were spilled to a file because the store refused them",
            &[(&[], self.counts.spilled())],
        )?;
        page.gauge(
            "records_waiting",
            "Access records in that file now",
            &[(&[], whole(self.counts.waiting()))],
        )?;
        page.counter(
            "records_unreadable",
            "Lines of that file that could not be read again",
            &[(&[], self.counts.unreadable())],
        )?;
        page.counter(
            "records_lost",
            "Access records that neither the store nor the file took",
            &[(&[], self.counts.lost())],
        )?;
        page.counter(
            "log_lines_dropped",
            "Log lines that a slow reader lost",
            &[(&[], self.dropped_lines.count())],
        )?;
        let restarts = self.restarts.read().map(|(work, count)| ([("work", work)], count));
        let restarts = restarts.each_ref().map(|(labels, count)| (&labels[..], *count));
        page.counter("restarts", "Background work begun again after a panic", &restarts)?;
        let snapshot = self.live.snapshot.load();
        page.gauge(
            "configuration_revision",
            "The configuration in force",
            &[(&[], snapshot.revision.0)],
        )?;
        page.gauge(
            "applications",
            "Applications in force",
            &[(&[], whole(snapshot.apps().len() as u64))],
        )?;
        page.gauge(
            "sessions",
            "Login sessions in force",
            &[(&[], whole(self.live.sessions.len() as u64))],
        )?;
        page.gauge(
            "revocations_owed",
            "Revocations in force that the store has not taken yet",
            &[(&[], whole(self.revocations.count() as u64))],
        )?;
        certificates::write(page, &self.desk.standing().configuration, self.clock.now())?;
        certificates::write_lists(page, &snapshot, self.clock.now())?;
        certificates::write_ocsp(page, self.live.ocsp.counts())
    }

    async fn trouble(&self) -> Option<String> {
        self.health.trouble().await
    }
}
