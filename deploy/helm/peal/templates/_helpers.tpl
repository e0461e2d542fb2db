{{/* SPDX-License-Identifier: MIT */}}

{{- define "peal.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* 53 characters, so that suffixes fit. */}}
{{- define "peal.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 53 | trimSuffix "-" -}}
{{- else if contains (include "peal.name" .) .Release.Name -}}
{{- .Release.Name | trunc 53 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "peal.name" .) | trunc 53 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "peal.selectorLabels" -}}
app.kubernetes.io/name: {{ include "peal.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "peal.labels" -}}
{{ include "peal.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "peal.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "peal.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{- define "peal.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{- printf "%s@%s" .repository .digest -}}
{{- else -}}
{{- printf "%s:%s" .repository (.tag | default $.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Not empty if there is one. */}}
{{- define "peal.hasBackplane" -}}
{{- if or .Values.backplane.url .Values.backplane.existingSecret -}}yes{{- end -}}
{{- end -}}

{{- define "peal.backplaneSecret" -}}
{{- .Values.backplane.existingSecret | default (printf "%s-backplane" (include "peal.fullname" .)) -}}
{{- end -}}

{{- define "peal.apiSecret" -}}
{{- .Values.api.existingSecret | default (printf "%s-api" (include "peal.fullname" .)) -}}
{{- end -}}

{{/* Combinations that render, and could not work. */}}
{{- define "peal.check" -}}
{{- $scaled := or .Values.autoscaling.enabled .Values.keda.enabled -}}
{{- if and (or $scaled (gt (int .Values.replicaCount) 1)) (not (include "peal.hasBackplane" .)) -}}
{{- fail "several nodes need a backplane: set backplane.url or backplane.existingSecret" -}}
{{- end -}}
{{- if and .Values.autoscaling.enabled .Values.keda.enabled -}}
{{- fail "autoscaling and keda would both scale the Deployment: enable one" -}}
{{- end -}}
{{- if and .Values.keda.enabled (not .Values.keda.query) (not .Values.serviceMonitor.enabled) -}}
{{- fail "keda asks for metrics that nobody collects: set serviceMonitor.enabled or keda.query" -}}
{{- end -}}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) -}}
{{- fail "httpRoute.parentRefs must name a Gateway" -}}
{{- end -}}
{{- end -}}

{{/* A value of peal.yaml. Numbers come as floats, and large ones would be written 1e+06. */}}
{{- define "peal.value" -}}
{{- if kindIs "slice" . -}}
{{- $all := list -}}
{{- range . -}}{{- $all = append $all (include "peal.value" .) -}}{{- end -}}
[{{ join ", " $all }}]
{{- else if kindIs "string" . -}}
{{ toJson . }}
{{- else if kindIs "bool" . -}}
{{ . }}
{{- else -}}
{{ int64 . }}
{{- end -}}
{{- end -}}

{{- define "peal.config" -}}
# Made by the chart {{ .Chart.Name }}: change its values.
listen: ":8080"
admin.listen: ":9090"
{{- if include "peal.hasBackplane" . }}
node.listen: ":7946"
{{- end }}
drain.delay: {{ .Values.drain.delaySeconds }}s
drain.window: {{ .Values.drain.windowSeconds }}s
{{- range $name, $value := .Values.config }}
{{ $name }}: {{ include "peal.value" $value }}
{{- end }}
{{- with .Values.rules }}
rules:
{{ . | trimSuffix "\n" | indent 2 }}
{{- end }}
{{- end -}}

{{/* With a hash of the content, so that a change rolls the nodes, and an old pod keeps its own. */}}
{{- define "peal.configName" -}}
{{- printf "%s-%s" (include "peal.fullname" .) (include "peal.config" . | sha256sum | trunc 8) -}}
{{- end -}}

{{- define "peal.drainSeconds" -}}
{{- add .Values.drain.delaySeconds .Values.drain.windowSeconds -}}
{{- end -}}

{{/*
The number of nodes. Where something scales them: as many as there are now, if the cluster can be
asked. Without the field the API server would set it to 1 when it is taken away, and all nodes
but one would drain.
*/}}
{{- define "peal.replicas" -}}
{{- if or .Values.autoscaling.enabled .Values.keda.enabled -}}
{{- $live := lookup "apps/v1" "Deployment" .Release.Namespace (include "peal.fullname" .) -}}
{{- if $live -}}{{- $live.spec.replicas | int -}}{{- end -}}
{{- else -}}
{{- .Values.replicaCount | int -}}
{{- end -}}
{{- end -}}

{{/* Fast up; down by one node in five minutes, for each takes its clients' connections along. */}}
{{- define "peal.scalingBehavior" -}}
scaleUp:
  stabilizationWindowSeconds: 0
  policies:
    - type: Percent
      value: 100
      periodSeconds: 60
scaleDown:
  stabilizationWindowSeconds: 900
  policies:
    - type: Pods
      value: 1
      periodSeconds: 300
{{- end -}}
