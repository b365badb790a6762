#!/usr/bin/env bash
# Keys and certificates for the identity providers and their clients, made once: keys.sh FOLDER. In PEM form:
#   ca.crt                                of all of them
#   server.crt, server.key                for 127.0.0.1
#   signing.crt, signing.key, chain.crt   the client whose subject is CN=signed; `chain` has ca.crt behind it
set -euo pipefail
[ ! -e "$1/chain.crt" ] || exit 0
mkdir -p "$1"
cd "$1"

make() { openssl "$@" 2>>openssl.log || { cat openssl.log >&2; exit 1; }; }

# issue NAME SUBJECT EXTENSION
issue() {
  make req -newkey rsa:2048 -nodes -subj "$2" -keyout "$1.key" -out "$1.csr"
  make x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 3650 -out "$1.crt" -extfile <(echo "$3")
}

make req -x509 -newkey rsa:2048 -nodes -days 3650 -subj "/CN=ca" -keyout ca.key -out ca.crt
issue server /CN=127.0.0.1 subjectAltName=IP:127.0.0.1
issue signing /CN=signed extendedKeyUsage=clientAuth
cat signing.crt ca.crt >chain.new
mv chain.new chain.crt
