//! As much of RFC 6455 as a gateway needs: the handshake's proof, where frames begin, and how to say goodbye.

use aws_lc_rs::{digest, rand};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;

/// RFC 6455 §1.3.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// "I refuse you by policy" (RFC 6455 §7.4.1).
pub(super) const POLICY_VIOLATION: u16 = 1008;

/// "I am going away".
pub(super) const GOING_AWAY: u16 = 1001;

/// `Sec-WebSocket-Key`: 16 bytes in base64.
pub(super) struct Key(HeaderValue);

impl Key {
    /// A new random one.
    pub(super) fn random() -> Self {
        let mut bytes = [0; 16];
        rand::fill(&mut bytes).expect("the system has random bytes");
        let text = STANDARD.encode(bytes);
        Self(HeaderValue::from_str(&text).expect("base64 is visible ASCII"))
    }

    /// A client's, if it is one.
    pub(super) fn of(value: &HeaderValue) -> Option<Self> {
        let bytes = STANDARD.decode(value.as_bytes()).ok()?;
        (bytes.len() == 16).then(|| Self(value.clone()))
    }

    /// As it stands in the field.
    pub(super) fn value(&self) -> HeaderValue {
        self.0.clone()
    }

    /// Whether `accept` proves that the other side read this key (RFC 6455 §4.2.2).
    pub(super) fn is_accepted_by(&self, accept: &HeaderValue) -> bool {
        let mut context = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
        context.update(self.0.as_bytes());
        context.update(GUID);
        accept.as_bytes() == STANDARD.encode(context.finish()).as_bytes()
    }
}

/// Follows the frames of one direction, to know whether something may be said between two of them (RFC 6455 §5.2).
#[derive(Default)]
pub(super) struct Frames {
    header: [u8; 14],
    have: usize,
    payload_left: u64,
}

impl Frames {
    /// `bytes` passed by.
    pub(super) fn follow(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let inside = usize::try_from(self.payload_left).unwrap_or(usize::MAX).min(bytes.len());
            self.payload_left -= inside as u64;
            bytes = &bytes[inside..];
            let Some((next, rest)) = bytes.split_first() else { return };
            self.header[self.have] = *next;
            self.have += 1;
            bytes = rest;
            if let Some(length) = self.length_if_complete() {
                self.payload_left = length;
                self.have = 0;
            }
        }
    }

    fn length_if_complete(&self) -> Option<u64> {
        let second = (self.have >= 2).then(|| self.header[1])?;
        let mask = if second & 0x80 == 0 { 0 } else { 4 };
        let extended: usize = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        if self.have < 2 + extended + mask {
            return None;
        }
        let long = self.header[2..2 + extended].iter().fold(0, |n, b| n << 8 | u64::from(*b));
        Some(if extended == 0 { u64::from(second & 0x7f) } else { long })
    }

    /// Whether the last frame is complete.
    pub(super) fn is_between(&self) -> bool {
        self.have == 0 && self.payload_left == 0
    }
}

/// A close frame from a server: not masked.
pub(super) fn close_frame(code: u16, reason: &str) -> Vec<u8> {
    let reason = &reason.as_bytes()[..reason.len().min(123)];
    let length = u8::try_from(2 + reason.len()).unwrap_or(125);
    [&[0x88, length], &code.to_be_bytes()[..], reason].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proof_is_that_of_the_rfc() {
        let key = Key::of(&HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ==")).unwrap(); // RFC 6455 §1.3
        assert!(key.is_accepted_by(&HeaderValue::from_static("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")));
        for near_miss in ["s3pplMBiTxaQ9kYGzzhZRbK+xOo=", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo", ""] {
            assert!(!key.is_accepted_by(&HeaderValue::from_static(near_miss)), "{near_miss}");
        }
        assert!(
            !Key::random()
                .is_accepted_by(&HeaderValue::from_static("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="))
        );
        for near_miss in
            ["", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZQ==", "dGhlIHNhbXBsZSBub25jZQ==,x"]
        {
            assert!(Key::of(&HeaderValue::from_static(near_miss)).is_none(), "{near_miss}");
        }
    }

    #[test]
    fn frames_are_followed_however_they_are_cut() {
        let long = [&[0x82, 126, 1, 0][..], &[7; 256]].concat();
        let huge = [&[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0][..], &vec![7; 65536]].concat();
        for (name, frame) in [
            ("RFC 6455 §5.7, hello", &[0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f][..]),
            (
                "the same, masked",
                &[0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58],
            ),
            ("empty", &[0x81, 0x00]),
            ("256 bytes", &long),
            ("64 KiB", &huge),
            ("our goodbye", &close_frame(POLICY_VIOLATION, "bye")),
        ] {
            let two = [frame, frame].concat();
            for step in [1, 2, 3, 7, 4096, usize::MAX] {
                let mut frames = Frames::default();
                let mut passed = 0;
                for chunk in two.chunks(step.min(two.len())) {
                    frames.follow(chunk);
                    passed += chunk.len();
                    let border = passed % frame.len() == 0;
                    assert_eq!(
                        frames.is_between(),
                        border,
                        "{name}, {passed} bytes in steps of {step}"
                    );
                }
            }
        }
    }
}
