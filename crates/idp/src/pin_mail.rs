//! The mail that carries a PIN.

use crate::mail::Mail;
use crate::pin::{PIN_LIFETIME_SECONDS, Pin};
use narthex_model::{EmailAddress, Hostname};

/// The mail with `pin` for `to`, who asked for it at `site`.
///
/// A hostname and six digits hold nothing that HTML or a mail header could misread, so nothing needs escaping.
#[must_use]
pub fn pin_mail(pin: &Pin, to: &EmailAddress, site: &Hostname) -> Mail {
    let minutes = PIN_LIFETIME_SECONDS / 60;
    let pin = pin.expose();
    let text = format!(
        "Someone asked to log in to {site} with this e-mail address.\n\
         \n\
         Your login code is:\n\
         \n\
         {pin}\n\
         \n\
         It works once, for {minutes} minutes, in the browser that asked for it.\n\
         If that was not you, ignore this message and tell nobody the code.\n"
    );
    let html = format!(
        "<!doctype html>\n\
         <html lang=\"en\">\n\
         <head><meta charset=\"utf-8\"><title>Your login code for {site}</title></head>\n\
         <body style=\"font-family: sans-serif; color: #222; background: #fff\">\n\
         <p>Someone asked to log in to <strong>{site}</strong> with this e-mail address.</p>\n\
         <p>Your login code is:</p>\n\
         <p style=\"font-family: monospace; font-size: 32px; letter-spacing: 4px\">\n\
         {pin}\n\
         </p>\n\
         <p>It works once, for {minutes} minutes, in the browser that asked for it.<br>\n\
         If that was not you, ignore this message and tell nobody the code.</p>\n\
         </body>\n\
         </html>\n"
    );
    Mail { to: to.clone(), subject: format!("Your login code for {site}"), text, html }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digits_stand_on_a_line_of_their_own() {
        let pin = Pin::random();
        let to = "user@example.com".parse().unwrap();
        let mail = pin_mail(&pin, &to, &"wiki.example.com".parse().unwrap());
        assert_eq!(mail.to, to);
        assert_eq!(mail.subject, "Your login code for wiki.example.com");
        for body in [&mail.text, &mail.html] {
            assert_eq!(body.lines().filter(|line| *line == pin.expose()).count(), 1);
            assert!(body.contains("wiki.example.com") && body.contains("10 minutes"), "{body}");
        }
        assert!(!mail.subject.contains(pin.expose()), "subjects show on lock screens");
    }
}
