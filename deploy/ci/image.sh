#!/usr/bin/env bash
# The image: built and run by a real Docker engine from Debian, hardened as the Compose files and pods run it.
# The software bill of materials stays in $ARTIFACTS. About a minute; the first run fetches the base and a tool.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
ARTIFACTS="${ARTIFACTS:-$CI_CACHE/artifacts}"
LIMIT_MB=200
HARDENED=(--read-only --cap-drop ALL --security-opt no-new-privileges --pids-limit 64 --memory 128m)
CANARY=canary-$RANDOM-$RANDOM

# The context holds secrets, as a user's checkout may.
build() {
  local begun context="$W/context" ours
  mkdir "$context"
  tar -C "$ROOT" --exclude=./.git --exclude=./.venv --exclude='./.*_cache' -cf - . | tar -C "$context" -xf -
  mkdir -p "$context/secrets" "$context/deploy/compose/secrets"
  tee "$context/.env" "$context/camunda-auth-proxy.yaml" "$context/secrets/client_secret" \
    "$context/deploy/compose/secrets/client_secret" "$context/client.key" <<<"$CANARY" >/dev/null
  base_image >/dev/null
  begun="$(now)"
  docker_image "$context"
  MEGABYTES=$(($(docker image inspect "$IMAGE" --format '{{.Size}}') / 1000000))
  [ "$MEGABYTES" -lt "$LIMIT_MB" ] || die "the image has $MEGABYTES MB, more than $LIMIT_MB"
  ours=$(($(layers "$IMAGE") - $(layers "$BASE_IMAGE")))
  say "built in $(since "$begun") s, $MEGABYTES MB, $ours layers on top of the base"
}
layers() { docker image inspect "$1" --format '{{len .RootFS.Layers}}'; }

# Every file that the base lacks belongs to the environment, or is bytecode of Python's own library.
contents() {
  local layer base others
  docker save "$IMAGE" -o "$W/image.tar"
  mkdir "$W/image"
  tar -C "$W/image" -xf "$W/image.tar"
  base="$(layers "$BASE_IMAGE")"
  for layer in $(layer_files | tail -n "+$((base + 1))"); do tar -tf "$W/image/$layer"; done >"$W/files"
  others="$(grep -v -e '/$' -e '^opt/venv/' -e '^usr/\(local/\)\?lib/python3[.0-9]*/.*\.pyc$' "$W/files" || true)"
  [ -z "$others" ] || die "files that have no business in the image: $others"
  ! grep -E '(^|/)(tests?|pip|hatchling)/|/(gcc|cc|pip[0-9.]*)$|\.(c|key)$' "$W/files" ||
    die "tests, a compiler or an installer in the image"
  for layer in $(layer_files); do
    ! grep -q "$CANARY" "$W/image/$layer" || die "a secret of the checkout is in layer $layer"
  done
  ! docker history --no-trunc "$IMAGE" | grep -q "$CANARY" || die "a secret is in the image's history"
  [ -z "$(grep '^opt/venv/.*\.py$' "$W/files" | sed 's#\(.*\)/\(.*\)\.py$#\1/__pycache__/\2.cpython-313.pyc#' |
    grep -vxFf "$W/files" || true)" ] || die "modules without bytecode"
  grep -q '^usr/.*/python3[.0-9]*/__pycache__/socket\.' "$W/files" || die "Python's own library without bytecode"
  say "$(grep -vc '/$' "$W/files") files of ours; no tests, compiler, installer or secret in any layer"
}
layer_files() {
  python3 -c 'import json, sys; print(*json.load(open(sys.argv[1]))[0]["Layers"], sep="\n")' "$W/image/manifest.json"
}

labels() {
  local prefix='{{index .Config.Labels "org.opencontainers.image' version
  version="$(docker run --rm --network none "$IMAGE" --version | sed 's/^[^0-9]*\([0-9.a-z]*\).*/\1/;q')"
  same "label version" "$version" "$(docker image inspect "$IMAGE" --format "$prefix.version\"}}")"
  same "label revision" "$(revision)" "$(docker image inspect "$IMAGE" --format "$prefix.revision\"}}")"
  same "label licenses" Apache-2.0 "$(docker image inspect "$IMAGE" --format "$prefix.licenses\"}}")"
  same "user" 65532:65532 "$(docker image inspect "$IMAGE" --format '{{.Config.User}}')"
  same "ports" 'map[19091/tcp:{}]' "$(docker image inspect "$IMAGE" --format '{{.Config.ExposedPorts}}')"
  docker run --rm --network none "${HARDENED[@]}" --user 1000700000:0 "$IMAGE" --version >/dev/null ||
    die "does not run under another uid, as OpenShift's"
  say "labels: version $version, revision $(revision | cut -c1-12); runs under any uid"
}

