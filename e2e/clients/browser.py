"""Just enough of a browser to log in: cookies for each host, redirects, forms."""

import html
import re
import urllib.parse


class Browser:
    """`email` is who sits before it."""

    def __init__(self, gateway, mailbox, email):
        self.gateway, self.mailbox, self.email, self.jars = gateway, mailbox, email, {}

    def jar(self, url):
        return self.jars.setdefault(urllib.parse.urlsplit(url).netloc, {})

    def send(self, method, url, headers=None, form=None):
        """One request with the cookies of its host; keeps what the answer sets."""
        parts, jar = urllib.parse.urlsplit(url), self.jar(url)
        fields = dict(headers or {})
        if jar:
            fields["Cookie"] = "; ".join(f"{name}={value}" for name, value in jar.items())
        body = b""
        if form is not None:
            body = urllib.parse.urlencode(form).encode()
            fields["Content-Type"] = "application/x-www-form-urlencoded"
            fields["Origin"] = f"https://{parts.netloc}"
        answer = self.gateway.request(method, url, fields, body)
        for name, cookie in answer.cookies.items():
            if cookie.value and not cookie.attributes.get("expires", "").endswith("1970 00:00:00 GMT"):
                jar[name] = cookie.value
            else:
                jar.pop(name, None)
        return answer

    def visit(self, url, method="GET", form=None):
        """Where one ends up after all redirects, and what is there."""
        for _ in range(12):
            answer = self.send(method, url, form=form)
            if answer.status not in (301, 302, 303):
                return url, answer
            url, method, form = urllib.parse.urljoin(url, answer["location"]), "GET", None
        raise AssertionError(f"too many redirects at {url}")

    def log_in(self, app, rest="/"):
        """Opens an application, with a code from the mail where one is asked for; the application token."""
        url, page = self.visit(app.url(rest))
        if url != app.url(rest):
            action, fields = form_with("email", page.text, url)
            url, page = self.visit(action, "POST", {**fields, "email": self.email})
            action, fields = form_with("code", page.text, url)
            url, page = self.visit(action, "POST", {**fields, "code": self.mailbox.code_for(self.email)})
        assert url == app.url(rest), f"the login ended at {url}: {page.status}"
        return self.token(app)

    def token(self, app):
        """The application token."""
        return self.jar(app.url())["CF_Authorization"]

    @property
    def org_token(self):
        return self.jar(self.gateway.team)["CF_Authorization"]


class Member(Browser):
    """Somebody who has an account at an identity provider, to which everybody is sent at once."""

    def __init__(self, gateway, provider, email):
        super().__init__(gateway, None, email)
        self.provider = provider

    def visit(self, url, method="GET", form=None):
        for _ in range(12):
            answer = self.send(method, url, form=form)
            if answer.status not in (301, 302, 303):
                return url, answer
            url, method, form = urllib.parse.urljoin(url, answer["location"]), "GET", None
            if url.startswith(f"{self.provider.issuer}/auth?"):
                url = self.provider.vouch(url, self.email)
        raise AssertionError(f"too many redirects at {url}")


def form_with(field, page, url):
    """The form of a page that has this field: where it goes and what it carries."""
    forms = re.findall(r"<form\b[^>]*>.*?</form>", page, re.S)
    form = next((form for form in forms if f'name="{field}"' in form), None)
    assert form, f"{url} has no field {field}: {re.sub('<[^>]*>', '', page)}"
    fields = {}
    for tag in re.findall(r"<input\b[^>]*>", form):
        name, value = (re.search(rf'{key}="([^"]*)"', tag) for key in ("name", "value"))
        if name:
            fields[name.group(1)] = html.unescape(value.group(1)) if value else ""
    action = re.search(r'action="([^"]*)"', form)
    return urllib.parse.urljoin(url, html.unescape(action.group(1)) if action else ""), fields
