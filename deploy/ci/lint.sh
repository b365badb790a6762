#!/usr/bin/env bash
# The Dockerfile, every shell script and the workflows, read by hadolint, shellcheck and zizmor.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

bin="$(pypi lint)"
cd "$ROOT"
"$bin/hadolint" Dockerfile || die "hadolint found something"
mapfile -t scripts < <(grep -lsE '^#!.*\b(ba)?sh$' .ci/run scripts/* deploy/ci/* bench/run fuzz/run)
"$bin/shellcheck" --severity=warning --external-sources --source-path=SCRIPTDIR --source-path=. \
  "${scripts[@]}" deploy/ci/lib.sh scripts/lib.sh ||
  die "shellcheck found something"
"$bin/zizmor" --offline --quiet --no-progress .github || die "zizmor found something"
done_ok "Dockerfile, ${#scripts[@]} scripts; $("$bin/hadolint" --version), $("$bin/shellcheck" --version | sed -n 2p), $("$bin/zizmor" --version)"
