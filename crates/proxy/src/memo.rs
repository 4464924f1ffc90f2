//! What a connection remembers of its last decision, so that the next request with the same cookies costs a
//! comparison (design §5: a verified token is checked in a microsecond).

use crate::bearer::Bearer;
use crate::client_certificate::Judged;
use crate::permit::Ground;
use crate::source::Source;
use crate::traffic::Counter;
use narthex_model::AppId;
use std::rc::Rc;

/// An admission of a person, and everything that it depended on.
pub(crate) struct Memo {
    /// The `Cookie` fields, a line feed after each. A copy: a slice would pin the connection's read buffer.
    pub(crate) cookies: Vec<u8>,
    /// The number of the world that was asked.
    pub(crate) world: u64,
    /// The generation of the revocations in which the token was found in force.
    pub(crate) generation: u64,
    /// The application.
    pub(crate) app: AppId,
    /// The network facts.
    pub(crate) source: Source,
    /// The client certificate as it was judged.
    pub(crate) certificate: Option<Rc<Judged>>,
    /// The decision.
    pub(crate) ground: Ground,
    /// The token that led to it.
    pub(crate) bearer: Rc<Bearer>,
    /// Where such requests are counted.
    pub(crate) counter: Rc<Counter>,
}

impl Memo {
    /// Whether the certificate stands as it stood, by the very same judgement.
    pub(crate) fn has_certificate(&self, certificate: Option<&Rc<Judged>>) -> bool {
        match (&self.certificate, certificate) {
            (None, None) => true,
            (Some(known), Some(now)) => Rc::ptr_eq(known, now),
            (None, Some(_)) | (Some(_), None) => false,
        }
    }

    /// The fields in one piece. No field holds a line feed.
    pub(crate) fn join<'a>(fields: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
        let mut joined = Vec::new();
        for field in fields {
            joined.extend_from_slice(field);
            joined.push(b'\n');
        }
        joined
    }

    /// Whether `fields` are byte for byte the cookies of the decision.
    pub(crate) fn has_cookies<'a>(&self, fields: impl Iterator<Item = &'a [u8]>) -> bool {
        are_joined(&self.cookies, fields)
    }
}

fn are_joined<'a>(joined: &[u8], fields: impl Iterator<Item = &'a [u8]>) -> bool {
    let mut rest = joined;
    for field in fields {
        match rest.strip_prefix(field).and_then(|rest| rest.strip_prefix(b"\n")) {
            Some(after) => rest = after,
            None => return false,
        }
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(remembered: &[&str], sent: &[&str]) -> bool {
        let joined = Memo::join(remembered.iter().map(|field| field.as_bytes()));
        are_joined(&joined, sent.iter().map(|field| field.as_bytes()))
    }

    #[test]
    fn cookies_are_the_same_only_field_by_field() {
        assert!(has(&["a=1; b=2"], &["a=1; b=2"]));
        assert!(has(&["a=1", "b=2"], &["a=1", "b=2"]));
        for near_miss in [&["a=1; b=3"][..], &["a=1"], &["a=1; b=2", "c=3"], &[], &["a=1; ", "b=2"]]
        {
            assert!(!has(&["a=1; b=2"], near_miss), "{near_miss:?}");
        }
    }
}
