#!/usr/bin/env bash
# The pods of deploy/kubernetes, rendered and run by podman as far as podman can (podman_pod.py says what it cannot), with
# the simulated Camunda beside them: a pod has a loopback of its own, and nothing leaves it.
# In its own mount namespace, so that podman's mounts end with it.
[ -n "${APART:-}" ] || APART=1 exec unshare --mount --propagation private "$0"
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
export CONTAINERS_CONF="$W/containers.conf" CONTAINERS_STORAGE_CONF="$W/storage.conf"
export CONTAINERS_REGISTRIES_CONF="$W/registries.conf"
POD="$W/pod"
URL=http://localhost:19080/v2/topology

# engine: runc, for crun wants privileges that a container of a CI may not have; nothing of this machine's own podman.
engine() {
  need podman podman buildah runc catatonit
  need buildah buildah
  need runc runc
  need catatonit catatonit
  cat >"$CONTAINERS_CONF" <<.
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
.
  cat >"$CONTAINERS_STORAGE_CONF" <<.
[storage]
driver = "overlay"
graphroot = "$W/storage"
runroot = "$W/storage-run"
.
  # Names are looked up among the images that are here, and nowhere else.
  echo 'unqualified-search-registries = ["localhost"]' >"$CONTAINERS_REGISTRIES_CONF"
  cgroups
  at_exit '{ podman pod rm --all --force --time 1; umount "$W/storage/overlay"; empty_cgroups; } >/dev/null 2>&1'
  say "$(podman --version), $(buildah --version | sed 's/ (.*//'), $(runc --version | sed 1q)"
}

# cgroups: of version 1, podman takes every folder for a controller, and fails at those where none is mounted.
cgroups() {
  local controller
  [ ! -e /sys/fs/cgroup/cgroup.controllers ] || return 0
  mkdir "$W/cgroup"
  mount --rbind /sys/fs/cgroup "$W/cgroup"
  at_exit 'umount --recursive "$W/cgroup"'
  mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
  for controller in $(awk '$2 ~ "^/sys/fs/cgroup/" && $3 ~ "^cgroup" {print $2}' /proc/mounts | sed 's#.*/##'); do
    mountpoint -q "$W/cgroup/$controller" || continue
    mkdir "/sys/fs/cgroup/$controller"
    mount --bind "$W/cgroup/$controller" "/sys/fs/cgroup/$controller"
  done
}

empty_cgroups() { find /sys/fs/cgroup -depth -path '*/libpod_parent*' -type d -exec rmdir {} +; }

images() {
  local begun
  begun="$(now)"
  podman import -q -c 'ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin' \
    "$(base_image)" "localhost/$BASE_IMAGE" >/dev/null
  buildah bud --pull-never --format docker --isolation chroot --network host -t localhost/camunda-auth-proxy:0.1.0 \
    --build-arg "BUILD_PACKAGES=$BUILD_PACKAGES" "$ROOT" >"$W/build.log" 2>&1 || { tail -n 30 "$W/build.log" >&2; die "the image cannot be built"; }
  podman import -q -c 'ENV PATH=/usr/bin:/bin' "$(curl_image)" "localhost/curlimages/$1" >/dev/null
  say "images: $(since "$begun") s"
}

# curl_image -> tar with the root of what stands in for the image of the examples' app: Debian's curl and a shell.
curl_image() {
  local tar="$CI_CACHE/curl.tar"
  need mmdebstrap mmdebstrap >&2
  (
    flock 9
    [ ! -e "$tar" ] || exit 0
    mmdebstrap --quiet --variant=extract --mode=root --include=base-files,curl,dash,coreutils \
      trixie "$W/curl.tar" "$(debian_mirror)" >"$W/mmdebstrap.log" 2>&1 || { tail "$W/mmdebstrap.log"; exit 1; }
    mv "$W/curl.tar" "$tar"
  ) 9>"$CI_CACHE/curl.lock" >&2 || die "mmdebstrap cannot make the image with curl"
  echo "$tar"
}

