#!/usr/bin/env bash
# Alerts, dashboard and example configuration of deploy/: judged by promtool, then used by a real Prometheus that scrapes
# a real proxy before the simulated Camunda (monitoring.py). The Prometheus operator's objects are held against its CRDs.
source "$(dirname "$0")/lib.sh"
# shellcheck source=scripts/lib.sh
source "$ROOT/scripts/lib.sh"

CRDS="$(grep -o '^cloudcoil[^ ]*' "$ROOT/deploy/ci/tools/monitoring.lock" | sed 1q)" # its version is the operator's

rules() {
  promtool check config "$ROOT/deploy/prometheus/prometheus.example.yml" >"$W/said" || die "$(cat "$W/said")"
  promtool test rules "$ROOT/deploy/prometheus/rules.test.yaml" >"$W/said" || die "$(cat "$W/said")"
  say "$(promtool --version | sed 1q | cut -d ' ' -f 1-3): rules, their tests and prometheus.example.yml are good"
}

# operator_objects: right by the operator's CRDs, and without a key that these do not know (the model lets such pass).
operator_objects() {
  "$(pypi monitoring)/python" - "$ROOT"/deploy/kubernetes/monitoring/*.yaml <<'.' || die "an object of the Prometheus operator"
import sys
import yaml
from cloudcoil.models.prometheus_operator import v1

def plain(value):
    """Without what YAML makes of numbers, and what the model wraps."""
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list) else str(value).strip()

for path in sys.argv[1:]:
    written = yaml.safe_load(open(path))
    read = getattr(v1, written["kind"]).model_validate(written)
    known = read.model_dump(by_alias=True, exclude_unset=True, mode="json")
    if plain(known) != plain(written):
        sys.exit(f"{path}: holds what the CRD does not know; it knows {known}")
.
  say "PodMonitor and PrometheusRule are right by ${CRDS%%==*} ${CRDS##*==}"
}

main() {
  need promtool prometheus
  need prometheus prometheus
  rules
  (cd "$ROOT" && ensure_venv requirements-dev.lock)
  mkdir "$W/prometheus"
  PYTHONPATH="$ROOT" "$ROOT/.venv/bin/python" "$ROOT/deploy/ci/monitoring.py" "$W/prometheus" ||
    { tail -n 20 "$W/prometheus/prometheus.log" >&2; die "monitoring.py"; }
  operator_objects
  done_ok "rules, alerts, dashboard, operator objects"
}

main
