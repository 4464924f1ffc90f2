//! Every text that a person reads on the portal's pages, in one place. Phrases that others look for are marked with
//! their source.

pub(crate) const OR: &str = "or";
pub(crate) const EMAIL_LABEL: &str = "Your e-mail address";
/// access-protocol §3.4.
pub(crate) const SEND_CODE: &str = "Send login code";
pub(crate) const SEND_NEW_CODE: &str = "Send a new code";
pub(crate) const OTHER_WAY: &str = "Log in another way";
pub(crate) const CODE_TITLE: &str = "Enter your code";
pub(crate) const CODE_LABEL: &str = "Login code, six digits";
pub(crate) const LOG_IN: &str = "Log in";
pub(crate) const CONTINUE: &str = "Continue";
pub(crate) const MOVING_TITLE: &str = "You are logged in";
pub(crate) const MOVING_ON: &str = "Your application opens by itself in a moment.";
pub(crate) const RAY_ID: &str = "Ray ID";

pub(crate) const BAD_EMAIL: &str = "Enter a whole e-mail address, as in name@example.com.";
pub(crate) const WRONG_CODE: &str = "That code is not right. Look again, or ask for a new one.";
pub(crate) const CODE_OVER: &str = "That code is no longer valid. Ask for a new one.";
pub(crate) const CODE_EXHAUSTED: &str =
    "That code was tried too often and is no longer valid. Ask for a new one.";

pub(crate) const BACK_TO_APP: &str = "Back to the application";
pub(crate) const TRY_AGAIN: &str = "Try again";
pub(crate) const OTHER_ACCOUNT: &str = "Try another account";
pub(crate) const LOG_OUT: &str = "Log out";

pub(crate) const FACT_ACCOUNT: &str = "You are logged in as";
pub(crate) const FACT_APP: &str = "Application";
pub(crate) const FACT_POLICY: &str = "Decided by the policy";

/// access-protocol §2.7.
pub(crate) const DENIED: &str = "That account does not have access";
pub(crate) const NO_WAY_IN: &str = "You cannot get in from here";
pub(crate) const NO_PROVIDER: &str = "Nobody can log in here yet";
pub(crate) const NO_PROVIDER_WHY: &str =
    "No identity provider is set up for this application. Its administrator has to add one.";

/// access-protocol §2.7.
pub(crate) const UNKNOWN_APP: &str = "Unable to find your Access application!";
pub(crate) const UNKNOWN_APP_WHY: &str = "The link names an application that does not exist here. Type the address of your application instead.";
/// access-protocol §2.7.
pub(crate) const INVALID_REDIRECT: &str = "Invalid redirect URL";
pub(crate) const INVALID_REDIRECT_WHY: &str =
    "The link wants to send you to an address that does not belong to this application.";
pub(crate) const INVALID_RETURN_WHY: &str = "You are logged out. The link wanted to send you on to an address that does not belong to this team.";
/// access-protocol §2.7.
pub(crate) const INVALID_SESSION: &str = "Invalid session. Please try logging in again";
pub(crate) const INVALID_SESSION_WHY: &str = "This browser did not begin this login, or began it more than four hours ago. If it happens again, allow cookies for this site.";
/// access-protocol §2.7.
pub(crate) const INVALID_LOGIN_SESSION: &str = "Invalid login session";
/// access-protocol §2.7.
pub(crate) const INVALID_LOGIN_SESSION_WHY: &str =
    "Please try going to the URL of your application again.";
pub(crate) const COOKIE_MISSING: &str = "Your browser did not send back the cookie that this site had set. If it happens again, allow cookies for this site.";

pub(crate) const LOGIN_OVER: &str = "This login is over";
pub(crate) const LOGIN_OVER_WHY: &str = "It was already finished, perhaps in another tab, or it took longer than ten minutes. Go to the address of your application again.";

pub(crate) const UNSOLICITED: &str = "Begin at your application";
pub(crate) const UNSOLICITED_WHY: &str = "Your identity provider sent you here without being asked. A login begins at the address of the application: go there, and you are led on.";

pub(crate) const LOOP: &str = "Your browser keeps being sent back here";
pub(crate) const LOOP_WHY: [&str; 3] = [
    "You are logged in, but the application does not receive the cookie that says so.",
    "Allow cookies for the application's site and for this one, and switch off extensions that remove them.",
    "If that does not help, give the Ray ID below to your administrator: the application's cookie settings may not suit this browser.",
];

