"""Pure: why a connection or an answer failed, in words that name the setting to change.

`TEXTS` is the table of all causes, a closed set. `diagnosis.py` finds the cause of an exception,
`answer_causes.py` that of a token endpoint's answer. Request path, credentials and `doctor` use these words.
"""

import re
from typing import Final, Literal, NamedTuple, get_args
from urllib.parse import urlsplit

from proxy.net import bracketed

CauseName = Literal[
    # before there is a connection
    "name_unknown",
    "name_unanswered",
    "name_timeout",
    "name_invalid",
    "refused",
    "connect_timeout",
    "no_route",
    "reset",
    "no_files",
    "unreachable",
    "http_proxy_login",
    "http_proxy_denied",
    "http_proxy_answer",
    # TLS
    "tls_untrusted",
    "tls_expired",
    "tls_not_yet",
    "tls_name",
    "tls_certificate",
    "tls_no_certificate",
    "tls_handshake",
    "tls_client_certificate",
    "tls_version",
    "tls_alert",
    "tls_closed",
    "tls_failed",
    "tls_to_plain",
    "plain_to_tls",
    # HTTP
    "answer_timeout",
    "body_timeout",
    "closed",
    "vanished",
    "not_http",
    "http2",
    # answers of an upstream
    "token_refused",
    "shared_token_refused",
    "password_refused",
    "session_refused",
    "none_refused",
    "only_403",
    "only_404",
    # answers of a login
    "login_refused",
    "login_limited",
    "login_failed",
    "no_login",
    "no_login_404",
    "basic_wanted",
    # answers of a token endpoint
    "redirect",
    "no_discovery",
    "issuer_name",
    "no_such_path",
    "no_post",
    "html",
    "not_json",
    "no_token",
    "limited",
    "server_error",
    "client_refused",
    "client_unauthorized",
    "assertion_refused",
    "subject_refused",
    "user_client_refused",
    "user_redirect",
    "grant_refused",
    "scope_refused",
    "audience_refused",
    "request_refused",
]


class Peer(NamedTuple):
    """A server that the proxy asks, as messages name it.

    Attributes:
        name: `zeebe`, `the token endpoint`.
        url: without user, query and fragment, with its port; see `shown`.
        setting: the setting that holds its address: `upstreams.zeebe.url`; empty: not known.
        section: the setting that holds `tls`, `http_proxy` and time-outs for it: `upstreams.zeebe`; empty:
            not known, then messages name `tls.ca_file` alone.
    """

    name: str
    url: str = ""
    setting: str = ""
    section: str = ""

    def __str__(self) -> str:
        at = f" at {self.url}" if self.url else ""
        return f"{self.name}{at} ({self.setting})" if self.setting else f"{self.name}{at}"


UPSTREAM: Final = Peer("the upstream")
"""An upstream of which no more is known."""


class Cause(NamedTuple):
    """Why something failed.

    Attributes:
        name: for metrics, status and tests.
        words: what happened to `it`, the peer, and what to do; without a full stop at its end.
    """

    name: CauseName
    words: str


_URLS: Final = (
    "Keycloak's ends in /realms/REALM/protocol/openid-connect/token (older ones have /auth before /realms),"
    " Entra ID's in /TENANT/oauth2/v2.0/token, that of Camunda SaaS is"
    " https://login.cloud.camunda.io/oauth/token"
)

