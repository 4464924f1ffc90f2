//! Where a browser may be sent: decided on the parsed URL that will be written into `Location`, never on the
//! text that came in (security rule 27).

use narthex_model::{Authority, CanonicalPath, Hostname};
use std::fmt;
use url::Url;

/// A target that is not ours to send anybody to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the address to go to is not an https address of this team domain or of one of its applications"
)]
pub(crate) struct ForeignTarget;

/// Longest target that is looked at, in bytes; also the longest request target that the gateway reads.
const LONGEST: usize = 16 * 1024;

/// An absolute path with its query on the host where a login began; the host is not part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReturnPath(Box<str>);

impl ReturnPath {
    /// Reads `redirect_url`: an absolute path, or an `https` URL of `origin` itself.
    ///
    /// # Errors
    /// [`ForeignTarget`] unless the resolved URL lies at `origin`, names nobody, and has a path that the gateway
    /// would serve and does not keep for itself.
    pub(crate) fn parse(raw: &str, origin: &AppOrigin) -> Result<Self, ForeignTarget> {
        let base = Url::parse(&format!("{origin}/")).map_err(|_| ForeignTarget)?;
        if !raw.starts_with('/') && !raw.starts_with("https://") {
            return Err(ForeignTarget);
        }
        let url = parse(raw, Some(&base))?;
        if url.origin() != base.origin() {
            return Err(ForeignTarget);
        }
        let path = CanonicalPath::of(url.path()).map_err(|_| ForeignTarget)?;
        let first = path.as_str().split('/').nth(1).unwrap_or("");
        if first.eq_ignore_ascii_case("cdn-cgi") || url.path().starts_with("//") {
            return Err(ForeignTarget);
        }
        let query = url.query().map_or(String::new(), |query| format!("?{query}"));
        Ok(Self(format!("{}{query}", url.path()).into()))
    }

    /// The path alone.
    pub(crate) fn path(&self) -> &str {
        self.0.split_once('?').map_or(&self.0, |(path, _)| path)
    }

    /// Path and query.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The same target with `__cf_access_message=<message>` in its query (access-protocol §1.3).
    pub(crate) fn with_message(&self, message: &str) -> Self {
        let joint = if self.0.contains('?') { '&' } else { '?' };
        Self(format!("{}{joint}__cf_access_message={message}", self.0).into())
    }
}

impl fmt::Display for ReturnPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Scheme, host and port of an application as browsers reach it: `https://wiki.example.com:8443`.
///
/// The port is that of the team domain, because one gateway answers both; a link cannot name another one, behind
/// which something else may listen on the same host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AppOrigin {
    /// The application's host.
    pub(crate) host: Hostname,
    port: Option<u16>,
}

impl AppOrigin {
    /// The origin of `host` at the gateway whose team domain is `team`.
    pub(crate) fn of(host: Hostname, team: &Authority) -> Self {
        Self { host, port: team.port.filter(|port| *port != 443) }
    }
}

impl fmt::Display for AppOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}", Authority { host: self.host.clone(), port: self.port })
    }
}

/// Reads the `returnTo` of a logout: an absolute `https` URL whose host `is_ours` knows (access-protocol §2.6).
///
/// # Errors
/// [`ForeignTarget`] for every other URL, also for ports other than the team domain's.
pub(crate) fn return_to(
    raw: &str,
    team: &Authority,
    is_ours: impl Fn(&Hostname) -> bool,
) -> Result<Url, ForeignTarget> {
    if !raw.is_ascii() || !raw.starts_with("https://") {
        return Err(ForeignTarget);
    }
    let url = parse(raw, None)?;
    let host: Hostname = url.host_str().and_then(|h| h.parse().ok()).ok_or(ForeignTarget)?;
    let same_port = url.port_or_known_default() == Some(team.port.unwrap_or(443));
    if same_port && is_ours(&host) { Ok(url) } else { Err(ForeignTarget) }
}

