//! A chunked body, taken apart as it arrives (RFC 9112 §7.1).

use crate::answer::{self, Trouble};
use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;

/// Bytes of chunk sizes and extensions that are read between two bytes of a body.
const LINE_BYTES: usize = 4 * 1024;

/// Digits of a chunk's size; more would not fit into a `u64`.
const DIGITS: usize = 16;

/// Where in a chunked body the reader stands.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum Chunks {
    /// Before the line with a chunk's size.
    #[default]
    Size,
    /// So many bytes of a chunk are still to come.
    Data(u64),
    /// Before the line end that follows a chunk's data.
    DataEnd,
    /// After the last chunk.
    Trailers,
    /// At the end.
    Done,
}

/// What was found.
#[derive(Debug)]
pub(crate) enum Piece {
    /// Data, never empty.
    Data(Bytes),
    /// The trailers; the body ends with them.
    Trailers(HeaderMap),
    /// The body has ended.
    End,
    /// More bytes are needed.
    Short,
}

impl Chunks {
    /// Takes the next piece out of `inbox`.
    ///
    /// # Errors
    /// What is wrong with the chunks.
    pub(crate) fn next(&mut self, inbox: &mut BytesMut) -> Result<Piece, Trouble> {
        loop {
            match self {
                Self::Size => match size_line(inbox)? {
                    None => return Ok(Piece::Short),
                    Some(0) => *self = Self::Trailers,
                    Some(size) => *self = Self::Data(size),
                },
                Self::Data(_) if inbox.is_empty() => return Ok(Piece::Short),
                Self::Data(left) => {
                    let here = usize::try_from(*left).unwrap_or(usize::MAX).min(inbox.len());
                    *left -= here as u64;
                    if *left == 0 {
                        *self = Self::DataEnd;
                    }
                    let data = inbox.split_to(here).freeze();
                    if *self == Self::DataEnd && inbox[..].starts_with(b"\r\n") {
                        self.skip_line_end(inbox)?; // or else with the next piece: this one is sound
                    }
                    return Ok(Piece::Data(data));
                }
                Self::DataEnd => {
                    self.skip_line_end(inbox)?;
                    if *self == Self::DataEnd {
                        return Ok(Piece::Short);
                    }
                }
                Self::Trailers => return self.trailers(inbox),
                Self::Done => return Ok(Piece::End),
            }
        }
    }

    /// Whether nothing more comes.
    pub(crate) fn is_done(&self) -> bool {
        *self == Self::Done
    }

    /// Passes the line end after a chunk's data as soon as it is there, and the last chunk with it, so that the end
    /// of a body that arrived in one read is known with its last data.
    fn skip_line_end(&mut self, inbox: &mut BytesMut) -> Result<(), Trouble> {
        if inbox[..].starts_with(b"\r\n") {
            inbox.advance(2);
            *self = Self::Size;
            if inbox[..].starts_with(b"0\r\n\r\n") {
                inbox.advance(5);
                *self = Self::Done;
            }
            return Ok(());
        }
        match &inbox[..] {
            [] | [b'\r'] => Ok(()),
            [..] => Err(Trouble::Bad("a chunk is longer than its size")),
        }
    }

    fn trailers(&mut self, inbox: &mut BytesMut) -> Result<Piece, Trouble> {
        if inbox[..].starts_with(b"\r\n") {
            inbox.advance(2);
            *self = Self::Done;
            return Ok(Piece::End);
        }
        let Some(trailers) = answer::read_trailers(inbox)? else { return Ok(Piece::Short) };
        *self = Self::Done;
        Ok(Piece::Trailers(trailers))
    }
}

