#!/usr/bin/env bash
# The Compose files, each copied as a user would, with the URLs and the secret changed, and run by a real Docker engine
# with a simulated Camunda at the URLs. The engine runs in its own network namespace, in which bridges and published
# ports are real but reach nothing outside. Takes about a minute and a half.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
FILES="$ROOT/deploy/compose"

# A caller that sends requests all the time; prints each change of the answer, and at its end the number of requests.
APP='
import signal, sys, time, urllib.error, urllib.request
calls, before = 0, ""
def end(*_):
    print("ended", calls, flush=True)
    sys.exit()
signal.signal(signal.SIGTERM, end)
while True:
    try: now = str(urllib.request.urlopen("http://localhost:19080/v2/topology", timeout=10).status)
    except urllib.error.HTTPError as error: now = f"{error.code} {error.read().decode()}"
    except OSError: now = "failed"
    calls += 1
    if now != before: print(now, flush=True)
    before = now
    time.sleep(0.02)
'

# user FOLDER FILE ORCHESTRATION KEYCLOAK: copies the files, and changes what their comments say, and a secret.
user() {
  mkdir "$W/$1"
  cp -R "$FILES/$2" "$FILES/camunda-auth-proxy" "$W/$1"
  cd "$W/$1"
  sed -i "s#http://camunda.example:8080#http://$3:8080#; s#http://keycloak.example:18080#http://$4:18080#" \
    camunda-auth-proxy/config.yaml
  echo "first-$RANDOM" >camunda-auth-proxy/secrets/client_secret
  export COMPOSE_FILE="$2:ci.yaml"
}

# simulation SERVICE NETWORK: as a service of an override, at both of its names.
simulation() {
  cat <<YAML
services:
  $1:
    image: $IMAGE
    entrypoint: [python, /simulated.py, $1, keycloak, /secrets/client_secret]
    healthcheck: {test: [CMD, "true"], interval: 1s}
    volumes: ["$ROOT/deploy/ci/simulated.py:/simulated.py:ro", "./camunda-auth-proxy/secrets:/secrets:ro"]
    networks: {$2: {aliases: [keycloak]}}
YAML
}

compose() { docker compose --progress quiet "$@"; }
# container SERVICE -> its id
container() { compose ps --all --quiet "$1"; }

# asked STATUS METHOD URL: from the computer that the ports are published on.
asked() {
  same "answer to $2 $3" "$1" "$(apart python3 -c '
import sys, urllib.error, urllib.request
method, url = sys.argv[1:]
body, fields = (b"{}", {"Content-Type": "application/json"}) if method == "POST" else (None, {})
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
try: print(opener.open(urllib.request.Request(url, body, fields, method=method), timeout=10).status)
except urllib.error.HTTPError as error: print(error.code)
except OSError as error: print(error.reason.strerror)' "$2" "$3")"
}

check_and_up() {
  local begun
  compose config --quiet || die "compose.yaml is not right"
  docker run --rm --network none -v "$PWD/camunda-auth-proxy:/etc/camunda-auth-proxy:ro" "$RELEASE" check >"$W/check" ||
    die "check says no: $(cat "$W/check")"
  begun="$(now)"
  compose up --detach --wait --wait-timeout 60 >"$W/up" 2>&1 || { compose logs >&2; die "up: $(cat "$W/up")"; }
  UP="$(since "$begun")"
}

stop_all() {
  local begun service
  begun="$(now)"
  compose stop >/dev/null 2>&1
  STOPPED="$(since "$begun")"
  for service in "$@"; do
    same "exit code of $service" 0 "$(docker inspect "$(container "$service")" --format '{{.State.ExitCode}}')"
  done
  ! compose logs 2>&1 | grep -F "$(cat camunda-auth-proxy/secrets/client_secret)" || die "the secret is in a log"
}

pod() {
  user pod compose.yaml simulated keycloak
  { simulation simulated default; cat <<YAML
  app:
    image: $IMAGE
    entrypoint: [python, -c, $(python3 -c 'import json, sys; print(json.dumps(sys.argv[1]).replace("$", "$$"))' "$APP")]
    command: []
    healthcheck: {test: [CMD, "true"], interval: 1s}
YAML
  } >ci.yaml
  check_and_up
  await 10 "call of the app" heard 1 200
  say "compose.yaml: up in $UP s, the app reaches Camunda through localhost"
  killed
  rotated
  stop_all app proxy
  docker logs "$(container app)" | grep -q '^ended' || die "the app was not told to end"
  heard 3 200 || die "the app saw an error: $(docker logs "$(container app)" 2>&1)"
  say "all stopped in $STOPPED s, exit codes 0; in all of $(docker logs "$(container app)" | sed -n 's/ended //p')" \
    "calls the app saw no error but the kill's"
  compose down >/dev/null 2>&1
}

