{{- /*
One Deployment of the control plane. Takes a dict:
  root: $
  name: of the Deployment and its container
  command: all, operator, engine, gateway or server
  account: its ServiceAccount
  replicas: how many pods; absent where an autoscaler says so
  resources: of its container
  gateway: whether agents reach their models through it
  server: whether senders of webhooks reach it
  housekeeping: whether it removes what is no longer kept
*/}}
{{- define "kadre.deployment" -}}
{{- $ := .root -}}
{{- $postgres := include "kadre.postgres" $ -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .name }}
  namespace: {{ $.Release.Namespace }}
  labels:
    {{- include "kadre.labels" $ | nindent 4 }}
spec:
  {{- if hasKey . "replicas" }}
  replicas: {{ .replicas }}
  {{- end }}
  {{- if not $postgres }}
  # The old pod ends before the new one starts: the store is a file, and a file has one writer.
  strategy:
    type: Recreate
  {{- end }}
  selector:
    matchLabels:
      {{- include "kadre.selector" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "kadre.selector" . | nindent 8 }}
        {{- if .gateway }}
        kadre.dev/gateway: 'true'
        {{- end }}
        {{- if .server }}
        kadre.dev/server: 'true'
        {{- end }}
      {{- with $.Values.podAnnotations }}
      annotations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      serviceAccountName: {{ .account }}
      automountServiceAccountToken: true
      enableServiceLinks: false
      terminationGracePeriodSeconds: 30
      {{- with $.Values.imagePullSecrets }}
      imagePullSecrets:
        {{- range . }}
        - name: {{ . }}
        {{- end }}
      {{- end }}
      {{- with $.Values.priorityClassName }}
      priorityClassName: {{ . }}
      {{- end }}
      {{- with $.Values.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $.Values.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $.Values.affinity }}
      affinity:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- if $postgres }}
      topologySpreadConstraints:
        - maxSkew: 1
          topologyKey: kubernetes.io/hostname
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels:
              {{- include "kadre.selector" . | nindent 14 }}
      {{- end }}
      securityContext:
        runAsNonRoot: true
        runAsUser: 65532
        runAsGroup: 65532
        fsGroup: 65532
        fsGroupChangePolicy: OnRootMismatch
        seccompProfile:
          type: RuntimeDefault
      containers:
        - name: kadre
          image: {{ include "kadre.image" (list $.Values.image $.Chart.AppVersion) }}
          imagePullPolicy: {{ $.Values.image.pullPolicy }}
          args: [{{ .command }}]
          env:
            {{- if $postgres }}
            - name: KADRE_STORE_URL
              valueFrom:
                secretKeyRef:
                  name: {{ $.Values.store.postgres.existingSecret }}
                  key: {{ $.Values.store.postgres.key }}
            {{- with $.Values.store.postgres.connections }}
            - name: KADRE_STORE_CONNECTIONS
              value: {{ . | quote }}
            {{- end }}
            {{- end }}
            - name: POD_NAME
              valueFrom:
                fieldRef:
                  fieldPath: metadata.name
            - name: POD_NAMESPACE
              valueFrom:
                fieldRef:
                  fieldPath: metadata.namespace
            {{- if not $postgres }}
            - name: KADRE_DATA_DIR
              value: /var/lib/kadre
            {{- end }}
            - name: KADRE_GATEWAY_URL
              value: http://kadre-gateway.$(POD_NAMESPACE).svc
            - name: KADRE_SERVER_URL
              value: http://kadre-server.$(POD_NAMESPACE).svc
            - name: KADRE_RUNTIME_IMAGE
              value: {{ include "kadre.image" (list $.Values.runtimeImage $.Chart.AppVersion) }}
            - name: KADRE_SANDBOX_IMAGE
              value: {{ include "kadre.image" (list $.Values.sandboxImage $.Chart.AppVersion) }}
            - name: KADRE_LOG_LEVEL
              value: {{ $.Values.logLevel }}
            {{- with $.Values.clusterDomain }}
            - name: KADRE_CLUSTER_DOMAIN
              value: {{ . }}
            {{- end }}
            {{- with $.Values.telemetry }}
            {{- if .otlpEndpoint }}
            - name: OTEL_EXPORTER_OTLP_ENDPOINT
              value: {{ .otlpEndpoint | quote }}
            - name: KADRE_TRACES_RATIO
              value: {{ .sampleRatio | quote }}
            {{- with .headers }}
            {{- if .existingSecret }}
            - name: OTEL_EXPORTER_OTLP_HEADERS
              valueFrom:
                secretKeyRef:
                  name: {{ .existingSecret }}
                  key: {{ .key }}
            {{- end }}
            {{- end }}
            {{- end }}
            {{- end }}
            {{- with include "kadre.blobsEnv" $ | trim }}
            {{- . | nindent 12 }}
            {{- end }}
            {{- if .housekeeping }}
            {{- with include "kadre.housekeepingEnv" $ | trim }}
            {{- . | nindent 12 }}
            {{- end }}
            {{- end }}
            {{- with $.Values.env }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
          ports:
            - name: health
              containerPort: 8080
            {{- if .gateway }}
            - name: gateway
              containerPort: 8081
            {{- end }}
            {{- if .server }}
            - name: server
              containerPort: 8082
            {{- end }}
          startupProbe:
            httpGet:
              path: /healthz
              port: health
            periodSeconds: 1
            failureThreshold: 60
          livenessProbe:
            httpGet:
              path: /healthz
              port: health
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 3
          readinessProbe:
            httpGet:
              path: /readyz
              port: health
            periodSeconds: 2
            timeoutSeconds: 2
          resources:
            {{- toYaml .resources | nindent 12 }}
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities:
              drop: [ALL]
          volumeMounts:
            {{- if not $postgres }}
            - name: data
              mountPath: /var/lib/kadre
            {{- end }}
            {{- if $.Values.blobs.existingClaim }}
            - name: blobs
              mountPath: /var/lib/kadre-blobs
            {{- end }}
            {{- if and .housekeeping $.Values.archive.existingClaim }}
            - name: archive
              mountPath: /var/lib/kadre-archive
            {{- end }}
            {{- with $.Values.volumeMounts }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
            - name: tmp
              mountPath: /tmp
      volumes:
        {{- if not $postgres }}
        - name: data
          persistentVolumeClaim:
            claimName: {{ $.Values.persistence.existingClaim | default "kadre-data" }}
        {{- end }}
        {{- with $.Values.blobs.existingClaim }}
        - name: blobs
          persistentVolumeClaim:
            claimName: {{ . }}
        {{- end }}
        {{- if and .housekeeping $.Values.archive.existingClaim }}
        - name: archive
          persistentVolumeClaim:
            claimName: {{ $.Values.archive.existingClaim }}
        {{- end }}
        {{- with $.Values.volumes }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
        - name: tmp
          emptyDir:
            sizeLimit: 128Mi
{{- end }}

{{- /* Where large values are. */}}
{{- define "kadre.blobsEnv" -}}
{{- if .Values.blobs.existingClaim }}
- name: KADRE_BLOBS_FOLDER
  value: /var/lib/kadre-blobs
{{- end }}
{{- with .Values.blobs.s3 }}
{{- if .bucket }}
- name: KADRE_BLOBS_S3_BUCKET
  value: {{ .bucket | quote }}
{{- with .endpoint }}
- name: KADRE_BLOBS_S3_ENDPOINT
  value: {{ . | quote }}
{{- end }}
{{- with .region }}
- name: KADRE_BLOBS_S3_REGION
  value: {{ . | quote }}
{{- end }}
{{- with .prefix }}
- name: KADRE_BLOBS_S3_PREFIX
  value: {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- if or .Values.blobs.existingClaim .Values.archive.existingClaim }}
- name: KADRE_FOLDERS_SHARED
  value: 'true'
{{- end }}
{{- with .Values.s3.existingSecret }}
- name: AWS_ACCESS_KEY_ID
  valueFrom:
    secretKeyRef:
      name: {{ . }}
      key: AWS_ACCESS_KEY_ID
- name: AWS_SECRET_ACCESS_KEY
  valueFrom:
    secretKeyRef:
      name: {{ . }}
      key: AWS_SECRET_ACCESS_KEY
- name: AWS_SESSION_TOKEN
  valueFrom:
    secretKeyRef:
      name: {{ . }}
      key: AWS_SESSION_TOKEN
      optional: true
{{- end }}
{{- end }}

{{- /* How long runs are kept, and what becomes of them then. */}}
{{- define "kadre.housekeepingEnv" -}}
{{- with .Values.retention.keepDays }}
- name: KADRE_RETENTION_KEEP_DAYS
  value: {{ . | quote }}
{{- end }}
{{- with .Values.retention.keepRuns }}
- name: KADRE_RETENTION_KEEP_RUNS
  value: {{ . | quote }}
{{- end }}
{{- with .Values.retention.eventDays }}
- name: KADRE_RETENTION_EVENT_DAYS
  value: {{ . | quote }}
{{- end }}
{{- with .Values.retention.conversationDays }}
- name: KADRE_RETENTION_CONVERSATION_DAYS
  value: {{ . | quote }}
{{- end }}
{{- if .Values.archive.existingClaim }}
- name: KADRE_ARCHIVE
  value: /var/lib/kadre-archive
{{- end }}
{{- with .Values.archive.s3 }}
{{- if .bucket }}
- name: KADRE_ARCHIVE
  value: {{ trimSuffix "/" (printf "s3://%s/%s" .bucket .prefix) | quote }}
{{- with .endpoint }}
- name: KADRE_ARCHIVE_S3_ENDPOINT
  value: {{ . | quote }}
{{- end }}
{{- with .region }}
- name: KADRE_ARCHIVE_S3_REGION
  value: {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
