"""Which headers of a request claim to say who is asking: none of these passes the gateway.

Run as the person signed in. Proxies that know who somebody is tell the application behind them in a
header, and every product has names of its own. An application that believes one of them must not
hear it from a browser; what we ourselves say is added afterwards. Names that applications use for
credentials of their own (X-Auth-Token, X-Access-Token, X-API-Key) pass.
"""

from __future__ import annotations

import string
from functools import lru_cache

# Of X-Forwarded-* these speak of the connection; whatever else there is or will be does not pass.
FORWARDED = frozenset(
    b"x-forwarded-" + word
    for word in (b"for", b"host", b"port", b"proto", b"protocol", b"scheme", b"server", b"ssl")
)
NAMES = frozenset(
    {
        b"auth-user",
        b"client-cert",  # RFC 9440, with client-cert-chain
        b"client-cert-chain",
        b"es-security-runas-user",  # Elasticsearch
        b"eppn",  # Shibboleth
        b"iv-creds",  # IBM WebSEAL
        b"iv-groups",
        b"iv-user",
        b"kubeflow-userid",
        b"proxy",  # becomes HTTP_PROXY in CGI programs: https://httpoxy.org/
        b"rstudio-connect-credentials",
        b"shiny-server-credentials",
        b"smuser",  # SiteMinder
        b"teleport-jwt-assertion",
        b"x-apigateway-api-userinfo",  # Google
        b"x-arr-clientcert",  # Azure
        b"x-auth-email",  # Keycloak Gatekeeper and others, with the next seven
        b"x-auth-groups",
        b"x-auth-name",
        b"x-auth-roles",
        b"x-auth-subject",
        b"x-auth-user",
        b"x-auth-userid",
        b"x-auth-username",
        b"x-email",
        b"x-endpoint-api-userinfo",  # Google
        b"x-groups",
        b"x-proxy-roles",  # OpenSearch
        b"x-proxy-user",
        b"x-rstudio-username",
        b"x-script-name",  # with x-forwarded-prefix: where the application is
        b"x-user",  # Ory Oathkeeper
        b"x-user-email",
        b"x-user-groups",
        b"x-user-name",
        b"x-user-roles",
        b"x-userinfo",  # APISIX, Kong
        b"x-username",
    }
)
STEMS = (
    b"cas-",
    b"cf-access-",  # Cloudflare Access
    b"mellon-",  # mod_auth_mellon
    b"oam-",  # Oracle Access Manager
    b"oidc-",  # mod_auth_openidc
    b"remote-",  # REMOTE_USER of CGI; Authelia's Remote-User, -Groups, -Name, -Email
    b"shib-",
    b"sm-",  # SiteMinder
    b"ssl-",  # SSL_CLIENT_S_DN and its kin, as Apache names them
    b"tailscale-",
    b"x-amzn-mtls-",  # AWS load balancers
    b"x-amzn-oidc-",
    b"x-appengine-user-",
    b"x-auth-request-",  # OAuth2 Proxy
    b"x-authelia-",
    b"x-authenticated-",
    b"x-authentik-",
    b"x-client-cert",
    b"x-client-dn",
    b"x-client-i-dn",
    b"x-client-s-dn",
    b"x-client-subject",
    b"x-client-verify",
    b"x-consumer-",  # Kong
    b"x-credential-",
    b"x-goog-authenticated-",  # Google Identity-Aware Proxy
    b"x-goog-iap-",
    b"x-ms-client-principal",  # Azure App Service
    b"x-ms-token-",
    b"x-oidc-",
    b"x-pomerium-",
    b"x-remote-",
    b"x-shib-",
    b"x-sp-user",  # ShinyProxy
    b"x-ssl-",
    b"x-tailscale-",
    b"x-teleport-",
    b"x-tls-client-",
    b"x-unixspawner-",
    b"x-vouch-",
    b"x-webauth-",  # Grafana, Gitea, Caddy
)
# Headers that pass, or that we handle, under exactly this name. A program that turns other signs
# into one would take `content_length` for it as well.
_NO_OTHER_SPELLING = (
    b"content-",
    b"forwarded",
    b"proxy-",
    b"transfer-encoding",
    b"x-csrftoken",
    b"x-forwarded-",
    b"x-real-",
    b"x-xsrftoken",
)
_DASHED = bytes(
    ord(chr(code).lower()) if chr(code) in string.ascii_letters + string.digits else ord("-")
    for code in range(256)
)


def speaks_for_identity(name: bytes) -> bool:
    return _remembered(name) if len(name) <= 64 else _judge(name)


def _judge(name: bytes) -> bool:
    """CGI, and with it WSGI, turns - into _; some servers turn every other sign into one too."""
    plain = name.translate(_DASHED)
    if plain != name.lower() and plain.startswith(_NO_OTHER_SPELLING):
        return True
    if plain.startswith(b"x-forwarded-"):
        return plain not in FORWARDED
    return plain in NAMES or plain.startswith(STEMS)


# The same few names come with every request.
_remembered = lru_cache(maxsize=512)(_judge)
