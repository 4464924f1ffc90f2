//! Reading the ClientHello, with a bound on its size: nobody is known yet, so nothing is kept for whoever sends much.

use rustls::server::{Accepted, Acceptor};
use std::io;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// Why there is no ClientHello.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoHello {
    /// It is larger than is taken, or much came behind it before it was answered.
    #[error("the ClientHello is larger than {0} bytes")]
    TooLarge(usize),
    /// It is none; the client was told by an alert.
    #[error("this is no ClientHello")]
    Malformed(#[source] rustls::Error),
    /// The connection failed or ended.
    #[error("the connection failed before the ClientHello was there")]
    Io(#[from] io::Error),
}

/// Reads from `tcp` until its ClientHello is whole. At most `most` bytes are read, and what one further read may bring.
///
/// # Errors
/// [`NoHello`]; the connection is of no use after that.
pub(crate) async fn read(tcp: &mut TcpStream, most: usize) -> Result<Accepted, NoHello> {
    let mut acceptor = Acceptor::default();
    let mut read = 0;
    loop {
        tcp.readable().await?;
        match acceptor.read_tls(&mut Ready(tcp)) {
            Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            Ok(bytes) => read += bytes,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error.into()),
        }
        if read > most {
            return Err(NoHello::TooLarge(most));
        }
        match acceptor.accept() {
            Ok(Some(accepted)) => return Ok(accepted),
            Ok(None) => {}
            Err((error, mut alert)) => {
                let mut bytes = Vec::new();
                alert.write_all(&mut bytes)?;
                tcp.write_all(&bytes).await?;
                return Err(NoHello::Malformed(error));
            }
        }
    }
}

/// What has arrived already.
struct Ready<'a>(&'a TcpStream);

impl io::Read for Ready<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }
}
