{{/* An entry of initContainers. The same container as deploy/kubernetes/component/sidecar.yaml. */}}
{{- define "camunda-auth-proxy.sidecar" -}}
{{- if semverCompare "<1.29.0-0" .Capabilities.KubeVersion.Version -}}
{{- fail "camunda-auth-proxy: native sidecars need Kubernetes 1.29 or later; for older versions use deploy/kubernetes/classic.yaml" -}}
{{- end -}}
- name: camunda-auth-proxy
  image: {{ include "camunda-auth-proxy.image" . }}
  restartPolicy: Always # native sidecar: starts before the app, ends after it, and lets Jobs end
  ports:
    - {name: authproxy-probe, containerPort: 19091}
  startupProbe: # succeeds when the first fetch has ended, even without success, so a slow token endpoint fails no pod
    httpGet: {path: /health/startup, port: authproxy-probe}
    periodSeconds: 1
    timeoutSeconds: 3
    failureThreshold: 120
  livenessProbe: # depends on neither identity provider nor Camunda
    httpGet: {path: /health/live, port: authproxy-probe}
    periodSeconds: 10
    timeoutSeconds: 3
  resources: {{- toYaml (index .Values "camunda-auth-proxy").resources | nindent 4 }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    readOnlyRootFilesystem: true
    allowPrivilegeEscalation: false
    capabilities: {drop: [ALL]}
    seccompProfile: {type: RuntimeDefault}
  volumeMounts: # whole directories, because a file mounted by subPath never changes
    - {name: camunda-auth-proxy-config, mountPath: /etc/camunda-auth-proxy, readOnly: true}
    - {name: camunda-auth-proxy-secret, mountPath: /run/secrets/camunda, readOnly: true}
{{- end }}

{{/* Entries of volumes. */}}
{{- define "camunda-auth-proxy.volumes" -}}
- name: camunda-auth-proxy-config
  configMap: {name: {{ include "camunda-auth-proxy.configMapName" . }}}
- name: camunda-auth-proxy-secret
  projected:
    defaultMode: 0440 # the group is the pod's fsGroup
    sources:
      - secret: {name: {{ (index .Values "camunda-auth-proxy").secretName }}}
{{- end }}

{{/* Labels of the pod, for selectors as that of networkpolicy.yaml. */}}
{{- define "camunda-auth-proxy.podLabels" -}}
camunda-auth-proxy: sidecar
{{- end }}

{{/* Annotations of the pod, so that a changed configuration replaces it. */}}
{{- define "camunda-auth-proxy.podAnnotations" -}}
camunda-auth-proxy/config: {{ toYaml (index .Values "camunda-auth-proxy").config | sha256sum | trunc 16 | quote }}
{{- end }}

{{/* The ConfigMap, a whole resource. */}}
{{- define "camunda-auth-proxy.configMap" -}}
{{- $config := (index .Values "camunda-auth-proxy").config -}}
{{- if not (and $config.upstreams $config.credentials) -}}
{{- fail "camunda-auth-proxy.config is empty: write Camunda's URLs under upstreams and your client under credentials" -}}
{{- end -}}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "camunda-auth-proxy.configMapName" . }}
data:
  config.yaml: | {{- toYaml $config | nindent 4 }}
{{- end }}

{{- define "camunda-auth-proxy.configMapName" -}}
{{ .Release.Name | trunc 44 | trimSuffix "-" }}-camunda-auth-proxy
{{- end }}

{{- define "camunda-auth-proxy.image" -}}
{{- with (index .Values "camunda-auth-proxy").image -}}
{{ .repository }}:{{ .tag }}{{ with .digest }}@{{ . }}{{ end }}
{{- end }}
{{- end }}
