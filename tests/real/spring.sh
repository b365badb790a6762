#!/usr/bin/env bash
# The stand-in of one Camunda release on the Spring releases that it is built on (spring/), on loopback:
#   spring.sh releases
#   spring.sh fetch                   builds all of them, and the authorization server
#   spring.sh start NAME RELEASE      a start where NAME runs already does nothing
#   spring.sh stop NAME
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

BUILDS="$REAL_DIR/spring"

# Spring Boot and Spring Security of a release: from Camunda's public POMs (8.9 and 8.10: the line).
versions() {
  case "$1" in
    8.6) echo 3.3.4 6.3.3 ;;
    8.7) echo 3.4.3 6.4.4 ;;
    8.8) echo 3.5.5 6.5.5 ;;
    8.9) echo 4.0.5 7.0.4 ;;
    8.10) echo 4.1.0 7.1.0 ;;
    authorization-server) echo 3.5.5 6.5.5 ;;
    *) die "no such release: $1" ;;
  esac
}

RELEASES="8.6 8.7 8.8 8.9 8.10"

fetch() {
  local release
  for release in $RELEASES authorization-server; do
    build "$release"
  done
}

build() {
  local boot security profile=() files=("${BASH_SOURCE[0]}" "$HERE/spring/pom.xml" "$HERE"/spring/*/*/*.java)
  changed "$BUILDS/$1" "${files[@]}" || return 0
  read -r boot security <<<"$(versions "$1")"
  [ "$1" != authorization-server ] || profile=(-P issuer)
  rm -rf "${BUILDS:?}/$1"
  maven "the stand-in $1" -f "$HERE/spring/pom.xml" -Dspring-boot.version="$boot" \
    -Dspring-security.version="$security" -Dbuild.folder="$BUILDS/$1" "${profile[@]}" compile
  made "$BUILDS/$1" "${files[@]}"
}

# run NAME PORT BUILD CLASS ARGUMENT...
run() {
  launch "$1" "$2" "$(java_home)/bin/java" -Xms32m -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
    -cp "$BUILDS/$3/classes:$BUILDS/$3/jars/*" "${@:4}"
}

start() {
  local ports="$REAL_DIR/run/$1/ports"
  alone
  ! running "$1" || return 0
  build "$2"
  if [ -e "$ports" ]; then mv "$ports" "$ports.before"; fi
  run "$1" "" "$2" standin.StandIn "$2" ports \
    "$("$HERE/keycloak.sh" url camunda-platform)" "$("$HERE/keycloak.sh" url rotating)" \
    "$("$HERE/issuers.sh" url oidc-provider)" "$("$HERE/issuers.sh" url authorization-server)"
  await "$1" 240 [ -e "$ports" ]
  keep
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
  case "${1:-}" in
    releases) echo "$RELEASES" ;;
    fetch) fetch ;;
    start) start "$2" "$3" ;;
    stop) stop "$2" ;;
    *) die "usage: spring.sh releases | fetch | start NAME RELEASE | stop NAME" ;;
  esac
fi
