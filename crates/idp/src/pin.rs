//! One-time PINs: six digits by mail (access-protocol §12.4, security C13).
//!
//! Pure pieces. The portal keeps a [`PendingPin`] in the store under the SHA-256 of a secret handle that only the browser
//! has, counts tries there (at most [`PIN_TRIES`]), takes the entry out on success, and replaces it when a new PIN is asked
//! for. A reader of the store who lacks the handle cannot try out the million PINs: the handle is part of the key.

use aws_lc_rs::{hmac, rand};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use narthex_model::{EmailAddress, UnixSeconds};
use serde::{Deserialize, Serialize};
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// How long a PIN lasts.
pub const PIN_LIFETIME_SECONDS: i64 = 600;
/// How many entries a PIN survives; counted by the store, together with the pending login.
pub const PIN_TRIES: u32 = 5;

/// Six random decimal digits.
pub struct Pin(Zeroizing<String>);

impl Pin {
    /// A new PIN from the system's generator; every one of the million is equally likely.
    #[must_use]
    pub fn random() -> Self {
        loop {
            if let Some(pin) = Self::of(u32::from_be_bytes(random())) {
                return pin;
            }
        }
    }

    /// The PIN that a random number stands for, or none for those beyond the last whole million, which would make the low
    /// PINs likelier than the others.
    fn of(number: u32) -> Option<Self> {
        const MILLIONS: u32 = u32::MAX / 1_000_000;
        (number < MILLIONS * 1_000_000)
            .then(|| Self(Zeroizing::new(format!("{:06}", number % 1_000_000))))
    }

    /// The six digits, for the mail.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Why an entered PIN was refused. Both look the same to a stranger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PinError {
    /// Not the digits that were sent, or none were sent.
    #[error("the code is wrong")]
    Wrong,
    /// The right digits, but ten minutes are over.
    #[error("the code has expired; ask for a new one")]
    Expired,
}

/// What is kept of a PIN that was sent, or that was only said to have been sent.
#[derive(Clone, Serialize, Deserialize)]
pub struct PendingPin {
    email: EmailAddress,
    expires: UnixSeconds,
    salt: String,
    mac: String,
}

impl PendingPin {
    /// Keeps `pin`, sent to `email`, for the login whose secret handle is `handle`.
    #[must_use]
    pub fn new(pin: &Pin, handle: &str, email: EmailAddress, now: UnixSeconds) -> Self {
        let salt = URL_SAFE_NO_PAD.encode(random::<16>());
        let mac = mac(&salt, handle, pin.expose());
        Self { email, expires: now.plus(PIN_LIFETIME_SECONDS), salt, mac }
    }

    /// The same shape for an address that gets no mail: no entry ever matches.
    #[must_use]
    pub fn decoy(handle: &str, email: EmailAddress, now: UnixSeconds) -> Self {
        let nobodys = Pin(Zeroizing::new(URL_SAFE_NO_PAD.encode(random::<32>())));
        Self::new(&nobodys, handle, email, now)
    }

    /// The address that the PIN was asked for.
    #[must_use]
    pub fn email(&self) -> &EmailAddress {
        &self.email
    }

    /// When it ends; the store may forget it then.
    #[must_use]
    pub fn expires(&self) -> UnixSeconds {
        self.expires
    }

    /// Whether `entered` is the PIN; spaces and hyphens in it are overlooked. It takes the same time wherever they differ.
    /// Count the try before, and take the pending PIN out of the store after success, so that it works once.
    ///
    /// # Errors
    /// [`PinError`].
    pub fn check(&self, handle: &str, entered: &str, now: UnixSeconds) -> Result<(), PinError> {
        let entered: Zeroizing<String> =
            Zeroizing::new(entered.chars().filter(|c| *c != ' ' && *c != '-').take(64).collect());
        let mac = mac(&self.salt, handle, &entered);
        if !bool::from(mac.as_bytes().ct_eq(self.mac.as_bytes())) {
            return Err(PinError::Wrong);
        }
        if now >= self.expires {
            return Err(PinError::Expired);
        }
        Ok(())
    }
}

