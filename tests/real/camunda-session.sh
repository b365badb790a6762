#!/usr/bin/env bash
# The real single application of Camunda 8.6 on loopback, and the OpenSearch node it needs:
#   camunda-session.sh fetch | start | stop
#   camunda-session.sh restart           the application alone: its users stay, its sessions do not
#   camunda-session.sh url               of its REST API
# CAMUNDA_SESSION_PROFILES: broker,operate,auth or broker,tasklist,auth (users with
# sessions and CSRF protection: demo/demo), or broker,operate,identity-auth (the
# tokens of keycloak.sh). CAMUNDA_SESSION_TIMEOUT: a session's idle life, whole minutes.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

CAMUNDA_SESSION_PORT="${CAMUNDA_SESSION_PORT:-19380}"
CAMUNDA_SESSION_PROFILES="${CAMUNDA_SESSION_PROFILES:-broker,operate,auth}"
CAMUNDA_SESSION_TIMEOUT="${CAMUNDA_SESSION_TIMEOUT:-30m}"
SEARCH_PORT="${SEARCH_PORT:-19400}"

fetch() {
  local home dist jars compiler
  fetch_camunda
  fetch_search
}

application() {
  camunda camunda-session "$CAMUNDA_SESSION_PORT" io.camunda.application.StandaloneCamunda 768m \
    -e "s#@SESSION_TIMEOUT@#$CAMUNDA_SESSION_TIMEOUT#" -e "s#@PROFILES@#$CAMUNDA_SESSION_PROFILES#" \
    -e "s#@SEARCH@#http://127.0.0.1:$SEARCH_PORT#" -e "s#@ISSUER@#$("$HERE/keycloak.sh" url)#"
  await camunda-session 180 healthy "$CAMUNDA_SESSION_PORT"
  keep
}

start() {
  fetch
  search search-session "$SEARCH_PORT"
  application
}

case "${1:-}" in
  fetch) fetch ;;
  start) start ;;
  stop) stop search-session camunda-session ;;
  restart) stop camunda-session; application ;;
  url) echo "http://127.0.0.1:$CAMUNDA_SESSION_PORT" ;;
  *) die "usage: camunda-session.sh fetch | start | stop | restart | url" ;;
esac
