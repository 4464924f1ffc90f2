//! Mints, verifies and carries tokens.
