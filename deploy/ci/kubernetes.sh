#!/usr/bin/env bash
# The files for Kubernetes and Helm, without a cluster (no package contains an API server): rendered by kubectl and helm,
# checked against the strict schemas of three Kubernetes versions, and against our rules (tests/deploy/rendered.py).
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$ROOT/scripts/lib.sh"
VERSIONS=(1.29 1.33 1.37) # the first with native sidecars switched on; the first with them stable; the newest
KUBERNETES="$ROOT/deploy/kubernetes"
OUT="$W/rendered"

kustomized() {
  local name
  for name in deployment job cronjob workload; do kubectl kustomize "$KUBERNETES/$name" >"$OUT/$name.yaml"; done
  for name in statefulset overlay; do kubectl kustomize "$ROOT/tests/deploy/data/$name" >"$OUT/$name.yaml"; done
  cp "$KUBERNETES"/{plain,classic}.yaml "$OUT"
}

# In a copy, because helm writes into a chart's folder.
charts() {
  local helm="$W/helm" values="$ROOT/tests/deploy/data/values.yaml" version
  cp -r "$ROOT/deploy/helm" "$helm"
  export HELM_CACHE_HOME="$W/helm-cache" HELM_CONFIG_HOME="$W/helm-config" HELM_DATA_HOME="$W/helm-data"
  quietly helm lint --strict "$helm/camunda-auth-proxy"
  quietly helm dependency build "$helm/example"
  quietly helm lint --strict "$helm/example"
  for version in "${VERSIONS[@]}"; do
    helm template app "$helm/example" --kube-version "$version" >"$OUT/helm.yaml"
  done
  helm template app "$helm/example" --values "$values" >"$OUT/helm-values.yaml"
  helm template app "$helm/example" --values "$helm/example/camunda-8.10.yaml" >"$OUT/helm-camunda.yaml"
  refused "secretNam" helm template app "$helm/example" --set camunda-auth-proxy.secretNam=x
  refused "upstrems" helm template app "$helm/example" --set camunda-auth-proxy.config.upstrems.zeebe.url=x
  refused "need Kubernetes 1.29" helm template app "$helm/example" --kube-version 1.28
  : >"$helm/example/values.yaml"
  refused "under upstreams" helm template app "$helm/example"
  say "helm: linted strictly, rendered for ${VERSIONS[*]}; wrong values are refused"
}
quietly() { "$@" >"$W/said" 2>&1 || { cat "$W/said" >&2; die "$*"; }; }
# refused WORD COMMAND...: the command fails, and prints the word.
refused() {
  local word="$1"
  shift
  ! "$@" >"$W/said" 2>&1 || die "not refused: $*"
  grep -q -- "$word" "$W/said" || { cat "$W/said" >&2; die "is refused without a word of $word: $*"; }
}

# Camunda's chart is not ours to copy: a stand-in has the keys that our values use (tests/deploy/data/camunda-platform).
camunda() {
  local chart="$ROOT/tests/deploy/data/camunda-platform" values="$ROOT/deploy/helm/camunda-values.yaml" component
  case "$(helm version --template '{{.Version}}')" in v4.*) ;; *) die "chart 15 wants Helm 4, this is $(helm version)" ;; esac
  quietly helm lint --strict "$chart" --values "$values"
  for component in connectors orchestration optimize identity; do
    sed "s/^connectors:/$component:/" "$values" | helm template camunda "$chart" --values - >"$OUT/camunda/$component.yaml"
  done
  sed '/^connectors:/,$ s/^  /    /; s/^connectors:/camundaHub:\n  restapi:/' "$values" |
    helm template camunda "$chart" --values - >"$OUT/camunda/hub.yaml"
  sed 's/my-client/another/' "$values" | helm template camunda "$chart" --values - >"$OUT/camunda/changed.yaml"
  sed 's/^  initContainers:/  initContainer:/' "$values" >"$W/values.yaml"
  refused "initContainer" helm template camunda "$chart" --values "$W/values.yaml"
  say "Camunda's chart: our values fit each component, by a stand-in with its keys"
}

schemas() {
  local version others=("$KUBERNETES"/{networkpolicy,ambient}.yaml "$W/fleet.yaml")
  kubectl kustomize "$ROOT/tests/deploy/data/fleet" >"$W/fleet.yaml"
  for version in "${VERSIONS[@]}"; do quietly "$VALIDATE" --strict -k "$version" "$OUT"/{,camunda/}*.yaml "${others[@]}"; done
  quietly "$VALIDATE" --strict -k 1.27 "$OUT/classic.yaml"
  # Check that these schemas are really strict.
  refused restartPolicy "$VALIDATE" --strict -k 1.27 "$OUT/plain.yaml"
  sed 's/failureThreshold/failureTreshold/' "$OUT/plain.yaml" >"$W/typo.yaml"
  refused failureTreshold "$VALIDATE" --strict -k 1.37 "$W/typo.yaml"
  say "strict schemas of ${VERSIONS[*]}: $(ls "$OUT" | wc -l) files pass; classic.yaml also of 1.27, which refuses native sidecars"
}

rules() {
  (
    cd "$ROOT"
    ensure_venv requirements-dev.lock
    RENDERED="$OUT" .venv/bin/python -m pytest -q -p no:cacheprovider tests/deploy/rendered.py tests/deploy/rendered_camunda.py
  ) || die "our rules are broken"
}

mkdir -p "$OUT/camunda"
kubectl_and_helm
VALIDATE="$(pypi kubernetes)/kubernetes-validate"
kustomized
charts
camunda
schemas
rules
done_ok "$(cat "$OUT"/*.yaml | grep -c '^kind:') objects rendered, valid for ${VERSIONS[*]}, restricted; helm and component agree; not proved: anything that needs a cluster"
