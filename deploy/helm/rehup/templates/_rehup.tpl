{{/* Rehup as a native sidecar: one item of `initContainers`. */}}
{{- define "rehup.container" -}}
{{- $rehup := required "rehup: no values: call this with a context whose .Values.rehup has them" .Values.rehup -}}
- name: rehup
  image: {{ printf "%s:%s" $rehup.image.repository $rehup.image.tag | quote }}
  imagePullPolicy: {{ $rehup.image.pullPolicy }}
  restartPolicy: Always
  args: [run]
  env:
    - name: REHUP_CONFIG
      value: /etc/rehup/rehup.yaml
    # So that a broken file leaves Rehup its volume and its probes.
    - name: REHUP_OUTPUT
      value: {{ $rehup.shared.mountPath }}
    - name: REHUP_LISTEN
      value: "{{ $rehup.listen }}:{{ int64 $rehup.port }}"
    {{- with $rehup.env }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  ports:
    - name: rehup
      containerPort: {{ int64 $rehup.port }}
  {{- include "rehup.probes" . | nindent 2 }}
  resources:
    {{- toYaml $rehup.resources | nindent 4 }}
  securityContext:
    allowPrivilegeEscalation: false
    readOnlyRootFilesystem: true
    capabilities: { drop: [ALL] }
    seccompProfile: { type: RuntimeDefault }
  volumeMounts:
    # The folder, never a subPath of it: that would not see an edit.
    - name: rehup
      mountPath: /etc/rehup
      readOnly: true
    - name: shared
      mountPath: {{ $rehup.shared.mountPath }}
    {{- with $rehup.volumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}

{{/* The three probes. The app starts after the first whole generation, for which an hour is waited. */}}
{{- define "rehup.probes" -}}
startupProbe:
  httpGet: { path: /startupz, port: rehup }
  periodSeconds: 1
  failureThreshold: 3600
readinessProbe:
  httpGet: { path: /readyz, port: rehup }
livenessProbe:
  httpGet: { path: /livez, port: rehup }
  timeoutSeconds: 5
{{- end }}

{{/* What the pod needs: the shared PID namespace, and one user for both containers. */}}
{{- define "rehup.pod" -}}
{{- $rehup := required "rehup: no values: call this with a context whose .Values.rehup has them" .Values.rehup -}}
{{- if $rehup.shareProcessNamespace -}}
shareProcessNamespace: true
{{ end -}}
securityContext:
  {{- toYaml $rehup.podSecurityContext | nindent 2 }}
{{- end }}

{{/* Items of `volumes`. */}}
{{- define "rehup.volumes" -}}
{{- $rehup := required "rehup: no values: call this with a context whose .Values.rehup has them" .Values.rehup -}}
- name: rehup
  configMap:
    name: {{ include "rehup.configmap.name" . }}
- name: shared
  {{- $shared := dict }}
  {{- range $key := list "medium" "sizeLimit" }}
  {{- with get $rehup.shared $key }}{{ $_ := set $shared $key . }}{{ end }}
  {{- end }}
  emptyDir: {{ toJson $shared }}
{{- with $rehup.volumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* An item of the `volumeMounts` of your container. */}}
{{- define "rehup.mount" -}}
{{- $rehup := required "rehup: no values: call this with a context whose .Values.rehup has them" .Values.rehup -}}
- name: shared
  mountPath: {{ $rehup.shared.mountPath }}
  readOnly: true
{{- end }}

{{/* The ConfigMap. Nothing in it goes through `tpl`, so `{{` stays `{{`. */}}
{{- define "rehup.configmap" -}}
{{- $rehup := required "rehup: no values: call this with a context whose .Values.rehup has them" .Values.rehup -}}
{{- if not $rehup.existingConfigMap -}}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "rehup.configmap.name" . }}
  labels:
    app.kubernetes.io/name: {{ .Chart.Name }}
    app.kubernetes.io/instance: {{ .Release.Name }}
    app.kubernetes.io/managed-by: {{ .Release.Service }}
data:
  {{- include "rehup.data" . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "rehup.data" -}}
{{- $rehup := required "rehup: no values: call this with a context whose .Values.rehup has them" .Values.rehup -}}
{{- $data := dict -}}
{{- range $path, $text := .Files.Glob $rehup.files -}}
  {{- if hasKey $data (base $path) -}}
    {{- fail (printf "rehup: two of the files that rehup.files (%s) finds are called %s" $rehup.files (base $path)) -}}
  {{- end -}}
  {{- $_ := set $data (base $path) (toString $text) -}}
{{- end -}}
{{- if $rehup.config -}}
  {{- if hasKey $data "rehup.yaml" -}}
    {{- fail (printf "rehup: rehup.yaml is given twice, as rehup.config and as a file of rehup.files (%s)" $rehup.files) -}}
  {{- end -}}
  {{- $_ := set $data "rehup.yaml" (toYaml $rehup.config) -}}
{{- end -}}
{{- if not (hasKey $data "rehup.yaml") -}}
  {{- fail (printf "rehup: no configuration: set rehup.config, or put rehup.yaml where rehup.files (%s) finds it, or name rehup.existingConfigMap" $rehup.files) -}}
{{- end -}}
{{- toYaml $data -}}
{{- end }}

{{/* As the names of most charts are made, so that nameOverride and fullnameOverride of yours hold. */}}
{{- define "rehup.configmap.name" -}}
{{- $rehup := required "rehup: no values: call this with a context whose .Values.rehup has them" .Values.rehup -}}
{{- if $rehup.existingConfigMap -}}
{{- $rehup.existingConfigMap -}}
{{- else -}}
{{- $chart := default .Chart.Name .Values.nameOverride -}}
{{- $both := printf "%s-%s" .Release.Name $chart -}}
{{- $name := default (ternary .Release.Name $both (contains $chart .Release.Name)) .Values.fullnameOverride -}}
{{- printf "%s-rehup" ($name | trunc 57 | trimSuffix "-") -}}
{{- end -}}
{{- end }}
