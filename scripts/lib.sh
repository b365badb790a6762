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
