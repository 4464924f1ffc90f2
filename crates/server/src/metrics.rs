//! The private listener: OpenMetrics, liveness and readiness. Never reachable through the public listeners.

use async_trait::async_trait;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;

/// One part of the gateway that has figures to show.
#[async_trait]
pub(crate) trait Figures: std::fmt::Debug + Send + Sync + 'static {
    /// Writes metric families; names get the prefix `narthex_`.
    ///
    /// # Errors
    /// When the page cannot be written to.
    fn write(&self, page: &mut Page<'_>) -> fmt::Result;
    /// Why this part cannot serve right now, if it cannot.
    async fn trouble(&self) -> Option<String>;
}

/// A page of OpenMetrics being written.
#[derive(Debug)]
pub(crate) struct Page<'a>(DescriptorEncoder<'a>);

/// The labels of one sample.
type Labels<'a> = &'a [(&'a str, &'a str)];

impl Page<'_> {
    /// A counter family with one sample for each label set.
    ///
    /// # Errors
    /// When the page cannot be written to.
    pub(crate) fn counter(
        &mut self,
        name: &str,
        help: &str,
        samples: &[(Labels<'_>, u64)],
    ) -> fmt::Result {
        let help = format!("{help}.");
        let mut family = self.0.encode_descriptor(name, &help, None, MetricType::Counter)?;
        if let [([], value)] = samples {
            return ConstCounter::new(*value).encode(family);
        }
        for (labels, value) in samples {
            ConstCounter::new(*value).encode(family.encode_family(labels)?)?;
        }
        Ok(())
    }

    /// A gauge family with one sample for each label set.
    ///
    /// # Errors
    /// When the page cannot be written to.
    pub(crate) fn gauge(
        &mut self,
        name: &str,
        help: &str,
        samples: &[(Labels<'_>, i64)],
    ) -> fmt::Result {
        let help = format!("{help}.");
        let mut family = self.0.encode_descriptor(name, &help, None, MetricType::Gauge)?;
        if let [([], value)] = samples {
            return ConstGauge::new(*value).encode(family);
        }
        for (labels, value) in samples {
            ConstGauge::new(*value).encode(family.encode_family(labels)?)?;
        }
        Ok(())
    }
}

/// Lets the registry read [`Figures`] when somebody asks.
#[derive(Debug)]
struct Reader(Arc<dyn Figures>);

impl Collector for Reader {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.0.write(&mut Page(encoder))
    }
}

fn render(figures: Arc<dyn Figures>) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("narthex");
    registry.register_collector(Box::new(Reader(figures)));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry)?;
    Ok(text)
}

/// Opens the listener at `address`, unless it is the one that is `given`; answers it, the same socket once more for another
/// process, and where it listens.
///
/// # Errors
/// When the address cannot be listened on.
pub(crate) fn bind(
    address: SocketAddr,
    given: Option<std::net::TcpListener>,
) -> std::io::Result<(TcpListener, std::net::TcpListener, SocketAddr)> {
    let ours = |socket: &std::net::TcpListener| socket.local_addr().is_ok_and(|at| at == address);
    let socket = match given.filter(ours) {
        Some(socket) => socket,
        None => std::net::TcpListener::bind(address)?,
    };
    socket.set_nonblocking(true)?;
    let bound = socket.local_addr()?;
    Ok((TcpListener::from_std(socket.try_clone()?)?, socket, bound))
}

/// Answers until the process ends.
pub(crate) async fn serve(listener: TcpListener, figures: Arc<dyn Figures>) {
    let pages = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(figures);
    if let Err(error) = axum::serve(listener, pages).await {
        tracing::error!(%error, "the metrics listener stopped");
    }
}

async fn metrics(State(figures): State<Arc<dyn Figures>>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match render(figures) {
        Ok(text) => ([(header::CONTENT_TYPE, kind)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn ready(State(figures): State<Arc<dyn Figures>>) -> Response {
    match figures.trouble().await {
        None => "ready\n".into_response(),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Sample;

    #[async_trait]
    impl Figures for Sample {
        fn write(&self, page: &mut Page<'_>) -> fmt::Result {
            let by_verdict: [(Labels<'_>, u64); 2] =
                [(&[("verdict", "allowed")], 3), (&[("verdict", "refused")], 1)];
            page.counter("requests", "Requests by verdict", &by_verdict)?;
            page.gauge("connections", "Open connections", &[(&[], 2)])
        }

        async fn trouble(&self) -> Option<String> {
            None
        }
    }

    #[test]
    fn a_page_is_openmetrics() {
        assert_eq!(
            render(Arc::new(Sample)).unwrap(),
            "# HELP narthex_requests Requests by verdict.\n# TYPE narthex_requests counter\n\
             narthex_requests_total{verdict=\"allowed\"} 3\nnarthex_requests_total{verdict=\"refused\"} 1\n\
             # HELP narthex_connections Open connections.\n# TYPE narthex_connections gauge\n\
             narthex_connections 2\n# EOF\n"
        );
    }
}
