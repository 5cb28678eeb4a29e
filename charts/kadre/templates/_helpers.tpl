{{- define "kadre.labels" -}}
app.kubernetes.io/name: kadre
app.kubernetes.io/part-of: kadre
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- /* Of the pods of one Deployment; `command` tells them from those of the others. */}}
{{- define "kadre.selector" -}}
app.kubernetes.io/name: kadre
app.kubernetes.io/component: control-plane
{{- if ne .command "all" }}
kadre.dev/role: {{ .command }}
{{- end }}
{{- end }}

{{- /* Not empty where the store is in PostgreSQL. */}}
{{- define "kadre.postgres" -}}
{{ .Values.store.postgres.existingSecret }}
{{- end }}

{{- /* Nodes are drained one pod of a Deployment after the other. */}}
{{- define "kadre.disruptionBudget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "kadre.labels" .root | nindent 4 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels:
      {{- include "kadre.selector" . | nindent 6 }}
{{- end }}

{{- /* Egress beyond what config/network allows. */}}
{{- define "kadre.egress" -}}
{{- if include "kadre.postgres" . }}
{{- include "kadre.egressTo" .Values.networkPolicy.postgres }}
{{- end }}
{{- if or .Values.blobs.s3.bucket .Values.archive.s3.bucket }}
{{- include "kadre.egressTo" .Values.networkPolicy.s3 }}
{{- end }}
{{- if .Values.telemetry.otlpEndpoint }}
{{- include "kadre.egressTo" .Values.networkPolicy.telemetry }}
{{- end }}
{{- with .Values.networkPolicy.extraEgress }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "kadre.egressTo" }}
- ports:
    - port: {{ .port }}
      protocol: TCP
  {{- with .to }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{- define "kadre.image" -}}
{{- $image := index . 0 -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ $image.tag | default (index . 1) }}
{{- end -}}
{{- end }}
