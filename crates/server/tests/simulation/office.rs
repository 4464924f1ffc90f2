//! What an administrator does, through the API.

use crate::beliefs::{Belief, HOSTS, LIFE, Machine, PEOPLE, address};
use crate::gateway::{ADMIN, ADMIN_TOKEN};
use crate::line::Line;
use crate::town::Town;
use serde_json::{Value, json};
use std::cell::RefCell;

/// The host of the application for machines.
const ROBOTS: &str = "robots.example.com";

pub(crate) struct Office {
    account: String,
    apps: Vec<String>,
    list: String,
    line: RefCell<Option<Line>>,
}

/// The status of an answer, and its result.
type Said = Option<(u16, Value)>;

impl Office {
    /// Furnishes a new gateway: a way to log in, two applications for people, one for machines.
    pub(crate) async fn open(town: &Town) -> Self {
        let account = String::new();
        let line = RefCell::default();
        let mut office = Self { account, apps: Vec::new(), list: String::new(), line };
        let accounts = office.told(town, "GET", "/accounts", Value::Null).await;
        office.account = format!("/accounts/{}", accounts[0]["id"].as_str().unwrap());
        let made = async |path: &str, body: Value| -> String {
            let path = format!("{}{path}", office.account);
            let made = office.told(town, "POST", &path, body).await;
            made["id"].as_str().unwrap().to_owned()
        };
        made(
            "/access/identity_providers",
            json!({"name": "Mail", "type": "onetimepin", "config": {}}),
        )
        .await;
        let everybody = json!([{"email_domain": {"domain": "example.com"}}]);
        let people = made(
            "/access/policies",
            json!({"name": "people", "decision": "allow", "include": everybody}),
        )
        .await;
        let list = made("/access/policies", list_policy(&[true; PEOPLE])).await;
        let machines = json!({"name": "machines", "decision": "non_identity", "include": [{"any_valid_service_token": {}}]});
        let machines = made("/access/policies", machines).await;
        let mut apps = Vec::new();
        for (host, policy, life) in
            [(HOSTS[0], &people, LIFE[0]), (HOSTS[1], &list, LIFE[1]), (ROBOTS, &machines, 3600)]
        {
            let body = json!({"name": host, "domain": host, "type": "self_hosted", "session_duration": format!("{life}s"),
                "policies": [policy]});
            apps.push(made("/access/apps", body).await);
        }
        let organization = format!("{}/access/organizations", office.account);
        let session = json!({"session_duration": format!("{}s", crate::town::SESSION)});
        office.told(town, "PUT", &organization, session).await;
        (office.apps, office.list) = (apps, list);
        town.beliefs.borrow_mut().list_changed(&[true; PEOPLE]);
        office
    }

    /// The gateway has gone, and with it the connection.
    pub(crate) fn hang_up(&self) {
        self.line.borrow_mut().take();
    }

    async fn call(&self, town: &Town, method: &str, path: &str, body: Value) -> Said {
        let bearer = format!("Bearer {ADMIN_TOKEN}");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let kept = self.line.borrow_mut().take().filter(Line::is_open);
        let mut line = match kept {
            Some(line) => line,
            None => town.gateway().exchange.open(ADMIN).await,
        };
        let path = format!("/client/v4{path}");
        let answer = line.ask(method, ADMIN, &path, &headers, &body).await?;
        if line.is_open() {
            *self.line.borrow_mut() = Some(line);
        }
        let mut said: Value = serde_json::from_str(&answer.text).unwrap();
        assert_eq!(said["success"], answer.status < 400, "{said}");
        assert!(answer.status < 500 || town.rough.get(), "{method} {path}: {said}");
        Some((answer.status, said["result"].take()))
    }

    /// A call that has to succeed.
    async fn told(&self, town: &Town, method: &str, path: &str, body: Value) -> Value {
        let (status, result) = self.call(town, method, path, body).await.unwrap();
        assert!(status < 400, "{method} {path}: {status}");
        result
    }

    fn path(&self, rest: &str) -> String {
        format!("{}/access/{rest}", self.account)
    }

    pub(crate) async fn revoke_person(&self, town: &Town, person: usize) {
        let due = town.beliefs.borrow_mut().person_ends(person);
        let path = self.path("organizations/revoke_user");
        let said = self.call(town, "POST", &path, json!({"email": address(person)})).await;
        let done = said.is_some_and(|(status, _)| status < 400);
        town.beliefs.borrow_mut().person_ended(person, &due, done, town.now());
        town.count(if done { "revoked" } else { "not revoked" });
    }

    /// Deletes a person. One who is not there any more has no session either.
    pub(crate) async fn delete_person(&self, town: &Town, person: usize) {
        let due = town.beliefs.borrow_mut().person_ends(person);
        let path = self.path(&format!("users?email={}", address(person)));
        let mut done = false;
        if let Some((200, found)) = self.call(town, "GET", &path, Value::Null).await {
            done = match found.as_array().unwrap().as_slice() {
                [] => true,
                [user, ..] => {
                    let path = self.path(&format!("users/{}", user["id"].as_str().unwrap()));
                    let said = self.call(town, "DELETE", &path, Value::Null).await;
                    said.is_some_and(|(status, _)| status < 400)
                }
            };
        }
        town.beliefs.borrow_mut().person_ended(person, &due, done, town.now());
        town.count(if done { "deleted" } else { "not deleted" });
    }

