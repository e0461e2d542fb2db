// SPDX-License-Identifier: MIT
//
// The checks are checked: each finds what was broken on purpose. And what alerts and autoscalers
// ask for is what a node has to say.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { join } from 'node:path';

import { startCluster } from '../cluster/lib/bed.mjs';
import { startRedis } from '../cluster/lib/redis.mjs';
import { request } from '../interop/lib/http.mjs';
import { typeErrors, validate } from './lib/models.mjs';
import { complaints, context, objectsOf } from './lib/peal.mjs';
import { CHART, KUSTOMIZE, lacking, ROOT, run, template } from './lib/tools.mjs';

const of = (kind, objects) => objects.find((object) => object.kind === kind);
const pod = (objects) => of('Deployment', objects).spec.template;
const container = (objects) => pod(objects).spec.containers[0];
const peal = (objects, change) => {
  const { data } = of('ConfigMap', objects);
  data['peal.yaml'] = change(data['peal.yaml']);
};

const ALL = [
  'replicaCount=3', 'backplane.url=redis://redis:6379/0', 'ingress.enabled=true', 'networkPolicy.enabled=true',
  'serviceMonitor.enabled=true', 'prometheusRule.enabled=true', 'httpRoute.enabled=true',
  'httpRoute.parentRefs[0].name=gateway', 'api.key=k',
].flatMap((set) => ['--set', set]);

// What is done to good objects, and what must be said of it.
const BROKEN = {
  'root': [(o) => { pod(o).spec.securityContext.runAsUser = 0; }, /runAsUser/],
  'root, in the container': [(o) => { container(o).securityContext.runAsNonRoot = false; }, /runAsNonRoot/],
  'no seccomp': [(o) => { delete pod(o).spec.securityContext.seccompProfile; }, /seccompProfile/],
  'capabilities': [(o) => { container(o).securityContext.capabilities.add = ['NET_BIND_SERVICE']; }, /capabilities/],
  'a writable root': [(o) => { container(o).securityContext.readOnlyRootFilesystem = false; }, /readOnlyRootFilesystem/],
  'a test pod that is root': [(o) => { of('Pod', o).spec.securityContext = {}; }, /Pod .*runAsUser/],
  'a token': [(o) => { delete pod(o).spec.automountServiceAccountToken; }, /token/],
  'latest': [(o) => { container(o).image = 'registry:5000/peal:latest'; }, /image/],
  'no tag': [(o) => { container(o).image = 'registry:5000/peal'; }, /image/],
  'a probe at no port': [(o) => { container(o).livenessProbe.httpGet.port = 'health'; }, /no port health/],
  'liveness that depends on readiness': [(o) => { container(o).livenessProbe.httpGet.path = '/readyz'; }, /asks \/readyz/],
  'a Service that selects nothing': [(o) => { of('Service', o).spec.selector['app.kubernetes.io/name'] = 'x'; }, /Service .*selects no pod/],
  'a Service to no port': [(o) => { of('Service', o).spec.ports[0].targetPort = 'https'; }, /no port https/],
  'a PodDisruptionBudget for nothing': [(o) => { of('PodDisruptionBudget', o).spec.selector.matchLabels.a = 'b'; }, /PodDisruptionBudget .*selects no pod/],
  'a NetworkPolicy for no port': [(o) => { of('NetworkPolicy', o).spec.ingress[0].ports[0].port = 8081; }, /NetworkPolicy .*no port 8081/],
  'a ServiceMonitor of nothing': [(o) => { of('ServiceMonitor', o).spec.endpoints[0].port = 'http'; }, /0 services/],
  'an Ingress to nowhere': [(o) => { of('Ingress', o).spec.rules[0].http.paths[0].backend.service.name = 'x'; }, /no Service x/],
  'a route to no port': [(o) => { of('HTTPRoute', o).spec.rules[0].backendRefs[0].port = 81; }, /no port 81/],
  'pods of somebody else': [(o) => { of('Deployment', o).spec.selector.matchLabels.a = 'b'; }, /not its own pods/],
  'a missing Secret': [(o) => { o.splice(o.indexOf(of('Secret', o)), 1); }, /no Secret/],
  'a Secret without the key': [(o) => { for (const s of o) if (s.kind === 'Secret') s.data = {}; }, /no key/],
  'a missing ConfigMap': [(o) => { o.splice(o.indexOf(of('ConfigMap', o)), 1); }, /no ConfigMap/],
  'two who set the number of nodes': [(o) => { o.push({ kind: 'HorizontalPodAutoscaler', metadata: { name: 'x' }, spec: { scaleTargetRef: { kind: 'Deployment', name: of('Deployment', o).metadata.name } } }); }, /replicas of its own/],
  'a short grace period': [(o) => { pod(o).spec.terminationGracePeriodSeconds = 35; }, /is killed after 35 s/],
  'a hung node that is waited for': [(o) => { delete container(o).livenessProbe.terminationGracePeriodSeconds; }, /a drain that does not come/],
  'drains that overlap': [(o) => { of('Deployment', o).spec.minReadySeconds = 30; }, /drains of 35 s overlap/],
  'a deadline that the API server refuses': [(o) => { of('Deployment', o).spec.minReadySeconds = 635; }, /progressDeadlineSeconds 635/],
  'two islands': [(o) => { container(o).env = []; of('Deployment', o).spec.replicas = 1; }, /two islands/],
  'an unknown variable': [(o) => { container(o).env.push({ name: 'PEAL_LISTN', value: ':1' }); }, /PEAL_LISTN/],
  'an unknown option': [(o) => peal(o, (text) => `${text}\nlisten_on: 1\n`), /listen_on/],
  'a port that is not open': [(o) => peal(o, (text) => text.replace(':8080', ':8081')), /no port for listen/],
  'no backplane': [(o) => { container(o).env = container(o).env.filter(({ name }) => name !== 'PEAL_BACKPLANE'); }, /several nodes without a backplane/],
  'nodes nobody finds': [(o) => { container(o).env = container(o).env.filter(({ name }) => name !== 'PEAL_NODE_ADVERTISE'); }, /none says where it is/],
  'a limit of CPU': [(o) => { container(o).resources.limits.cpu = '1'; }, /limits/],
  'rare pings': [(o) => peal(o, (text) => `${text}\nsse.ping_interval: 90s\n`), /pings/],
};

