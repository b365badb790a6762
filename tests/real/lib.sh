# Shared by the scripts beside it: where things lie, which Java, how a server is
# fetched, started, awaited and stopped. Sourced, never run.
set -euo pipefail
shopt -s inherit_errexit

HERE="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
REAL_DIR="${REAL_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/camunda-auth-proxy/real}"
PYTHON="$HERE/../../.venv/bin/python"

die() { echo "$*" >&2; exit 1; }

[ "$(uname)" = Linux ] || die "the real servers are run on Linux only"
mkdir -p "$REAL_DIR"

# java_version HOME -> 21; nothing where there is no JDK.
java_version() { [ ! -x "$1/bin/javac" ] || sed -n 's/^JAVA_VERSION="\([0-9]*\).*/\1/p' "$1/release" 2>/dev/null || true; }

# The JDK to use: REAL_JAVA_HOME, else the newest one of 17 or later in JAVA_HOME and
# /usr/lib/jvm, else Debian's.
java_home() {
  local candidate version best="" best_version=16
  [ -z "${REAL_JAVA_HOME:-}" ] || { echo "$REAL_JAVA_HOME"; return; }
  for candidate in "${JAVA_HOME:-/none}" /usr/lib/jvm/*; do
    version="$(java_version "$candidate")"
    if [ "${version:-0}" -gt "$best_version" ]; then
      best="$candidate" best_version="$version"
    fi
  done
  if [ -z "$best" ]; then
    apt_install default-jdk-headless
    best="$(readlink -f /usr/bin/javac | sed 's#/bin/javac$##')"
    [ -x "$best/bin/javac" ] || die "no JDK of version 17 or later: install one (Debian: apt install default-jdk-headless), or set REAL_JAVA_HOME"
  fi
  echo "$best"
}

# apt_install PACKAGE...: by apt-get, where that is ours to do.
apt_install() {
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 0
  { apt-get update -q && apt-get install -q -y --no-install-recommends "$@"; } >&2 || true
}

# need COMMAND PACKAGE: there, or installed where that is ours to do.
need() {
  ! command -v "$1" >/dev/null || return 0
  apt_install "$2"
  command -v "$1" >/dev/null || die "$1 is missing: install it (Debian: apt install $2)"
}

# maven WHAT ARGUMENT...: quiet; where it fails, its words and what could not be had. Its repository is one of our
# own, so that artifacts.py sees whatever was fetched.
maven() {
  local home
  home="$(java_home)"
  need mvn maven
  JAVA_HOME="$home" mvn -q -B -Dmaven.repo.local="$REAL_DIR/maven" "${@:2}" >"$REAL_DIR/maven.log" 2>&1 ||
    { cat "$REAL_DIR/maven.log" >&2; die "Maven cannot fetch or build $1"; }
}

# changed FOLDER FILE...: FOLDER was not made from these files as they are. `made` says that it is now.
changed() { [ "$(cat "$1/.made-from" 2>/dev/null)" != "$(cat "${@:2}" | cksum)" ]; }
made() { cat "${@:2}" | cksum >"$1/.made-from"; }

# port_of NAME: the port of that name in this run, on loopback. Below the ports of outgoing connections,
# so that a server finds it free when it starts again.
port_of() {
  local file="$REAL_DIR/run/ports/$1"
  if [ ! -e "$file" ]; then
    mkdir -p "${file%/*}"
    "$PYTHON" - >"$file.$$" <<'FREE'
import random, socket
while True:
    try:
        with socket.create_server(("127.0.0.1", random.randrange(20000, 32000))) as free:
            print(free.getsockname()[1])
            break
    except OSError:
        pass
FREE
    mv -n "$file.$$" "$file" # another one was first: its port, then
    rm -f "$file.$$"
  fi
  cat "$file"
}

# alone: one server is started at a time, however many tests want one. Until the script ends.
alone() {
  exec 8>"$REAL_DIR/starting"
  flock 8
}

# unpacked GROUP:ARTIFACT:VERSION:TYPE -> folder with the artifact's content.
# Fetched once with Maven; a marker file says that it is whole.
unpacked() {
  local coordinates="$1" folder
  folder="$REAL_DIR/unpacked/$(tr ':' '_' <<<"$coordinates")"
  if [ ! -e "$folder/.whole" ]; then
    rm -rf "$folder"
    cd "$REAL_DIR" # the plugin writes markers below where it is run
    maven "$coordinates" org.apache.maven.plugins:maven-dependency-plugin:3.8.1:unpack -Dartifact="$coordinates" \
      -DoutputDirectory="$folder" -DmarkersDirectory="$REAL_DIR/markers" -Dmdep.overWriteReleases=true
    touch "$folder/.whole"
  fi
  echo "$folder"
}

# jars_of GROUP:ARTIFACT:VERSION... -> folder with the first one's jar and all it needs; the others say which
# version of those.
jars_of() {
  local each group artifact version folder versions="" first="${1%:*}"
  for each in "$@"; do
    IFS=: read -r group artifact version <<<"$each"
    versions+="<dependency><groupId>$group</groupId><artifactId>$artifact</artifactId><version>$version</version></dependency>"
  done
  folder="$REAL_DIR/jars/$(tr ': ' '__' <<<"$*")"
  if [ ! -e "$folder/.whole" ]; then
    rm -rf "$folder"
    mkdir -p "$folder"
    cat >"$folder/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>local</groupId><artifactId>jars</artifactId><version>1</version><packaging>pom</packaging>
  <dependencyManagement><dependencies>$versions</dependencies></dependencyManagement>
  <dependencies>
    <dependency><groupId>${first%:*}</groupId><artifactId>${first#*:}</artifactId></dependency>
  </dependencies>
</project>
POM
    maven "$1" -f "$folder/pom.xml" org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
      -DincludeScope=runtime -DoutputDirectory="$folder"
    touch "$folder/.whole"
  fi
  echo "$folder"
}

# launch NAME PORT COMMAND...: in the background (PORT may be empty: the server finds one), in $REAL_DIR/run/NAME, with
# output in log and the process id in pid. It ends with this shell, however that
# ends, unless `keep` was called.
launched=()
launch() {
  local name="$1" port="$2" run="$REAL_DIR/run/$1"
  shift 2
  ! running "$name" || die "$name runs already (process $(cat "$run/pid"))"
  [ -z "$port" ] || ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || die "$name cannot start: port $port is taken"
  launched+=("$name")
  trap 'stop "${launched[@]}"' EXIT
  mkdir -p "$run"
  (cd "$run"; nohup "$@" >>"$run/log" 2>&1 </dev/null 8>&- & echo $! >"$run/pid")
}

keep() { trap - EXIT; }

# running NAME: its process lives, and is the one that was started (a process
# id may be used again; the folder it runs in tells).
running() {
  local run="$REAL_DIR/run/$1" pid
  pid="$(cat "$run/pid" 2>/dev/null)" && [ -n "$pid" ] && [ "/proc/$pid/cwd" -ef "$run" ]
}

# await NAME SECONDS COMMAND...: until the command succeeds.
await() {
  local name="$1" limit="$2" begun=$SECONDS
  shift 2
  until "$@" >/dev/null 2>&1; do
    # Twice: a process that is just becoming another one (exec) may not be looked at for a moment.
    running "$name" || { sleep 1; running "$name"; } || { tail -n 30 "$REAL_DIR/run/$name/log" >&2; die "$name ended while starting"; }
    [ $((SECONDS - begun)) -lt "$limit" ] || { tail -n 30 "$REAL_DIR/run/$name/log" >&2; die "$name not ready after $limit s"; }
    sleep 0.2
  done
}

# stop NAME...: the last one first; asks, waits 30 s, then insists.
stop() {
  local i names=("$@")
  for ((i = $#; i > 0; i--)); do stop_one "${names[i - 1]}"; done
}

# Whatever of this run still runs; Keycloak last.
stop_all() {
  local run
  for run in "$REAL_DIR"/run/*/pid; do
    [ ! -e "$run" ] || [ "$run" = "$REAL_DIR/run/keycloak/pid" ] || stop_one "$(basename "${run%/pid}")"
  done
  stop_one keycloak
}

stop_one() {
  local pid_file="$REAL_DIR/run/$1/pid" pid i
  running "$1" || { rm -f "$pid_file"; return 0; }
  pid="$(cat "$pid_file")"
  kill "$pid"
  for i in $(seq 150); do running "$1" || break; sleep 0.2; done
  ! running "$1" || kill -9 "$pid"
  rm -f "$pid_file"
}
