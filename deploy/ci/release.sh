#!/usr/bin/env bash
# What the workflow `release` does with HEAD, as far as it goes without publishing (docs/releasing.md): the packages
# built twice, byte for byte the same; the wheel alone on a bare Debian 12 and 13, by hash, to the first answer; an
# upgrade from the version before; the chart, pushed to a registry of this machine. Arguments: only these Debians.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$ROOT/scripts/lib.sh"
[ $# -gt 0 ] || set -- bookworm trixie
SUITES=("$@")
REGISTRY_PORT="${REGISTRY_PORT:-$((20000 + RANDOM % 10000))}"

# The checkout may belong to another user, as in a container of CI.
git config --file "$W/gitconfig" safe.directory '*'
export GIT_CONFIG_GLOBAL="$W/gitconfig"
quietly() { "$@" >"$W/said" 2>&1 || { tail -n 30 "$W/said" >&2; die "$*"; }; }

agreed() {
  "$ROOT/scripts/release.py" check || die "CHANGELOG.md and the files do not agree"
  NEWEST="$("$ROOT/scripts/release.py" version)"
  "$ROOT/scripts/release.py" notes "$NEWEST" >"$W/notes.md"
  say "CHANGELOG.md and the files agree on $NEWEST; $(grep -c '^- ' "$W/notes.md") notes"
}

# The second build differs in whatever must not count: folder, umask, file times, time zone, locale, hash seed.
built_twice() {
  local file second="$W/elsewhere/a longer name" sums
  quietly git clone -q "$ROOT" "$W/first"
  quietly "$W/first/scripts/dist" "$W/dist"
  (
    umask 077
    quietly git clone -q "$ROOT" "$second"
    find "$second" -path "$second/.git" -prune -o -type f -exec touch -d 2001-02-03 {} +
    quietly env TZ=Pacific/Auckland LC_ALL=C.UTF-8 PYTHONHASHSEED=1 "$second/scripts/dist" "$W/again"
  )
  for file in "$W/dist"/*; do cmp "$file" "$W/again/${file##*/}" || die "two builds of ${file##*/} differ"; done
  sums="$(cd "$W/dist" && wc -c -- * | sed '$d' | awk '{print $2, int($1 / 1024) " KiB"}' | paste -sd, | sed 's/,/, /g')"
  VERSION="$(cd "$W/dist" && echo *.whl | cut -d- -f2)"
  quietly "$W/first/scripts/release-packages" "$W/dist" "$W/release" "$VERSION"
  say "built twice, byte for byte the same, and twine takes them: $sums"
}

# before -> the tag before HEAD, else the commit before it; nothing if this clone has no more history.
before() {
  git -C "$ROOT" describe --tags --abbrev=0 --match 'v[0-9]*' HEAD^ 2>/dev/null ||
    git -C "$ROOT" rev-parse --quiet --verify HEAD^ || true
}

built_before() {
  local build
  BEFORE="$(before)"
  [ -n "$BEFORE" ] || return 0
  build="$(locked_tools build "$ROOT/requirements-build.lock")/bin"
  quietly git clone -q "$ROOT" "$W/before"
  quietly git -C "$W/before" checkout -q "$BEFORE"
  (cd "$W/before" && quietly "$build/hatchling" build --target wheel --directory "$W/earlier")
  "$ROOT/scripts/release.py" requirements "$W/earlier" --lock "$W/before/requirements.lock" >"$W/requirements.txt"
  mv "$W/requirements.txt" "$W/earlier/"
}

# In a bare Debian: its own Python, and of ours only the wheel and its requirements file.
bare() {
  local suite="$1" root="$W/$1" upgraded="no earlier version here"
  mkdir "$root"
  tar -C "$root" -xf "$(debian_root "$suite")"
  cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
  [ ! -e /etc/pip.conf ] || cp -L /etc/pip.conf "$root/etc/"
  mkdir "$root/dist"
  cp "$W/dist"/*.whl "$W/release/requirements.txt" "$root/dist/"
  quietly inside "$root" env -u PIP_FIND_LINKS sh -c "python3 -m venv /new && /new/bin/pip install --require-hashes $(hashed /dist)"
  quietly inside "$root" /new/bin/camunda-auth-proxy demo
  grep -qx 'Everything was answered.' "$W/said" || { cat "$W/said"; die "the demo of $suite"; }
  if [ -n "$BEFORE" ]; then
    cp -R "$W/earlier" "$root/earlier"
    cp "$ROOT"/scripts/try_{desktop,upgrade}.py "$root/dist/"
    quietly inside "$root" env -u PIP_FIND_LINKS sh -c "python3 -m venv /old && /old/bin/pip install --require-hashes $(hashed /earlier) &&
      /new/bin/python /dist/try_upgrade.py /old/bin --require-hashes $(hashed /dist)"
    upgraded="upgraded $(tail -n 1 "$W/said")"
  fi
  say "$suite, $(inside "$root" python3 --version): installed by hash, the demo answers; $upgraded"
}
# hashed FOLDER -> pip's arguments that install the wheel of the folder.
hashed() {
  echo "--quiet --disable-pip-version-check --only-binary=:all: --find-links $1 --requirement $1/requirements.txt"
}

# registry -> path of Debian's OCI registry, unpacked only: the package would start a service.
registry() {
  local cache="$CI_CACHE/registry"
  (
    flock 9
    [ ! -e "$cache/.whole" ] || exit 0
    rm -rf "$cache"
    mkdir -p "$cache"
    cd "$cache"
    apt-get -q update
    apt-get -q -o APT::Sandbox::User=root download docker-registry
    dpkg-deb -x docker-registry_*.deb .
    touch .whole
  ) 9>"$CI_CACHE/registry.lock" >"$W/apt.log" 2>&1 || { tail "$W/apt.log" >&2; die "no docker-registry"; }
  echo "$cache/usr/bin/docker-registry"
}

# The packed chart is pushed, pulled, and pulled once more as a dependency of the example.
chart() {
  local at="127.0.0.1:$REGISTRY_PORT" digest binary
  digest="sha256:$(echo | sha256sum | cut -d' ' -f1)"
  kubectl_and_helm
  export HELM_CACHE_HOME="$W/helm-cache" HELM_CONFIG_HOME="$W/helm-config" HELM_DATA_HOME="$W/helm-data"
  quietly "$ROOT/scripts/release-chart" "$W/chart" "$at/camunda-auth-proxy" "$digest"
  binary="$(registry)"
  printf 'version: 0.1\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: "%s"}\n' "$W/blobs" "$at" >"$W/registry.yaml"
  "$binary" serve "$W/registry.yaml" >"$W/registry.log" 2>&1 &
  at_exit "kill $!"
  await 30 "registry" bash -c "exec 3<>/dev/tcp/127.0.0.1/$REGISTRY_PORT"
  quietly helm push --plain-http "$W/chart/camunda-auth-proxy-$NEWEST.tgz" "oci://$at/charts"
  cp -R "$ROOT/deploy/helm/example" "$W/example"
  sed -i "s#^    repository: .*#    repository: oci://$at/charts#" "$W/example/Chart.yaml"
  sed -i '/^  image: /d' "$W/example/values.yaml" # the released chart names its image
  quietly helm dependency update --plain-http "$W/example"
  quietly helm template app "$W/example" --kube-version 1.33
  grep -q "image: \"\?$at/camunda-auth-proxy:$NEWEST@$digest" "$W/said" || { cat "$W/said"; die "not the released image"; }
  say "chart $NEWEST: pushed to a registry, taken from it by the example, which then runs the image of the release by digest"
}

agreed
built_twice
built_before
for suite in "${SUITES[@]}"; do bare "$suite"; done
chart
done_ok "$VERSION; not proved: anything that needs an index, a registry of images or a signature"
