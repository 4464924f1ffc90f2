//! An application that axum serves. Cargo.toml needs axum, tokio and narthex-token with the feature "fetch".

use axum::{Extension, Router};
use narthex_token::AppToken;
use narthex_token::origin::{HttpsCerts, Verifier, VerifyLayer};
use std::env::var;
use std::error::Error;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let team = var("TEAM")?.parse()?; // access.example.com
    let keys = HttpsCerts::of(&team)?;
    let verifier = Verifier::new(team, var("AUD")?.parse()?, keys);

    let app = Router::new().fallback(hello).layer(VerifyLayer::new(verifier));
    let listener = tokio::net::TcpListener::bind(var("LISTEN")?).await?; // 127.0.0.1:9000
    Ok(axum::serve(listener, app).await?)
}

async fn hello(Extension(token): Extension<AppToken>) -> ([(&'static str, String); 1], String) {
    let who = match token {
        AppToken::Person(person) => person.email.to_string(),
        AppToken::Machine(machine) => machine.common_name,
    };
    let greeting = format!("Hello, {who}\n");
    ([("x-user", who)], greeting)
}
