//! What a client sent in its `Certificate` message, read once, within limits.

use crate::{Certificate, CertificateFault};
use rustls_pki_types::CertificateDer;
use std::sync::Arc;

/// Certificates that a client may send; a path that we trust has at most eight.
pub const MAX_CHAIN_CERTIFICATES: usize = 16;

/// Bytes of DER that a client may send in all its certificates together. A session ticket holds the chain and has to stay
/// below 64 KiB.
pub const MAX_CHAIN_BYTES: usize = 48 * 1024;

/// A leaf and what the client sent behind it, in its order. Nothing about it is trusted yet; that the client holds
/// the leaf's private key has been shown by the handshake.
#[derive(Clone, Debug)]
pub struct PresentedChain {
    leaf: Arc<Certificate>,
    others: Vec<Arc<Certificate>>,
}

/// Why a presented chain could not be read. The connection goes on as one whose certificate failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainFault {
    /// No certificate at all; ask the connection first whether it has one.
    #[error("the chain is empty")]
    Empty,
    /// More than [`MAX_CHAIN_CERTIFICATES`].
    #[error(
        "a chain of {0} certificates is longer than the {MAX_CHAIN_CERTIFICATES} that are read"
    )]
    TooMany(usize),
    /// More than [`MAX_CHAIN_BYTES`].
    #[error("a chain of {0} bytes is larger than the {MAX_CHAIN_BYTES} that are read")]
    TooLarge(usize),
    /// One of them cannot be read. Position 0 is the leaf.
    #[error("certificate {position} of the chain: {fault}")]
    Certificate {
        /// Counted from the leaf, which is 0.
        position: usize,
        /// What is wrong with it.
        fault: CertificateFault,
    },
}

impl PresentedChain {
    /// Reads a chain, the leaf first.
    ///
    /// # Errors
    /// See [`ChainFault`]; counts and sizes are looked at before anything is read.
    pub fn parse(certificates: &[CertificateDer<'_>]) -> Result<Self, ChainFault> {
        if certificates.len() > MAX_CHAIN_CERTIFICATES {
            return Err(ChainFault::TooMany(certificates.len()));
        }
        let bytes = certificates.iter().map(|der| der.len()).sum();
        if bytes > MAX_CHAIN_BYTES {
            return Err(ChainFault::TooLarge(bytes));
        }
        let mut read = certificates.iter().enumerate().map(|(position, der)| {
            let read = Certificate::parse(der).map(Arc::new);
            read.map_err(|fault| ChainFault::Certificate { position, fault })
        });
        let leaf = read.next().ok_or(ChainFault::Empty)??;
        Ok(Self { leaf, others: read.collect::<Result<_, _>>()? })
    }

    /// The client's own certificate.
    #[must_use]
    pub fn leaf(&self) -> &Arc<Certificate> {
        &self.leaf
    }

    /// What came behind the leaf.
    #[must_use]
    pub fn others(&self) -> &[Arc<Certificate>] {
        &self.others
    }

    /// How many certificates lead on from the leaf by issuer and subject, the leaf included. Each is counted once.
    pub(crate) fn linked(&self) -> usize {
        let mut left: Vec<_> = self.others.iter().collect();
        let mut last = &self.leaf;
        while let Some(at) = left.iter().position(|next| next.subject() == last.issuer()) {
            last = left.swap_remove(at);
        }
        1 + self.others.len() - left.len()
    }
}
