//! What the SMTP mailer promises, against a small mail server on loopback.

#![expect(clippy::unwrap_used, reason = "a test's helpers may panic")]

use narthex_idp::{Mail, MailError, Mailer, Pin, SmtpMailer, pin_mail};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

/// How the mail server answers.
#[derive(Clone, Copy)]
struct Manners {
    /// What EHLO offers.
    offers: &'static [&'static str],
    /// The answer to `RCPT TO`.
    recipient: &'static str,
}

const POLITE: Manners = Manners { offers: &["8BITMIME"], recipient: "250 ok" };

/// A mail server for one connection. Returns its address, and in the end every line that it was sent.
async fn sink(manners: Manners) -> (u16, tokio::task::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let (reader, mut writer) = stream.into_split();
        let mut lines = BufReader::new(reader).lines();
        let mut heard = Vec::new();
        let mut in_data = false;
        writer.write_all(b"220 sink\r\n").await.unwrap();
        while let Ok(Some(line)) = lines.next_line().await {
            heard.push(line.clone());
            if in_data {
                if line == "." {
                    writer.write_all(b"250 taken\r\n").await.unwrap();
                    break;
                }
                continue;
            }
            let verb = line.split(' ').next().unwrap().to_ascii_uppercase();
            let answer = match verb.as_str() {
                "EHLO" => {
                    let mut offers: Vec<String> =
                        manners.offers.iter().map(|o| format!("250-{o}\r\n")).collect();
                    offers.push("250 sink".to_owned());
                    offers.concat()
                }
                "AUTH" => "235 welcome".to_owned(),
                "RCPT" => manners.recipient.to_owned(),
                "DATA" => {
                    in_data = true;
                    "354 go on".to_owned()
                }
                "QUIT" => "221 bye".to_owned(),
                _ => "250 ok".to_owned(),
            };
            writer.write_all(format!("{answer}\r\n").as_bytes()).await.unwrap();
        }
        heard
    });
    (port, served)
}

fn mailer(url: &str) -> SmtpMailer {
    SmtpMailer::new(url, "Narthex <no-reply@example.com>").unwrap()
}

fn mail(pin: &Pin) -> Mail {
    pin_mail(pin, &"user@example.com".parse().unwrap(), &"wiki.example.com".parse().unwrap())
}

#[tokio::test]
async fn a_pin_arrives_whole() {
    let (port, served) = sink(POLITE).await;
    let pin = Pin::random();
    mailer(&format!("smtp://127.0.0.1:{port}")).send(mail(&pin)).await.unwrap();
    let heard = served.await.unwrap();
    let has = |line: &str| heard.iter().any(|l| l == line);
    assert!(has("MAIL FROM:<no-reply@example.com>"), "{heard:#?}");
    assert!(has("RCPT TO:<user@example.com>"));
    assert!(has("From: Narthex <no-reply@example.com>"));
    assert!(has("To: user@example.com"));
    assert!(has("Subject: Your login code for wiki.example.com"));
    assert!(has("Auto-Submitted: auto-generated"));
    assert!(heard.iter().any(|l| l.starts_with("Message-ID: <") && l.ends_with("@example.com>")));
    assert_eq!(
        heard.iter().filter(|l| *l == pin.expose()).count(),
        2,
        "once in text, once in HTML"
    );
    assert!(!heard.iter().any(|l| l.starts_with("AUTH")));
}

#[tokio::test]
async fn credentials_of_the_url_log_in() {
    let (port, served) = sink(Manners { offers: &["AUTH PLAIN LOGIN"], ..POLITE }).await;
    let mailer = mailer(&format!("smtp://us%40er:p%3Ass@127.0.0.1:{port}"));
    mailer.send(mail(&Pin::random())).await.unwrap();
    let heard = served.await.unwrap();
    assert!(heard.contains(&"AUTH PLAIN AHVzQGVyAHA6c3M=".to_owned()), "{heard:?}"); // \0us@er\0p:ss
}

#[tokio::test]
async fn no_password_goes_out_before_a_required_starttls() {
    let (port, served) = sink(Manners { offers: &["AUTH PLAIN"], ..POLITE }).await;
    let mailer = mailer(&format!("smtp://user:secret@127.0.0.1:{port}?tls=required"));
    let refused = mailer.send(mail(&Pin::random())).await.unwrap_err();
    assert!(matches!(refused, MailError::Unreachable(_)), "{refused}");
    assert!(refused.to_string().contains("STARTTLS"), "{refused}");
    drop(mailer);
    assert!(!served.await.unwrap().iter().any(|l| l.starts_with("AUTH") || l.starts_with("MAIL")));
}

#[tokio::test]
async fn refusals_keep_the_address_to_themselves() {
    for (recipient, want) in [
        ("550 5.1.1 <user@example.com> unknown", MailError::Refused("it answered 550".to_owned())),
        (
            "451 4.7.1 <user@example.com> later",
            MailError::Unreachable("it answered 451".to_owned()),
        ),
    ] {
        let (port, served) = sink(Manners { recipient, ..POLITE }).await;
        let mailer = mailer(&format!("smtp://127.0.0.1:{port}"));
        assert_eq!(mailer.send(mail(&Pin::random())).await, Err(want), "{recipient}");
        drop(mailer);
        served.abort();
    }
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let refused = mailer(&format!("smtp://127.0.0.1:{port}")).send(mail(&Pin::random())).await;
    assert!(matches!(refused, Err(MailError::Unreachable(_))), "{refused:?}");
}
