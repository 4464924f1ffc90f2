//! The model: what is known of sessions, tokens, policies and machines. What was asked for and not acknowledged may or
//! may not have happened, and then both answers are right.

use narthex_model::UnixSeconds;
use std::collections::HashMap;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Belief {
    Yes,
    No,
    Unsure,
}

impl Belief {
    /// Something that would make it untrue has begun.
    fn shaken(&mut self) {
        if *self == Self::Yes {
            *self = Self::Unsure;
        }
    }

    fn all(several: impl IntoIterator<Item = Self>) -> Self {
        several.into_iter().fold(Self::Yes, |all, one| match (all, one) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::Unsure, _) | (_, Self::Unsure) => Self::Unsure,
            (Self::Yes, Self::Yes) => Self::Yes,
        })
    }
}

pub(crate) const PEOPLE: usize = 12;
pub(crate) const APPS: usize = 2;
pub(crate) const MACHINES: usize = 3;
/// `wiki` is for everybody, `docs` for those who are on a list.
pub(crate) const HOSTS: [&str; APPS] = ["wiki.example.com", "docs.example.com"];
/// Seconds that a token of each application lives.
pub(crate) const LIFE: [i64; APPS] = [1800, 7200];

pub(crate) fn address(person: usize) -> String {
    format!("person{person}@example.com")
}

/// A login session, from the moment a browser holds its cookie.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) person: usize,
    pub(crate) expires: UnixSeconds,
    pub(crate) lives: Belief,
}

/// An application's token.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) app: usize,
    pub(crate) session: usize,
    pub(crate) issued: UnixSeconds,
    pub(crate) counts: Belief,
}

/// A machine's service token as the office knows it.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) id: String,
    pub(crate) client: String,
    pub(crate) secret: String,
    pub(crate) works: Belief,
    /// Secrets that it had before; none of them works again.
    pub(crate) former: Vec<(String, Belief)>,
}

/// How often something of the kind began; and how often it has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Turns {
    begun: u64,
    ended: u64,
}

impl Turns {
    fn is_quiet(self) -> bool {
        self.begun == self.ended
    }
}

#[derive(Default)]
pub(crate) struct Beliefs {
    pub(crate) sessions: Vec<Session>,
    pub(crate) tokens: Vec<Token>,
    /// By the value of the team's cookie.
    pub(crate) session_cookies: HashMap<String, usize>,
    /// By the value of an application's cookie.
    pub(crate) token_cookies: HashMap<String, usize>,
    /// Which session a code leads to, in which browser, and how many tokens it has brought.
    pub(crate) codes: HashMap<String, (usize, usize, u32)>,
    pub(crate) on_the_list: [Option<Belief>; PEOPLE],
    pub(crate) machines: Vec<Machine>,
    owed: Vec<usize>,
    person_turns: [Turns; PEOPLE],
    app_turns: [Turns; APPS],
    /// The time was set back to before something that happened: what bears a later date may count or not.
    pub(crate) newest: UnixSeconds,
}

impl Beliefs {
    pub(crate) fn admits(&self, app: usize, person: usize) -> Belief {
        if app == 0 { Belief::Yes } else { self.on_the_list[person].unwrap_or(Belief::No) }
    }

    /// Whether this token opens its application.
    pub(crate) fn opens(&self, token: usize, now: UnixSeconds) -> Belief {
        let token = &self.tokens[token];
        let session = &self.sessions[token.session];
        // A token of the second of a revocation is dated one second ahead.
        let age = now.since(token.issued);
        let in_time = match age - LIFE[token.app] {
            left if left >= 1 => Belief::No,
            0 => Belief::Unsure,
            _ if age < 0 => Belief::Unsure,
            _ => Belief::Yes,
        };
        let admits = self.admits(token.app, session.person);
        Belief::all([token.counts, session.lives, in_time, admits])
    }

    /// Whether the dates of a token are in order, whatever has been revoked.
    pub(crate) fn opens_at_all(&self, token: usize, now: UnixSeconds) -> bool {
        let token = &self.tokens[token];
        (0..LIFE[token.app]).contains(&now.since(token.issued))
    }

    /// Whether the dates of a session's cookie are in order, so that the team domain knows whose it is. With a clock that
    /// was set back it may take the cookie for one of the future.
    pub(crate) fn is_known(&self, session: usize, now: UnixSeconds) -> bool {
        self.newest <= now && now < self.sessions[session].expires
    }

    /// Whether this session gets a browser into the application without a question.
    pub(crate) fn leads_into(&self, session: usize, app: usize, now: UnixSeconds) -> Belief {
        let session = &self.sessions[session];
        let in_time = if now < session.expires { Belief::Yes } else { Belief::No };
        let sane = if now < self.newest { Belief::Unsure } else { Belief::Yes };
        Belief::all([session.lives, in_time, sane, self.admits(app, session.person)])
    }

