//! Everybody who has to do with the gateway, and the gateway. Each answer is held against the model.

use crate::beliefs::{APPS, Belief, Beliefs, HOSTS, Turns, address};
use crate::browser::{Browser, Form};
use crate::gateway::{Gateway, Ground, TEAM};
use crate::line::Answer;
use narthex_model::UnixSeconds;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

/// Seconds that a login lasts at the team domain.
pub(crate) const SESSION: i64 = 6 * 3600;

const COOKIE: &str = "CF_Authorization";

pub(crate) struct Town {
    pub(crate) ground: Ground,
    pub(crate) gateway: RefCell<Option<Rc<Gateway>>>,
    pub(crate) beliefs: RefCell<Beliefs>,
    pub(crate) deeds: RefCell<BTreeMap<&'static str, u64>>,
    /// The store may fail or stand still just now, so that what goes through the control side may come to nothing.
    pub(crate) rough: Cell<bool>,
    /// How many sessions each mailed code has brought.
    codes_entered: RefCell<HashMap<u64, u32>>,
    counter: Cell<u64>,
}

/// How a visit ended.
#[derive(Debug)]
#[expect(dead_code, reason = "the status is shown when a run fails")]
pub(crate) enum Ending {
    /// At the application.
    In,
    /// Before a page that asks who somebody is.
    Asked(Form),
    /// Before a page that says no, or without any.
    Refused(u16),
}

/// A code from the mail, and where to type it.
pub(crate) struct Code {
    form: Form,
    digits: String,
    number: u64,
}

/// Where an answer sends the browser, if it has got a code to redeem there.
pub(crate) struct Onwards {
    pub(crate) host: String,
    pub(crate) path: String,
}

impl Onwards {
    fn of(answer: &Answer, from: &str) -> Option<Self> {
        if !(300..400).contains(&answer.status) {
            return None;
        }
        let base = url::Url::parse(&format!("https://{from}/")).unwrap();
        let to = base.join(answer.location()?).unwrap();
        let path = to[url::Position::BeforePath..url::Position::AfterQuery].to_owned();
        Some(Self { host: to.host_str().unwrap().to_owned(), path })
    }

    fn nonce(&self) -> Option<String> {
        let query = self.path.strip_prefix("/cdn-cgi/access/authorized?")?;
        let (_, nonce) =
            url::form_urlencoded::parse(query.as_bytes()).find(|(n, _)| n == "nonce")?;
        Some(nonce.into_owned())
    }
}

impl Town {
    pub(crate) fn new(ground: Ground, gateway: Gateway) -> Self {
        Self {
            ground,
            gateway: RefCell::new(Some(Rc::new(gateway))),
            beliefs: RefCell::default(),
            deeds: RefCell::default(),
            rough: Cell::new(false),
            codes_entered: RefCell::default(),
            counter: Cell::new(0),
        }
    }

    pub(crate) fn now(&self) -> UnixSeconds {
        self.ground.clock.now()
    }

    pub(crate) fn gateway(&self) -> Rc<Gateway> {
        self.gateway.borrow().clone().expect("a gateway runs")
    }

    /// A number that was not there before.
    fn another(&self) -> u64 {
        self.counter.set(self.counter.get() + 1);
        self.counter.get()
    }

    pub(crate) fn count(&self, deed: &'static str) {
        *self.deeds.borrow_mut().entry(deed).or_default() += 1;
    }

    /// One request to an application, held against the model: the answer if there was one, and whether it let in.
    async fn knock(&self, browser: &Browser, app: usize, path: &str) -> Option<(Answer, bool)> {
        let cookie = browser.cookie(HOSTS[app], COOKIE);
        let token = cookie.map(|it| self.beliefs.borrow().token_cookies[&it]);
        let opens = || {
            let beliefs = self.beliefs.borrow();
            token.map_or(Belief::No, |token| beliefs.opens(token, self.now()))
        };
        let before = opens();
        let exchange = self.gateway().exchange.clone();
        let answer = browser.ask(&exchange, "GET", HOSTS[app], path, "").await?;
        let (after, is_in) = (opens(), answer.headers.contains_key("x-origin"));
        let beliefs = self.beliefs.borrow();
        let shown = || match token {
            None => "no token".to_owned(),
            Some(at) => {
                let (token, session) =
                    (&beliefs.tokens[at], &beliefs.sessions[beliefs.tokens[at].session]);
                format!("{token:?} of {session:?} at {} (was {before:?})", self.now())
            }
        };
        if is_in {
            let dead = before == Belief::No && after == Belief::No;
            assert!(!dead, "let in to {} with {}", HOSTS[app], shown());
            let person = beliefs.sessions[beliefs.tokens[token.unwrap()].session].person;
            assert_eq!(answer.text, address(person), "somebody else's session: {}", shown());
        } else {
            let alive = before == Belief::Yes && after == Belief::Yes;
            assert!(!alive, "kept out of {} ({}) with {}", HOSTS[app], answer.status, shown());
        }
        self.count(if is_in { "let in" } else { "kept out" });
        drop(beliefs);
        Some((answer, is_in))
    }

