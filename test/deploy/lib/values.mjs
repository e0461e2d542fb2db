// SPDX-License-Identifier: MIT
//
// Sets of values for the chart: those that must render, and those that must be refused.

const redis = { backplane: { url: 'redis://redis:6379/0' } };
const three = { ...redis, replicaCount: 3 };
const gateway = (httpRoute) => ({ ...three, httpRoute: { enabled: true, parentRefs: [{ name: 'gateway', namespace: 'gateway' }], ...httpRoute } });
const release = (name) => gateway({ sessionPersistence: { release: name } });

export const PRESETS = ['ingress-nginx', 'nginx-f5', 'traefik', 'haproxy', 'alb', 'gke'];

export const GOOD = {
  defaults: {},
  'three nodes': three,
  'Secrets made elsewhere': {
    replicaCount: 3,
    backplane: { existingSecret: 'outside', existingSecretKey: 'redis-url' },
    api: { existingSecret: 'outside-api', existingSecretKey: 'token' },
  },
  'a secret of the nodes': { ...three, backplane: { ...redis.backplane, secret: 'sixteen-or-more-of-them' } },
  'api keys': { api: { key: 'k1,k2' } },
  'large numbers, lists, strings, switches': {
    config: {
      workers: 4, max_connections: 1_000_000, 'http.trusted_proxies': ['10.0.0.0/8', 'fd00::/8'],
      'socketio.max_payload': 1_000_000, 'socketio.deflate': true, 'ws.deflate': false,
      'http.body_max': '2m', 'log.level': 'warn', 'tls.min_version': '1.2', 'socketio.cors': ['*'],
      'ws.origins': 'https://a.example,https://b.example',
    },
  },
  rules: {
    rules: 'namespaces:\n  /admin: { connect: deny }\n  /:\n    events:\n      "z:*": drop\n      "a: b": ack\n' +
      '      say: { relay: namespace }\nchannels:\n  "public-*": { subscribe: true }\n  "*": {}\n',
  },
  'no rules, no defaults': { config: { workers: null, max_connections: null } },
  'a long drain': { drain: { delaySeconds: 60, windowSeconds: 600 } },
  'no drain': { drain: { delaySeconds: 0, windowSeconds: 0 } },
  names: { fullnameOverride: 'a-very-long-name-that-does-not-fit-into-a-label-of-kubernetes', nameOverride: 'bell', serviceAccount: { name: 'ringer' } },
  image: { image: { repository: 'registry.example:5000/a/peal', digest: `sha256:${'0'.repeat(64)}`, pullPolicy: 'Always' }, imagePullSecrets: [{ name: 'pull' }] },
  service: { service: { type: 'LoadBalancer', port: 8443, annotations: { 'example.com/a': 'b' } } },
  'pods of one\'s own kind': {
    podAnnotations: { 'example.com/a': 'b' }, podLabels: { team: 'rt' }, priorityClassName: 'high',
    nodeSelector: { disk: 'ssd' }, tolerations: [{ key: 'rt', operator: 'Exists', effect: 'NoSchedule' }],
    affinity: { podAntiAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 1, podAffinityTerm: { topologyKey: 'kubernetes.io/hostname', labelSelector: { matchLabels: { 'app.kubernetes.io/name': 'peal' } } } }] } },
    extraEnv: [{ name: 'PEAL_LOG_LEVEL', value: 'debug' }],
    extraVolumes: [{ name: 'tls', secret: { secretName: 'outside', optional: true } }],
    extraVolumeMounts: [{ name: 'tls', mountPath: '/etc/tls', readOnly: true }],
  },
  ...Object.fromEntries(PRESETS.map((preset) => [`ingress ${preset}`, {
    ...three, ingress: { enabled: true, preset, tlsSecret: 'peal-tls', annotations: { 'example.com/a': 'b' } },
  }])),
  'ingress without a preset': { ingress: { enabled: true, className: 'own', hosts: ['a.example', '*.b.example'], paths: ['/'] } },
  'a preset and another class': { ingress: { enabled: true, preset: 'ingress-nginx', className: 'internal', annotations: { 'nginx.ingress.kubernetes.io/affinity-mode': 'balanced' } } },
  'Gateway API': gateway({ requestTimeout: '0s', annotations: { 'example.com/a': 'b' } }),
  'Gateway API 1.4': release('1.4'),
  'Gateway API 1.6': release('1.6'),
  'Gateway API 1.7': release('1.7'),
  HPA: { ...redis, autoscaling: { enabled: true, connections: 1_000_000 } },
  KEDA: { ...redis, keda: { enabled: true }, serviceMonitor: { enabled: true } },
  'KEDA with a query': { ...redis, keda: { enabled: true, query: 'sum(peal_connections{app="peal"})' } },
  'network policy': { ...three, networkPolicy: { enabled: true } },
  'network policy for one node': { networkPolicy: { enabled: true, clientsFrom: [{ ipBlock: { cidr: '10.0.0.0/8' } }] } },
  'network policy with Redis in its place': { ...three, networkPolicy: { enabled: true, backplanePorts: [6379, 26379], backplaneTo: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'redis' } } }] } },
  monitoring: { serviceMonitor: { enabled: true, labels: { release: 'prometheus' } }, prometheusRule: { enabled: true, labels: { release: 'prometheus' } } },
  bare: { podDisruptionBudget: { enabled: false }, serviceAccount: { create: false } },
};

