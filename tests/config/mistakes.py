"""Configurations with one mistake each: what is written, where the mistake is told, what is said of it."""

from tests.config.writing import BEARER, CLUSTER, ZEEBE

SESSION = "type: session, username: a, password: canary"
CLIENT = "type: oauth2, client_id: a, token_url: 'https://x'"
PERSON = "client_id: a, issuer_url: 'https://x'"
ISSUED = "type: oauth2, client_id: a, client_secret: canary"
UP = "upstreams: {zeebe: {url: 'http://localhost:8080', %s}}\n" + BEARER
CRED = ZEEBE + "credentials: {c: {%s}}\n"
CALLERS = ZEEBE + BEARER + "callers: {%s}\n"
CALLER = CALLERS % "ci: {token: canary-canary-canary, %s}"
HASH = "0123456789abcdef" * 4
ANONYMOUS = (
    ZEEBE.replace("}", ", listen: '%s', anonymous: %s}") + BEARER + "callers: {local: {%s}}\n"
    "guard: {allow_non_loopback: true}\n"
)

MISTAKES = [
    (UP % "lisen: 1", "upstreams.zeebe.lisen (line 1)", "is not a known key; did you mean listen?"),
    ("upstream: {}\n" + ZEEBE + BEARER, "upstream (line 1)", "did you mean upstreams?"),
    (UP % "tls: {ca: x}", "upstreams.zeebe.tls.ca", "did you mean ca_file?"),
    (UP % "api: optimise", "upstreams.zeebe.api", "did you mean optimize?"),
    (UP % "credential: share", "upstreams.zeebe.credential", "there are shared; did you mean shared?"),
    (UP % "listen: example.com:80", "upstreams.zeebe.listen", "localhost or an IP address"),
    (UP % "listen: 'unix:run/x'", "upstreams.zeebe.listen", "absolute path"),
    (UP % f"listen: 'unix:/{'x' * 107}'", "upstreams.zeebe.listen", "bytes at most"),
    (
        UP.replace("zeebe:", "zeebe: {url: 'http://x', listen: 'unix:/x'}, operate:") % "listen: 'unix:/x'",
        "upstreams.operate.listen",
        "unix:/x is already taken by upstreams.zeebe.listen",
    ),
    (ZEEBE + BEARER + "admin: {listen: 'unix:/x'}", "admin.listen", "only an upstream's listen"),
    (ZEEBE + BEARER + "guard: {allowed_origins: ['*']}", "guard.allowed_origins[0]", "one origin"),
    (
        ZEEBE + BEARER + "guard: {allowed_origins: ['http://a', 'null']}",
        "guard.allowed_origins[1]",
        "one",
    ),
    (ZEEBE + BEARER + "guard: {caller_token: canary}", "guard.caller_token", "at least 16 characters"),
    (
        ZEEBE + BEARER + "guard: {caller_token: 'canary canary canary'}",
        "guard.caller_token",
        "visible ASCII",
    ),
    (
        ZEEBE + BEARER + "guard: {caller_token: canary-canary-canary, caller_token_file: x}",
        "guard.caller_token",
        "next to caller_token_file",
    ),
    (
        ZEEBE + BEARER + "guard: {caller_token_file: missing}",
        "guard.caller_token_file",
        "which does not exist",
    ),
    (UP % "listen: 0.0.0.0:1", "upstreams.zeebe.listen", "refusing to listen on 0.0.0.0:1"),
    (
        UP % "listen: 8080",
        "upstreams.zeebe.url",
        "leads back to this proxy: upstreams.zeebe.listen is that port",
    ),
    (UP % "listen: 19090", "admin.listen", "port 19090 is already taken by upstreams.zeebe.listen"),
    (UP % "connect_timeout: soon", "upstreams.zeebe.connect_timeout", "write 30s, 5m, 1h"),
    (UP % "replay_buffer: big", "upstreams.zeebe.replay_buffer", "write 64KiB"),
    (UP % "max_connections: []", "upstreams.zeebe.max_connections", "whole number"),
    (UP % "audience: [a]", "upstreams.zeebe.audience", "single text"),
    (UP % "tls: on", "upstreams.zeebe.tls", "must be a mapping"),
    (BEARER + "upstreams: {zeebe: {}}", "upstreams.zeebe.url", "`cluster` with region and id"),
    (BEARER + "upstreams: {zeebe: {}}\ncluster:", "upstreams.zeebe.url", "`cluster` with region and id"),
    (
        BEARER + "upstreams: {zeebe: {url: 'http://u:canary@x'}}",
        "upstreams.zeebe.url",
        "user or a password",
    ),
    (BEARER + "upstreams: {gateway: {listen: 1}}", "upstreams.gateway.url", "needs url and listen"),
    (BEARER + "upstreams: {gateway: {url: 'http://x'}}", "upstreams.gateway.listen", "write the port"),
    (BEARER + "upstreams: {'a b': {url: 'http://x', listen: 1}}", "upstreams.***", "letters, digits"),
    (BEARER + "upstreams: {}", "upstreams", "at least one API"),
    (BEARER, "upstreams", "at least one API"),
    (ZEEBE, "credentials", "write at least one credential"),
    (
        ZEEBE + BEARER + "  b: {type: none}",
        "upstreams.zeebe.credential",
        "choose one of the credentials: shared, b",
    ),
    (
        CRED % "token: canary",
        "credentials.c.type",
        "is missing: one of oauth2, user, session, bearer, basic, none",
    ),
    (CRED % "type: oauth", "credentials.c.type", "did you mean oauth2?"),
    (CRED % "type: sessions", "credentials.c.type", "did you mean session?"),
    (CRED % "type: session, username: a", "credentials.c.password", "write password or password_file"),
    (CRED % f"{SESSION}, password_file: x", "credentials.c.password", "next to password_file"),
    (CRED % f"{SESSION}, dialect: api_login", "credentials.c.dialect", "did you mean api-login?"),
    (CRED % f"{SESSION}, max_idle: 0", "credentials.c.max_idle", "longer than zero"),
    (
        CRED % f"{SESSION}, login_url: 'http://x/api/login'",
        "credentials.c.login_url",
        "leave off /login or /api/login",
    ),
    (
        CRED % f"{SESSION}, login_url: 'http://u:canary@x'",
        "credentials.c.login_url",
        "user or a password",
    ),
    (
        CRED % f"{SESSION}, login_url: 'https://r.operate.camunda.io/ID'",
        "credentials.c.login_url",
        "Camunda SaaS has no login with a password; use a credential of type oauth2",
    ),
    (
        f"{CLUSTER}upstreams: {{operate: {{}}}}\ncredentials: {{c: {{{SESSION}}}}}",
        "upstreams.operate.credential",
        "`c` is a session, but Camunda SaaS has no login with a password",
    ),
    (
        CRED % "type: basic, username: a, password: b, as_session: yes",
        "credentials.c.as_session",
        "true or",
    ),
    (
        CRED % "type: oauth2, client_secret: canary, token_url: 'http://x'",
        "credentials.c.client_id",
        "is missing",
    ),
    (
        CRED % "type: oauth2, client_id: a, token_url: 'http://x'",
        "credentials.c.client_secret",
        "write client_secret or client_secret_file",
    ),
    (CRED % "type: bearer, token: canary, token_file: x", "credentials.c.token", "next to token_file"),
    (CRED % "type: bearer, token: 'canary x'", "credentials.c.token", "visible ASCII"),
    (CRED % 'type: bearer, token: "canary\\r\\nX: y"', "credentials.c.token", "control character"),
    (CRED % "type: bearer, token: ''", "credentials.c.token", "is empty"),
    (CRED % "type: bearer, token: {canary: x}", "credentials.c.token", "single text"),
    (CRED % "type: basic, username: 'a:b', password: canary", "credentials.c.username", "colon"),
    (
        CRED % 'type: basic, username: a, password: "canary\\0"',
        "credentials.c.password",
        "control character",
    ),
    (
        CRED % f"{CLIENT}, client_secret: canary, auth_method: private_key_jwt",
        "credentials.c.client_secret",
        "has no effect with auth_method private_key_jwt; leave it out",
    ),
    (
        CRED % f"{CLIENT}, auth_method: private_key_jwt",
        "credentials.c.private_key_file",
        "is missing: private_key_jwt signs with that key",
    ),
    (
        CRED % f"{CLIENT}, auth_method: client_assertion",
        "credentials.c.client_assertion_file",
        "is missing: client_assertion sends the JWT in that file",
    ),
    (
        CRED % f"{CLIENT}, auth_method: client_assertion, client_assertion_file: x, client_secret: canary",
        "credentials.c.client_secret",
        "has no effect with auth_method client_assertion; leave it out",
    ),
    (
        CRED % f"{CLIENT}, auth_method: client_assertion, client_assertion_file: x, key_id: canary",
        "credentials.c.key_id",
        "has no effect with auth_method client_assertion; leave it out",
    ),
    (
        CRED % f"{CLIENT}, client_secret: canary, client_assertion_file: canary",
        "credentials.c.client_assertion_file",
        "has no effect with auth_method client_secret_post; leave it out",
    ),
    (
        CRED % f"{CLIENT}, client_secret: canary, client_assertion_type: jwt-spiffe",
        "credentials.c.client_assertion_type",
        "has no effect with auth_method client_secret_post; leave it out",
    ),
    (
        CRED % f"{CLIENT}, client_secret: canary, client_assertion_type: spiffe",
        "credentials.c.client_assertion_type",
        "did you mean jwt-spiffe?",
    ),
    (
        CRED % f"{CLIENT}, auth_method: client_assertion, client_assertion_file: /no/such/file",
        "credentials.c.client_assertion_file",
        "does not exist",
    ),
    (
        CRED % f"{CLIENT}, client_secret: canary, grant_type: jwt-bearer",
        "credentials.c.assertion_file",
        "is missing: grant_type jwt-bearer sends the token in that file",
    ),
    (
        CRED % f"{CLIENT}, client_secret: canary, grant_type: token-exchange",
        "credentials.c.subject_token_file",
        "is missing: grant_type token-exchange sends the token in that file",
    ),
    (
        CRED % f"{CLIENT}, client_secret: canary, subject_token_file: canary",
        "credentials.c.subject_token_file",
        "has no effect with grant_type client_credentials; leave it out",
    ),
    (
        CRED
        % f"{CLIENT}, client_secret: s, grant_type: jwt-bearer, assertion_file: x, subject_token_type: jwt",
        "credentials.c.subject_token_type",
        "has no effect with grant_type jwt-bearer; leave it out",
    ),
    (
        CRED % f"{CLIENT}, client_secret: canary, grant_type: token_exchange",
        "credentials.c.grant_type",
        "did you mean token-exchange?",
    ),
    (
        CRED % f"{CLIENT}, auth_method: none",
        "credentials.c.auth_method",
        "none is for grant_type jwt-bearer and token-exchange; a client has to authenticate",
    ),
    (
        CRED
        % f"{CLIENT}, auth_method: none, grant_type: jwt-bearer, assertion_file: x, client_secret: canary",
        "credentials.c.client_secret",
        "has no effect with auth_method none; leave it out",
    ),
    (
        CRED % f"{CLIENT}, client_secret: canary, parameters: {{subject_token: canary}}",
        "credentials.c.parameters",
        "must not hold those that the proxy sends itself: subject_token",
    ),
    (
        CRED % f"{CLIENT}, client_secret: canary, private_key: canary",
        "credentials.c.private_key ",
        "did you mean private_key_file?",
    ),
    (
        CRED % f"{CLIENT}, client_secret: canary, key_id: k",
        "credentials.c.key_id",
        "has no effect with auth_method client_secret_post",
    ),
    (
        CRED % f"{CLIENT}, auth_method: tls_client_auth",
        "credentials.c.tls.cert_file",
        "is missing: tls_client_auth presents that certificate; write it and key_file",
    ),
    (
        CRED % f"{CLIENT}, auth_method: tls_client_auth, tls: {{key_file: x}}",
        "credentials.c.tls.cert_file",
        "and key_file go together",
    ),
    (
        CRED % f"{CLIENT}, auth_method: tls_client_auth, client_secret_file: x",
        "credentials.c.client_secret_file",
        "has no effect with auth_method tls_client_auth",
    ),
    (
        CRED % f"{CLIENT}, client_secret: canary, issuer_url: 'https://x'",
        "credentials.c.issuer_url",
        "is there next to token_url; keep one of them",
    ),
    (
        CRED % f"{ISSUED}, issuer_url: 'https://x/.well-known/openid-configuration'",
        "credentials.c.issuer_url",
        "must be the issuer alone: leave off /.well-known/openid-configuration",
    ),
    (CRED % f"{ISSUED}, issuer_url: 'https://x?canary'", "credentials.c.issuer_url", "no ? or #"),
    (UP % "http_proxy: 'https://canary@x:1'", "upstreams.zeebe.http_proxy", "must be env, or begin with"),
    (UP % "http_proxy: 'http://canary@x'", "upstreams.zeebe.http_proxy", "names no port"),
    (UP % "http_proxy: environment", "upstreams.zeebe.http_proxy", "must be env, or begin with http://"),
    (
        CRED % f"{CLIENT}, client_secret: canary, http_proxy: 'http://u:canary/@x:1'",
        "credentials.c.http_proxy",
        "is not the URL of a proxy: write http://HOST:PORT",
    ),
    (UP % "tls: {cert_file: x}", "upstreams.zeebe.tls.cert_file", "and key_file go together; write both"),
    (UP % "tls: {cert_flie: x}", "upstreams.zeebe.tls.cert_flie", "did you mean cert_file?"),
    (
        CRED % "type: oauth2, client_id: a, client_secret: canary, auth_method: basic, token_url: 'http://x'",
        "credentials.c.auth_method",
        "one of client_secret_post, client_secret_basic",
    ),
    (
        CRED % "type: oauth2, client_id: a, client_secret: canary, token_url: 'http://canary@x'",
        "credentials.c.token_url",
        "user or a password",
    ),
    (
        CRED % "type: oauth2, client_id: a, client_secret: canary, parameters: {scope: canary}",
        "credentials.c.parameters",
        "proxy sends itself",
    ),
    *(
        (CRED % f"type: user, {written}", f"credentials.c.{key}", sentence)
        for written, key, sentence in (
            ("client_id: a", "issuer_url", "write issuer_url, or token_url and the other endpoints"),
            (f"{PERSON}, token_url: 'http://x'", "token_url", "next to issuer_url, which names it"),
            (f"{PERSON}, revocation_url: 'http://x'", "revocation_url", "next to issuer_url, which names it"),
            ("issuer_url: 'https://x'", "client_id", "is missing"),
            ("client_id: a, token_url: 'http://x'", "device_authorization_url", "a login needs it, or"),
            (
                "client_id: a, token_url: 'http://x', authorization_url: 'http://x', login: device",
                "device_authorization_url",
                "login device needs it",
            ),
            (
                "client_id: a, token_url: 'http://x', device_authorization_url: 'http://x', login: browser",
                "authorization_url",
                "login browser needs it",
            ),
            (f"{PERSON}, login: phone", "login", "must be one of auto, browser, device"),
            (f"{PERSON}, storage: pocket", "storage", "must be one of auto, keyring, file"),
            (f"{PERSON}, auth_method: client_secret_basic", "client_secret", "is missing"),
            (
                f"{PERSON}, auth_method: none, client_secret: canary",
                "client_secret",
                "no effect with auth_method",
            ),
            (f"{PERSON}, auth_method: private_key_jwt", "auth_method", "must be one of none"),
            (
                f"{PERSON}, client_secret: canary, client_secret_file: x",
                "client_secret",
                "next to client_secret_file",
            ),
            (f"{PERSON}, parameters: {{refresh_token: canary}}", "parameters", "sends itself: refresh_token"),
            (f"{PERSON}, parameters: {{state: canary}}", "parameters", "sends itself: state"),
            (f"{PERSON}, password: canary", "password", "is not a known key"),
        )
    ),
    (CRED % "type: bearer, token: '${NOT_THERE}'", "credentials.c.token", "NOT_THERE, which is not set"),
    (ZEEBE + BEARER + "guard: {allowed_hosts: canary}", "guard.allowed_hosts", "must be a list"),
    (ZEEBE + BEARER + "guard: {allowed_hosts: ['*']}", "guard.allowed_hosts[0]", "must be a host name"),
    (ZEEBE + BEARER + "guard: {allow_non_loopback: yes}", "guard.allow_non_loopback", "true or false"),
    (CALLER % "tokens: x", "callers.ci.tokens (line 5)", "did you mean token?"),
    (CALLERS % "'a b': {}", "callers.*** (line 5)", "letters, digits"),
    (CALLERS % "ci: canary", "callers.ci", "must be a mapping"),
    (CALLERS % "ci: {}", "callers.ci", "has no token: write token_sha256, token_file or token"),
    (CALLERS % "ci: {token: []}", "callers.ci", "has no token"),
    (CALLERS % "ci: {token: canary}", "callers.ci.token (line 5)", "at least 16 characters"),
    (
        CALLERS % "ci: {token: [canary-canary-canary, canary]}",
        "callers.ci.token[1] (line 5)",
        "at least 16 characters",
    ),
    (CALLERS % "ci: {token: 'canary canary canary'}", "callers.ci.token", "visible ASCII"),
    (CALLERS % "ci: {token: {canary: 1}}", "callers.ci.token", "must be a list"),
    (CALLERS % "ci: {token_file: missing}", "callers.ci.token_file (line 5)", "which does not exist"),
    (CALLERS % "ci: {token_file: [missing]}", "callers.ci.token_file[0] (line 5)", "which does not exist"),
    (CALLERS % "ci: {token_sha256: canary}", "callers.ci.token_sha256 (line 5)", "64 hexadecimal digits"),
    (
        CALLERS % "ci: {token_sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855}",
        "callers.ci.token_sha256",
        "of an empty text",
    ),
    (
        CALLERS % f"ci: {{token_sha256: {HASH}}}, bi: {{token_sha256: [{HASH.upper()}]}}",
        "callers.bi",
        "has the same token as callers.ci",
    ),
    (
        CALLERS % "ci: {token: canary-canary-canary}" + "guard: {caller_token: canary-canary-canary}",
        "callers.ci",
        "has the same token as guard.caller_token",
    ),
    (
        CALLER % "upstreams: [zebee]",
        "callers.ci.upstreams[0]",
        "names no upstream; there are zeebe; did you mean zeebe?",
    ),
    (CALLER % "upstreams: operate", "callers.ci.upstreams (line 5)", "names no upstream; there are zeebe"),
    *(
        (CALLER % f"{key}: ", f"callers.ci.{key}", "is empty; give")
        for key in ("upstreams", "rate", "expires")
    ),
    (CALLER % "upstreams: []", "callers.ci.upstreams", "is empty; give it a value or leave it out"),
    (CALLER % "allow: []", "callers.ci.allow", "is empty"),
    (
        CALLER % "allow: [POST /v2/proces-instances]",
        "callers.ci.allow[0]",
        "did you mean POST /v2/proc",
    ),
    (CALLER % "deny: [GET v2]", "callers.ci.deny[0]", "must have a path that begins with /"),
    (CALLER % "deny: ['* /**']", "callers.ci.deny[0]", "denies everything"),
    (CALLER % "read_only: maybe", "callers.ci.read_only", "true or false"),
    (CALLER % "rate: 5", "callers.ci.rate", "must be a mapping"),
    (CALLER % "rate: {burst: 5}", "callers.ci.rate.per_second", "is missing"),
    (CALLER % "rate: {per_second: 0}", "callers.ci.rate.per_second", "number of requests per second"),
    (CALLER % "rate: {per_second: 1/m}", "callers.ci.rate.per_second", "number of requests per second"),
    (CALLER % "rate: {per_second: 1, burst: 0}", "callers.ci.rate.burst", "whole number"),
    (CALLER % "rate: {per_second: 1, brust: 2}", "callers.ci.rate.brust", "did you mean burst?"),
    (CALLER % "expires: 2027-01-31", "callers.ci.expires", "as in 2027-01-31T00:00:00Z"),
    (CALLER % "expires: 2027-01-31T00:00:00", "callers.ci.expires", "time with its zone"),
    (CALLER % "expires: 2027-02-31T00:00:00Z", "callers.ci.expires", "must be a time with its zone, as"),
    (
        ANONYMOUS % ("19080", "lokal", "token: canary-canary-canary"),
        "upstreams.zeebe.anonymous",
        "names no caller; there are local; did you mean local?",
    ),
    (
        ANONYMOUS % ("0.0.0.0:19080", "local", ""),
        "upstreams.zeebe.anonymous",
        "for listeners on loopback and Unix sockets only",
    ),
    (
        UP % "anonymous: local",
        "upstreams.zeebe.anonymous",
        "names no caller; there are none",
    ),
    (ZEEBE + BEARER + "admin: {listen: '0.0.0.0:19090'}", "admin.listen", "use admin.probe_listen"),
    (ZEEBE + BEARER + "admin: {probe_listen: 19090}", "admin.probe_listen", "taken by admin.listen"),
    (ZEEBE + BEARER + "log: {level: warn}", "log.level", "did you mean warning?"),
    (ZEEBE + BEARER + "audit: {reads: true}", "audit.file", "is missing"),
    (ZEEBE + BEARER + "audit: {file: gone/audit.log}", "audit.file", "does not exist; make it"),
    (ZEEBE + BEARER + "shutdown: {grace: forever}", "shutdown.grace", "not a duration"),
    (ZEEBE + BEARER + "cluster: {region: bru-2}", "cluster.id", "is missing"),
    (ZEEBE + BEARER + "cluster: {region: 'x.example/', id: a}", "cluster.region", "letters, digits"),
    *(
        (ZEEBE + BEARER + f"store: {{{written}}}", place, sentence)
        for written, place, sentence in (
            ("key_file: x", "store.url", "is missing"),
            ("url: 'canary:6379'", "store.url", "must be rediss://HOST:PORT (TLS) or redis://HOST:PORT"),
            ("url: 'https://canary'", "store.url", "must be rediss://HOST:PORT (TLS) or redis://HOST:PORT"),
            ("url: 'redis://u:canary@h'", "store.url", "write username and password_file"),
            ("url: 'redis://h:0'", "store.url", "its hosts are written as HOST:PORT"),
            ("url: 'redis://a:1,b:2'", "store.url", "names several hosts"),
            ("url: 'redis://h/3', cluster: true", "store.url", "names a database"),
            (
                "url: 'redis://h', cluster: true, sentinel_master: m",
                "store.cluster",
                "next to sentinel_master",
            ),
            ("url: 'redis://h', tls: {ca_file: x}", "store.tls", "no effect on redis://"),
            (
                "url: 'redis://h', password: canary, password_file: x",
                "store.password",
                "next to password_file",
            ),
            ("url: 'redis://h', username: u", "store.password", "a username needs"),
            ("url: 'redis://h', sentinel_password: canary", "store.sentinel_master", "no Sentinel is asked"),
            ("url: 'redis://h', prefix: '{x}'", "store.prefix", "must not hold { or }"),
            ("url: 'redis://h', key_file: /not/there", "store.key_file", "does not exist"),
            ("url: 'redis://h', keyfile: x", "store.keyfile", "did you mean key_file?"),
        )
    ),
]
