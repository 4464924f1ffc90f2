"""nginx with a bare `proxy_pass`: what a request costs that nobody checks. Everything is compared with it."""

import machine

from rig import free_port

from .peer import Peer


def proxied(rig):
    """What an nginx needs to proxy HTTP and WebSockets well: as many kept connections to the origin as requests can be under way
    (256 in the HTTP/2 load; with fewer it would close and open some all the time), and no files in between."""
    return f"""
  map $http_upgrade $connection_header {{ default upgrade; '' ''; }}
  upstream origin {{ server 127.0.0.1:{rig.origin_port}; keepalive 1024; keepalive_requests 1000000000; }}
  upstream echo {{ server 127.0.0.1:{rig.echo_port}; }}
  proxy_http_version 1.1; proxy_request_buffering off; proxy_max_temp_file_size 0;
  proxy_set_header Host $host; proxy_set_header Connection $connection_header; proxy_set_header Upgrade $http_upgrade;"""


def served(rig, port):
    return f"""
    listen 127.0.0.1:{port} ssl http2 backlog=4096; http2_max_requests 1000000000;
    ssl_certificate {rig.cert}; ssl_certificate_key {rig.key}; ssl_protocols TLSv1.3;"""


class Nginx(Peer):
    key = "nginx"
    name = "nginx, bare `proxy_pass`"
    checks = False
    connections = 8192

    def __init__(self, rig, bench):
        super().__init__(rig, bench)
        self.certificates_port = free_port()

    def version(self):
        return machine.said_by("nginx", "-v").replace("nginx version: ", "")

    def launch(self):
        return [self.rig.nginx(self.key, self.rig.cores.proxy, self.port, f"""
  {proxied(self.rig)}
  server {{
    {served(self.rig, self.port)}
    location / {{ proxy_pass http://origin; }}
    location /echo {{ proxy_pass http://echo; }}
  }}
  server {{
    {served(self.rig, self.certificates_port)}
    ssl_client_certificate {self.rig.clients.ca}; ssl_verify_client optional; ssl_verify_depth 2;
    if ($ssl_client_verify != SUCCESS) {{ return 403; }}
    location / {{ proxy_pass http://origin; }}
  }}""", self.connections)]