    pub(crate) async fn revoke_app(&self, town: &Town, app: usize) {
        let due = town.beliefs.borrow_mut().app_ends(app);
        let path = self.path(&format!("apps/{}/revoke_tokens", self.apps[app]));
        let said = self.call(town, "POST", &path, Value::Null).await;
        let done = said.is_some_and(|(status, _)| status < 400);
        town.beliefs.borrow_mut().app_ended(app, &due, done, town.now());
        town.count(if done { "revoked" } else { "not revoked" });
    }

    /// Puts others on the list of `docs`.
    pub(crate) async fn change_list(&self, town: &Town, to: &[bool; PEOPLE]) {
        town.beliefs.borrow_mut().list_changes(to);
        let path = self.path(&format!("policies/{}", self.list));
        let said = self.call(town, "PUT", &path, list_policy(to)).await;
        if said.is_some_and(|(status, _)| status < 400) {
            town.beliefs.borrow_mut().list_changed(to);
            town.count("policy changed");
        }
    }

    pub(crate) async fn rotate_keys(&self, town: &Town) {
        let said = self.call(town, "POST", &self.path("keys/rotate"), Value::Null).await;
        if said.is_some_and(|(status, _)| status < 400) {
            town.count("keys rotated");
        }
    }

    pub(crate) async fn make_machine(&self, town: &Town) {
        let body = json!({"name": "robot", "duration": "8760h"});
        let said = self.call(town, "POST", &self.path("service_tokens"), body).await;
        let Some((200 | 201, made)) = said else { return };
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        let (works, former) = (Belief::Yes, Vec::new());
        let (client, secret) = (text("client_id"), text("client_secret"));
        let machine = Machine { id: text("id"), client, secret, works, former };
        town.beliefs.borrow_mut().machines.push(machine);
        town.count("machine made");
    }

    pub(crate) async fn rotate_secret(&self, town: &Town, machine: usize) {
        town.beliefs.borrow_mut().machine_changes(machine);
        let id = town.beliefs.borrow().machines[machine].id.clone();
        let path = self.path(&format!("service_tokens/{id}/rotate"));
        if let Some((200, said)) = self.call(town, "POST", &path, json!({})).await {
            let secret = said["client_secret"].as_str().unwrap().to_owned();
            town.beliefs.borrow_mut().secret_replaced(machine, Some(secret));
            town.count("secret rotated");
        }
    }

    pub(crate) async fn delete_machine(&self, town: &Town, machine: usize) {
        town.beliefs.borrow_mut().machine_changes(machine);
        let id = town.beliefs.borrow().machines[machine].id.clone();
        let path = self.path(&format!("service_tokens/{id}"));
        if let Some((200 | 404, _)) = self.call(town, "DELETE", &path, Value::Null).await {
            town.beliefs.borrow_mut().secret_replaced(machine, None);
            town.count("machine deleted");
        }
    }
}

fn list_policy(on_it: &[bool; PEOPLE]) -> Value {
    let listed = on_it.iter().enumerate().filter(|(_, is)| **is);
    let mut include: Vec<Value> =
        listed.map(|(at, _)| json!({"email": {"email": address(at)}})).collect();
    include.push(json!({"email": {"email": "the-editor@example.com"}}));
    json!({"name": "the list", "decision": "allow", "include": include})
}

/// A machine calls with its secret, and with one that it had before.
pub(crate) async fn machine_calls(town: &Town, machine: usize) {
    let tries: Vec<(String, String, bool)> = {
        let beliefs = town.beliefs.borrow();
        let it = &beliefs.machines[machine];
        let former = it.former.last().map(|(secret, _)| (it.client.clone(), secret.clone(), false));
        std::iter::once((it.client.clone(), it.secret.clone(), true)).chain(former).collect()
    };
    for (client, secret, current) in tries {
        let belief = || {
            let beliefs = town.beliefs.borrow();
            let machine = &beliefs.machines[machine];
            if current && machine.secret == secret { machine.works } else { Belief::No }
        };
        let before = belief();
        let mut line = town.gateway().exchange.open(ROBOTS).await;
        let headers =
            [("cf-access-client-id", client.as_str()), ("cf-access-client-secret", &secret)];
        let Some(answer) = line.ask("GET", ROBOTS, "/", &headers, "").await else { continue };
        let (after, is_in) = (belief(), answer.headers.contains_key("x-origin"));
        let shown = format!("{before:?} before, {after:?} after, current: {current}");
        assert!(
            !is_in || before != Belief::No || after != Belief::No,
            "a machine was let in: {shown}"
        );
        let kept_out = !is_in && before == Belief::Yes && after == Belief::Yes;
        assert!(!kept_out, "a machine was kept out ({}): {shown}", answer.status);
        town.count(if is_in { "machine let in" } else { "machine kept out" });
    }
}
