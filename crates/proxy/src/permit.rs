//! Proof that the decision let a request in.