    /// Opens a page of an application and goes where it leads, until somebody has to do something.
    pub(crate) async fn visit(&self, browser: &Browser, app: usize) -> Ending {
        let page = format!("/page{}", self.another());
        let known = browser.cookie(TEAM, COOKIE);
        let leads = || {
            let beliefs = self.beliefs.borrow();
            let session = known.as_ref().map(|cookie| beliefs.session_cookies[cookie]);
            session.map_or(Belief::No, |session| beliefs.leads_into(session, app, self.now()))
        };
        let before = (leads(), self.rough.get(), self.beliefs.borrow().turns_at(app));
        let ending =
            self.follow(browser, app, Onwards { host: HOSTS[app].to_owned(), path: page }).await;
        let after = (leads(), self.rough.get(), self.beliefs.borrow().turns_at(app));
        if before == (Belief::Yes, false, before.2) && after == before {
            let session =
                known.as_ref().map(|cookie| self.beliefs.borrow().session_cookies[cookie]);
            let shown = session.map(|at| format!("{:?}", self.beliefs.borrow().sessions[at]));
            let is_in = matches!(ending, Ending::In);
            if !is_in && let Some(cookie) = &known {
                eprintln!("{}", self.gateway().tell(cookie, self.now()).await);
            }
            assert!(is_in, "{ending:?} at {} in spite of {shown:?} at {}", HOSTS[app], self.now());
        }
        ending
    }

    /// Follows redirects; each answer of an application is held against the model.
    pub(crate) async fn follow(&self, browser: &Browser, app: usize, mut to: Onwards) -> Ending {
        for _ in 0..16 {
            let answer = if to.host == TEAM {
                let exchange = self.gateway().exchange.clone();
                let sent = browser.cookie(TEAM, COOKIE);
                let Some(answer) = browser.ask(&exchange, "GET", TEAM, &to.path, "").await else {
                    return Ending::Refused(0);
                };
                self.handed_off(browser, &answer, sent.as_deref());
                answer
            } else if to.nonce().is_some() {
                let Some(answer) = self.redeem(browser, app, &to).await else {
                    return Ending::Refused(0);
                };
                answer
            } else {
                match self.knock(browser, app, &to.path).await {
                    None => return Ending::Refused(0),
                    Some((_, true)) => return Ending::In,
                    Some((answer, false)) => answer,
                }
            };
            match Onwards::of(&answer, &to.host) {
                Some(next) => to = next,
                None => {
                    let form = Form::on(&answer.text, "email").filter(|_| answer.status == 200);
                    let asked = form.filter(|_| to.host == TEAM);
                    self.count(if asked.is_some() { "sent to log in" } else { "refused" });
                    return asked.map_or(Ending::Refused(answer.status), Ending::Asked);
                }
            }
        }
        panic!("redirects without end, the last to {}{}", to.host, to.path)
    }

    /// Notes the code that an answer of the team domain sends along.
    fn handed_off(&self, browser: &Browser, answer: &Answer, cookie: Option<&str>) {
        let Some(nonce) = Onwards::of(answer, TEAM).and_then(|to| to.nonce()) else { return };
        let mut beliefs = self.beliefs.borrow_mut();
        let session =
            beliefs.session_cookies[cookie.expect("nobody is handed on without a session")];
        assert_ne!(
            beliefs.sessions[session].lives,
            Belief::No,
            "a session that was ended hands on"
        );
        beliefs.codes.insert(nonce, (session, browser.number, 0));
    }

    /// Turns a code into a token. Of all who try, one browser gets one: that which began.
    pub(crate) async fn redeem(
        &self,
        browser: &Browser,
        app: usize,
        to: &Onwards,
    ) -> Option<Answer> {
        let since: Turns = self.beliefs.borrow().turns_at(app);
        let exchange = self.gateway().exchange.clone();
        let answer = browser.ask(&exchange, "GET", &to.host, &to.path, "").await?;
        let Some(cookie) = given(&answer) else { return Some(answer) };
        let mut beliefs = self.beliefs.borrow_mut();
        let (session, owner, used) = beliefs.codes.get_mut(&to.nonce().unwrap()).unwrap();
        *used += 1;
        assert_eq!(*used, 1, "a code was good twice");
        assert_eq!(*owner, browser.number, "a code was good in another browser");
        let session = *session;
        let token = beliefs.token_issued(app, session, since, self.now());
        beliefs.token_cookies.insert(cookie, token);
        Some(answer)
    }