impl fmt::Debug for PendingPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PendingPin([redacted])")
    }
}

/// HMAC-SHA-256 of the PIN under salt and handle. The salt has a fixed length, so no two pairs make the same key.
fn mac(salt: &str, handle: &str, pin: &str) -> String {
    let key = Zeroizing::new([salt.as_bytes(), handle.as_bytes()].concat());
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    URL_SAFE_NO_PAD.encode(hmac::sign(&key, pin.as_bytes()))
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).expect("the system's random generator answers");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

    fn address() -> EmailAddress {
        "user@example.com".parse().unwrap()
    }

    #[test]
    fn a_pin_opens_its_own_login_in_time() {
        let pin = Pin::of(42).unwrap();
        assert_eq!(pin.expose(), "000042");
        let pending = PendingPin::new(&pin, "handle", address(), NOW);
        let later = NOW.plus(PIN_LIFETIME_SECONDS);
        for (name, handle, entered, now, want) in [
            ("as sent", "handle", "000042", NOW, Ok(())),
            ("in two groups", "handle", " 000 042 ", NOW, Ok(())),
            ("last second", "handle", "000-042", later.plus(-1), Ok(())),
            ("ten minutes", "handle", "000042", later, Err(PinError::Expired)),
            ("another PIN", "handle", "000043", NOW, Err(PinError::Wrong)),
            ("wrong and late", "handle", "000043", later, Err(PinError::Wrong)),
            ("cut short", "handle", "00042", NOW, Err(PinError::Wrong)),
            ("nothing", "handle", "", NOW, Err(PinError::Wrong)),
            ("other digits", "handle", "٠٠٠٠٤٢", NOW, Err(PinError::Wrong)),
            ("another login", "Handle", "000042", NOW, Err(PinError::Wrong)),
            ("more digits", "handle", "0000420", NOW, Err(PinError::Wrong)),
        ] {
            assert_eq!(pending.check(handle, entered, now), want, "{name}");
        }
    }

    #[test]
    fn a_decoy_looks_the_same_and_never_opens() {
        let shape = |pending: &PendingPin| {
            let value = serde_json::to_value(pending).unwrap();
            let members = value.as_object().unwrap().iter();
            members.map(|(k, v)| (k.clone(), v.to_string().len())).collect::<Vec<_>>()
        };
        let pin = Pin::random();
        let decoy = PendingPin::decoy("handle", address(), NOW);
        assert_eq!(shape(&decoy), shape(&PendingPin::new(&pin, "handle", address(), NOW)));
        for guess in 0..2_000 {
            let guess = format!("{guess:06}");
            assert_eq!(decoy.check("handle", &guess, NOW), Err(PinError::Wrong));
        }
    }

    #[test]
    fn every_pin_is_equally_likely() {
        assert!(Pin::of(4_293_999_999).is_some_and(|pin| pin.expose() == "999999"));
        assert!(Pin::of(4_294_000_000).is_none(), "the last, partial million is not used");
        let pins: Vec<Pin> = (0..1_000).map(|_| Pin::random()).collect();
        assert!(pins.iter().all(|p| p.expose().len() == 6));
        let first = |digit: &str| pins.iter().filter(|p| p.expose().starts_with(digit)).count();
        assert!((0..10).all(|d| first(&d.to_string()) > 40), "each leading digit turns up");
    }

    #[test]
    fn kept_without_the_pin_and_printed_without_anything() {
        let pin = Pin::of(123_456).unwrap();
        let pending = PendingPin::new(&pin, "handle", address(), NOW);
        assert!(!serde_json::to_string(&pending).unwrap().contains("123456"));
        assert_eq!(format!("{pin:?} {pending:?}"), "[redacted] PendingPin([redacted])");
        let again: PendingPin =
            serde_json::from_value(serde_json::to_value(&pending).unwrap()).unwrap();
        assert_eq!(again.check("handle", "123456", NOW), Ok(()));
    }
}