# All containers of the tests share the simulated Camunda's loopback, and nothing else.
camunda_up() {
  install -m 755 -d "$W/secrets"
  echo "$(now)-secret" >"$W/secrets/client_secret"
  chmod 644 "$W/secrets/client_secret"
  simulated --network none --name camunda 127.0.0.1 127.0.0.1
}

hardened() {
  local begun status listeners
  sed -e "s#http://[a-z.]*:8080#http://127.0.0.1:8080#; s#http://[a-z.]*:18080#http://127.0.0.1:18080#" \
    "$ROOT/deploy/compose/camunda-auth-proxy/config.yaml" >"$W/config.yaml"
  begun="$(now)"
  docker run -d --name proxy --network container:camunda "${HARDENED[@]}" \
    -v "$W/config.yaml:/etc/camunda-auth-proxy/config.yaml:ro" \
    -v "$W/secrets:/etc/camunda-auth-proxy/secrets:ro" "$IMAGE" >/dev/null
  healthy proxy
  HEALTHY="$(since "$begun")"
  at_most "healthy" "$HEALTHY" 5
  status="$(docker exec proxy python -c 'print(open("/proc/1/status").read())')"
  same "uid" "65532 65532 65532 65532" "$(field Uid)"
  same "effective capabilities" 0000000000000000 "$(field CapEff)"
  same "bounding capabilities" 0000000000000000 "$(field CapBnd)"
  same "NoNewPrivs" 1 "$(field NoNewPrivs)"
  same "Seccomp" 2 "$(field Seccomp)"
  ! docker exec proxy python -c 'open("/tmp/x", "w")' 2>/dev/null || die "the root can be written to"
  # Except for the mounts.
  same "written files" "" "$(docker diff proxy | grep -v -e '^C /etc$' -e '^A /etc/camunda-auth-proxy' || true)"
  listeners="$(docker exec proxy python -c "$LISTENERS")"
  same "listeners" "0.0.0.0:19091 127.0.0.1:19080 127.0.0.1:19090" "$listeners" # no IPv6 here
  answered 200 proxy
  docker exec proxy camunda-auth-proxy doctor >"$W/doctor" || die "the doctor finds: $(cat "$W/doctor")"
  same "doctor" "Nothing is wrong." "$(tail -1 "$W/doctor")"
  say "uid 65532, capabilities 0, NoNewPrivs 1, Seccomp 2, nothing written, RSS $(field VmRSS); healthy after" \
    "$HEALTHY s; listens at $listeners; a call is answered with 200"
  stopped proxy
  say "stopped in $STOPPED s with exit code 0"
}
field() { sed -n "s/^$1:[[:space:]]*//p" <<<"$status" | tr -s '\t' ' '; }
# Reads /proc/net/tcp and tcp6: local addresses are in hexadecimal, in the machine's byte order; state 0A listens.
LISTENERS='
import socket
def listening(name, family):
    for line in open("/proc/net/" + name).readlines()[1:]:
        host, port = line.split()[1].split(":")
        words = b"".join(bytes.fromhex(host[i : i + 8])[::-1] for i in range(0, len(host), 8))
        if line.split()[3] == "0A" and 19000 <= int(port, 16) < 20000:
            yield f"{socket.inet_ntop(family, words)}:{int(port, 16)}"
print(*sorted([*listening("tcp", socket.AF_INET), *listening("tcp6", socket.AF_INET6)]))'

# answered STATUS CONTAINER: a call through the proxy in the container gets this status.
answered() {
  same "answer" "$1" "$(docker exec "$2" python -c '
import urllib.error, urllib.request
try: print(urllib.request.urlopen("http://localhost:19080/v2/topology").status)
except urllib.error.HTTPError as error: print(error.code, error.read().decode())')"
}

