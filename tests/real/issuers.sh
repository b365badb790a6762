#!/usr/bin/env bash
# Identity providers beside Keycloak, on loopback. NAME is oidc-provider (npm) or authorization-server (Spring):
#   issuers.sh start NAME | stop NAME    a start where it runs already does nothing
#   issuers.sh url NAME                  the issuer
#   issuers.sh tls NAME                  the same server, on the port that asks for a client certificate
. "$(dirname "${BASH_SOURCE[0]}")/spring.sh"
. "$(dirname "${BASH_SOURCE[0]}")/clients/clients.sh"

KEYS="$REAL_DIR/keys"

start_issuer() {
  local port tls
  alone
  ! running "$1" || return 0
  "$HERE/keys.sh" "$KEYS"
  port="$(port_of "$1")" tls="$(port_of "$1-tls")"
  case "$1" in
    authorization-server)
      build "$1"
      run "$1" "$port" "$1" issuer.Issuer "$port" "$tls" "$KEYS"
      ;;
    oidc-provider)
      fetch_javascript
      cp "$HERE/provider.mjs" "$MODULES" # it finds packages beside itself only
      launch "$1" "$port" "$(nodejs)/bin/node" "$MODULES/provider.mjs" "$port" "$tls" "$KEYS"
      ;;
    *) die "no such identity provider: $1" ;;
  esac
  await "$1" 180 curl -fsS "http://127.0.0.1:$port/.well-known/oauth-authorization-server"
  keep
}

case "${1:-}" in
  start) start_issuer "$2" ;;
  stop) stop "$2" ;;
  url) echo "http://127.0.0.1:$(port_of "$2")" ;;
  tls) echo "https://127.0.0.1:$(port_of "$2-tls")" ;;
  *) die "usage: issuers.sh start NAME | stop NAME | url NAME | tls NAME" ;;
esac
