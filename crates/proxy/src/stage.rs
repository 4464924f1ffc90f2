//! How far a proxy has gone towards its end.

/// Each stage includes what the one before it said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// It serves.
    Serving,
    /// Another process accepts connections at the same sockets. Whoever is connected here is told with the next answer to
    /// connect again; nobody is cut off who may be asking at this moment.
    Yielding,
    /// Nobody accepts connections any more. Idle ones are closed at once.
    Closing,
}