/// Reads a line with a chunk's size; what stands behind a semicolon is an extension and says nothing to us.
fn size_line(inbox: &mut BytesMut) -> Result<Option<u64>, Trouble> {
    let window = &inbox[..inbox.len().min(LINE_BYTES)];
    let Some(end) = memchr::memchr(b'\n', window) else {
        if inbox.len() >= LINE_BYTES {
            return Err(Trouble::Bad("the line with a chunk's size is too long"));
        }
        return Ok(None);
    };
    let Some(line) = window[..end].strip_suffix(b"\r") else {
        return Err(Trouble::Bad("the line with a chunk's size ends without a carriage return"));
    };
    let digits = line.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(line.len());
    let (size, extension) = line.split_at(digits);
    if size.is_empty() || size.len() > DIGITS {
        return Err(Trouble::Bad("a chunk's size is not a number"));
    }
    // RFC 9112 §7.1.1 allows blanks before the semicolon, though nobody should send them.
    let blanks = extension.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let extension = &extension[blanks..];
    let plain = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~' | 0x80..);
    if !(extension.is_empty() || extension.starts_with(b";")) || !extension.iter().all(plain) {
        return Err(Trouble::Bad("something else than an extension follows a chunk's size"));
    }
    let size = size.iter().fold(0_u64, |size, digit| {
        let digit = (*digit as char).to_digit(16).unwrap_or_default();
        size << 4 | u64::from(digit)
    });
    inbox.advance(end + 1);
    Ok(Some(size))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `bytes` in pieces of `step`; gives back the body, the trailers' number, and what is left over.
    fn read(bytes: &[u8], step: usize) -> Result<(Vec<u8>, usize, usize), String> {
        let (mut chunks, mut inbox) = (Chunks::default(), BytesMut::new());
        let (mut body, mut fields) = (Vec::new(), 0);
        let mut feed = bytes.chunks(step);
        loop {
            match chunks.next(&mut inbox).map_err(|trouble| format!("{trouble:?}"))? {
                Piece::Data(data) => {
                    assert!(!data.is_empty());
                    body.extend_from_slice(&data);
                }
                Piece::Trailers(trailers) => fields = trailers.len(),
                Piece::End => {
                    let rest = inbox.len() + feed.map(<[u8]>::len).sum::<usize>();
                    return Ok((body, fields, rest));
                }
                Piece::Short => match feed.next() {
                    Some(more) => inbox.extend_from_slice(more),
                    None => return Err("short".into()),
                },
            }
        }
    }

    #[test]
    fn sound_bodies_are_read_however_they_arrive() {
        let long = format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(4000));
        for (sent, want, fields, rest) in [
            ("0\r\n\r\n", "", 0, 0),
            ("5\r\nhello\r\n0\r\n\r\n", "hello", 0, 0),
            ("5\r\nhello\r\n0\r\n\r\nHTTP/1.1", "hello", 0, 8),
            ("05\r\nhello\r\n000\r\n\r\n", "hello", 0, 0),
            ("a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789", 0, 0),
            ("5;a=b\r\nhello\r\n0;c=\"d\"\r\n\r\n", "hello", 0, 0),
            ("5 ;a\r\nhello\r\n0\r\n\r\n", "hello", 0, 0),
            ("5\r\nhello\r\n0\r\na: b\r\nc: d\r\n\r\n", "hello", 2, 0),
            ("2\r\n\r\n\r\n0\r\n\r\n", "\r\n", 0, 0),
            (&long, "hello", 0, 0),
        ] {
            for step in [1, 2, 3, 7, 10_000] {
                let (body, trailers, left) = read(sent.as_bytes(), step).unwrap();
                assert_eq!(body, want.as_bytes(), "{sent:?}");
                assert_eq!((trailers, left), (fields, rest), "{sent:?} by {step}");
            }
        }
    }

    #[test]
    fn what_could_be_read_two_ways_is_refused() {
        let long = format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(5000));
        let many = format!("0\r\n{}\r\n", "a: b\r\n".repeat(101));
        for sent in [
            "\r\n\r\n",
            "0x5\r\nhello\r\n0\r\n\r\n",
            "+5\r\nhello\r\n0\r\n\r\n",
            " 5\r\nhello\r\n0\r\n\r\n",
            "-1\r\n",
            "1_0\r\n",
            "5\nhello\r\n0\r\n\r\n",
            "5\r\nhello\n0\r\n\r\n",
            "5\r\nhelloo\r\n0\r\n\r\n",
            "5\r\nhello\r\r\n0\r\n\r\n",
            "5\r\r\nhello\r\n0\r\n\r\n",
            "5;a\rb\r\nhello\r\n0\r\n\r\n",
            "5;a\0\r\nhello\r\n0\r\n\r\n",
            "5 5\r\nhello\r\n0\r\n\r\n",
            "00000000000000005\r\nhello\r\n0\r\n\r\n",
            "10000000000000000\r\n",
            "0\r\na: b\n\r\n",
            "0\r\nno colon\r\n\r\n",
            "0\r\n folded: x\r\n\r\n",
            &long,
            &many,
        ] {
            for step in [1, 3, 10_000] {
                let error = read(sent.as_bytes(), step).unwrap_err();
                assert_ne!(error, "short", "{sent:?} by {step}");
            }
        }
    }

    #[test]
    fn what_stops_early_is_never_whole() {
        let whole = b"5\r\nhello\r\n3;a\r\nyou\r\n0\r\na: b\r\n\r\n";
        for end in 0..whole.len() {
            assert_eq!(read(&whole[..end], 4).unwrap_err(), "short", "{end}");
        }
        read(whole, 4).unwrap();
    }
}
