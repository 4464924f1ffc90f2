"""nginx that asks oauth2-proxy about each request (`auth_request`), as the documentation of oauth2-proxy shows it."""

import secrets

from browser import Browser
from rig import HOST, free_port

from .nginx import Nginx, proxied, served
from .oauth2_proxy import arguments, binary_missing
from .peer import Peer


class AuthRequest(Peer):
    key = "auth-request"
    name = "nginx with `auth_request` to oauth2-proxy"

    def __init__(self, rig, bench):
        super().__init__(rig, bench)
        self.cookie_secret = secrets.token_hex(16)
        self.asked_port = free_port()

    @classmethod
    def missing(cls, options):
        return binary_missing(options)

    version = Nginx.version

    def launch(self):
        asked = self.rig.start(
            self.rig.cores.proxy, self.bench.options.oauth2_proxy,
            *arguments(self.bench.provider, self.cookie_secret, f"{self.url}/oauth2/callback"),
            f"--http-address=127.0.0.1:{self.asked_port}", "--reverse-proxy=true", "--trusted-proxy-ip=127.0.0.1",
            "--set-xauthrequest=true", "--upstream=static://202", port=self.asked_port)
        nginx = self.rig.nginx(self.key, self.rig.cores.proxy, self.port, f"""
  {proxied(self.rig)}
  upstream asked {{ server 127.0.0.1:{self.asked_port}; keepalive 1024; keepalive_requests 1000000000; }}
  server {{
    {served(self.rig, self.port)}
    location /oauth2/ {{
      proxy_pass http://asked; proxy_set_header Host $http_host; proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Uri $request_uri;
    }}
    location = /oauth2/auth {{
      internal; proxy_pass http://asked; proxy_pass_request_body off; proxy_set_header Content-Length "";
      proxy_set_header Connection ""; proxy_set_header Upgrade "";
      proxy_set_header Host $http_host; proxy_set_header X-Forwarded-Uri $request_uri;
    }}
    auth_request_set $email $upstream_http_x_auth_request_email;
    location / {{
      auth_request /oauth2/auth; proxy_set_header X-Email $email; proxy_set_header Host $host;
      proxy_set_header Connection $connection_header; proxy_set_header Upgrade $http_upgrade; proxy_pass http://origin;
    }}
    location /echo {{
      auth_request /oauth2/auth; proxy_set_header X-Email $email; proxy_set_header Host $host;
      proxy_set_header Connection $connection_header; proxy_set_header Upgrade $http_upgrade; proxy_pass http://echo;
    }}
  }}""")
        return [asked, nginx]

    def log_in(self):
        if self.header:
            return self.header
        browser = Browser(self.rig.cert)
        url, status, _ = browser.request("GET", f"{self.url}/oauth2/start?rd=/")
        header = browser.cookie_header(f"{HOST}:{self.port}", "_oauth2_proxy")
        if status != 200 or not header:
            raise SystemExit(f"the login at {self.name} ended with {status} at {url}")
        return header
