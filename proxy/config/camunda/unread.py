"""Variables of Camunda's clients that the proxy does not read, each with what to use instead."""

from proxy.config.camunda.names import GROUP, variables

_KEYSTORE = "in a YAML file write the credential's tls.cert_file and tls.key_file, both in PEM form"
_TRUSTSTORE = "in a YAML file write the credential's tls.ca_file, in PEM form"
_ASSERTION = "in a YAML file write auth_method: private_key_jwt with private_key_file, the key in PEM form"
_PATH = "write it into a file and set {}_PATH to the file's name"
_HOST = "set CAMUNDA_REST_ADDRESS to the whole address"
_OWN = "in a YAML file write a second credential, and name it at that upstream"

_UNREAD = (
    ("CAMUNDA_CLIENT_ASSERTION_KEYSTORE_PATH", _ASSERTION),
    ("camunda.client.auth.client-assertion.keystore-path", _ASSERTION),
    ("ZEEBE_CLIENT_ASSERTION_KEYSTORE_PATH", _ASSERTION),
    ("CAMUNDA_SSL_CLIENT_KEYSTORE_PATH", _KEYSTORE),
    ("ZEEBE_SSL_CLIENT_KEYSTORE_PATH", _KEYSTORE),
    ("camunda.client.auth.keystore-path", _KEYSTORE),
    ("OAUTH_SSL_CLIENT_CERT_PATH", _KEYSTORE),
    ("CAMUNDA_SSL_CLIENT_TRUSTSTORE_PATH", _TRUSTSTORE),
    ("ZEEBE_SSL_CLIENT_TRUSTSTORE_PATH", _TRUSTSTORE),
    ("camunda.client.auth.truststore-path", _TRUSTSTORE),
    ("CAMUNDA_MTLS_KEY_PASSPHRASE", "CAMUNDA_MTLS_KEY_PATH must name a key without a passphrase"),
    ("CAMUNDA_MTLS_CERT", _PATH.format("CAMUNDA_MTLS_CERT")),
    ("CAMUNDA_MTLS_KEY", _PATH.format("CAMUNDA_MTLS_KEY")),
    ("CAMUNDA_MTLS_CA", _PATH.format("CAMUNDA_MTLS_CA")),
    ("CAMUNDA_CUSTOM_ROOT_CERT_STRING", _PATH.format("CAMUNDA_CUSTOM_ROOT_CERT")),
    ("CAMUNDA_OVERRIDE_AUTHORITY", "in a YAML file write the upstream's tls.server_name"),
    ("ZEEBE_OVERRIDE_AUTHORITY", "in a YAML file write the upstream's tls.server_name"),
    ("camunda.client.override-authority", "in a YAML file write the upstream's tls.server_name"),
    ("camunda.client.zeebe.override-authority", "in a YAML file write the upstream's tls.server_name"),
    ("zeebe.client.security.override-authority", "in a YAML file write the upstream's tls.server_name"),
    ("camunda.client.cloud.domain", _HOST),
    ("camunda.client.cloud.base-url", _HOST),
    ("camunda.client.cloud.port", _HOST),
    ("zeebe.client.cloud.base-url", _HOST),
    ("zeebe.client.cloud.port", _HOST),
    ("common.url", _HOST),
    ("common.base-url", _HOST),
    ("common.keycloak.url", "set CAMUNDA_OAUTH_URL to the token endpoint"),
    ("camunda.operate.client.client-id", _OWN),
    ("camunda.operate.client.client-secret", _OWN),
    ("camunda.tasklist.client.client-id", _OWN),
    ("camunda.tasklist.client.client-secret", _OWN),
    ("camunda.operate.client.keycloak-url", "set CAMUNDA_OAUTH_URL to the token endpoint"),
    ("camunda.operate.client.keycloak-token-url", "set CAMUNDA_OAUTH_URL to the token endpoint"),
    ("camunda.operate.client.auth-url", "set CAMUNDA_OAUTH_URL to the token endpoint"),
    ("CAMUNDA_IDENTITY_CLIENT_ID", _OWN),
    ("CAMUNDA_IDENTITY_CLIENT_SECRET", _OWN),
    ("CAMUNDA_IDENTITY_AUDIENCE", "set CAMUNDA_OPERATE_OAUTH_AUDIENCE"),
    ("CAMUNDA_IDENTITY_ISSUER", "set CAMUNDA_ISSUER_URL"),
    ("CAMUNDA_IDENTITY_ISSUER_BACKEND_URL", "set CAMUNDA_ISSUER_URL"),
    ("camunda.client.identity.audience", "set CAMUNDA_TOKEN_AUDIENCE"),
    ("camunda.client.identity.scope", "set CAMUNDA_TOKEN_SCOPE"),
    ("camunda.client.identity.base-url", "set CAMUNDA_OAUTH_URL to the token endpoint"),
    ("OPTIMIZE_API_ACCESS_TOKEN", "in a YAML file write a credential of type: bearer for Optimize"),
    ("CAMUNDA_OPTIMIZE_API_ACCESS_TOKEN", "in a YAML file write a credential of type: bearer for Optimize"),
    # Names that people give their own applications' variables:
    ("CAMUNDA_REGION", "set CAMUNDA_CLUSTER_REGION"),
    ("CAMUNDA_TOKEN_URL", "set CAMUNDA_OAUTH_URL"),
    ("CAMUNDA_AUTH_URL", "set CAMUNDA_OAUTH_URL"),
    ("CAMUNDA_AUDIENCE", "set CAMUNDA_TOKEN_AUDIENCE"),
    ("CAMUNDA_OAUTH_AUDIENCE", "set CAMUNDA_TOKEN_AUDIENCE, or CAMUNDA_CONSOLE_OAUTH_AUDIENCE"),
    ("CAMUNDA_ZEEBE_TOKEN_AUDIENCE", "set CAMUNDA_TOKEN_AUDIENCE"),
    ("CAMUNDA_SCOPE", "set CAMUNDA_TOKEN_SCOPE"),
    ("CAMUNDA_URL", "set CAMUNDA_REST_ADDRESS"),
    ("CAMUNDA_API_URL", "set CAMUNDA_REST_ADDRESS"),
    ("CAMUNDA_ZEEBE_ADDRESS", "set CAMUNDA_REST_ADDRESS"),
    ("ZEEBE_CLOUD_CLUSTER_ID", "set CAMUNDA_CLUSTER_ID"),
    ("ZEEBE_CLOUD_REGION", "set CAMUNDA_CLUSTER_REGION"),
    ("CAMUNDA_CATALOG_BASE_URL", "set CAMUNDA_MODELER_BASE_URL"),
)

UNREAD: dict[str, str] = {
    variable: remedy for name, remedy in _UNREAD for variable in variables(name) if variable not in GROUP
}
"""Variables that the proxy does not read, each with what to use instead."""
ASSERTION = tuple(name for name, remedy in UNREAD.items() if remedy == _ASSERTION)
