"""Logging in as a person would: just enough of a browser, and a mailbox for the codes."""

import http.client
import re
import socket
import ssl
import threading
import urllib.parse


class Mailbox(threading.Thread):
    """An SMTP sink on a port of its own."""

    def __init__(self):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.mails = []
        self.arrived = threading.Condition()
        self.start()

    def run(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.converse, args=(connection,), daemon=True).start()

    def converse(self, connection):
        lines = connection.makefile("rwb")

        def say(text):
            lines.write(text.encode() + b"\r\n")
            lines.flush()

        say("220 sink")
        while line := lines.readline():
            verb = line.split()[0].upper() if line.split() else b""
            if verb == b"DATA":
                say("354 go on")
                body = b""
                while (part := lines.readline()) not in (b".\r\n", b""):
                    body += part
                with self.arrived:
                    self.mails.append(body.decode(errors="replace"))
                    self.arrived.notify_all()
                say("250 kept")
            elif verb == b"QUIT":
                say("221 bye")
                return
            else:
                say("250 ok")

    def code(self):
        """The six digits of the last mail; waits for one."""
        with self.arrived:
            if not self.arrived.wait_for(lambda: self.mails, 20):
                raise SystemExit("no login code arrived by mail")
            return re.search(r"\b(\d{6})\b", self.mails[-1]).group(1)


class Browser:
    """Just enough of one to log in: cookies per host and port, redirects, forms."""

    def __init__(self, ca):
        self.tls = ssl.create_default_context(cafile=ca)
        self.cookies = {}

    def once(self, method, url, form=None):
        """One request, its redirect not followed: (status, headers, text)."""
        parts = urllib.parse.urlsplit(url)
        connection = http.client.HTTPConnection("127.0.0.1", parts.port or 443, timeout=20)
        if parts.scheme == "https":
            connection.sock = self.tls.wrap_socket(
                socket.create_connection(("127.0.0.1", parts.port or 443), 20), server_hostname=parts.hostname)
        jar = self.cookies.setdefault(parts.netloc, {})
        headers = {"Host": parts.netloc, "Origin": f"{parts.scheme}://{parts.netloc}", "Accept": "text/html"}
        if jar:
            headers["Cookie"] = "; ".join(f"{k}={v}" for k, v in jar.items())
        body = None
        if form is not None:
            body = urllib.parse.urlencode(form)
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        connection.request(method, urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, "")), body, headers)
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
        connection.close()
        for header in answer.headers.get_all("Set-Cookie") or []:
            name, _, value = header.split(";")[0].partition("=")
            jar[name] = value
        return answer.status, answer.headers, text

    def request(self, method, url, form=None):
        """Follows redirects to the page at their end: (its address, status, text)."""
        for _ in range(12):
            status, headers, text = self.once(method, url, form)
            if status not in (301, 302, 303, 307):
                return url, status, text
            url, method, form = urllib.parse.urljoin(url, headers["Location"]), "GET", None
        raise SystemExit(f"too many redirects at {url}")

    def cookie_header(self, netloc, *names):
        """The cookies of a host whose names begin so, as a request header; None if there are none."""
        jar = self.cookies.get(netloc, {})
        kept = [f"{k}={v}" for k, v in jar.items() if v and k.startswith(names)]
        return "Cookie: " + "; ".join(kept) if kept else None


def form_with(field, page, url):
    """The form of a page that has this field: where it goes and what it carries."""
    forms = re.findall(r"<form\b[^>]*>.*?</form>", page, re.S)
    form = next((form for form in forms if f'name="{field}"' in form), None)
    if form is None:
        raise SystemExit(f"{url} has no field {field}")
    action = re.search(r'action="([^"]*)"', form)
    fields = {}
    for tag in re.findall(r"<input\b[^>]*>", form):
        name = re.search(r'name="([^"]*)"', tag)
        value = re.search(r'value="([^"]*)"', tag)
        if name:
            fields[name.group(1)] = value.group(1).replace("&amp;", "&") if value else ""
    target = action.group(1).replace("&amp;", "&") if action else url
    return urllib.parse.urljoin(url, target), fields