pub(crate) const TOO_OFTEN: &str = "Too many attempts";
pub(crate) const AMBIGUOUS: &str = "This link cannot be read";
pub(crate) const AMBIGUOUS_WHY: &str = "A part of its address occurs twice or is damaged. Go to the address of your application again.";
pub(crate) const UNAVAILABLE: &str = "Logging in is not possible at the moment";
pub(crate) const UNAVAILABLE_WHY: &str = "Something behind this page does not answer. Try again in a minute; people who are logged in already are not affected.";
pub(crate) const JUST_REVOKED: &str = "Your sessions have just been ended";
pub(crate) const JUST_REVOKED_WHY: &str = "You can log in again in a moment.";
pub(crate) const NOT_FOUND: &str = "There is nothing at this address";
pub(crate) const NOT_FOUND_WHY: &str = "Go to the address of your application.";
pub(crate) const NOT_YET: &str = "Not available yet";
pub(crate) const NOT_YET_WHY: &str = "This gateway does not offer this function yet.";
pub(crate) const WRONG_METHOD: &str = "This address is used in another way";

pub(crate) const PROVIDER_DENIED: &str = "The login was refused or cancelled";
pub(crate) const PROVIDER_DENIED_WHY: &str = "Your identity provider did not confirm who you are. Try again, or ask whoever looks after your account there.";
pub(crate) const PROVIDER_UNREACHABLE: &str = "Your identity provider does not answer";
pub(crate) const PROVIDER_UNREACHABLE_WHY: &str =
    "Try again in a minute; people who are logged in already are not affected.";
pub(crate) const PROVIDER_BAD: &str = "Your identity provider's answer cannot be used";
pub(crate) const PROVIDER_BAD_WHY: &str = "Give the Ray ID below to your administrator: the settings of the identity provider need a look.";
pub(crate) const PROVIDER_UNVERIFIED: &str = "Your e-mail address is not confirmed";
pub(crate) const PROVIDER_UNVERIFIED_WHY: &str =
    "Confirm your e-mail address at your identity provider, then try again.";

pub(crate) const LOGGED_OUT: &str = "You are logged out";
pub(crate) const LOGGED_OUT_WHY: &str = "Close this window if others use this device too.";
pub(crate) const LAUNCHER_NOBODY: &str =
    "You are not logged in. Go to the address of an application to log in.";
pub(crate) const LAUNCHER_SOMEBODY: &str =
    "Go to the address of an application; you need not log in again.";

pub(crate) const REFRESHED: &str = "You have logged in again";
pub(crate) const REFRESHED_WHY: &str = "What your identity provider says about you has been read anew. Applications learn of it with your next visit.";
pub(crate) const REFRESH_BY_CODE: &str = "There is nothing to read anew";
pub(crate) const REFRESH_BY_CODE_WHY: &str =
    "You logged in with a code by e-mail. To begin a new session, log out and log in again.";
pub(crate) const OTHER_ACCOUNT_CAME: &str = "That is another account";
pub(crate) const OTHER_ACCOUNT_WHY: &str = "Your identity provider answered for somebody else. Your session was ended; open the application again to log in.";

pub(crate) const SENDING_FORM: &str = "Your form is being sent";
pub(crate) const SENDING_FORM_WHY: &str =
    "Your session had ended when you sent it. You are logged in again, so it is sent now.";
pub(crate) const SEND_FORM_QUESTION: &str = "Send the form now?";
pub(crate) const SEND_FORM_QUESTION_WHY: &str = "Somebody sent a form from this browser before you logged in. It was kept, and nobody can tell any more who filled it in.";
pub(crate) const SEND_FORM: &str = "Send the form";
pub(crate) const DO_NOT_SEND_FORM: &str = "Do not send it";
pub(crate) const FORM_GONE: &str = "That form is not kept any more";
pub(crate) const FORM_GONE_WHY: &str = "It has been sent already, or it waited for longer than ten minutes. Look whether it arrived before you fill it in again.";
pub(crate) const FORM_OF_ANOTHER: &str = "That form was somebody else's";
pub(crate) const FORM_OF_ANOTHER_WHY: &str = "It was filled in by another person than the one who is logged in now, so it was not sent and is not kept any more.";

/// access-protocol §3.4.
pub(crate) fn log_in_to(app: &str) -> String {
    format!("Log in to {app}")
}

pub(crate) fn continue_with(provider: &str) -> String {
    format!("Continue with {provider}")
}

/// The same whether or not a mail was sent (access-protocol §12.4).
pub(crate) fn code_sent(email: &str) -> String {
    format!("If {email} may log in here, a code is on its way to it. It is valid for ten minutes.")
}

pub(crate) fn wait(seconds: u64) -> String {
    match seconds {
        0..=90 => format!("Wait {} seconds and try again.", seconds.max(1)),
        _ => format!("Wait {} minutes and try again.", seconds.div_ceil(60)),
    }
}
