"""A gateway as the official client sees it.

NARTHEX_API_BASE, NARTHEX_API_TOKEN, NARTHEX_ACCOUNT_ID, NARTHEX_ZONE_ID and, for a private CA, NARTHEX_CA name a
gateway that is running.
"""

import dataclasses
import os
import ssl

import cloudflare


@dataclasses.dataclass
class Administered:
    base_url: str
    token: str
    account_id: str
    zone_id: str
    ca: str | None = None

    @classmethod
    def named(cls):
        """The one that the environment names, if any."""
        if base_url := os.environ.get("NARTHEX_API_BASE"):
            return cls(base_url, os.environ["NARTHEX_API_TOKEN"], os.environ["NARTHEX_ACCOUNT_ID"],
                       os.environ["NARTHEX_ZONE_ID"], os.environ.get("NARTHEX_CA"))

    @classmethod
    def of(cls, gateway):
        zone = next(zone for zone in gateway.api("GET", "/zones") if zone["name"] == "localhost")
        return cls(gateway.api_base, gateway.token, gateway.account, zone["id"], gateway.ca)

    def client(self, **options):
        """The official client with nothing changed but its base URL, the CA that its platform has to know, and its patience:
        by itself it gives a connection five seconds, which a machine that builds and tests all at once may not have."""
        verify = ssl.create_default_context(cafile=self.ca) if self.ca else True
        options = {"api_token": self.token, "max_retries": 0, "timeout": 60} | options
        http_client = cloudflare.DefaultHttpxClient(verify=verify)
        return cloudflare.Cloudflare(base_url=self.base_url, http_client=http_client, **options)