/// What every target has in common: https, nobody named in it, no character that browsers and we read differently.
fn parse(raw: &str, base: Option<&Url>) -> Result<Url, ForeignTarget> {
    let odd = |c: char| c.is_control() || c.is_whitespace() || c == '\\';
    if raw.len() > LONGEST || raw.contains(odd) {
        return Err(ForeignTarget);
    }
    let url = Url::options().base_url(base).parse(raw).map_err(|_| ForeignTarget)?;
    let names_somebody = !url.username().is_empty() || url.password().is_some();
    if url.scheme() != "https" || names_somebody { Err(ForeignTarget) } else { Ok(url) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin() -> AppOrigin {
        AppOrigin::of("app.example.com".parse().unwrap(), &"auth.example.com".parse().unwrap())
    }

    #[test]
    fn paths_of_the_application_come_back_as_they_went() {
        for (raw, kept) in [
            ("/", "/"),
            ("/reports?y=2026", "/reports?y=2026"),
            ("/a/../b?x=1#part", "/b?x=1"),
            ("/?next=https://evil.example/", "/?next=https://evil.example/"),
            ("/search?q=//evil.example", "/search?q=//evil.example"),
            ("/caf\u{e9}", "/caf%C3%A9"),
            ("https://app.example.com/x?y", "/x?y"),
            ("https://APP.example.com:443/x", "/x"),
            ("/user@example.com", "/user@example.com"),
            ("/cdn-cgix", "/cdn-cgix"),
        ] {
            let path = ReturnPath::parse(raw, &origin());
            assert_eq!(path.as_ref().map(ReturnPath::as_str), Ok(kept), "{raw}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for raw in [
            "",
            "reports",
            "?q",
            "#x",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/\t/evil.example",
            "/\r\nSet-Cookie: a=b",
            " /x",
            "/x ",
            "/.//evil.example",
            "/a/..//evil.example",
            "/%2f%2fevil.example",
            "/%5cevil.example",
            "javascript:alert(1)",
            "JavaScript:alert(1)",
            "data:text/html,x",
            "https:evil.example",
            "https:/evil.example",
            "http://app.example.com/",
            "https://evil.example/",
            "https://app.example.com@evil.example/",
            "https://user@app.example.com/",
            "https://:pw@app.example.com/",
            "https://app.example.com:8443/",
            "https://app.example.com.evil.example/",
            "https://app.example.com%2eevil.example/",
            "https://\u{430}pp.example.com/",
            "/cdn-cgi/access/logout",
            "/cdn-cgi",
            "/x/../cdn-cgi/access/authorized",
            "/%63dn-cgi/access/logout",
            "/CDN-cgi/x",
        ] {
            assert_eq!(ReturnPath::parse(raw, &origin()), Err(ForeignTarget), "{raw:?}");
        }
        let long = format!("/{}", "a".repeat(LONGEST));
        assert_eq!(ReturnPath::parse(&long, &origin()), Err(ForeignTarget));
    }

    /// The URL standard's own inputs (security C7), as they are and glued to what a check by text would let pass. What is
    /// let through has to be, for a parser of URLs, a place of ours.
    #[test]
    fn c7_the_url_standards_inputs_lead_nowhere_else() {
        let lines = include_str!("../testdata/url-standard-inputs.txt").lines();
        let inputs = lines.filter(|line| !line.starts_with('#'));
        let inputs: Vec<String> = inputs.map(|line| serde_json::from_str(line).unwrap()).collect();
        let team: Authority = "auth.example.com".parse().unwrap();
        let ours =
            |host: &Hostname| ["app.example.com", "auth.example.com"].contains(&host.as_str());
        let page = Url::parse("https://auth.example.com/cdn-cgi/access/login").unwrap();
        let (mut kept, mut refused) = (0, 0);
        for input in &inputs {
            for raw in [
                input.clone(),
                format!("/{input}"),
                format!("//{input}"),
                format!("/\\{input}"),
                format!("https://app.example.com{input}"),
                format!("https://app.example.com/{input}"),
                format!("https://app.example.com@{input}"),
                input.replace("example.com", "app.example.com"),
            ] {
                match ReturnPath::parse(&raw, &origin()) {
                    Err(ForeignTarget) => refused += 1,
                    Ok(path) => {
                        kept += 1;
                        // As it is written into Location: behind the origin, and where a browser would take it from the page.
                        let written = Url::parse(&format!("{}{path}", origin())).unwrap();
                        assert_eq!(written.origin().ascii_serialization(), origin().to_string());
                        let relative = page.join(path.as_str()).unwrap();
                        assert_eq!(relative.origin(), page.origin(), "{raw:?} became {path}");
                        let again = ReturnPath::parse(path.as_str(), &origin());
                        assert_eq!(
                            again.as_ref(),
                            Ok(&path),
                            "{raw:?}: what is kept is kept again"
                        );
                    }
                }
                if let Ok(url) = return_to(&raw, &team, ours) {
                    assert!(ours(&url.host_str().unwrap().parse().unwrap()), "{raw:?}: {url}");
                    assert_eq!((url.scheme(), url.port()), ("https", None), "{raw:?}: {url}");
                }
            }
        }
        assert!(inputs.len() > 700 && kept > 500 && refused > 3_000, "{kept} {refused}");
    }

    #[test]
    fn the_port_is_the_team_domains() {
        let team: Authority = "auth.example.com:8443".parse().unwrap();
        let origin = AppOrigin::of("app.example.com".parse().unwrap(), &team);
        assert_eq!(origin.to_string(), "https://app.example.com:8443");
        assert!(ReturnPath::parse("https://app.example.com:8443/", &origin).is_ok());
        assert!(ReturnPath::parse("https://app.example.com/", &origin).is_err());
    }

    #[test]
    fn a_message_joins_the_query() {
        let with = |raw| ReturnPath::parse(raw, &origin()).unwrap().with_message("unauthorized");
        assert_eq!(with("/").as_str(), "/?__cf_access_message=unauthorized");
        assert_eq!(with("/x?y=1").as_str(), "/x?y=1&__cf_access_message=unauthorized");
        assert_eq!(with("/x?y=1").path(), "/x");
    }

    #[test]
    fn a_logout_returns_to_our_own_hosts() {
        let team: Authority = "auth.example.com".parse().unwrap();
        let ours =
            |host: &Hostname| ["auth.example.com", "app.example.com"].contains(&host.as_str());
        for raw in [
            "https://auth.example.com/",
            "https://app.example.com/bye?x=1#y",
            "https://app.example.com",
        ] {
            assert!(return_to(raw, &team, ours).is_ok(), "{raw}");
        }
        for raw in [
            "/",
            "app.example.com",
            "http://app.example.com/",
            "https://evil.example/",
            "https://app.example.com@evil.example/",
            "https://evil.example\\@app.example.com/",
            "https://app.example.com:8443/",
            "https://xapp.example.com/",
            "//app.example.com/",
            "https:app.example.com/",
            "javascript:alert(1)",
            "https://app.example.com/\n",
            "https://127.0.0.1/",
        ] {
            assert_eq!(return_to(raw, &team, ours), Err(ForeignTarget), "{raw:?}");
        }
    }
}