    // --- Logins ---

    pub(crate) fn turns_of(&self, person: usize) -> Turns {
        self.person_turns[person]
    }

    pub(crate) fn turns_at(&self, app: usize) -> Turns {
        self.app_turns[app]
    }

    /// A browser holds a session whose login began when the person's turns were `since`.
    pub(crate) fn session_begun(
        &mut self,
        person: usize,
        since: Turns,
        now: UnixSeconds,
        life: i64,
    ) -> usize {
        let quiet = since.is_quiet() && since == self.person_turns[person] && now >= self.newest;
        let lives = if quiet { Belief::Yes } else { Belief::Unsure };
        self.newest = self.newest.max(now);
        self.sessions.push(Session { person, expires: now.plus(life), lives });
        self.sessions.len() - 1
    }

    pub(crate) fn token_issued(
        &mut self,
        app: usize,
        session: usize,
        since: Turns,
        now: UnixSeconds,
    ) -> usize {
        let quiet = since.is_quiet() && since == self.app_turns[app] && now >= self.newest;
        let counts = if quiet { Belief::Yes } else { Belief::Unsure };
        self.newest = self.newest.max(now);
        self.tokens.push(Token { app, session, issued: now, counts });
        self.tokens.len() - 1
    }

    // --- Ends ---

    pub(crate) fn session_ends(&mut self, session: usize) {
        self.sessions[session].lives.shaken();
    }

    /// `durable` unless the store may have refused to keep it: then it is in force for as long as the gateway runs, and
    /// owed to the store.
    pub(crate) fn session_ended(&mut self, session: usize, durable: bool) {
        self.sessions[session].lives = Belief::No;
        if !durable {
            self.owed.push(session);
        }
    }

    /// What was owed to the store may be lost with the process.
    pub(crate) fn restarted(&mut self) {
        for session in std::mem::take(&mut self.owed) {
            self.sessions[session].lives = Belief::Unsure;
        }
    }

    /// A revocation of the person begins: the sessions that it has to end.
    pub(crate) fn person_ends(&mut self, person: usize) -> Vec<usize> {
        self.person_turns[person].begun += 1;
        let of_person = (0..self.sessions.len()).filter(|at| self.sessions[*at].person == person);
        let due: Vec<usize> = of_person.collect();
        due.iter().for_each(|session| self.session_ends(*session));
        due
    }

    pub(crate) fn person_ended(
        &mut self,
        person: usize,
        due: &[usize],
        acknowledged: bool,
        now: UnixSeconds,
    ) {
        self.person_turns[person].ended += 1;
        self.newest = self.newest.max(now);
        if acknowledged {
            due.iter().for_each(|session| self.session_ended(*session, true));
        }
    }

    /// A revocation of the application's tokens begins: those that it has to end.
    pub(crate) fn app_ends(&mut self, app: usize) -> Vec<usize> {
        self.app_turns[app].begun += 1;
        let due: Vec<usize> =
            (0..self.tokens.len()).filter(|at| self.tokens[*at].app == app).collect();
        due.iter().for_each(|token| self.tokens[*token].counts.shaken());
        due
    }

    pub(crate) fn app_ended(
        &mut self,
        app: usize,
        due: &[usize],
        acknowledged: bool,
        now: UnixSeconds,
    ) {
        self.app_turns[app].ended += 1;
        self.newest = self.newest.max(now.plus(1));
        if acknowledged {
            due.iter().for_each(|token| self.tokens[*token].counts = Belief::No);
        }
    }

    // --- The list of `docs` ---

    pub(crate) fn list_changes(&mut self, to: &[bool; PEOPLE]) {
        for (belief, listed) in self.on_the_list.iter_mut().zip(to) {
            let same = *belief == Some(if *listed { Belief::Yes } else { Belief::No });
            if !same {
                *belief = Some(Belief::Unsure);
            }
        }
    }

    pub(crate) fn list_changed(&mut self, to: &[bool; PEOPLE]) {
        for (belief, listed) in self.on_the_list.iter_mut().zip(to) {
            *belief = Some(if *listed { Belief::Yes } else { Belief::No });
        }
    }

    // --- Machines ---

    pub(crate) fn machine_changes(&mut self, machine: usize) {
        self.machines[machine].works.shaken();
    }

    /// The secret was replaced by another; or the token is gone.
    pub(crate) fn secret_replaced(&mut self, machine: usize, by: Option<String>) {
        let machine = &mut self.machines[machine];
        let works = if by.is_some() { Belief::Yes } else { Belief::No };
        machine.former.push((machine.secret.clone(), Belief::No));
        machine.secret = by.unwrap_or_default();
        machine.works = works;
    }
}
