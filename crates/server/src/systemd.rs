//! What the service manager is told, and the sockets that it opened for us: the protocols of `sd_notify(3)` and
//! `sd_listen_fds(3)`, which other supervisors speak too.

use crate::config::Settings;
use crate::start::StartError;
use listenfd::ListenFd;
use narthex_proxy::Listeners;
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::io;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixDatagram};
use std::time::Duration;

/// The way to the service manager; leads nowhere when there is none.
#[derive(Debug, Default)]
pub struct Manager {
    to: Option<(UnixDatagram, UnixAddress)>,
    /// How often it wants to hear that the gateway lives.
    watchdog: Option<Duration>,
}

/// What a service manager is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News<'a> {
    /// The gateway serves.
    Ready,
    /// The configuration is read again, or another binary is being started; `Ready` follows.
    Reloading,
    /// The gateway finishes what is under way.
    Stopping,
    /// It lives.
    Alive,
    /// Another process is the gateway from now on.
    Successor(u32),
    /// One line for people.
    Status(&'a str),
}

impl Manager {
    /// The manager that the environment names (`NOTIFY_SOCKET`, `WATCHDOG_USEC`, `WATCHDOG_PID`).
    #[must_use]
    pub fn of_environment() -> Self {
        let text = |name| std::env::var(name).ok();
        let watchdog = watchdog(text("WATCHDOG_USEC"), text("WATCHDOG_PID"), std::process::id());
        let Some(name) = std::env::var_os("NOTIFY_SOCKET") else { return Self::default() };
        match (UnixDatagram::unbound(), address(&name)) {
            (Ok(socket), Ok(address)) => Self { to: Some((socket, address)), watchdog },
            (Err(error), _) | (_, Err(error)) => {
                tracing::warn!(%error, "the service manager cannot be told anything: NOTIFY_SOCKET");
                Self::default()
            }
        }
    }

    /// Half the time after which the manager would take the gateway for dead, if it watches.
    #[must_use]
    pub fn heartbeat(&self) -> Option<Duration> {
        self.to.as_ref().and(self.watchdog).map(|watchdog| watchdog / 2)
    }

    /// Tells it. A manager that does not listen costs a line in the log and nothing else.
    pub fn tell(&self, news: News<'_>) {
        let Some((socket, address)) = &self.to else { return };
        let text = match news {
            News::Ready => "READY=1\nSTATUS=serving".to_owned(),
            News::Reloading => format!("RELOADING=1\nMONOTONIC_USEC={}", monotonic_micros()),
            News::Stopping => "STOPPING=1\nSTATUS=finishing what is under way".to_owned(),
            News::Alive => "WATCHDOG=1".to_owned(),
            News::Successor(id) => format!("MAINPID={id}"),
            News::Status(line) => format!("STATUS={line}"),
        };
        if let Err(error) = socket.send_to_addr(text.as_bytes(), address) {
            tracing::warn!(%error, "the service manager was not told {news:?}");
        }
    }
}

/// A path, or after `@` a name in the abstract namespace.
fn address(name: &OsString) -> io::Result<UnixAddress> {
    match name.as_bytes().strip_prefix(b"@") {
        Some(name) => UnixAddress::from_abstract_name(name),
        None => UnixAddress::from_pathname(name),
    }
}

fn watchdog(micros: Option<String>, of: Option<String>, us: u32) -> Option<Duration> {
    if of.is_some_and(|of| of.parse() != Ok(us)) {
        return None; // another process of the unit is watched
    }
    let micros = micros?.parse().ok()?;
    (micros > 0).then(|| Duration::from_micros(micros))
}

/// CLOCK_MONOTONIC in microseconds, as the manager compares it.
fn monotonic_micros() -> i64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec * 1_000_000 + now.tv_nsec / 1_000
}

/// Sockets that somebody else opened, by what is to be spoken on them.
#[derive(Debug, Default)]
pub struct Given {
    /// For the data path.
    pub listeners: Listeners,
    /// For metrics and health.
    pub metrics: Option<TcpListener>,
    /// Which of them are used whatever the configuration file says.
    pub instead: Instead,
}

