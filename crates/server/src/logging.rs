//! Log lines: JSON on standard error, written by a thread of their own.
//!
//! A slow sink never holds a request up: when the queue is full, lines are dropped and counted (design §3).

use crate::config::LogLevel;
use std::io::Write;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;
use tracing_subscriber::fmt::MakeWriter;

/// Lines that may wait for the sink before new ones are dropped.
const QUEUE: usize = 8192;

/// What waits for the sink.
enum Entry {
    Line(Vec<u8>),
    /// Told when every line before it is written.
    Flush(SyncSender<()>),
}

static STARTED: OnceLock<SyncSender<Entry>> = OnceLock::new();

/// Counts the lines that a slow sink lost.
#[derive(Clone, Debug, Default)]
pub struct DroppedLines(Arc<AtomicU64>);

impl DroppedLines {
    /// How many since the start.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Hands finished lines to the writing thread.
#[derive(Clone)]
struct Queue {
    lines: SyncSender<Entry>,
    dropped: DroppedLines,
}

/// One line while it is being formatted; sent when it is dropped.
struct Line {
    text: Vec<u8>,
    queue: Queue,
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.queue.lines.try_send(Entry::Line(std::mem::take(&mut self.text))).is_err() {
            self.queue.dropped.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl<'a> MakeWriter<'a> for Queue {
    type Writer = Line;
    fn make_writer(&'a self) -> Line {
        Line { text: Vec::with_capacity(256), queue: self.clone() }
    }
}

fn write_out(entries: &Receiver<Entry>, mut sink: impl Write) {
    while let Ok(entry) = entries.recv() {
        // A sink that refuses a line will refuse the complaint about it as well.
        let _ = match entry {
            Entry::Line(line) => sink.write_all(&line),
            Entry::Flush(done) => {
                let _ = done.send(());
                Ok(())
            }
        };
    }
}

/// Waits until the lines so far are written, or a second has passed: call it before the process ends.
pub fn flush() {
    let (done, written) = sync_channel(1);
    if let Some(lines) = STARTED.get()
        && lines.try_send(Entry::Flush(done)).is_ok()
    {
        let _ = written.recv_timeout(Duration::from_secs(1));
    }
}

/// Starts the log of this process; a second call changes nothing.
pub fn start(level: LogLevel) -> DroppedLines {
    let (sender, receiver) = sync_channel(QUEUE);
    let dropped = DroppedLines::default();
    let queue = Queue { lines: sender.clone(), dropped: dropped.clone() };
    let level = match level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info,hyper=warn,h2=warn,rustls=warn,sqlx=warn",
        LogLevel::Debug => "info,narthex=debug",
    };
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_env_filter(tracing_subscriber::EnvFilter::new(level))
        .with_writer(queue)
        .finish();
    if tracing::subscriber::set_global_default(subscriber).is_ok() {
        let writer = std::thread::Builder::new().name("log".to_owned());
        let _ = STARTED.set(sender);
        let _ = writer.spawn(move || write_out(&receiver, std::io::stderr()));
    }
    dropped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blocked_sink_loses_lines_and_counts_them() {
        let (sender, _receiver) = sync_channel(1);
        let queue = Queue { lines: sender, dropped: DroppedLines::default() };
        for _ in 0..3 {
            let _ = queue.make_writer().write(b"a line\n");
        }
        assert_eq!(queue.dropped.count(), 2);
    }

    #[test]
    fn values_from_outside_stay_on_one_line() {
        let (sender, receiver) = sync_channel(8);
        let queue = Queue { lines: sender, dropped: DroppedLines::default() };
        let subscriber =
            tracing_subscriber::fmt().json().flatten_event(true).with_writer(queue).finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(http.path = "/a\r\n{\"forged\":1}\u{1b}[31m", "refused");
        });
        let Ok(Entry::Line(line)) = receiver.recv() else { panic!("a line was written") };
        let line = String::from_utf8(line).unwrap();
        assert_eq!(line.matches('\n').count(), 1, "{line}");
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["http.path"], "/a\r\n{\"forged\":1}\u{1b}[31m");
    }
}
