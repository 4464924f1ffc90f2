//! Why a login elsewhere did not succeed: a variant for each thing that somebody would do next.

/// A login at an identity provider failed.
///
/// The texts are for operators (log and record); the page shown to a stranger is the portal's decision. Words that came
/// from the provider are cut to 200 characters, hold no control characters, and are **not** escaped for HTML.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdpError {
    /// The provider, or the person there, said no (RFC 6749 §4.1.2.1). Remedy: try again, or ask the provider.
    #[error("the identity provider refused the login: {error} {description}")]
    Denied {
        /// The provider's `error` code, for example `access_denied`.
        error: String,
        /// The provider's `error_description`; empty when it gave none.
        description: String,
    },
    /// No usable answer: connection, time limit, server error, or the circuit is open. Remedy: retry later.
    #[error("the identity provider cannot be reached: {0}")]
    Unreachable(String),
    /// An answer breaks the protocol or a limit. Remedy: look at the provider; an attack looks like this too.
    #[error("the identity provider's answer was refused: {0}")]
    BadAnswer(String),
    /// Our settings of this provider are wrong. Remedy: correct the identity provider's configuration.
    #[error("the identity provider's settings are wrong: {0}")]
    Misconfigured(String),
    /// The provider says that the address is not verified. Remedy: the person confirms it there.
    #[error("the identity provider has not verified this person's e-mail address")]
    EmailNotVerified,
    /// The login was begun more than ten minutes ago, or at another provider. Remedy: begin again.
    #[error("this login was begun too long ago or for another identity provider; begin again")]
    Stale,
}

/// Words of the provider, fit for one line of a log: cut to 200 characters, without control and bidirectional characters.
pub(crate) fn words(raw: &str) -> String {
    let hidden = |c: &char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    raw.chars().filter(|c| !hidden(c)).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_words_are_cut_and_keep_to_their_line() {
        assert_eq!(words("no\r\nlevel=error \u{202e}<script>"), "nolevel=error <script>");
        assert_eq!(words(&"é".repeat(1_000)).chars().count(), 200);
    }
}
