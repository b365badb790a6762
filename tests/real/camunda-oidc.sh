#!/usr/bin/env bash
# A real engine of Camunda 8.6 on loopback that takes the tokens of keycloak.sh:
#   camunda-oidc.sh fetch | start | stop
#   camunda-oidc.sh url                  of its REST API
#   camunda-oidc.sh requests [STATUS]    how many it has answered so (or at all) since the start
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

CAMUNDA_VERSION=8.6.0
CAMUNDA_OIDC_PORT="${CAMUNDA_OIDC_PORT:-19280}"
MANAGEMENT_URL="http://127.0.0.1:$((CAMUNDA_OIDC_PORT + 1))/actuator"
RUN="$REAL_DIR/run/camunda-oidc"

# Sets `dist` and `home`, the folders of the distribution and of Java.
fetch() {
  need curl curl
  home="$(java_home)"
  dist="$(unpacked "io.camunda:camunda-zeebe:$CAMUNDA_VERSION:zip")/camunda-zeebe-$CAMUNDA_VERSION"
}

# Each start has empty data. The classes come from an archive that the first
# clean stop leaves behind: a start then takes a third.
start() {
  local dist home newer=()
  fetch
  ! running camunda-oidc || die "camunda-oidc runs already (process $(cat "$RUN/pid"))"
  rm -rf "$RUN/data"
  mkdir -p "$RUN"
  sed -e "s#@PORT@#$CAMUNDA_OIDC_PORT#" -e "s#@MANAGEMENT_PORT@#$((CAMUNDA_OIDC_PORT + 1))#" \
    -e "s#@ISSUER@#$("$HERE/keycloak.sh" url)#" "$HERE/camunda-oidc.yaml" >"$RUN/application.yaml"
  [ "$(java_version "$home")" -lt 23 ] || newer=(--sun-misc-unsafe-memory-access=allow)
  launch camunda-oidc "$CAMUNDA_OIDC_PORT" "$home/bin/java" -Xms128m -Xmx512m \
    -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
    -XX:+AutoCreateSharedArchive -XX:SharedArchiveFile="$REAL_DIR/camunda-oidc.jsa" -Xlog:cds=off -Xlog:cds+dynamic=off \
    --enable-native-access=ALL-UNNAMED "${newer[@]}" \
    --add-opens=java.base/sun.nio.ch=ALL-UNNAMED --add-opens=java.base/java.nio=ALL-UNNAMED \
    -Dbasedir="$RUN" -Dapp.home="$RUN" -Dlog4j2.configurationFile="$HERE/log4j2.xml" \
    -Dspring.config.additional-location="file:$RUN/application.yaml" \
    -cp "$dist/lib/*" io.camunda.application.StandaloneBroker
  # /ready answers 301 as soon as the port is open; this one when the partition is healthy.
  await camunda-oidc 120 curl -fsS "$MANAGEMENT_URL/health/status"
}

requests() {
  curl -fsS "$MANAGEMENT_URL/prometheus" |
    awk -v status="status=\"$1" '/^http_server_requests_seconds_count/ && index($0, status) {sum += $NF} END {print sum + 0}'
}

case "${1:-}" in
  fetch) fetch ;;
  start) start ;;
  stop) stop camunda-oidc ;;
  url) echo "http://127.0.0.1:$CAMUNDA_OIDC_PORT" ;;
  requests) requests "${2:-}" ;;
  *) die "usage: camunda-oidc.sh fetch | start | stop | url | requests [STATUS]" ;;
esac