// What is made elsewhere.
export const OUTSIDE = ['Secret outside', 'Secret outside-api', 'ServiceAccount default'];

// Values, and what the complaint must speak of.
export const BAD = {
  'an unknown value': [{ replicas: 3 }, /replicas/],
  'an unknown value inside': [{ ingress: { enable: true } }, /enable/],
  'a text for a number': [{ replicaCount: '3' }, /replicaCount/],
  'a fraction of a node': [{ replicaCount: 1.5 }, /replicaCount/],
  'the tag latest': [{ image: { tag: 'latest' } }, /tag/],
  'a digest that is none': [{ image: { digest: 'sha256:12' } }, /digest/],
  'a listen address among the options': [{ config: { listen: ':1' } }, /listen/],
  'rules among the options': [{ config: { rules: 'x' } }, /rules/],
  'nested options': [{ config: { http: { body_max: '1m' } } }, /http/],
  'rules as a map': [{ rules: { channels: {} } }, /rules/],
  'an unknown preset': [{ ingress: { preset: 'nginx' } }, /preset/],
  'an unknown release of Gateway API': [{ httpRoute: { sessionPersistence: { release: '1.8' } } }, /release/],
  'a backplane of an unknown kind': [{ backplane: { url: 'amqp://x' } }, /url/],
  'a secret that is guessed': [{ ...redis, backplane: { ...redis.backplane, secret: 'short' } }, /secret/],
  'several nodes without a backplane': [{ replicaCount: 2 }, /backplane/],
  'an HPA without a backplane': [{ autoscaling: { enabled: true } }, /backplane/],
  'two who scale': [{ ...redis, autoscaling: { enabled: true }, keda: { enabled: true, query: 'x' } }, /enable one/],
  'KEDA without metrics': [{ ...redis, keda: { enabled: true } }, /serviceMonitor/],
  'a route without a Gateway': [{ httpRoute: { enabled: true } }, /parentRefs/],
  'nobody who may ask for metrics': [{ networkPolicy: { adminFrom: [] } }, /adminFrom/],
  'an annotation that is no text': [{ service: { annotations: { a: true } } }, /annotations/],
  'a negative drain': [{ drain: { windowSeconds: -1 } }, /windowSeconds/],
  'an empty test image tag': [{ test: { image: 'busybox:latest' } }, /image/],
};
