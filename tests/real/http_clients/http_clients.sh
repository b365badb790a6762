#!/usr/bin/env bash
# HTTP clients that are not Camunda's, each in the version pinned here (those of PyPI and npm: ../clients), and a program
# for each that sends what its stdin names (test_http_clients.py):
#   http_clients.sh fetch     fetches those of Maven and builds; ../clients/clients.sh fetches those of PyPI and npm
#   http_clients.sh run NAME
. "$(dirname "${BASH_SOURCE[0]}")/../clients/clients.sh"

PROGRAMS="$HERE/http_clients"
BUILT="$REAL_DIR/http_clients"

# artifact_of NAME: what its class path needs; nothing for the JDK's own client.
artifact_of() {
  case "$1" in
    java-net-http) ;;
    spring-restclient) echo org.springframework:spring-web:6.2.19 ;;
    apache-httpclient-5.4) echo org.apache.httpcomponents.client5:httpclient5:5.4 ;; # it offers TLS, 5.4.2 and later do not
    apache-httpclient-5.6) echo org.apache.httpcomponents.client5:httpclient5:5.6.5 ;;
    okhttp) echo com.squareup.okhttp3:okhttp-jvm:5.3.2 ;;
  esac
}

class_of() {
  case "$1" in
    java-net-http) echo JavaNetHttp ;;
    spring-restclient) echo SpringRestClient ;;
    apache-httpclient-*) echo ApacheHttpClient ;;
    okhttp) echo OkHttp ;;
  esac
}

# class_path NAME: its jars, fetched where they are not there yet, and our classes.
class_path() {
  local artifact jars=""
  artifact="$(artifact_of "$1")"
  [ -z "$artifact" ] || jars="$(jars_of "$artifact")/*"
  echo "$BUILT/$1:$jars"
}

build_java() {
  local compiler path files=("$PROGRAMS/Program.java" "$PROGRAMS/$(class_of "$1").java")
  path="$(class_path "$1")"
  changed "$BUILT/$1" "${files[@]}" "$PROGRAMS/http_clients.sh" || return 0
  compiler="$(java_home)/bin/javac"
  rm -rf "${BUILT:?}/$1"
  mkdir -p "$BUILT/$1"
  "$compiler" --release 17 -cp "$path" -d "$BUILT/$1" "${files[@]}"
  made "$BUILT/$1" "${files[@]}" "$PROGRAMS/http_clients.sh"
}

# Go's own library alone: nothing is fetched.
build_go() {
  local files=("$PROGRAMS/main.go" "$PROGRAMS/go.mod")
  changed "$BUILT/go" "${files[@]}" || return 0
  need go golang-go
  mkdir -p "$BUILT/go"
  (cd "$PROGRAMS" && GOTOOLCHAIN=local GOFLAGS=-buildvcs=false go build -trimpath -o "$BUILT/go/program" .)
  made "$BUILT/go" "${files[@]}"
}

fetch() {
  local name
  for name in java-net-http spring-restclient apache-httpclient-5.4 apache-httpclient-5.6 okhttp; do
    build_java "$name"
  done
  build_go
  need curl curl
}

run() {
  case "$1" in
    curl | requests | httpx | aiohttp) exec "$CLIENT_PYTHON/bin/python" "$PROGRAMS/program.py" "$1" ;;
    fetch | undici | node-http) NODE_PATH="$MODULES/node_modules" exec "$(nodejs)/bin/node" "$PROGRAMS/program.cjs" "$1" ;;
    go) exec "$BUILT/go/program" ;;
    *)
      [ -n "$(class_of "$1")" ] || die "no such client: $1"
      exec "$(java_home)/bin/java" -Xmx128m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
        -cp "$(class_path "$1")" "$(class_of "$1")"
      ;;
  esac
}

case "${1:-}" in
  fetch) fetch ;;
  run) run "$2" ;;
  *) die "usage: http_clients.sh fetch | run NAME" ;;
esac
