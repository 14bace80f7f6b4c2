{{/* The name of the chart, or what overrides it. */}}
{{- define "signpost.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* The name of most objects. */}}
{{- define "signpost.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "signpost.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "signpost.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride -}}
{{- end -}}

{{/* What the pods are selected by. Never k8s-app: a selector cannot change, and that label is what joins the cluster's Service. */}}
{{- define "signpost.selector" -}}
app.kubernetes.io/name: {{ include "signpost.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Labels of every object. */}}
{{- define "signpost.labels" -}}
{{ include "signpost.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name (.Chart.Version | replace "+" "_") }}
{{- with .Values.customLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The value of k8s-app. */}}
{{- define "signpost.app" -}}
{{- ternary .Values.k8sAppLabelOverride (include "signpost.name" .) .Values.isClusterService -}}
{{- end -}}

{{/* Labels of the pods. */}}
{{- define "signpost.podLabels" -}}
{{ include "signpost.selector" . }}
k8s-app: {{ include "signpost.app" . }}
{{- with merge (deepCopy .Values.podLabels) .Values.customLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* How the workload finds its pods. */}}
{{- define "signpost.workloadSelector" -}}
{{- with .Values.deployment.selector -}}
{{- toYaml . -}}
{{- else -}}
matchLabels:
  {{- include "signpost.selector" . | nindent 2 }}
{{- end -}}
{{- end -}}

{{- define "signpost.serviceName" -}}
{{- default (include "signpost.fullname" .) .Values.service.name -}}
{{- end -}}

{{- define "signpost.workloadName" -}}
{{- default (include "signpost.fullname" .) .Values.deployment.name -}}
{{- end -}}

{{- define "signpost.accountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "signpost.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "signpost.roleName" -}}
{{- default (include "signpost.fullname" .) .Values.clusterRole.nameOverride -}}
{{- end -}}

{{- define "signpost.configName" -}}
{{- default (include "signpost.fullname" .) .Values.existingConfigMap -}}
{{- end -}}

{{- define "signpost.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* The zones of a server, as JSON: the root where it names none. */}}
{{- define "signpost.zones" -}}
{{- default (list (dict "zone" ".")) .zones | toJson -}}
{{- end -}}

{{/* The Corefile that `servers` and `extraConfig` make. */}}
{{- define "signpost.corefile" -}}
{{- $bind := "" -}}
{{- if and .Values.node.enabled .Values.node.hostNetwork -}}
{{- $bind = .Values.node.localAddress -}}
{{- end -}}
{{- range $word, $line := .Values.extraConfig }}
{{ $word }}{{ with $line.parameters }} {{ . }}{{ end }}
{{- end }}
{{- range $server := .Values.servers }}
{{ range $at, $zone := include "signpost.zones" $server | fromJsonArray }}{{ if $at }} {{ end }}{{ $zone.scheme }}{{ default "." $zone.zone }}:{{ default 53 $server.port }}{{ end }} {
{{- with $bind }}
    bind {{ . }}
{{- end }}
{{- range $server.plugins }}
    {{ .name }}{{ if hasKey . "parameters" }} {{ .parameters }}{{ end }}{{ with .configBlock }} {
{{ . | trim | indent 8 }}
    }{{ end }}
{{- end }}
}
{{- end }}
{{- end -}}

{{/* The port of a word in `servers`: that of its first parameter, else the usual one; empty where the word is not there.
     Called with a list of the root, the word and the usual port. */}}
{{- define "signpost.wordPort" -}}
{{- $word := index . 1 -}}
{{- $usual := index . 2 -}}
{{- $found := "" -}}
{{- range $server := (index . 0).Values.servers -}}
{{- range $server.plugins -}}
{{- if and (eq .name $word) (not $found) -}}
{{- $found = $usual -}}
{{- with .parameters -}}
{{- $port := regexFind ":[0-9]+$" (toString . | splitList " " | first) -}}
{{- if $port -}}{{- $found = trimPrefix ":" $port -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $found -}}
{{- end -}}

{{/* The address that a word of `servers` is bound to; empty for all. Called with a list of the root and the word. */}}
{{- define "signpost.wordHost" -}}
{{- $word := index . 1 -}}
{{- $found := "" -}}
{{- range $server := (index . 0).Values.servers -}}
{{- range $server.plugins -}}
{{- if and (eq .name $word) (not $found) -}}
{{- $address := toString (default "" .parameters) | splitList " " | first -}}
{{- if regexMatch ":[0-9]+$" $address -}}{{- $found = regexReplaceAll ":[0-9]+$" $address "" -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if not (has $found (list "0.0.0.0" "[::]")) -}}
{{- $found | trimPrefix "[" | trimSuffix "]" -}}
{{- end -}}
{{- end -}}

{{/* Every port that the pods listen on for others, as JSON: name, port, protocol, servicePort, nodePort, hostPort. */}}
{{- define "signpost.ports" -}}
{{- $ports := list -}}
{{- $seen := dict -}}
{{- range $server := .Values.servers -}}
{{- $protocols := list -}}
{{- $number := int (default 53 $server.port) -}}
{{- range $zone := include "signpost.zones" $server | fromJsonArray -}}
{{- $scheme := default "dns://" $zone.scheme -}}
{{- if eq $scheme "dns://" -}}
{{- $protocols = append $protocols "UDP" -}}
{{- if not (and (hasKey $zone "use_tcp") (not $zone.use_tcp)) -}}{{- $protocols = append $protocols "TCP" -}}{{- end -}}
{{- else if or (eq $scheme "quic://") (eq $scheme "https3://") -}}
{{- $protocols = append $protocols "UDP" -}}
{{- else -}}
{{- $protocols = append $protocols "TCP" -}}
{{- end -}}
{{- end -}}
{{- range $protocol := uniq $protocols -}}
{{- $key := printf "%s-%v" (lower $protocol) $number -}}
{{- if not (hasKey $seen $key) -}}
{{- $name := $key -}}
{{- if and (eq $protocol "UDP") (not (hasKey $seen "dns")) -}}
{{- $name = "dns" -}}
{{- else if and (eq $protocol "TCP") (not (hasKey $seen "dns-tcp")) -}}
{{- $name = "dns-tcp" -}}
{{- end -}}
{{- $_ := set $seen $key true -}}
{{- $_ := set $seen $name true -}}
{{- $port := dict "name" $name "port" $number "protocol" $protocol "servicePort" (int (default $number $server.servicePort)) -}}
{{- with $server.nodePort -}}{{- $_ := set $port "nodePort" (int .) -}}{{- end -}}
{{- with $server.hostPort -}}{{- $_ := set $port "hostPort" (int .) -}}{{- end -}}
{{- $ports = append $ports $port -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with include "signpost.wordPort" (list . "prometheus" "9153") -}}
{{- $ports = append $ports (dict "name" "metrics" "port" (int .) "protocol" "TCP" "servicePort" (int .)) -}}
{{- end -}}
{{- toJson $ports -}}
{{- end -}}

{{/* What `servers` reads of an API server, as JSON: the rules of the ClusterRole. */}}
{{- define "signpost.rules" -}}
{{- $needs := dict -}}
{{- range $server := .Values.servers -}}
{{- range $server.plugins -}}
{{- $block := default "" .configBlock -}}
{{- if eq .name "kubernetes" -}}
{{- $_ := set $needs "services" true -}}
{{- if not (regexMatch "(?m)^\\s*noendpoints\\s*$" $block) -}}{{- $_ := set $needs "slices" true -}}{{- end -}}
{{- if regexMatch "(?m)^\\s*pods\\s+verified\\s*$" $block -}}{{- $_ := set $needs "pods" true -}}{{- end -}}
{{- if regexMatch "(?m)^\\s*multicluster\\b" $block -}}{{- $_ := set $needs "imports" true -}}{{- end -}}
{{- else if eq .name "autopath" -}}
{{- if contains "@kubernetes" (toString (default "" .parameters)) -}}{{- $_ := set $needs "pods" true -}}{{- end -}}
{{- else if eq .name "k8s_external" -}}
{{- if regexMatch "(?m)^\\s*ingress\\b" $block -}}{{- $_ := set $needs "ingresses" true -}}{{- end -}}
{{- if regexMatch "(?m)^\\s*gateway\\b" $block -}}{{- $_ := set $needs "gateways" true -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if kindIs "bool" .Values.rbac.pods -}}{{- $_ := set $needs "pods" .Values.rbac.pods -}}{{- end -}}
{{- if kindIs "bool" .Values.rbac.multiclusterEnable -}}{{- $_ := set $needs "imports" .Values.rbac.multiclusterEnable -}}{{- end -}}
{{- $verbs := list "list" "watch" -}}
{{- $rules := list -}}
{{- if $needs.services -}}
{{- $core := list "services" "namespaces" -}}
{{- if $needs.pods -}}{{- $core = append $core "pods" -}}{{- end -}}
{{- $rules = append $rules (dict "apiGroups" (list "") "resources" $core "verbs" $verbs) -}}
{{- end -}}
{{- if $needs.slices -}}
{{- $rules = append $rules (dict "apiGroups" (list "discovery.k8s.io") "resources" (list "endpointslices") "verbs" $verbs) -}}
{{- end -}}
{{- if $needs.imports -}}
{{- $rules = append $rules (dict "apiGroups" (list "multicluster.x-k8s.io") "resources" (list "serviceimports") "verbs" $verbs) -}}
{{- end -}}
{{- if $needs.ingresses -}}
{{- $rules = append $rules (dict "apiGroups" (list "networking.k8s.io") "resources" (list "ingresses") "verbs" $verbs) -}}
{{- end -}}
{{- if $needs.gateways -}}
{{- $rules = append $rules (dict "apiGroups" (list "gateway.networking.k8s.io") "resources" (list "gateways" "httproutes" "grpcroutes" "tlsroutes") "verbs" $verbs) -}}
{{- end -}}
{{- toJson $rules -}}
{{- end -}}

{{/* What the formula of `memory` comes to, in MiB. */}}
{{- define "signpost.need" -}}
{{- $kib := add (mul 3 (int .Values.memory.pods)) (mul 6 (int .Values.memory.services)) (int .Values.memory.endpoints) -}}
{{- /* Quarters of a KiB: 4096 are a MiB; rounded up. */ -}}
{{- add 24 (int .Values.memory.cacheMiB) (div (add $kib 4095) 4096) -}}
{{- end -}}

{{/* `resources`, with what is missing of memory computed. */}}
{{- define "signpost.resources" -}}
{{- $resources := deepCopy (default dict .Values.resources) -}}
{{- $need := int (include "signpost.need" .) -}}
{{- $requests := default dict $resources.requests -}}
{{- $limits := default dict $resources.limits -}}
{{- if not $limits.memory -}}{{- $_ := set $limits "memory" (printf "%dMi" (mul 2 $need)) -}}{{- end -}}
{{- if not $requests.memory -}}
{{- /* A request above a limit that was written by hand would be refused. */ -}}
{{- $_ := set $requests "memory" (ternary (printf "%dMi" $need) (toString $limits.memory) (not (dig "limits" "memory" "" .Values.resources))) -}}
{{- end -}}
{{- $_ := set $resources "requests" $requests -}}
{{- $_ := set $resources "limits" $limits -}}
{{- toYaml $resources -}}
{{- end -}}

{{/* What does not go together. */}}
{{- define "signpost.check" -}}
{{- if and .Values.hpa.enabled .Values.autoscaler.enabled -}}
{{- fail "hpa.enabled and autoscaler.enabled would both scale the Deployment: choose one" -}}
{{- end -}}
{{- if and .Values.node.enabled (or .Values.hpa.enabled .Values.autoscaler.enabled) -}}
{{- fail "node.enabled makes a pod on each node: hpa and autoscaler have nothing to scale" -}}
{{- end -}}
{{- if and .Values.node.localAddress (not (and .Values.node.enabled .Values.node.hostNetwork)) -}}
{{- fail "node.localAddress needs node.enabled and node.hostNetwork" -}}
{{- end -}}
{{- if and .Values.existingConfigMap .Values.zoneFiles -}}
{{- fail "zoneFiles go into the chart's ConfigMap, and existingConfigMap says that there is none: put them into yours" -}}
{{- end -}}
{{- if and (or .Values.livenessProbe.enabled .Values.startupProbe.enabled) (not (include "signpost.wordPort" (list . "health" "8080"))) -}}
{{- fail "livenessProbe and startupProbe need the word `health` in servers: add it, or set enabled to false" -}}
{{- end -}}
{{- if and .Values.readinessProbe.enabled (not (include "signpost.wordPort" (list . "ready" "8181"))) -}}
{{- fail "readinessProbe needs the word `ready` in servers: add it, or set enabled to false" -}}
{{- end -}}
{{- if and (or .Values.prometheus.monitor.enabled .Values.prometheus.service.enabled) (not (include "signpost.wordPort" (list . "prometheus" "9153"))) -}}
{{- fail "prometheus.service and prometheus.monitor need the word `prometheus` in servers" -}}
{{- end -}}
{{- range $file := .Values.zoneFiles -}}
{{- $read := false -}}
{{- range $server := $.Values.servers -}}
{{- range $server.plugins -}}
{{- $line := printf "%v %v " (default "" .parameters) (default "" .configBlock) -}}
{{- if contains $file.filename $line -}}
{{- $about := not $file.domain -}}
{{- range $zone := include "signpost.zones" $server | fromJsonArray -}}
{{- if eq (trimSuffix "." (default "" $file.domain)) (trimSuffix "." (default "." $zone.zone)) -}}{{- $about = true -}}{{- end -}}
{{- end -}}
{{- if or $about (contains (printf " %s " (trimSuffix "." (default "" $file.domain))) $line) -}}{{- $read = true -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if not $read -}}
{{- fail (printf "zoneFiles: no line of servers reads %s%s" $file.filename (ternary (printf " for %s" $file.domain) "" (not (empty $file.domain)))) -}}
{{- end -}}
{{- end -}}
{{- range $server := .Values.servers -}}
{{- range $server.plugins -}}
{{- if eq .name "health" -}}
{{- $duck := regexFind "lameduck\\s+[0-9]+s" (default "" .configBlock) -}}
{{- if $duck -}}
{{- $seconds := int (regexFind "[0-9]+" $duck) -}}
{{- if le (int $.Values.terminationGracePeriodSeconds) (add $seconds 5 | int) -}}
{{- fail (printf "terminationGracePeriodSeconds is %v: `%s` and 5 s for connections to end need more" $.Values.terminationGracePeriodSeconds $duck) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
