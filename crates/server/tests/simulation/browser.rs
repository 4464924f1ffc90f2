//! One browser: its cookies, its open connections, and what it does with a page.

use crate::line::{Answer, Exchange, Line};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};

pub(crate) struct Browser {
    pub(crate) number: usize,
    jar: RefCell<BTreeMap<(String, String), String>>,
    lines: RefCell<HashMap<String, Line>>,
    /// The address that it comes from changes with every login, so that no limit is met.
    address: Cell<u32>,
}

/// A form as it stands on a page.
#[derive(Debug)]
pub(crate) struct Form {
    pub(crate) action: String,
    pub(crate) fields: Vec<(String, String)>,
}

impl Browser {
    pub(crate) fn new(number: usize) -> Self {
        let address = Cell::new(u32::try_from(number).unwrap() << 16);
        Self { number, jar: RefCell::default(), lines: RefCell::default(), address }
    }

    /// A browser that has nothing but one cookie.
    pub(crate) fn with(host: &str, name: &str, value: &str) -> Self {
        let thief = Self::new(0xff);
        thief.jar.borrow_mut().insert((host.to_owned(), name.to_owned()), value.to_owned());
        thief
    }

    pub(crate) fn moves(&self) {
        self.address.set(self.address.get() + 1);
    }

    /// The gateway has gone, and with it every connection.
    pub(crate) fn hang_up(&self) {
        self.lines.borrow_mut().clear();
    }

    pub(crate) fn cookie(&self, host: &str, name: &str) -> Option<String> {
        self.jar.borrow().get(&(host.to_owned(), name.to_owned())).cloned()
    }

    /// Asks with this browser's cookies and keeps those that come back. `None` when no answer came.
    pub(crate) async fn ask(
        &self,
        exchange: &Exchange,
        method: &str,
        host: &str,
        path: &str,
        body: &str,
    ) -> Option<Answer> {
        let [_, b, c, d] = self.address.get().to_be_bytes();
        let from = format!("10.{b}.{c}.{d}");
        let jar = self.jar.borrow().clone();
        let pairs: Vec<String> = jar
            .iter()
            .filter(|((at, _), _)| at == host)
            .map(|((_, name), value)| format!("{name}={value}"))
            .collect();
        let cookies = pairs.join("; ");
        let mut headers = vec![("x-forwarded-for", from.as_str())];
        if !cookies.is_empty() {
            headers.push(("cookie", &cookies));
        }
        let origin = format!("https://{host}");
        if method == "POST" {
            headers.push(("content-type", "application/x-www-form-urlencoded"));
            headers.push(("origin", &origin));
        }
        let kept = self.lines.borrow_mut().remove(host).filter(Line::is_open);
        let mut line = match kept {
            Some(line) => line,
            None => exchange.open(host).await,
        };
        let answer = line.ask(method, host, path, &headers, body).await?;
        if line.is_open() {
            self.lines.borrow_mut().insert(host.to_owned(), line);
        }
        for cookie in answer.headers.get_all("set-cookie") {
            self.keep(host, cookie.to_str().unwrap());
        }
        Some(answer)
    }

    fn keep(&self, host: &str, cookie: &str) {
        let (pair, attributes) = cookie.split_once(';').unwrap_or((cookie, ""));
        let (name, value) = pair.split_once('=').unwrap();
        let key = (host.to_owned(), name.to_owned());
        if attributes.contains(" 1970 ") {
            self.jar.borrow_mut().remove(&key);
        } else {
            self.jar.borrow_mut().insert(key, value.to_owned());
        }
    }
}

impl Form {
    /// The form of a page that has a field of this name; the first one if there are several.
    pub(crate) fn on(page: &str, field: &str) -> Option<Self> {
        let mut forms = page.split("<form").skip(1).filter_map(|rest| rest.split("</form>").next());
        let form = forms.find(|form| form.contains(&format!("name=\"{field}\"")))?;
        let inputs = form.split("<input").skip(1);
        let fields = inputs
            .map(|input| {
                (attribute(input, "name").unwrap(), attribute(input, "value").unwrap_or_default())
            })
            .collect();
        Some(Self { action: attribute(form, "action")?, fields })
    }

    /// What is posted when `name` is filled in with `value`.
    pub(crate) fn filled(&self, name: &str, value: &str) -> String {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        for (field, kept) in &self.fields {
            form.append_pair(field, if field == name { value } else { kept });
        }
        form.finish()
    }
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let tag = tag.split_once(&format!("{name}=\""))?.1;
    let value = tag.split('"').next()?;
    let coded = [("&#34;", "\""), ("&#39;", "'"), ("&#60;", "<"), ("&#62;", ">"), ("&#38;", "&")];
    Some(coded.iter().fold(value.to_owned(), |text, (coded, plain)| text.replace(coded, plain)))
}