# volumes: the Secret as the kubelet lays it out: files below a folder with a date, `..data` which points at it, and a
# link for each file; 0440 with the pod's fsGroup.
volumes() {
  mkdir -p "$POD/secret" "$POD/simulated"
  chmod 755 "$W"
  cp "$ROOT/deploy/ci/simulated.py" "$POD/simulated"
  ln -s ..data/client_secret "$POD/secret/client_secret"
  secret first
}
# secret VALUE: writes a new one as the kubelet does, by a swap of the link.
secret() {
  local folder
  folder="..$(date +%Y_%m_%d_%H_%M_%S.%N)"
  mkdir "$POD/secret/$folder"
  printf '%s' "$1" >"$POD/secret/$folder/client_secret"
  chown 0:65532 "$POD/secret/$folder/client_secret"
  chmod 0440 "$POD/secret/$folder/client_secret"
  ln -s "$folder" "$POD/secret/..data_tmp"
  mv -T "$POD/secret/..data_tmp" "$POD/secret/..data"
}

# rendered EXAMPLE: by kustomize, with the simulated Camunda's addresses instead of the file's.
rendered() {
  local overlay="$W/$1"
  mkdir "$overlay"
  here <"$ROOT/deploy/kubernetes/component/config.yaml" >"$overlay/config.yaml"
  cat >"$overlay/kustomization.yaml" <<.
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: ["$(realpath --relative-to "$overlay" "$ROOT/deploy/kubernetes/$1")"]
configMapGenerator: [{name: camunda-auth-proxy, behavior: replace, files: [config.yaml]}]
.
  kubectl kustomize "$overlay"
}
here() { sed 's#http://camunda-zeebe[^/}]*#http://127.0.0.1:8080#; s#http://camunda-keycloak[^/}]*#http://127.0.0.1:18080#'; }

# run POD: runs the pod from stdin, with its own loopback.
run() {
  "$PYTHON/python" "$ROOT/deploy/ci/podman_pod.py" "$POD" >"$W/pod.yaml"
  podman play kube --quiet --network none "$W/pod.yaml" >"$W/said" 2>&1 || { cat "$W/said" >&2; die "podman play kube"; }
  await 30 "simulated Camunda in $1" logged "$1-camunda" up
}
logged() { podman logs "$1" 2>&1 | grep -q "^$2"; }
remove() { podman pod kill "$1" >/dev/null && podman pod rm --force "$1" >/dev/null; }
within() { podman exec "$@"; }
status() { within "$1-app" curl -s -o /dev/null -w '%{http_code}' --max-time 20 "$URL" || true; }
answers() { [ "$(status "$1")" = 200 ]; }
field() { within "$1" cat /proc/1/status | awk -v name="$2:" '$1 == name {print $2}'; }
exit_code() { podman inspect "$1" --format '{{.State.ExitCode}}'; }

deployment() {
  local name=app-with-camunda begun
  local proxy=$name-camunda-auth-proxy
  begun="$(now)"
  rendered deployment | run $name
  await 30 "answer in $name ($(podman logs $proxy 2>&1 | tail -n 3))" answers $name
  say "component: the app got an answer through localhost $(since "$begun") s after the start of the pod"
  within $name-app curl -sf http://localhost:19091/health/startup >/dev/null || die "/health/startup on the port of the probes"
  within $name-app curl -sf http://localhost:19091/health/live >/dev/null || die "/health/live on the port of the probes"
  hardened $proxy
  rotated $name
  killed $name
  stopped $name
  remove $name
}

hardened() {
  same uid 65532 "$(field "$1" Uid)"
  same CapEff 0000000000000000 "$(field "$1" CapEff)"
  same NoNewPrivs 1 "$(field "$1" NoNewPrivs)"
  ! within "$1" python -c 'open("/tmp/x", "w")' 2>/dev/null || die "the root can be written to"
  say "sidecar: uid 65532, no capability, NoNewPrivs 1, Seccomp $(field "$1" Seccomp), read-only root, $(field "$1" VmRSS) kB resident"
}

