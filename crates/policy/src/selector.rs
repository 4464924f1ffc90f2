//! Puts one selector to the facts: who answers it, and what is said about the answer.

use crate::answer::Answer;
use crate::asked::{Asked, Told, Wish};
use crate::{connection, person};
use narthex_model::Selector;

/// What `selector` says. A group is answered by its rules, elsewhere; here it is unknown, which admits nobody.
pub(crate) fn answer(selector: &Selector, asked: Asked<'_>) -> Answer {
    match selector {
        Selector::Ip(network) => connection::in_network(network, asked.facts),
        Selector::Geo(country) => connection::in_country(*country, asked.facts),
        Selector::ServiceToken(id) => connection::has_token(*id, asked.facts),
        Selector::AnyValidServiceToken => connection::has_any_token(asked.facts),
        Selector::Certificate(wanted) => connection::shows_certificate(wanted, asked.facts),
        Selector::Everyone => person::is_anyone(asked),
        Selector::Email(address) => person::by_address(asked, |known| known == address),
        Selector::EmailDomain(domain) => {
            person::by_address(asked, |known| known.domain() == &**domain)
        }
        Selector::LoginMethod(idp) => person::came_through(*idp, asked),
        Selector::AuthMethod(method) => person::used_method(method, asked),
        Selector::OidcClaim { idp, name, value } => person::has_claim(*idp, name, value, asked),
        Selector::SamlAttribute { idp, name, value } => {
            person::has_attribute(*idp, name, value, asked)
        }
        Selector::Group(_) => Answer::Unknown,
    }
}

/// What there is to say about `selector`'s answer, when the `wish` was another one.
pub(crate) fn tell(selector: &Selector, asked: Asked<'_>, wish: Wish) -> Told {
    match selector {
        Selector::Ip(_) => connection::tell_address(asked.facts, wish),
        Selector::Geo(country) => connection::tell_country(*country, asked.facts, wish),
        Selector::ServiceToken(_) | Selector::AnyValidServiceToken => {
            connection::tell_token(asked.facts, wish)
        }
        Selector::Certificate(wanted) => connection::tell_certificate(wanted, asked.facts, wish),
        Selector::Everyone => person::tell_anyone(asked, wish),
        Selector::Email(_) | Selector::EmailDomain(_) => person::tell_address(asked, wish),
        Selector::LoginMethod(_) => person::tell_login_method(asked, wish),
        Selector::AuthMethod(method) => person::tell_auth_method(method, asked, wish),
        Selector::OidcClaim { idp, name, value: _ } => person::tell_claim(*idp, name, asked, wish),
        Selector::SamlAttribute { idp, name, value: _ } => {
            person::tell_attribute(*idp, name, asked, wish)
        }
        Selector::Group(id) => Told {
            fact: format!("there is no group {id}"),
            circumstance: "a group that it refers to does not exist".to_owned(),
            remedy: "Tell the administrator.".to_owned(),
        },
    }
}

/// Whether the answer can change with another login (access-protocol §9.4, column "Id").
pub(crate) fn is_about_identity(selector: &Selector) -> bool {
    selector.needs_identity() || matches!(selector, Selector::Everyone)
}
