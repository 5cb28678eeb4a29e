{{- define "kadre.labels" -}}
app.kubernetes.io/name: kadre
app.kubernetes.io/part-of: kadre
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "kadre.selector" -}}
app.kubernetes.io/name: kadre
app.kubernetes.io/component: control-plane
{{- end }}

{{- define "kadre.image" -}}
{{- $image := index . 0 -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ $image.tag | default (index . 1) }}
{{- end -}}
{{- end }}
