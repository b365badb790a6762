#!/usr/bin/env bash
# token_checker.py beside this file, on loopback, in front of keycloak.sh: checker.sh start | stop | url
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

CHECKER_PORT="${CHECKER_PORT:-19280}"

start() {
  mkdir -p "$REAL_DIR/run/checker"
  PYTHONPATH="$HERE/../.." launch checker "$CHECKER_PORT" "$HERE/../../.venv/bin/python" -m tests.real.token_checker \
    "$CHECKER_PORT" "$("$HERE/keycloak.sh" url)"
  await checker 30 curl -sS "http://127.0.0.1:$CHECKER_PORT/v2/topology"
  keep
}

case "${1:-}" in
  start) start ;;
  stop) stop checker ;;
  url) echo "http://127.0.0.1:$CHECKER_PORT" ;;
  *) die "usage: checker.sh start | stop | url" ;;
esac
