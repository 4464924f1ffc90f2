//! An application behind the gateway, served by axum.

use axum::{Extension, Router};
use narthex_token::AppToken;
use narthex_token::origin::{HttpsCerts, Verifier, VerifyLayer};
use std::env::var;
use std::error::Error;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let team = var("TEAM")?.parse()?;
    let keys = HttpsCerts::of(&team)?;
    let verifier = Verifier::new(team, var("AUD")?.parse()?, keys);
    let app = Router::new().fallback(hello).layer(VerifyLayer::new(verifier));

    let address = ("127.0.0.1", var("PORT")?.parse()?);
    Ok(axum::serve(tokio::net::TcpListener::bind(address).await?, app).await?)
}

async fn hello(Extension(token): Extension<AppToken>) -> ([(&'static str, String); 1], String) {
    let who = match token {
        AppToken::Person(person) => person.email.to_string(),
        AppToken::Machine(machine) => match machine.certificate {
            Some(_) => format!("certificate:{}", machine.common_name),
            None => format!("service:{}", machine.common_name),
        },
    };
    let text = format!("Hello, {who}\n");
    ([("x-user", who)], text)
}