# heard N WORDS: the app has printed N lines about its calls, and the last one is this.
heard() {
  local said
  said="$(docker logs "$(container app)" 2>&1 | grep -v '^ended')"
  [ "$(grep -c . <<<"$said")" = "$1" ] && [ "$(tail -n 1 <<<"$said")" = "$2" ]
}

# As the kernel does it when memory runs out. (After `docker kill` Docker does not restart the container.)
killed() {
  local begun
  begun="$(now)"
  kill -9 "$(docker inspect "$(container proxy)" --format '{{.State.Pid}}')"
  await 30 "recovery of the app" heard 3 200
  say "proxy killed: the app was answered again after $(since "$begun") s, without a restart of its own"
  healthy "$(container proxy)"
}

# By rename in the mounted folder. The identity provider changes its secret at the same time; it is paused meanwhile.
rotated() {
  local simulated
  simulated="$(container simulated)"
  docker kill --signal STOP "$simulated" >/dev/null
  echo "second-$RANDOM" >camunda-auth-proxy/secrets/new
  mv camunda-auth-proxy/secrets/new camunda-auth-proxy/secrets/client_secret
  docker kill --signal HUP "$simulated" >/dev/null
  docker kill --signal CONT "$simulated" >/dev/null
  await 15 "use of the new secret" used_anew "$simulated"
  heard 3 200 || die "the app noticed the rotation: $(docker logs "$(container app)" 2>&1)"
  say "secret rotated by rename, all tokens revoked: the new one was used, and the app noticed nothing"
}
# After its second `rotated` it has issued tokens and refused no request.
used_anew() { [ "$(docker logs "$1" | awk '/^rotated$/ {n++; next} n == 2' | sort -u)" = "token issued" ]; }

standalone() {
  local bridge
  user standalone compose.standalone.yaml simulated keycloak
  simulation simulated default >ci.yaml
  check_and_up
  asked 200 GET http://localhost:19080/v2/topology
  asked 200 GET http://127.0.0.1:19091/health/ready
  asked 200 GET http://127.0.0.1:19091/metrics
  # At any other address of the computer there is no answer.
  bridge="$(bridge proxy)"
  asked "Connection refused" GET "http://$bridge:19080/v2/topology"
  stop_all proxy
  compose down >/dev/null 2>&1
  say "compose.standalone.yaml: up in $UP s; 200 on the computer's loopback, no answer on $bridge;" \
    "stopped in $STOPPED s"
}
bridge() { docker inspect "$(container "$1")" --format '{{range .NetworkSettings.Networks}}{{.Gateway}}{{end}}'; }

# Camunda's own file cannot be run here, so one with its names of services and networks (8.9) is used instead.
beside_camunda() {
  mkdir "$W/camunda"
  cp -R "$FILES/camunda-8.9/." "$W/camunda"
  cd "$W/camunda"
  { simulation orchestration camunda-platform; printf 'networks:\n  camunda-platform:\n'; } >docker-compose-full.yaml
  printf 'ORCHESTRATION_CLIENT_ID=orchestration\nORCHESTRATION_CLIENT_SECRET=secret-%s\n' "$RANDOM" >.env
  sed -n 's/^ORCHESTRATION_CLIENT_SECRET=//p' .env >camunda-auth-proxy/secrets/client_secret
  export COMPOSE_FILE=docker-compose-full.yaml:compose.camunda.yaml
  check_and_up
  asked 200 GET http://localhost:19080/v2/topology
  asked 200 POST http://localhost:19081/v1/process-definitions/search
  asked 200 POST http://localhost:19082/v1/tasks/search
  stop_all camunda-auth-proxy
  compose down >/dev/null 2>&1
  say "compose.camunda.yaml: up in $UP s; /v2, Operate's and Tasklist's /v1 answer 200; stopped in $STOPPED s"
}

RELEASE="$(sed -n 's/^ *image: \(camunda-auth-proxy:.*\)/\1/p' "$FILES/compose.standalone.yaml")"
docker_engine
docker_image
docker_end
docker_engine isolated
docker tag "$IMAGE" "$RELEASE"
compose_plugin
say "Docker Compose $(compose version --short)"
pod
standalone
beside_camunda
cd "$W"
done_ok "three files run as copied"
