{{/*
SPDX-License-Identifier: MIT

What one ingress controller or another wants to hear for the same three things: a client comes
back to the node it was at (a cookie), WebSockets and polls may be silent longer than a ping
takes (25 s, and 20 s for its answer), and nothing is buffered.
*/}}

{{- define "peal.ingressClass" -}}
{{- $classes := dict "ingress-nginx" "nginx" "nginx-f5" "nginx" "traefik" "traefik" "haproxy" "haproxy" "alb" "alb" "gke" "" "" "" -}}
{{- .Values.ingress.className | default (get $classes .Values.ingress.preset) -}}
{{- end -}}

{{- define "peal.ingressPreset" -}}
{{- with .Values.ingress.preset -}}
{{- if eq . "ingress-nginx" -}}
nginx.ingress.kubernetes.io/affinity: cookie
nginx.ingress.kubernetes.io/affinity-mode: persistent
nginx.ingress.kubernetes.io/session-cookie-name: peal_node
nginx.ingress.kubernetes.io/session-cookie-path: /
nginx.ingress.kubernetes.io/session-cookie-samesite: Lax
nginx.ingress.kubernetes.io/session-cookie-change-on-failure: "true"
nginx.ingress.kubernetes.io/proxy-buffering: "off"
nginx.ingress.kubernetes.io/proxy-request-buffering: "off"
nginx.ingress.kubernetes.io/proxy-read-timeout: "60"
nginx.ingress.kubernetes.io/proxy-send-timeout: "60"
{{- else if eq . "nginx-f5" -}}
nginx.org/sticky-cookie-services: "serviceName={{ include "peal.fullname" $ }} peal_node expires=1h httponly path=/"
nginx.org/websocket-services: {{ include "peal.fullname" $ }}
nginx.org/proxy-buffering: "False"
nginx.org/proxy-read-timeout: 60s
nginx.org/proxy-send-timeout: 60s
nginx.org/max-fails: "0"
{{- else if eq . "haproxy" -}}
haproxy-ingress.github.io/affinity: cookie
haproxy-ingress.github.io/session-cookie-name: peal_node
haproxy-ingress.github.io/session-cookie-strategy: insert
haproxy-ingress.github.io/session-cookie-keywords: indirect nocache httponly
haproxy-ingress.github.io/balance-algorithm: leastconn
haproxy-ingress.github.io/timeout-server: 60s
haproxy-ingress.github.io/timeout-tunnel: 60s
{{- else if eq . "alb" -}}
alb.ingress.kubernetes.io/scheme: internet-facing
alb.ingress.kubernetes.io/target-type: ip
alb.ingress.kubernetes.io/healthcheck-protocol: HTTP
alb.ingress.kubernetes.io/healthcheck-port: "9090"
alb.ingress.kubernetes.io/healthcheck-path: /readyz
alb.ingress.kubernetes.io/healthcheck-interval-seconds: "10"
alb.ingress.kubernetes.io/load-balancer-attributes: idle_timeout.timeout_seconds=60
alb.ingress.kubernetes.io/target-group-attributes: stickiness.enabled=true,stickiness.type=lb_cookie,stickiness.lb_cookie.duration_seconds=3600,load_balancing.algorithm.type=least_outstanding_requests,deregistration_delay.timeout_seconds=60
{{- else if eq . "gke" -}}
kubernetes.io/ingress.class: gce
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What belongs on the Service. */}}
{{- define "peal.servicePreset" -}}
{{- if .Values.ingress.enabled -}}
{{- if eq .Values.ingress.preset "traefik" -}}
traefik.ingress.kubernetes.io/service.sticky.cookie: "true"
traefik.ingress.kubernetes.io/service.sticky.cookie.name: peal_node
traefik.ingress.kubernetes.io/service.sticky.cookie.path: /
traefik.ingress.kubernetes.io/service.sticky.cookie.httponly: "true"
traefik.ingress.kubernetes.io/service.sticky.cookie.samesite: lax
{{- else if eq .Values.ingress.preset "gke" -}}
cloud.google.com/neg: '{"ingress": true}'
cloud.google.com/backend-config: '{"default": "{{ include "peal.fullname" . }}"}'
{{- end -}}
{{- end -}}
{{- end -}}
