#!/usr/bin/env bash
# A real engine of Camunda 8.6 on loopback behind HTTP Basic (demo/demo), and the
# OpenSearch node that holds the user:
#   camunda-basic.sh fetch | start | stop
#   camunda-basic.sh url                 of its REST API
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

CAMUNDA_BASIC_PORT="${CAMUNDA_BASIC_PORT:-19480}"
SEARCH_PORT="${BASIC_SEARCH_PORT:-19410}"
USERS_URL="http://127.0.0.1:$SEARCH_PORT/users"

fetch() {
  local home dist jars compiler
  fetch_camunda
  fetch_search
}

# put URL JSON
put() { curl -fsS -o /dev/null -X PUT "$1" -H 'content-type: application/json' -d "$2"; }

start() {
  fetch
  search search-basic "$SEARCH_PORT"
  put "$USERS_URL" '{"settings": {"number_of_replicas": 0}, "mappings": {"properties": {
    "key": {"type": "long"}, "username": {"type": "keyword"}, "name": {"type": "keyword"},
    "email": {"type": "keyword"}, "password": {"type": "keyword"}}}}'
  put "$USERS_URL/_doc/1?refresh=true" '{"key": 1, "username": "demo", "name": "Demo",
    "email": "demo@example.com", "password": "{noop}demo"}'
  camunda camunda-basic "$CAMUNDA_BASIC_PORT" io.camunda.application.StandaloneCamunda 512m \
    -e "s#@SEARCH@#http://127.0.0.1:$SEARCH_PORT#"
  await camunda-basic 120 healthy "$CAMUNDA_BASIC_PORT" -u demo:demo
  keep
}

case "${1:-}" in
  fetch) fetch ;;
  start) start ;;
  stop) stop search-basic camunda-basic ;;
  url) echo "http://127.0.0.1:$CAMUNDA_BASIC_PORT" ;;
  *) die "usage: camunda-basic.sh fetch | start | stop | url" ;;
esac
