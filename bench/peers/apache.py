"""Apache with mod_auth_openidc: the session in its shared memory, a cookie that names it.

Its processes are as many from the beginning as they will be: one that is started or ended under load would be in the figures.
"""

import os

import machine
from browser import Browser
from provider import CLIENT, SECRET
from rig import HOST

from .peer import Peer, lacks

MODULES = "/usr/lib/apache2/modules"
NEEDED = ("mpm_event", "authn_core", "authz_core", "authz_user", "auth_openidc", "headers", "proxy", "proxy_http", "proxy_wstunnel",
          "ssl", "http2")


class Apache(Peer):
    key = "apache"
    name = "Apache with mod_auth_openidc"

    @classmethod
    def missing(cls, options):
        if not os.path.exists(f"{MODULES}/mod_auth_openidc.so"):
            return "mod_auth_openidc is not installed; `deploy/prepare bench` installs it (Debian: libapache2-mod-auth-openidc)"
        return lacks("apache2", "apache2")

    def version(self):
        module = machine.package_version("libapache2-mod-auth-openidc") or "of unknown version"
        return machine.said_by("apache2", "-v").replace("Server version: ", "") + f", mod_auth_openidc {module}"

    def launch(self):
        runtime = self.rig.path("apache-run")
        os.makedirs(runtime, exist_ok=True)
        modules = "\n".join(f"LoadModule {name}_module {MODULES}/mod_{name}.so" for name in NEEDED)
        user = "User www-data\nGroup www-data" if os.getuid() == 0 else ""
        conf = self.rig.write("apache.conf", f"""
{modules}
{user}
ServerName {HOST}
ServerRoot {self.rig.dir}
DefaultRuntimeDir {runtime}
PidFile {runtime}/pid
ErrorLog {runtime}/error.log
LogLevel warn
Listen 127.0.0.1:{self.port}
ListenBackLog 4096
StartServers 2
ServerLimit 2
ThreadsPerChild 64
MaxRequestWorkers 128
MinSpareThreads 1
MaxSpareThreads 128
AsyncRequestWorkerFactor 16
MaxConnectionsPerChild 0
KeepAlive On
MaxKeepAliveRequests 0
KeepAliveTimeout 3600
Timeout 3600
SSLEngine on
SSLProtocol -all +TLSv1.3
SSLCertificateFile {self.rig.cert}
SSLCertificateKeyFile {self.rig.key}
SSLSessionCache none
Protocols h2 http/1.1
ProxyPreserveHost On
ProxyPass /oidc-callback !
ProxyPass /echo ws://127.0.0.1:{self.rig.echo_port}/echo
ProxyPass / http://127.0.0.1:{self.rig.origin_port}/
OIDCProviderMetadataURL {self.bench.provider.issuer}/.well-known/openid-configuration
OIDCClientID {CLIENT}
OIDCClientSecret {SECRET}
OIDCRedirectURI {self.url}/oidc-callback
OIDCCryptoPassphrase {os.urandom(16).hex()}
OIDCScope "openid email"
OIDCSessionInactivityTimeout 3600
<Location "/">
  AuthType openid-connect
  Require valid-user
</Location>
""")
        return [self.rig.start(self.rig.cores.proxy, "apache2", "-f", conf, "-DFOREGROUND", port=self.port)]

    def log_in(self):
        browser = Browser(self.rig.cert)  # its sessions end with the process, so this is done after each start
        url, status, _ = browser.request("GET", f"{self.url}/")
        header = browser.cookie_header(f"{HOST}:{self.port}", "mod_auth_openidc_session")
        if status != 200 or not header:
            raise SystemExit(f"the login at {self.name} ended with {status} at {url}")
        return header
