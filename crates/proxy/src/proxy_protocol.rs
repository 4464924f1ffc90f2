//! The PROXY protocol, versions 1 and 2: a trusted proxy says whose connection it passes on.
//! Source: <https://www.haproxy.org/download/1.8/doc/proxy-protocol.txt>. Read from `trusted_proxies` only.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::TcpStream;

/// What version 2 begins with.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// Longest header of version 1, its end included.
const LONGEST_TEXT: usize = 107;

/// Longest header of version 2 that we take; addresses need 36 bytes, the rest is remarks.
const LONGEST_BINARY: usize = 2048;

/// Reads the header, if the connection begins with one, and returns the client's address if it names one. What
/// follows is left unread.
///
/// # Errors
/// When the header is damaged, or the connection fails.
pub(crate) async fn read(tcp: &mut TcpStream) -> io::Result<Option<IpAddr>> {
    let mut first = [0];
    if tcp.peek(&mut first).await? == 0 {
        return Ok(None);
    }
    match first {
        [b'P'] => text(tcp).await,
        [b'\r'] => binary(tcp).await,
        _ => Ok(None),
    }
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the PROXY protocol header is damaged")
}

/// `PROXY TCP4 source destination port port`.
async fn text(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<IpAddr>> {
    let mut line = Vec::with_capacity(LONGEST_TEXT);
    while !line.ends_with(b"\r\n") {
        if line.len() >= LONGEST_TEXT {
            return Err(damaged());
        }
        line.push(stream.read_u8().await?);
    }
    let line = std::str::from_utf8(&line).map_err(|_| damaged())?;
    let mut words = line.trim_end_matches("\r\n").split(' ');
    match (words.next(), words.next(), words.next(), words.count()) {
        (Some("PROXY"), Some("UNKNOWN"), _, _) => Ok(None),
        (Some("PROXY"), Some("TCP4"), Some(source), 3) => {
            source.parse::<Ipv4Addr>().map(|ip| Some(ip.into())).map_err(|_| damaged())
        }
        (Some("PROXY"), Some("TCP6"), Some(source), 3) => {
            source.parse::<Ipv6Addr>().map(|ip| Some(ip.into())).map_err(|_| damaged())
        }
        _ => Err(damaged()),
    }
}

async fn binary(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<IpAddr>> {
    let mut head = [0; 16];
    stream.read_exact(&mut head).await?;
    let [signature @ .., version_and_command, family, high, low] = head;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if signature != SIGNATURE || length > LONGEST_BINARY {
        return Err(damaged());
    }
    let mut rest = vec![0; length];
    stream.read_exact(&mut rest).await?;
    match (version_and_command, family) {
        (0x20, _) => Ok(None), // LOCAL: the proxy speaks for itself, as in a health check
        (0x21, 0x11) => {
            let source = rest.first_chunk::<4>().filter(|_| length >= 12).ok_or_else(damaged)?;
            Ok(Some(Ipv4Addr::from(*source).into()))
        }
        (0x21, 0x21) => {
            let source = rest.first_chunk::<16>().filter(|_| length >= 36).ok_or_else(damaged)?;
            Ok(Some(Ipv6Addr::from(*source).into()))
        }
        (0x21, 0x00) => Ok(None),
        _ => Err(damaged()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn version_1() {
        for (header, want) in [
            ("PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n", Ok(Some("192.0.2.1"))),
            ("PROXY TCP6 2001:db8::1 2001:db8::2 56324 443\r\n", Ok(Some("2001:db8::1"))),
            ("PROXY UNKNOWN\r\n", Ok(None)),
            ("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", Ok(None)),
            ("PROXY TCP4 2001:db8::1 198.51.100.1 56324 443\r\n", Err(())),
            ("PROXY TCP4 192.0.2.1 198.51.100.1 56324\r\n", Err(())),
            ("PROXY TCP4 192.0.2.1 198.51.100.1 1 2 3\r\n", Err(())),
            ("PROXY UDP4 192.0.2.1 198.51.100.1 1 2\r\n", Err(())),
            ("POST / HTTP/1.1\r\n", Err(())),
            ("PROXY TCP4 192.0.2.1\n", Err(())),
        ] {
            let mut stream = header.as_bytes();
            let got = text(&mut stream).await.map_err(drop);
            assert_eq!(got, want.map(|ip| ip.map(|ip| ip.parse().unwrap())), "{header:?}");
        }
        let mut endless = &[b'P'; 200][..];
        assert!(text(&mut endless).await.is_err());
    }

    #[tokio::test]
    async fn version_2() {
        let header = |command, family, body: &[u8]| {
            let length = u16::try_from(body.len()).unwrap().to_be_bytes();
            [&SIGNATURE[..], &[command, family], &length, body, b"rest"].concat()
        };
        let v4 = [192, 0, 2, 1, 198, 51, 100, 1, 0, 80, 1, 187];
        let remark = [&v4[..], &[4, 0, 1, 0]].concat();
        for (bytes, want) in [
            (header(0x21, 0x11, &v4), Ok(Some("192.0.2.1"))),
            (header(0x21, 0x11, &remark), Ok(Some("192.0.2.1"))),
            (header(0x20, 0x00, &[]), Ok(None)),
            (header(0x21, 0x00, &[]), Ok(None)),
            (header(0x21, 0x11, &v4[..8]), Err(())),
            (header(0x31, 0x11, &v4), Err(())),
            (header(0x21, 0x21, &v4), Err(())),
            (SIGNATURE.to_vec(), Err(())),
        ] {
            let mut stream = bytes.as_slice();
            let got = binary(&mut stream).await.map_err(drop);
            assert_eq!(got, want.map(|ip| ip.map(|ip| ip.parse().unwrap())), "{bytes:?}");
            assert!(want.is_err() || stream == b"rest", "{bytes:?}");
        }
    }
}
