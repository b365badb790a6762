#!/usr/bin/env bash
# The quick suite's tests on the Pythons that Debian itself ships: 12's (3.11.2, whose `re` has a fault that later ones
# have not) and 13's (3.13). Each in a root of that Debian, made anew each week. About two minutes for each.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
SUITES=(bookworm trixie)

# debian_root SUITE -> tar.
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
