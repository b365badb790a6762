#!/usr/bin/env bash
# Alerts, dashboard and example configuration of deploy/: judged by promtool, then used by a real Prometheus that scrapes
# a real proxy before the simulated Camunda (monitoring.py). Objects of the Prometheus operator and of Istio
# are held against their CRDs.
source "$(dirname "$0")/lib.sh"
# shellcheck source=scripts/lib.sh
source "$ROOT/scripts/lib.sh"

CRDS="$(grep -o '^cloudcoil-models[^ ]*' "$ROOT/deploy/ci/tools/monitoring.lock" | paste -sd ' ')" # their versions are the CRDs'

rules() {
  promtool check config "$ROOT/deploy/prometheus/prometheus.example.yml" >"$W/said" || die "$(cat "$W/said")"
  promtool test rules "$ROOT/deploy/prometheus/rules.test.yaml" >"$W/said" || die "$(cat "$W/said")"
  say "$(promtool --version | sed 1q | cut -d ' ' -f 1-3): rules, their tests and prometheus.example.yml are good"
}

# custom_objects: right by their CRDs, and without a key that these do not know (the models let such pass). Of files with
# other kinds too, those are left to kubernetes.sh.
custom_objects() {
  "$(pypi monitoring)/python" - "$ROOT"/deploy/kubernetes/{monitoring/*,ambient}.yaml <<'.' || die "an object of a CRD"
import sys
import yaml
from cloudcoil.models.istio.security import v1 as istio
from cloudcoil.models.prometheus_operator import v1 as operator

MODELS = {"security.istio.io/v1": istio, "monitoring.coreos.com/v1": operator}

def plain(value):
    """Without what YAML makes of numbers, and what the model wraps."""
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list) else str(value).strip()

for path in sys.argv[1:]:
    custom = [each for each in yaml.safe_load_all(open(path)) if each["apiVersion"] in MODELS]
    if not custom:
        sys.exit(f"{path}: has no object of these CRDs: {', '.join(MODELS)}")
    for written in custom:
        read = getattr(MODELS[written["apiVersion"]], written["kind"]).model_validate(written)
        known = read.model_dump(by_alias=True, exclude_unset=True, mode="json")
        if plain(known) != plain(written):
            sys.exit(f"{path}: holds what the CRD does not know; it knows {known}")
.
  say "PodMonitor, PrometheusRule and AuthorizationPolicy are right by $CRDS"
}

main() {
  need promtool prometheus
  need prometheus prometheus
  rules
  (cd "$ROOT" && ensure_venv requirements-dev.lock)
  mkdir "$W/prometheus"
  PYTHONPATH="$ROOT" "$ROOT/.venv/bin/python" "$ROOT/deploy/ci/monitoring.py" "$W/prometheus" ||
    { tail -n 20 "$W/prometheus/prometheus.log" >&2; die "monitoring.py"; }
  custom_objects
  done_ok "rules, alerts, dashboard, objects of CRDs"
}

main