TEXTS: Final[dict[CauseName, str]] = {
    "name_unknown": "its name has no address in DNS. Correct the host in {setting}, or check the DNS of"
    " this machine (in a container: that of the container)",
    "name_unanswered": "its name cannot be resolved, because no DNS server has answered. Check the network"
    " and the DNS of this machine; nothing is wrong with {setting} as far as is known",
    "name_timeout": "its name was not resolved in time ({timeout}): does the DNS server answer? Check the"
    " network and the DNS of this machine",
    "name_invalid": "its host is no name that DNS can have. Correct {setting}",
    "refused": "connection refused: no program listens at this port. Start the server, or correct host and"
    " port in {setting} (in a container, localhost is the container itself)",
    "connect_timeout": "no connection could be made in time ({timeout}): nothing answers at this address."
    " Check firewall, VPN, and host and port in {setting}; if the way out is an HTTP proxy, set"
    " {section}.http_proxy",
    "no_route": "the network has no route to its address. Check network, VPN, and the host in {setting}",
    "reset": "it reset the connection. Check that {setting} has the right port, and what stands before the"
    " server (load balancer, firewall)",
    "no_files": "this process may open no more files (ulimit -n, LimitNOFILE). Raise that limit",
    "unreachable": "no connection could be made: {said}. Check the network, and host and port in {setting}",
    "http_proxy_login": "it wants a user and password (407). Check the user and password in {setting}:"
    " http://USER:PASSWORD@HOST:PORT",
    "http_proxy_denied": "it refused to connect to the server behind it ({status}). Ask its operator to"
    " allow that host and port, or remove {setting}",
    "http_proxy_answer": "its answer is not that of an HTTP proxy: {said}. Correct {setting}",
    "tls_untrusted": "its certificate is not trusted: {said}; name the CA that issued it in"
    " {section}.tls.ca_file",
    "tls_expired": "its certificate is not trusted: {said}; it has to be renewed at that server, or the"
    " clock of this machine is wrong",
    "tls_not_yet": "its certificate is not trusted: {said}; the clock of this machine may be wrong",
    "tls_name": "its certificate is not trusted: {said}; correct the host in {setting}, or set"
    " {section}.tls.server_name to a name in its certificate",
    "tls_certificate": "its certificate is not trusted: {said}. It has to be replaced at that server",
    "tls_no_certificate": "{said}: it may have no certificate for this name. Set {section}.tls.server_name"
    " to a name that it has, or look at its log",
    "tls_handshake": "{said}: it may want a client certificate ({section}.tls.cert_file and"
    " {section}.tls.key_file), or it shares no cipher with the proxy. Its own log says which",
    "tls_client_certificate": "{said}: it wants a client certificate, or does not accept ours. Set"
    " {section}.tls.cert_file and {section}.tls.key_file to a certificate that it accepts",
    "tls_version": "{said}: it shares no safe TLS version with the proxy. It has to offer TLS 1.2 or 1.3",
    "tls_alert": "{said}. Its own log says why",
    "tls_closed": "it closed the connection during the handshake of TLS. It may want a client certificate"
    " ({section}.tls.cert_file), know no certificate for this name ({section}.tls.server_name), or speak"
    " no TLS at this port ({setting})",
    "tls_failed": "{said}. Look at the server's log, and check that {setting} has the right port",
    "tls_to_plain": "it does not speak TLS at this port. Correct the port in {setting}, or write http://"
    " there if that is meant",
    "plain_to_tls": "it speaks TLS at this port. Write https:// in {setting}, or correct the port",
    "answer_timeout": "no answer came in time ({timeout}). The server is too slow or hangs: look at its"
    " log, or raise {timeout}",
    "body_timeout": "no byte of the answer's body came in time ({timeout}). Look at the server's log, or"
    " raise {timeout}",
    "closed": "it closed the connection {said}. Look at its log, and at what stands before it (load"
    " balancer, ingress), and whether {setting} has the right scheme and port",
    "vanished": "it vanished {said}: no packet of it arrived any more. Check the network and the VPN, and"
    " whether the server still runs",
    "not_http": "its answer is not HTTP/1.1. Check the port in {setting}",
    "http2": "it speaks HTTP/2 only: is this the gRPC port? {setting} must name the port of the REST API"
    " (often 8080)",
    "token_refused": "it does not accept the token of {section}, although its token endpoint has issued it."
    " Check that both belong to the same cluster, and the audience{audience} and the scope that the API"
    " expects",
    "shared_token_refused": "it does not accept the shared token of {section}. It may have expired, or be"
    " for another API: put a new one into {credential}",
    "password_refused": "it does not accept user and password of {section}. Check {section}.username and"
    " {section}.password; if the API takes no Basic, write type: session",
    "session_refused": "it does not accept the session of {section}, although the login has succeeded."
    " Check that {section} logs in at the server of this upstream, and that the user exists there",
    "none_refused": "it wants a credential, and {section} is of type none. Give this upstream a credential"
    " that the API accepts",
    "only_403": "it has answered 403 to every request so far, so the credential is valid but lacks"
    " permissions: give the client or user the authorizations of this API (in Admin or Identity; on SaaS"
    " the client's scopes in Console), or correct the audience",
    "only_404": "it has answered 404 to every request so far, so {setting} may have a wrong path or cluster"
    " id, or this API is not there (8.10 has no Operate and Tasklist V1 any more)",
    "login_refused": "it refused the user name or the password ({status}). Check {section}.username and"
    " {section}.password, and that this user exists at that server and is not locked",
    "login_limited": "it limits how often logins may be tried (429). The proxy waits and tries again",
    "login_failed": "it failed ({status}). The proxy tries again; look at the server's log",
    "no_login": "it has no login that we know ({said}). Check {setting} and the dialect; if users log in by"
    " an identity provider there, use type: oauth2",
    "no_login_404": "it has no login that we know ({said}). {setting} may have a wrong path or name another"
    " server, or users log in by an identity provider there; then use type: oauth2",
    "basic_wanted": "it has no login that we know ({said}), but wants HTTP Basic, so use type: basic",
    "redirect": "it answered with a redirect ({status}{said}), which the proxy does not follow. Write the"
    " final URL in {setting}",
    "no_discovery": "it answered {status} at {said}, so there is no issuer at this URL. Correct {setting}:"
    " Keycloak's ends in /realms/REALM (older ones have /auth before /realms), Entra ID's in /TENANT/v2.0;"
    " or set {section}.token_url instead",
    "issuer_name": "its document names another issuer{said} than {setting}. Write that name in {setting} if"
    " it can be reached from here, or write {section}.token_url instead of {setting}",
    "no_such_path": "it answered 404: there is no token endpoint at this path. Correct {setting}: {urls}",
    "no_post": "it answered 405: this URL takes no POST, so it is no token endpoint. Correct {setting}:"
    " {urls}",
    "html": "it answered {status} with an HTML page instead of JSON, so a login page, a gateway or an HTTP"
    " proxy answered there. Correct {setting}: {urls}",
    "not_json": "it answered {status}, and not with JSON ({said}). Check that {setting} is the URL of a"
    " token endpoint",
    "no_token": "it answered {status} without a token{told}. Check that {setting} is the URL of a token"
    " endpoint, and what {section} sends it",
    "limited": "it limits how often tokens may be requested (429). The proxy waits and tries again; share"
    " one proxy instead of starting several with the same client",
    "server_error": "it failed ({status}{told}). The proxy tries again; look at the log of the identity"
    " provider",
    "client_refused": "it refused our client ({status}{told}). Check {section}.client_id and {credential}:"
    " the client may be unknown there, or its secret may have been changed",
    "client_unauthorized": "it refused our client ({status}{told}). Check {section}.client_id and"
    " {credential}, and that the client may use the client credentials grant (in Keycloak: client"
    " authentication and service account on)",
    "assertion_refused": "it refused the assertion in {credential} ({status}{told}). Check there that the"
    " client trusts its issuer and subject, that its audience is the expected one (in Keycloak the realm's"
    " issuer URL, alone), that it is not too old, and that it may be sent more than once; `doctor` shows what"
    " it says",
    "subject_refused": "it refused the token in {subject} ({status}{told}). Check there that its issuer and"
    " subject are trusted, and that its audience and age are as expected; `doctor` shows what it says",
    "user_client_refused": "it refused our client ({status}{told}). Check {section}.client_id and"
    " {credential}, and that the client is enabled there and may use refresh tokens; the login stays stored",
    "user_redirect": "it answered with a redirect ({status}{said}), which the proxy does not follow. Check"
    " {section}.client_id and {section}.auth_method, because some identity providers send a client that they"
    " do not accept to their login page; or write the final URL in {setting}",
    "grant_refused": "it refused {grant} ({status}{told}). Allow that grant for the client of"
    " {section}.client_id (in Keycloak: service account on)",
    "scope_refused": "it refused the scope {scope} ({status}{told}). Correct {section}.scope, or allow the"
    " scope for the client; Entra ID wants APPLICATION-ID/.default",
    "audience_refused": "it refused the audience {audience} ({status}{told}). Correct the audience of the"
    " upstream that uses {section}, or allow the client to use that API (in Console: the client's scopes)",
    "request_refused": "it refused the token request ({status}{told}). Check {section}: client_id,"
    " auth_method, scope and audience",
}
"""By name. In braces: `setting`, `section` of the peer, and the values that `cause` gets."""