# rotated POD: the server accepts only the new secret, and revokes all tokens; every call is answered.
rotated() {
  local call fetched
  fetched="$(fetches "$1")"
  secret second
  podman kill --signal HUP "$1-camunda" >/dev/null
  await 10 "rotation" logged "$1-camunda" rotated
  for call in $(seq 20); do same "call $call after the rotation" 200 "$(status "$1")"; done
  [ "$(fetches "$1")" -gt "$fetched" ] || die "no token was fetched with the new secret"
  ! podman logs "$1-camunda-auth-proxy" 2>&1 | grep -e first -e second || die "the secret is in the log"
  say "secret swapped as the kubelet does it, all tokens revoked: 20 of 20 calls answered"
}
fetches() { podman logs "$1-camunda" 2>&1 | grep -c '^token issued'; }

killed() {
  local begun
  kill -KILL "$(podman inspect "$1-camunda-auth-proxy" --format '{{.State.Pid}}')"
  begun="$(now)"
  await 20 "answer after a kill" answers "$1"
  say "sidecar killed: started again, answers after $(since "$begun") s, the app was not touched"
}

# stopped POD: as the kubelet stops a native sidecar, by SIGTERM after the app.
stopped() {
  local begun
  begun="$(now)"
  podman stop --time 10 "$1-app" >/dev/null
  say "the app stopped in $(since "$begun") s"
  begun="$(now)"
  podman stop --time 10 "$1-camunda-auth-proxy" >/dev/null
  same "exit code" 0 "$(exit_code "$1-camunda-auth-proxy")"
  at_most "stop" "$(since "$begun")" 2
  say "the sidecar after it in $(since "$begun") s, with exit code 0"
}

job() {
  local name=job-with-camunda
  rendered job | run $name
  # The kubelet would have started it only now, after the startup probe has succeeded.
  await 30 "sidecar" podman exec $name-camunda-auth-proxy camunda-auth-proxy wait >/dev/null
  podman start $name-app >/dev/null
  same "exit code of the Job's container ($(podman logs $name-app 2>&1 | tail -n 1))" 0 "$(podman wait $name-app)"
  podman stop --time 10 $name-camunda-auth-proxy >/dev/null
  same "exit code of its sidecar" 0 "$(exit_code $name-camunda-auth-proxy)"
  say "job: its container ended with 0, then the sidecar by SIGTERM with 0"
  remove $name
}

# answers_and_closes POD: as from the signal on, while shutdown.delay lasts.
answers_and_closes() {
  within "$1-app" curl -s -D - -o /dev/null --max-time 5 "$URL" | tr -d '\r' | paste -sd ' ' | grep -iE '^HTTP/1.1 200 .*connection: close'
}

classic() {
  local name=app-with-camunda
  here <"$ROOT/deploy/kubernetes/classic.yaml" | run $name
  await 30 "answer in the classic pod" answers $name
  # The command of the hook, which podman does not run.
  within $name-camunda-auth-proxy sh -c "camunda-auth-proxy wait --timeout 60s || true" >/dev/null
  podman stop --time 20 $name-camunda-auth-proxy >/dev/null &
  local stopping=$!
  await 5 "answer after SIGTERM" answers_and_closes $name
  wait $stopping
  same "exit code" 0 "$(exit_code $name-camunda-auth-proxy)"
  say "classic: answered, also after SIGTERM within shutdown.delay; then exit code 0"
  remove $name
}

PYTHON="$(pypi podman)"
engine
kubectl_and_helm
images curl:8.16.0
volumes
deployment
job
classic
done_ok "pods of the component, of the Job and of classic.yaml reach Camunda through localhost; not proved: native sidecars, probes, admission (they need a cluster)"
