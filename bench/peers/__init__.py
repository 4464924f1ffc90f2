"""The proxies that are measured, each in its own file, in the order of the tables."""

from .apache import Apache
from .auth_request import AuthRequest
from .haproxy import HAProxy, HAProxyJwt
from .narthex import Narthex
from .nginx import Nginx
from .oauth2_proxy import OAuth2Proxy

BASE = Nginx.key
OURS = Narthex.key
ALL = (Nginx, HAProxy, HAProxyJwt, AuthRequest, Apache, OAuth2Proxy, Narthex)