# stopped CONTAINER: within a second, with exit code 0; sets STOPPED, in seconds.
stopped() {
  local begun
  begun="$(now)"
  docker stop -t 10 "$1" >/dev/null
  STOPPED="$(since "$begun")"
  same "exit code" 0 "$(docker inspect "$1" --format '{{.State.ExitCode}}')"
  at_most "stop" "$STOPPED" 1
  ! docker logs "$1" 2>&1 | grep -F "$(cat "$W/secrets/client_secret")" || die "the secret is in the log"
  docker rm "$1" >/dev/null
}

variables_alone() {
  docker run -d --name proxy --network container:camunda "${HARDENED[@]}" \
    -e CAMUNDA_REST_ADDRESS=http://127.0.0.1:8080 \
    -e CAMUNDA_OAUTH_URL=http://127.0.0.1:18080/auth/realms/camunda-platform/protocol/openid-connect/token \
    -e CAMUNDA_CLIENT_ID=orchestration -e "CAMUNDA_CLIENT_SECRET=$(cat "$W/secrets/client_secret")" "$IMAGE" >/dev/null
  healthy proxy
  answered 200 proxy
  stopped proxy
  say "by variables alone: 200"
}

mistakes() {
  local code=0 said
  echo 'upstreams: {zeebe: {ulr: "http://127.0.0.1:8080"}}' >"$W/wrong.yaml"
  said="$(docker run --rm --network none "${HARDENED[@]}" -v "$W/wrong.yaml:/etc/camunda-auth-proxy/config.yaml:ro" \
    "$IMAGE" 2>&1)" || code=$?
  same "exit code with a wrong configuration" 2 "$code"
  grep -q ulr <<<"$said" || die "does not name the mistake: $said"
  ! grep -q Traceback <<<"$said" || die "a traceback: $said"
  code=0
  docker run --rm --network none "${HARDENED[@]}" "$IMAGE" >"$W/said" 2>&1 || code=$?
  same "exit code without a configuration" 2 "$code"
  say "a wrong configuration ends with exit code 2: $(grep -m1 ulr <<<"$said")"
}

# Of all packages in the image, Debian's and Python's.
bill_of_materials() {
  local bin bom="$ARTIFACTS/camunda-auth-proxy.cdx.json"
  bin="$(pypi image)"
  mkdir -p "$ARTIFACTS"
  SYFT_CHECK_FOR_APP_UPDATE=false "$bin/syft" scan -q --source-name camunda-auth-proxy \
    "docker-archive:$W/image.tar" -o "cyclonedx-json=$bom"
  docker run --rm --network none --entrypoint python "$IMAGE" -c '
import importlib.metadata
for it in importlib.metadata.distributions(path=["/opt/venv/lib/python3.13/site-packages"]):
    print(it.metadata["Name"].lower().replace("_", "-") + "==" + it.version)' | sort >"$W/installed"
  python3 - "$bom" "$W/installed" "$ROOT/requirements.lock" >"$W/counted" <<'PY' || die "the bill is not right"
import json, re, sys
bom, installed, lock = (open(name).read() for name in sys.argv[1:])
bom = json.loads(bom)
assert bom["bomFormat"] == "CycloneDX", bom["bomFormat"]
listed = {f'{c["name"].lower().replace("_", "-")}=={c.get("version")}' for c in bom["components"]}
pinned = {"-".join(re.split("[-_.]+", line.split(" ")[0].lower())) for line in lock.splitlines() if "==" in line}
missing = set(installed.split()) - listed
strange = {x for x in installed.split() if "-".join(re.split("[-_.]+", x)) not in pinned} - {
    x for x in installed.split() if x.startswith("camunda-auth-proxy==")}
assert not missing, f"not in the bill: {missing}"
assert not strange, f"installed, but not pinned so: {strange}"
print(len(bom["components"]), "components")
PY
  say "bill of materials: CycloneDX, $(cat "$W/counted"), $(wc -l <"$W/installed") of them Python's, all as pinned"
}

docker_engine
build
contents
labels
camunda_up
hardened
variables_alone
mistakes
bill_of_materials
done_ok "$MEGABYTES MB, healthy after $HEALTHY s, stopped in $STOPPED s"