describe('rules', { skip: lacking }, () => {
  let text;
  before(async () => {
    text = await template(ALL);
  });

  test('find nothing in what is right', async () => {
    assert.deepEqual(await complaints(objectsOf(text), await context()), []);
  });

  for (const [name, [change, complaint]] of Object.entries(BROKEN)) {
    test(`find ${name}`, async () => {
      const objects = objectsOf(text);
      change(objects);
      assert.match((await complaints(objects, await context())).join('\n'), complaint);
    });
  }

  test('types find a field that nobody knows', () => {
    const broken = Object.fromEntries(['Deployment', 'Service', 'Ingress', 'NetworkPolicy', 'ServiceMonitor', 'PrometheusRule', 'HTTPRoute'].map((kind) => {
      const object = of(kind, objectsOf(text));
      object.spec.sepc = 1;
      return [kind, [object]];
    }));
    const errors = typeErrors(broken);
    for (const kind of Object.keys(broken)) {
      assert.ok(errors.some((error) => error.startsWith(`${kind}: `) && error.includes('\'"sepc"\' does not exist')), kind);
    }
  });

  test('models find a value that cannot be', async () => {
    const [service] = objectsOf(text).filter(({ kind }) => kind === 'ServiceMonitor');
    service.spec.endpoints[0].interval = 'soon';
    await assert.rejects(validate(service));
  });
});

const noPromtool = spawnSync('promtool', ['--version']).error ? 'there is no promtool' : false;

test('alerts are rules that Prometheus takes', { skip: noPromtool }, async () => {
  const { status, stdout, stderr } = await run('promtool', ['check', 'rules', join(CHART, 'files/alerts.yaml')]);
  assert.equal(status, 0, stdout + stderr);
});

describe('metrics', () => {
  let redis, node;
  before(async () => {
    redis = await startRedis();
    [node] = await startCluster(1, redis, { set: { 'socketio.adapter': 'redis' } }); // it has metrics of its own
  });
  after(async () => {
    await node?.stop();
    await redis?.stop();
  });

  // Files that name metrics: alerts, autoscalers, the operator's manual.
  const files = [
    join(CHART, 'files/alerts.yaml'), join(CHART, 'templates/hpa.yaml'), join(CHART, 'templates/scaledobject.yaml'),
    join(KUSTOMIZE, 'components/hpa/hpa.yaml'), join(KUSTOMIZE, 'components/keda/scaledobject.yaml'),
    join(ROOT, 'docs/OPERATIONS.md'),
  ];

  test('that are asked for are there', async () => {
    const { text } = await request(node, { path: '/metrics' });
    const known = new Set([...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name));
    for (const file of files) {
      const asked = readFileSync(file, 'utf8').match(/\b(peal|process)_[a-z_]+[a-z]\b/g) ?? [];
      for (const name of asked.filter((one) => one !== 'peal_node')) assert.ok(known.has(name), `${name} in ${file}`);
    }
  });
});
