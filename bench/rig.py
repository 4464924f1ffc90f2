"""What every peer is put on: a folder of its own, a certificate, pinned processes, and the origin behind it."""

import contextlib
import http.client
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

BENCH = os.path.dirname(os.path.abspath(__file__))
HOST = "localhost"
CERTIFICATES_HOST = f"mtls.{HOST}"  # where client certificates are asked for
GREETING = "hello from the origin\n"
MEBIBYTE = 1 << 20
CIPHER = "TLS_AES_128_GCM_SHA256"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Clients:
    """A certificate authority of clients (ECDSA P-256): `ca`, its root; `chain`, a client's certificate and the intermediate one
    that signed it; `key`, the client's."""

    def __init__(self, rig, name):
        def signed(who, issuer, *extensions):
            key, request, cert = (rig.path(f"{name}-{who}.{end}") for end in ("key", "csr", "pem"))
            config = rig.write(f"{name}-{who}.cnf", "\n".join(extensions))
            by = ["-signkey", key] if issuer is None else ["-CA", issuer[0], "-CAkey", issuer[1], "-CAcreateserial"]
            for command in (
                    ["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", request,
                     "-subj", f"/O=Bench/CN={name} {who}"],
                    ["x509", "-req", "-in", request, "-out", cert, "-days", "30", "-extfile", config, *by]):
                subprocess.run(["openssl", *command], check=True, capture_output=True)
            return cert, key

        authority = "basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign"
        root = signed("root", None, *authority)
        intermediate = signed("intermediate", root, *authority)
        leaf, self.key = signed("client", intermediate, "basicConstraints=CA:FALSE", "keyUsage=digitalSignature", "extendedKeyUsage=clientAuth")
        self.ca = root[0]
        self.chain = rig.write(f"{name}-chain.pem", open(leaf).read() + open(intermediate[0]).read())


class Rig:
    """`cores` says where processes run. Everything is written below `dir`, which goes away with `close`."""

    def __init__(self, cores):
        self.cores = cores
        self.dir = tempfile.mkdtemp(prefix="narthex-bench-")
        os.chmod(self.dir, 0o755)  # servers that were started by root drop their rights and still read from it
        self.running = []
        self.cert, self.key = self.path("cert.pem"), self.path("key.pem")
        self.certificate()
        self.clients = Clients(self, "private")
        self.start_origin()

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, text):
        with open(self.path(name), "wb") as f:
            f.write(text if isinstance(text, bytes) else text.encode())
        return self.path(name)

    def certificate(self):
        """One ECDSA P-256 certificate for all, and one cipher suite that all clients of the bench insist on."""
        names = ",".join(f"DNS:{name}" for name in (HOST, CERTIFICATES_HOST, f"team.{HOST}", f"admin.{HOST}"))
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
             "-keyout", self.key, "-out", self.cert, "-subj", f"/CN={HOST}", "-addext", f"subjectAltName={names}"],
            check=True, capture_output=True)
        self.both = self.write("both.pem", open(self.cert).read() + open(self.key).read())
        os.chmod(self.both, 0o600)
        self.client_tls = self.write("client.cnf", f"""
openssl_conf = settings
[settings]
ssl_conf = tls
[tls]
system_default = client
[client]
Ciphersuites = {CIPHER}
""")

    def start(self, core, *command, port, env=None):
        """Starts a program on one core and returns it when it accepts connections on `port`."""
        name = os.path.basename(command[0])
        log = self.path(f"{name}-{port}.log")
        with open(log, "a") as f:
            process = subprocess.Popen(["taskset", "-c", str(core), *command], stdout=f, stderr=f, cwd=self.dir,
                                       env={**os.environ, **(env or {})})
        self.running.append(process)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return process
            time.sleep(0.002)
        with open(log) as f:
            why = "".join(f.readlines()[-12:])
        raise SystemExit(f"{name} did not come up on port {port}. The end of its log:\n{why}")

    def stop(self, process):
        self.running.remove(process)
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
        process.kill()
        process.wait()

    def close(self):
        for process in list(self.running):
            self.stop(process)
        shutil.rmtree(self.dir, ignore_errors=True)

    def nginx(self, name, core, port, http, connections=8192):
        """An nginx with one worker; `http` is what stands inside its `http { }`."""
        user = f"user {pwd.getpwuid(0).pw_name};" if os.getuid() == 0 else ""
        conf = self.write(f"{name}.conf", f"""
{user} daemon off; master_process on; worker_processes 1; pid {self.path(name)}.pid;
error_log {self.path(name)}.err warn;
worker_rlimit_nofile 20000;
events {{ worker_connections {connections}; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 3600s; client_max_body_size 0;
  client_body_temp_path {self.path(name)}-b; proxy_temp_path {self.path(name)}-p; fastcgi_temp_path {self.path(name)}-f;
  uwsgi_temp_path {self.path(name)}-u; scgi_temp_path {self.path(name)}-s;
  {http}
}}
""")
        return self.start(core, "nginx", "-c", conf, "-p", self.dir, port=port)

    def start_origin(self):
        """An nginx that greets, has 1 MiB to download, swallows uploads and counts; and an echo of WebSocket messages."""
        os.mkdir(self.path("files"))
        self.write("files/upload", "what is posted here is read and answered with the greeting\n")
        self.upload = self.write("files/big", os.urandom(MEBIBYTE))
        self.origin_port, self.echo_port = free_port(), free_port()
        greeting = GREETING.replace("\n", "\\n")
        self.nginx("origin", self.cores.origin, self.origin_port, f"""
  sendfile on; tcp_nopush on;
  server {{
    listen 127.0.0.1:{self.origin_port} backlog=4096;
    location / {{ default_type text/plain; return 200 "{greeting}"; }}
    location = /upload {{  # `mirror` makes it read the whole body before it answers, as applications do
      client_body_buffer_size 2m; mirror /read; root {self.path('files')}; error_page 405 =200 /;
    }}
    location = /read {{ internal; return 204; }}
    location = /big {{ default_type application/octet-stream; root {self.path('files')}; }}
    location = /count {{ stub_status; }}
  }}""")
        self.start(self.cores.origin, sys.executable, os.path.join(BENCH, "websocket.py"), "origin", str(self.echo_port),
                   port=self.echo_port)

    def origin_requests(self):
        """How many requests the origin has answered, this question included."""
        connection = http.client.HTTPConnection("127.0.0.1", self.origin_port)
        connection.request("GET", "/count")
        text = connection.getresponse().read().decode()
        connection.close()
        return int(re.search(r"requests\s+(?:\d+\s+){2}(\d+)", text).group(1))
