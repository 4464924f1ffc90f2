"""Certificate authorities, certificates and revocation lists, made and read by the `openssl` command."""

import os
import subprocess
import time

P256 = ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
USAGE = "basicConstraints=CA:FALSE\nkeyUsage=digitalSignature\nextendedKeyUsage=clientAuth\nsubjectKeyIdentifier=hash"


def openssl(*arguments, cwd=None):
    """What the command prints; it must succeed."""
    done = subprocess.run(["openssl", *arguments], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, f"openssl {' '.join(arguments)}\n{done.stderr}"
    return done.stdout


def read(path):
    with open(path) as file:
        return file.read()


class Client:
    """A certificate and its key. `chain` is the file that a client presents: the certificate, then those of its issuers
    below the root."""

    def __init__(self, pem, key, chain):
        self.pem, self.key, self.chain = pem, key, chain

    def says(self, *options):
        """One line of `openssl x509`, without the name before the equal sign."""
        return openssl("x509", "-in", self.pem, "-noout", *options).rstrip("\n").partition("=")[2]

    @property
    def serial(self):
        return self.says("-serial")


class Authority:
    """A root, or below `parent` an intermediate; its files lie in `place`."""

    def __init__(self, place, name="Acme Staff CA", parent=None):
        self.place, self.parent, self.issued = str(place), parent, 0
        os.makedirs(self.place, exist_ok=True)
        self.pem, self.key = self.file("ca.pem"), self.file("ca.key")
        extensions = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash"
        if parent:
            made = parent.issue(f"/O=Acme/CN={name}", extensions=extensions, place=self)
            os.rename(made.pem, self.pem)
            os.rename(made.key, self.key)
        else:
            openssl("req", "-x509", "-newkey", *P256, "-nodes", "-days", "3650", "-keyout", self.key, "-out", self.pem,
                    "-subj", f"/O=Acme/CN={name}", "-addext", "basicConstraints=critical,CA:TRUE",
                    "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    def file(self, name):
        return os.path.join(self.place, name)

    def issue(self, subject="/O=Acme/CN=robot", key=P256, extensions=USAGE, place=None, sign=("-days", "90"), strings=None):
        """A certificate for `subject`, whose key `openssl req -newkey` makes by `key`. `strings` is the `string_mask` by
        which types of strings are chosen."""
        place = place or self
        self.issued += 1
        pem, secret, csr, chain, more = (place.file(f"{self.issued}.{end}") for end in ["pem", "key", "csr", "chain", "cnf"])
        openssl("req", "-utf8", "-newkey", *key, "-nodes", "-keyout", secret, "-out", csr, "-subj", subject,
                *(["-config", self.masked(strings)] if strings else []))
        with open(more, "w") as file:
            file.write(extensions)
        openssl("x509", "-req", "-in", csr, "-CA", self.pem, "-CAkey", self.key, "-CAcreateserial", "-out", pem,
                "-extfile", more, *sign)
        with open(chain, "w") as file:
            file.write(read(pem) + self.below_the_root())
        return Client(pem, secret, chain)

    def masked(self, strings):
        settings = self.file("strings.cnf")
        with open(settings, "w") as file:
            file.write(f"[req]\ndistinguished_name = none\nstring_mask = {strings}\n[none]\n")
        return settings

    def below_the_root(self):
        return read(self.pem) + self.parent.below_the_root() if self.parent else ""

    def expired(self, subject="/O=Acme/CN=late"):
        """A certificate whose time is over."""
        return self.ending(1_609_459_200, subject)

    def ending(self, seconds, subject="/O=Acme/CN=late"):
        """A certificate whose last second is this one (Unix time)."""
        client = self.issue(subject)
        self.as_ca("-in", client.pem.replace(".pem", ".csr"), "-out", client.pem, "-startdate", "20200101000000Z",
                   "-enddate", time.strftime("%Y%m%d%H%M%SZ", time.gmtime(seconds)), "-notext")
        with open(client.chain, "w") as file:
            file.write(read(client.pem) + self.below_the_root())
        return client

    def revocation_list(self, *revoked):
        """The PEM of the next list, which has these certificates and all of those before."""
        for client in revoked:
            self.as_ca("-revoke", client.pem)
        self.as_ca("-gencrl", "-out", self.file("ca.crl"))
        return read(self.file("ca.crl"))

    def as_ca(self, *arguments):
        """`openssl ca`, with the directory that it wants."""
        settings = self.file("settings.cnf")
        if not os.path.exists(settings):
            for name, content in [("index.txt", ""), ("crlnumber", "01"), ("more.cnf", USAGE), ("settings.cnf", f"""
[ca]
default_ca = here
[here]
database = index.txt
crlnumber = crlnumber
new_certs_dir = .
rand_serial = yes
certificate = {self.pem}
private_key = {self.key}
default_md = sha256
default_crl_days = 7
unique_subject = no
policy = any
crl_extensions = list
[list]
authorityKeyIdentifier = keyid
[any]
organizationName = optional
commonName = optional
""")]:
                with open(self.file(name), "w") as file:
                    file.write(content)
        more = ["-extfile", "more.cnf"] if "-in" in arguments else []
        openssl("ca", "-batch", "-config", "settings.cnf", *more, *arguments, cwd=self.place)
