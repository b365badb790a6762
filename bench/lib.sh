# shellcheck shell=sh
# Shared by run and conformance beside it. Sourced after scripts/lib.sh, never run.

# is_optimised PYTHON: whether it was built with profile-guided optimisation, as Debian's and the official images' are.
is_optimised() {
    "$1" -c 'if True:
        import sys, sysconfig
        debian = sys.base_prefix == "/usr" and "debian" in open("/etc/os-release").read()
        sys.exit(not (debian or "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or "")))'
}

# choose_python: PYTHON, or the first that is optimised, or any. An unoptimised build is not what users run.
choose_python() {
    if [ -z "${PYTHON:-}" ]; then
        for candidate in python3 /usr/bin/python3 python3.13 python3.12 python3.11; do
            if chosen=$(PYTHON=$candidate find_python 2>/dev/null) && is_optimised "$chosen"; then
                echo "$chosen"
                return
            fi
        done
    fi
    find_python
}

ensure_debian() {
    missing=""
    while [ $# -gt 0 ]; do
        command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
        shift 2
    done
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "Missing:$missing. Install them; peers that are not there are left out." >&2
        return 0
    fi
    # RUNLEVEL: no service is started by the installation.
    { apt-get update -q && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends $missing; } >&2
}