assert set(TEXTS) == set(get_args(CauseName))  # noqa: S101 -- a table with a hole would fail on the wire


def cause(name: CauseName, peer: Peer, **values: str | int) -> Cause:
    """Make a cause of the table.

    Args:
        values: replace the other names in braces. Text of the peer has to be `cleaned` before.
    """
    known: dict[str, str | int] = {"said": "", "told": "", "timeout": "timeout", "urls": _URLS}
    known |= {"grant": "the grant", "subject": "its file"}
    known |= values
    known["setting"] = peer.setting or "the URL"
    known["section"] = peer.section or "the credential"
    known["section."] = f"{peer.section}." if peer.section else ""
    return Cause(name, _VALUE.sub(lambda found: str(known[found[1] or "section."]), TEXTS[name]))


_VALUE: Final = re.compile(r"\{section\}\.(?=[a-z])|\{([a-z_]+)\}")


def shown(url: str) -> str:
    """Return a URL as messages may show it: without user, query and fragment, with its port."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"https": 443, "http": 80}[parts.scheme]
        host = bracketed(parts.hostname or "")
    except (ValueError, KeyError):
        return ""
    path = parts.path if parts.path != "/" else ""
    return cleaned(f"{parts.scheme}://{host}:{port}{path}")


LONGEST: Final = 200
"""Most characters of a text of the peer's."""

_JWT: Final = re.compile(r"\beyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){1,4}")


def cleaned(text: str) -> str:
    """Return a text of the peer as messages may show it: printable, one line, at most LONGEST long."""
    one_line = " ".join(text[: 4 * LONGEST].split())
    plain = _JWT.sub("***", "".join(each if each.isprintable() else "?" for each in one_line))
    return plain if len(plain) <= LONGEST else plain[: LONGEST - 3] + "..."
