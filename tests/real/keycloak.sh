#!/usr/bin/env bash
# A real Keycloak on loopback, realm.json in it twice, as camunda-platform and as rotating:
#   keycloak.sh fetch | start | stop     a start where it runs already does nothing
#   keycloak.sh url REALM
#   keycloak.sh tls REALM                the same, on the port that asks for a client certificate
#   keycloak.sh logins CLIENT            its token requests since the beginning: "granted refused"
#   keycloak.sh refreshes CLIENT         the same of its refreshes
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

KEYCLOAK_VERSION=26.7.3
REALMS="camunda-platform rotating"
RUN="$REAL_DIR/run/keycloak"
KEYS="$REAL_DIR/keys"

realm_url() { echo "http://127.0.0.1:$(port_of keycloak)/auth/realms/$1"; }

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
  # One build, kept as long as its options are the same, saves the re-augmentation of every start-dev.
  local options=(--db=dev-file --http-relative-path=/auth --health-enabled=false --https-client-auth=request
    --features=spiffe) # a preview in 26.7
  if [ "$(cat "$dist/.built" 2>/dev/null)" != "${options[*]}" ]; then
    "${java[@]}" build "${options[@]}" >"$REAL_DIR/keycloak-build.log" 2>&1 ||
      { tail -n 30 "$REAL_DIR/keycloak-build.log" >&2; die "keycloak cannot be built"; }
    echo "${options[*]}" >"$dist/.built"
  fi
}

start() {
  local dist java realm
  alone
  ! running keycloak || return 0
  fetch
  "$HERE/keys.sh" "$KEYS"
  [ -e "$RUN" ] || rm -rf "$dist/data/h2" # of another run; a restart finds it as it was
  mkdir -p "$RUN" "$dist/data/import"
  for realm in $REALMS; do
    sed -e "s#@CERTIFICATE@#$(grep -v -- ----- "$KEYS/signing.crt" | tr -d '\n')#" -e "s#@REALM@#$realm#" \
      "$HERE/realm.json" >"$dist/data/import/$realm.json"
  done
  serve
  keep
}

# Launches the server and awaits it. Its log tells every token request.
serve() {
  KC_BOOTSTRAP_ADMIN_USERNAME=admin KC_BOOTSTRAP_ADMIN_PASSWORD=admin \
    launch keycloak "$(port_of keycloak)" "${java[@]}" start --optimized --import-realm --cache=local \
    --hostname="http://127.0.0.1:$(port_of keycloak)/auth" \
    --http-enabled=true --http-host=127.0.0.1 --http-port="$(port_of keycloak)" \
    --https-port="$(port_of keycloak-tls)" --truststore-paths="$KEYS/ca.crt" \
    --https-certificate-file="$KEYS/server.crt" --https-certificate-key-file="$KEYS/server.key" \
    --spi-events-listener--jboss-logging--success-level=info
  await keycloak 300 curl -fsS "$(realm_url camunda-platform)"
}

# count EVENT CLIENT
count() {
  awk -v client="clientId=\"$2\"" -v good="type=\"$1\"" -v bad="type=\"$1_ERROR\"" \
    'index($0, client) && index($0, good) {granted++}
    index($0, client) && index($0, bad) {refused++}
    END {print granted + 0, refused + 0}' "$RUN/log"
}

case "${1:-}" in
  fetch) fetch ;;
  start) start ;;
  stop) stop keycloak ;;
  url) realm_url "$2" ;;
  tls) realm_url "$2" | sed "s#^http:\(.*\):[0-9]*/#https:\1:$(port_of keycloak-tls)/#" ;;
  logins) count CLIENT_LOGIN "$2" ;;
  refreshes) count REFRESH_TOKEN "$2" ;;
  *) die "usage: keycloak.sh fetch | start | stop | url REALM | tls REALM | logins CLIENT | refreshes CLIENT" ;;
esac
