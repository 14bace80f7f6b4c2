{{/* A probe: called with a list of its values, the path, the port, and the address where the word is bound to one. */}}
{{- define "signpost.probe" -}}
{{- $probe := index . 0 -}}
httpGet:
  path: {{ index . 1 }}
  port: {{ index . 2 }}
  {{- with index . 3 }}
  host: {{ . | quote }}
  {{- end }}
{{- if $probe.initialDelaySeconds }}
initialDelaySeconds: {{ $probe.initialDelaySeconds }}
{{- end }}
periodSeconds: {{ $probe.periodSeconds }}
timeoutSeconds: {{ $probe.timeoutSeconds }}
failureThreshold: {{ $probe.failureThreshold }}
{{- if ne (int $probe.successThreshold) 1 }}
successThreshold: {{ $probe.successThreshold }}
{{- end }}
{{- end -}}

{{/* The template of the pods, the same for a Deployment and a DaemonSet. */}}
{{- define "signpost.pod" -}}
{{- $host := and .Values.node.enabled .Values.node.hostNetwork -}}
metadata:
  labels:
    {{- include "signpost.podLabels" . | nindent 4 }}
  {{- $annotations := deepCopy .Values.podAnnotations }}
  {{- /* Without `reload` a changed Corefile is only read by a new pod. */}}
  {{- if not (or .Values.existingConfigMap .Values.deployment.skipConfig (regexMatch "(?m)^\\s*reload\\b" (include "signpost.corefile" .))) }}
  {{- $_ := set $annotations "checksum/config" (include "signpost.corefile" . | sha256sum) }}
  {{- end }}
  {{- with $annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ include "signpost.accountName" . }}
  {{- if not .Values.rbac.create }}
  {{- else if eq (include "signpost.rules" .) "[]" }}
  # Nothing is asked of an API server.
  automountServiceAccountToken: false
  {{- end }}
  {{- with ternary .Values.node.priorityClassName .Values.priorityClassName .Values.node.enabled }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- if $host }}
  hostNetwork: true
  {{- end }}
  dnsPolicy: {{ .Values.deployment.dnsPolicy }}
  {{- with .Values.deployment.dnsConfig }}
  dnsConfig:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.image.pullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . }}
    {{- end }}
  {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with ternary .Values.node.tolerations .Values.tolerations .Values.node.enabled }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if not .Values.node.enabled }}
  {{- with .Values.affinity }}
  affinity:
    {{- tpl (toYaml .) $ | nindent 4 }}
  {{- end }}
  {{- with .Values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- range . }}
    {{- $constraint := deepCopy . }}
    {{- if not $constraint.labelSelector }}
    {{- $_ := set $constraint "labelSelector" (dict "matchLabels" (include "signpost.selector" $ | fromYaml)) }}
    {{- end }}
    -{{ tpl (toYaml $constraint) $ | nindent 6 | trim | printf " %s" }}
    {{- end }}
  {{- end }}
  {{- end }}
  securityContext:
    {{- if $host }}
    {{- /* Port 53 of the node: neither the sysctl nor another user than root reaches it. */}}
    {{- toYaml (merge (dict "runAsNonRoot" false "runAsUser" 0 "runAsGroup" 0) (omit .Values.podSecurityContext "sysctls" "runAsNonRoot" "runAsUser" "runAsGroup")) | nindent 4 }}
    {{- else }}
    {{- toYaml .Values.podSecurityContext | nindent 4 }}
    {{- end }}
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  {{- with .Values.initContainers }}
  initContainers:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: signpost
      image: {{ include "signpost.image" . }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args: [-conf, /etc/coredns/Corefile]
      {{- with .Values.env }}
      env:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      ports:
        {{- range include "signpost.ports" . | fromJsonArray }}
        - name: {{ .name }}
          containerPort: {{ .port }}
          protocol: {{ .protocol }}
          {{- with .hostPort }}
          hostPort: {{ . }}
          {{- end }}
        {{- end }}
      {{- if .Values.startupProbe.enabled }}
      startupProbe:
        {{- include "signpost.probe" (list .Values.startupProbe "/health" (include "signpost.wordPort" (list . "health" "8080")) (include "signpost.wordHost" (list . "health"))) | nindent 8 }}
      {{- end }}
      {{- if .Values.livenessProbe.enabled }}
      livenessProbe:
        {{- include "signpost.probe" (list .Values.livenessProbe "/health" (include "signpost.wordPort" (list . "health" "8080")) (include "signpost.wordHost" (list . "health"))) | nindent 8 }}
      {{- end }}
      {{- if .Values.readinessProbe.enabled }}
      readinessProbe:
        {{- include "signpost.probe" (list .Values.readinessProbe "/ready" (include "signpost.wordPort" (list . "ready" "8181")) (include "signpost.wordHost" (list . "ready"))) | nindent 8 }}
      {{- end }}
      resources:
        {{- include "signpost.resources" . | nindent 8 }}
      securityContext:
        {{- toYaml .Values.securityContext | nindent 8 }}
      volumeMounts:
        # The folder, not the file: the kubelet renews a ConfigMap by swapping a link, which a single file never sees.
        - name: config
          mountPath: /etc/coredns
          readOnly: true
        {{- if .Values.snapshot.enabled }}
        - name: snapshot
          mountPath: {{ .Values.snapshot.path }}
        {{- end }}
        {{- range .Values.extraSecrets }}
        - name: {{ .name }}
          mountPath: {{ .mountPath }}
          readOnly: true
        {{- end }}
        {{- with .Values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    {{- with .Values.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  volumes:
    - name: config
      configMap:
        name: {{ include "signpost.configName" . }}
        items:
          - key: Corefile
            path: Corefile
          {{- range .Values.zoneFiles }}
          - key: {{ .filename }}
            path: {{ .filename }}
          {{- end }}
    {{- if .Values.snapshot.enabled }}
    - name: snapshot
      {{- if .Values.snapshot.hostPath }}
      hostPath:
        path: {{ .Values.snapshot.hostPath }}
        type: Directory
      {{- else }}
      emptyDir:
        sizeLimit: {{ .Values.snapshot.sizeLimit }}
      {{- end }}
    {{- end }}
    {{- range .Values.extraSecrets }}
    - name: {{ .name }}
      secret:
        secretName: {{ .name }}
        defaultMode: {{ default 292 .defaultMode }}
    {{- end }}
    {{- with .Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}