/// For which keys of `[listen]` the sockets given stand in place of the addresses of the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instead {
    /// `https`.
    pub https: bool,
    /// `http`.
    pub http: bool,
    /// `metrics`.
    pub metrics: bool,
}

/// The sockets that the service manager opened (`LISTEN_FDS`, `LISTEN_PID`, `LISTEN_FDNAMES`).
///
/// One that is named `https`, `http` or `metrics` (`FileDescriptorName=`) stands in place of the addresses under that key of
/// `[listen]`. One of another name must be at an address of the file.
///
/// # Errors
/// When a descriptor is no listening TCP socket, or the file has no use for it.
pub fn given(settings: &Settings) -> Result<Given, StartError> {
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut found = ListenFd::from_env();
    let mut sockets = Vec::new();
    for (place, name) in (0..found.len()).zip(names.split(':').chain(std::iter::repeat(""))) {
        let socket = found.take_tcp_listener(place).map_err(StartError::Given)?;
        sockets.extend(socket.map(|socket| (name.to_owned(), socket)));
    }
    sort(sockets, settings)
}

fn sort(sockets: Vec<(String, TcpListener)>, settings: &Settings) -> Result<Given, StartError> {
    let mut given = Given::default();
    let Given { listeners, metrics, instead } = &mut given;
    for (name, socket) in sockets {
        let at = socket.local_addr().map_err(StartError::Given)?;
        match name.as_str() {
            "https" => (instead.https, _) = (true, listeners.https.push(socket)),
            "http" => (instead.http, _) = (true, listeners.http.push(socket)),
            "metrics" => (instead.metrics, *metrics) = (true, Some(socket)),
            _ if settings.https.contains(&at) => listeners.https.push(socket),
            _ if settings.http.contains(&at) => listeners.http.push(socket),
            _ if settings.metrics == Some(at) => *metrics = Some(socket),
            _ => return Err(StartError::NotListedSocket { address: at }),
        }
    }
    Ok(given)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;
    use std::path::Path;

    fn settings(https: SocketAddr) -> Settings {
        let text = format!(
            "data_dir = \"data\"\n[listen]\nhttps = [\"{https}\"]\n[team]\nname = \"a\"\ndomain = \"a.test\"\n"
        );
        Settings::parse(&text, Path::new("narthex.toml")).unwrap()
    }

    fn open() -> (SocketAddr, TcpListener) {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        (socket.local_addr().unwrap(), socket)
    }

    #[test]
    fn a_name_says_what_a_socket_is_for_and_else_its_address_does() {
        let ((a, one), (b, two), (c, three), (d, four)) = (open(), open(), open(), open());
        let listed = settings(a);
        let sockets = [("narthexd.socket", one), ("metrics", two)].map(|(n, s)| (n.to_owned(), s));
        let given = sort(sockets.into(), &listed).unwrap();
        assert_eq!(given.instead, Instead { metrics: true, ..Instead::default() });
        let at = |socket: &TcpListener| socket.local_addr().unwrap();
        assert_eq!(given.listeners.https.iter().map(at).collect::<Vec<_>>(), [a]);
        assert_eq!(given.metrics.as_ref().map(at), Some(b));

        let twin = three.try_clone().unwrap();
        let sockets = vec![("https".to_owned(), three), ("https".to_owned(), twin)];
        let given = sort(sockets, &listed).unwrap();
        assert_eq!(given.instead, Instead { https: true, ..Instead::default() });
        assert_eq!(given.listeners.https.iter().map(at).collect::<Vec<_>>(), [c, c]);

        let refused = sort(vec![(String::new(), four)], &settings(a)).unwrap_err();
        assert!(refused.to_string().contains(&d.to_string()), "{refused}");
    }

    #[test]
    fn a_watchdog_may_be_another_processes() {
        let text = |text: &str| Some(text.to_owned());
        for (micros, of, want) in [
            (text("30000000"), None, Some(30)),
            (text("30000000"), text("7"), Some(30)),
            (text("30000000"), text("8"), None),
            (text("0"), None, None),
            (text("soon"), None, None),
            (None, text("7"), None),
        ] {
            let found = watchdog(micros.clone(), of.clone(), 7);
            assert_eq!(found, want.map(Duration::from_secs), "{micros:?} {of:?}");
        }
    }
}
