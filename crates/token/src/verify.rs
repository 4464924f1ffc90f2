//! Verification, the one module that talks to jsonwebtoken.

/// Longer tokens are refused unread: 16 KiB (security §3).
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;
