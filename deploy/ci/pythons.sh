#!/usr/bin/env bash
# The quick suite's tests on the Pythons that Debian itself ships: 12's (3.11.2, whose `re` has a fault that later ones
# have not) and 13's (3.13), or on those of the suites in SUITES. Each in a root of that Debian, made anew each week. About
# two minutes for each.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
read -ra SUITES <<<"${SUITES:-bookworm trixie}"

tested() {
  local suite="$1" root="$W/$1" tar version
  tar="$(debian_root "$suite")"
  mkdir "$root"
  tar -C "$root" -xf "$tar"
  mkdir "$root/src"
  tar -C "$ROOT" --exclude=./.git --exclude=.venv --exclude=.build --exclude='./.*_cache' -cf - . |
    tar -C "$root/src" -xf -
  # Names and packages are found as on this machine.
  cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
  [ ! -e /etc/pip.conf ] || cp -L /etc/pip.conf "$root/etc/"
  version="$(inside "$root" /usr/bin/python3 --version)"
  say "$suite has $version"
  # PIP_FIND_LINKS may name a folder of this machine.
  inside "$root" env -u PIP_FIND_LINKS sh -c 'cd /src && . scripts/lib.sh && PYTHON=/usr/bin/python3 ensure_venv requirements-dev.lock &&
    exec .venv/bin/pytest --quiet --numprocesses=auto --dist=loadgroup "$@"' sh "${TESTS[@]}" ||
    die "the tests fail on $version of $suite"
  VERSIONS+=("$version")
}

TESTS=("$@")
VERSIONS=()
for suite in "${SUITES[@]}"; do tested "$suite"; done
done_ok "${VERSIONS[*]}"