    /// Asks for a code by mail; `None` when none comes.
    pub(crate) async fn ask_for_code(
        &self,
        browser: &Browser,
        login: &Form,
        person: usize,
    ) -> Option<Code> {
        browser.moves();
        let gateway = self.gateway();
        let last = gateway.outbox.list().last().map_or(0, |mail| mail.number);
        let body = login.filled("email", &address(person));
        let page = browser.ask(&gateway.exchange, "POST", TEAM, &login.action, &body).await?;
        let form = Form::on(&page.text, "code").filter(|_| page.status == 200)?;
        // The mail is sent by a task of its own, which has its turn when others wait.
        for _ in 0..100 {
            let posted = gateway.outbox.list();
            let to = address(person);
            if let Some(mail) =
                posted.iter().find(|it| it.number > last && it.mail.to.as_str() == to)
            {
                let lines = mail.mail.text.lines().map(str::trim);
                let digits = lines
                    .filter(|line| line.len() == 6)
                    .find(|line| line.bytes().all(|b| b.is_ascii_digit()));
                return Some(Code {
                    form,
                    digits: digits.unwrap().to_owned(),
                    number: self.another(),
                });
            }
            tokio::task::yield_now().await;
        }
        None
    }

    /// Types a code. Of all who type it, one gets a session.
    pub(crate) async fn enter_code(
        &self,
        browser: &Browser,
        code: &Code,
        person: usize,
    ) -> Option<Onwards> {
        let before =
            browser.cookie(TEAM, COOKIE).map(|it| self.beliefs.borrow().session_cookies[&it]);
        let ends = before.filter(|at| self.beliefs.borrow().is_known(*at, self.now()));
        before.into_iter().for_each(|at| self.beliefs.borrow_mut().session_ends(at));
        let since = self.beliefs.borrow().turns_of(person);
        let body = code.form.filled("code", &code.digits);
        let exchange = self.gateway().exchange.clone();
        let answer = browser.ask(&exchange, "POST", TEAM, &code.form.action, &body).await?;
        let cookie = given(&answer)?;
        let mut entered = self.codes_entered.borrow_mut();
        let times = entered.entry(code.number).or_default();
        *times += 1;
        assert_eq!(*times, 1, "a mailed code was good twice");
        drop(entered);
        let mut beliefs = self.beliefs.borrow_mut();
        ends.into_iter().for_each(|at| beliefs.session_ended(at, !self.rough.get()));
        let session = beliefs.session_begun(person, since, self.now(), SESSION);
        beliefs.session_cookies.insert(cookie.clone(), session);
        drop(beliefs);
        self.handed_off(browser, &answer, Some(&cookie));
        self.count("logged in");
        Onwards::of(&answer, TEAM)
    }

    /// Logs out, at the team domain or at an application.
    pub(crate) async fn log_out(&self, browser: &Browser, app: Option<usize>) {
        let host = app.map_or(TEAM, |app| HOSTS[app]);
        let Some(cookie) = browser.cookie(host, COOKIE) else { return };
        let (session, ends) = {
            let beliefs = self.beliefs.borrow();
            match app {
                None => {
                    let session = beliefs.session_cookies[&cookie];
                    (session, beliefs.is_known(session, self.now()))
                }
                Some(_) => {
                    let token = beliefs.token_cookies[&cookie];
                    let lives = beliefs.opens_at_all(token, self.now());
                    (beliefs.tokens[token].session, lives)
                }
            }
        };
        self.beliefs.borrow_mut().session_ends(session);
        let exchange = self.gateway().exchange.clone();
        let path = "/cdn-cgi/access/logout";
        let answer = browser.ask(&exchange, "GET", host, path, "").await;
        if answer.is_some_and(|answer| answer.status < 400) && ends {
            self.beliefs.borrow_mut().session_ended(session, !self.rough.get());
            self.count("logged out");
        }
    }

    /// Every token that was ever given out, once more.
    pub(crate) async fn try_all_tokens(&self) {
        let cookies: Vec<(String, usize)> = {
            let beliefs = self.beliefs.borrow();
            beliefs
                .token_cookies
                .iter()
                .map(|(cookie, token)| (cookie.clone(), beliefs.tokens[*token].app))
                .collect()
        };
        for (cookie, app) in cookies {
            assert!(app < APPS);
            let thief = Browser::with(HOSTS[app], COOKIE, &cookie);
            self.knock(&thief, app, "/once-more").await;
        }
    }
}

/// The session or token that an answer gives.
fn given(answer: &Answer) -> Option<String> {
    let set = answer.headers.get_all("set-cookie").iter().filter_map(|set| set.to_str().ok());
    let mut values = set.filter_map(|set| set.strip_prefix("CF_Authorization=")?.split(';').next());
    values.find(|value| !value.is_empty()).map(str::to_owned)
}
