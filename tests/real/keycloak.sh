#!/usr/bin/env bash
# A real Keycloak on loopback, realm.json in it:
#   keycloak.sh fetch | start | stop
#   keycloak.sh url               the realm's
#   keycloak.sh folder            with signing.key and signing.crt, which the client `signed` signs with
#   keycloak.sh logins CLIENT     token requests of that client since the start: "granted refused"
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

KEYCLOAK_VERSION=26.7.3
KEYCLOAK_PORT="${KEYCLOAK_PORT:-19180}"
REALM_URL="http://127.0.0.1:$KEYCLOAK_PORT/auth/realms/camunda-platform"
RUN="$REAL_DIR/run/keycloak"

# Sets `dist` (the distribution's folder) and `java` (the command line so far).
# Java itself and not bin/kc.sh: one process, whose id is the one in pid.
fetch() {
  need curl curl
  need openssl openssl
  local home
  home="$(java_home)"
  dist="$(unpacked "org.keycloak:keycloak-quarkus-dist:$KEYCLOAK_VERSION:zip")/keycloak-$KEYCLOAK_VERSION"
  java=("$home/bin/java" -Xms64m -Xmx320m -XX:+UseSerialGC -XX:TieredStopAtLevel=1
    -Dkc.home.dir="$dist" -Djboss.server.config.dir="$dist/conf"
    -Djava.util.logging.manager=org.jboss.logmanager.LogManager
    --add-opens=java.base/java.util=ALL-UNNAMED --add-opens=java.base/java.util.concurrent=ALL-UNNAMED
    --add-opens=java.base/java.security=ALL-UNNAMED --add-opens=java.base/java.lang=ALL-UNNAMED
    --enable-native-access=ALL-UNNAMED
    -cp "$dist/lib/quarkus-run.jar" io.quarkus.bootstrap.runner.QuarkusEntryPoint)
}

start() {
  local dist java import fresh
  fetch
  ! running keycloak || die "keycloak runs already (process $(cat "$RUN/pid"))"
  import="$dist/data/import/camunda-platform.json"
  mkdir -p "$RUN" "${import%/*}"
  if [ ! -e "$RUN/signing.crt" ]; then
    openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=signed \
      -keyout "$RUN/signing.key" -out "$RUN/signing.new" 2>/dev/null
    mv "$RUN/signing.new" "$RUN/signing.crt"
  fi
  sed "s#@CERTIFICATE@#$(grep -v -- ----- "$RUN/signing.crt" | tr -d '\n')#" "$HERE/realm.json" >"$import"

  # One build, kept, saves the re-augmentation of every start-dev.
  if [ ! -e "$dist/.built" ]; then
    "${java[@]}" build --db=dev-file --http-relative-path=/auth --health-enabled=false >"$RUN/build.log" 2>&1 ||
      { tail -n 30 "$RUN/build.log" >&2; die "keycloak cannot be built"; }
    touch "$dist/.built"
  fi

  # The database as the first start left it, kept for each realm file: a start
  # from it takes half the time, and sees nothing of earlier tests.
  fresh="$RUN/database-$(cksum <"$import" | cut -d ' ' -f 1)"
  rm -rf "$dist/data/h2"
  if [ ! -e "$fresh" ]; then
    serve
    stop keycloak
    mv "$dist/data/h2" "$fresh"
  fi
  cp -r "$fresh" "$dist/data/h2"
  serve
  keep
}

# Launches the server and awaits it. Its log tells every token request.
serve() {
  KC_BOOTSTRAP_ADMIN_USERNAME=admin KC_BOOTSTRAP_ADMIN_PASSWORD=admin \
    launch keycloak "$KEYCLOAK_PORT" "${java[@]}" start --optimized --import-realm --cache=local \
    --http-enabled=true --http-host=127.0.0.1 --http-port="$KEYCLOAK_PORT" --hostname-strict=false \
    --spi-events-listener--jboss-logging--success-level=info
  await keycloak 120 curl -fsS "$REALM_URL"
}

logins() {
  awk -v client="clientId=\"$1\"" 'index($0, client) && /type="CLIENT_LOGIN"/ {granted++}
    index($0, client) && /type="CLIENT_LOGIN_ERROR"/ {refused++}
    END {print granted + 0, refused + 0}' "$RUN/log"
}

case "${1:-}" in
  fetch) fetch ;;
  start) start ;;
  stop) stop keycloak ;;
  url) echo "$REALM_URL" ;;
  folder) echo "$RUN" ;;
  logins) logins "$2" ;;
  *) die "usage: keycloak.sh fetch | start | stop | url | folder | logins CLIENT" ;;
esac
