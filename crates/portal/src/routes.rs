//! Which path does what: a table for the team domain and one for application hosts.

use crate::Portal;
use crate::ask::Ask;
use crate::certs::certs;
use crate::identity::Door;
use crate::pages::Response;
use crate::partition::handoff_script;
use crate::trouble::Trouble;
use http::Method;
use narthex_snapshot::Snapshot;

/// What a method asks for; `HEAD` works wherever `GET` does (access-protocol §2).
enum Verb {
    Read,
    Post,
    Other,
}

fn verb(method: &Method) -> Verb {
    match *method {
        Method::GET | Method::HEAD => Verb::Read,
        Method::POST => Verb::Post,
        _ => Verb::Other,
    }
}

const READ: &str = "GET, HEAD";
const POST: &str = "POST";
const READ_OR_POST: &str = "GET, HEAD, POST";

impl Portal {
    /// The team domain (access-protocol §2.1).
    #[rustfmt::skip]
    pub(crate) async fn route_team(&self, ask: &Ask<'_>, at: &Snapshot) -> Result<Response, Trouble> {
        use Verb::{Other, Post, Read};
        let Some(access) = ask.visit.path.strip_prefix("/cdn-cgi/access/") else {
            return match (ask.visit.path.as_str(), verb(ask.method())) {
                ("/", Read)         => self.launcher(ask, at).await,
                ("/", Post | Other) => Err(Trouble::WrongMethod { allow: READ }),
                (_, _)              => Err(Trouble::NotFound),
            };
        };
        let path: Vec<&str> = access.split('/').collect();
        match (path.as_slice(), verb(ask.method())) {
            (["login", host], Read)              => self.login(ask, at, host).await,
            (["login", host, idp], Post)         => self.choose(ask, at, host, idp).await,
            (["login", host, idp, "code"], Post) => self.check_code(ask, at, host, idp).await,
            (["callback"], Read)                 => self.callback(ask, at).await,
            (["callback"], Post)                 => self.saml_callback(ask, at).await,
            (["logout"], Read)                   => self.logout_team(ask, at).await,
            (["get-identity"], Read)             => self.get_identity(ask, at, Door::Team).await,
            (["refresh-identity"], Read)         => self.refresh(ask, at).await,
            (["certs"], Read)                    => Ok(certs(ask, at)),
            (["walk"], Read)                     => self.walked(ask, at).await,
            (["saml-metadata"], Read)            => self.saml_metadata(ask, at, None).await,
            ([idp, "saml-metadata"], Read)       => self.saml_metadata(ask, at, Some(*idp)).await,
            (["public-cert"], Read)              => self.public_cert(ask, at).await,

            (["callback"], Other)                => Err(Trouble::WrongMethod { allow: READ_OR_POST }),
            (["login", _] | ["logout" | "get-identity" | "refresh-identity" | "certs" | "walk"], Post | Other)
            | (["saml-metadata" | "public-cert"] | [_, "saml-metadata"], Post | Other)
                                                 => Err(Trouble::WrongMethod { allow: READ }),
            (["login", _, _] | ["login", _, _, "code"], Read | Other)
                                                 => Err(Trouble::WrongMethod { allow: POST }),
            (["login"], _)                       => Err(Trouble::UnknownApp),
            (["cert_sign"] | ["sso", ..], _)     => Err(Trouble::NotYet),
            (_, _)                               => Err(Trouble::NotFound),
        }
    }

    /// The gateway's own paths on an application's host (access-protocol §2.2).
    #[rustfmt::skip]
    pub(crate) async fn route_app(&self, ask: &Ask<'_>, at: &Snapshot) -> Result<Response, Trouble> {
        use Verb::{Other, Post, Read};
        let access = ask.visit.path.strip_prefix("/cdn-cgi/access/").unwrap_or("");
        match (access, verb(ask.method())) {
            ("authorized", Read)   => self.authorized(ask, at).await,
            ("walk", Read)         => self.walk_through(ask, at).await,
            ("logout", Read)       => self.logout_app(ask, at).await,
            ("get-identity", Read) => self.get_identity(ask, at, Door::App).await,
            ("handoff", Post)      => self.partition(ask, at).await,
            ("handoff.js", Read)   => Ok(handoff_script()),
            ("resubmit", Read)     => self.resubmit(ask, at).await,

            ("authorized" | "walk" | "logout" | "get-identity" | "handoff.js" | "resubmit", Post | Other)
                                   => Err(Trouble::WrongMethod { allow: READ }),
            ("handoff", Read | Other)
                                   => Err(Trouble::WrongMethod { allow: POST }),
            ("cli", _)             => Err(Trouble::NotYet),
            (other, _) if other == "login" || other.starts_with("login/")
                                   => Err(Trouble::UnknownApp),
            (_, _)                 => Err(Trouble::NotFound),
        }
    }
}
