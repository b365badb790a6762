#!/usr/bin/env bash
# A real engine of Camunda 8.6 on loopback that takes the tokens of keycloak.sh:
#   camunda-oidc.sh fetch | start | stop
#   camunda-oidc.sh url                  of its REST API
#   camunda-oidc.sh requests [STATUS]    how many it has answered so (or at all) since the start
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

CAMUNDA_OIDC_PORT="${CAMUNDA_OIDC_PORT:-19280}"

start() {
  camunda camunda-oidc "$CAMUNDA_OIDC_PORT" io.camunda.application.StandaloneBroker 512m \
    -e "s#@ISSUER@#$("$HERE/keycloak.sh" url)#"
  await camunda-oidc 120 healthy "$CAMUNDA_OIDC_PORT"
  keep
}

requests() {
  curl -fsS "http://127.0.0.1:$((CAMUNDA_OIDC_PORT + 1))/actuator/prometheus" |
    awk -v status="status=\"$1" '/^http_server_requests_seconds_count/ && index($0, status) {sum += $NF} END {print sum + 0}'
}

case "${1:-}" in
  fetch) fetch_camunda ;;
  start) start ;;
  stop) stop camunda-oidc ;;
  url) echo "http://127.0.0.1:$CAMUNDA_OIDC_PORT" ;;
  requests) requests "${2:-}" ;;
  *) die "usage: camunda-oidc.sh fetch | start | stop | url | requests [STATUS]" ;;
esac
