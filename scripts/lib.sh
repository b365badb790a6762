# shellcheck shell=sh
# Shared by the scripts beside it: a .venv in the clone. Sourced, never run.

# find_python: the newest interpreter that will do.
find_python() {
    for candidate in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11; do
        if command -v "$candidate" >/dev/null 2>&1 &&
            "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "Python 3.11 or later is needed: install it (Debian: apt install python3 python3-venv), or name one with PYTHON=..." >&2
    return 2
}

# locked_tools NAME LOCK -> folder of an environment with exactly what LOCK pins, by hash; made once.
locked_tools() {
    tools="${XDG_CACHE_HOME:-$HOME/.cache}/camunda-auth-proxy/$1-$(cksum <"$2" | tr -d ' ')"
    if [ ! -e "$tools/.whole" ]; then
        python=$(find_python) || return 2
        "$python" -m venv --clear "$tools" >&2 || return 2
        "$tools/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --requirement "$2" >&2 ||
            return 2
        touch "$tools/.whole"
    fi
    echo "$tools"
}

# has_compiler PYTHON: whether gcc and the headers of this Python are there.
has_compiler() {
    command -v gcc >/dev/null &&
        "$1" -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))'
}

# ensure_compiler PYTHON: gcc and the headers of this Python; as root it installs what Debian has.
ensure_compiler() {
    has_compiler "$1" && return
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        { apt-get update -q && apt-get install -q -y --no-install-recommends gcc libc6-dev python3-dev; } >&2 || true
    fi
    has_compiler "$1" && return
    echo "gcc or the headers of $1 are missing: install them (Debian: apt install gcc libc6-dev python3-dev)." >&2
    return 2
}

# compiled_copy SOURCE FOLDER PYTHON: FOLDER becomes a copy of the clone SOURCE with the compiled modules beside the
# source (docs/performance.md), for that Python. Quick if it is one already.
compiled_copy() {
    made_of=$({ cat "$1/requirements-build.lock" "$1/scripts/compile_hook.py" "$1/pyproject.toml" &&
        find "$1/proxy" -name '*.py' ! -name _version.py -print0 | sort -z | xargs -0 cat && "$3" -VV; } | cksum)
    [ "$(cat "$2/.made-of" 2>/dev/null)" != "$made_of" ] || return 0
    ensure_compiler "$3" || return 2
    rm -rf "$2"
    mkdir -p "$2"
    building=$(mktemp -d)
    "$3" -m venv "$building/python" && "$building/python/bin/python" -m pip install --quiet \
        --disable-pip-version-check --require-hashes --requirement "$1/requirements-build.lock" || return 1
    (cd "$1" && HATCH_BUILD_HOOKS_ENABLE=1 "$building/python/bin/hatchling" build --target wheel \
        --directory "$building/wheel") >"$building/log" 2>&1 || {
        cat "$building/log" >&2
        rm -rf "$building"
        echo "The compiled wheel cannot be built." >&2
        return 1
    }
    (cd "$1" && tar --exclude=./.git --exclude=./.venv --exclude=.build --exclude='./.*_cache' --exclude=__pycache__ -cf - .) |
        tar -C "$2" -xf -
    "$3" -m zipfile -e "$building"/wheel/*.whl "$2"
    rm -rf "$building"
    echo "$made_of" >"$2/.made-of"
}

# ensure_venv LOCK: .venv holds what LOCK pins, and this project. Quick when it does already.
ensure_venv() {
    stamp=".venv/.holds-${1%.lock}"
    wanted=$(cat "$1" pyproject.toml | cksum)
    if [ -x .venv/bin/python ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] &&
        .venv/bin/python -c 'import proxy' 2>/dev/null; then
        return
    fi
    python=$(find_python) || return 2
    if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
        echo "This Python has no venv module: install it (Debian: apt install python3-venv)." >&2
        return 2
    fi
    echo "Setting up .venv ..." >&2
    [ -x .venv/bin/python ] && .venv/bin/python -c 'import pip' 2>/dev/null || "$python" -m venv --clear .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement "$1"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
    echo "$wanted" >"$stamp"
}
