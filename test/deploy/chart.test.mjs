// SPDX-License-Identifier: MIT
//
// deploy/helm/peal, rendered by helm with many sets of values and looked at.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { before, describe, test } from 'node:test';
import { join } from 'node:path';

import { parse, stringify } from 'yaml';

import { startApiServer } from './lib/api-server.mjs';
import { typeErrors, validate } from './lib/models.mjs';
import { complaints, context, objectsOf, scratchFile } from './lib/peal.mjs';
import { AGES, CHART, helm, KUSTOMIZE, kustomize, lacking, template } from './lib/tools.mjs';
import { BAD, GOOD, OUTSIDE } from './lib/values.mjs';

const args = (values) => ['-f', scratchFile('values.yaml', stringify(values))];
const of = (kind, objects) => objects.find((object) => object.kind === kind);

describe('chart', { skip: lacking }, () => {
  const rendered = {};
  before(async () => {
    for (const [name, values] of Object.entries(GOOD)) rendered[name] = objectsOf(await template(args(values)));
  });

  for (const age of AGES) {
    test(`lint, ${age}`, async () => {
      const { status, stdout, stderr } = await helm(['lint', '--strict', CHART], age);
      assert.equal(status, 0, stdout + stderr);
    });
  }

  test('every object is of its type', () => {
    assert.deepEqual(typeErrors(rendered), []);
  });

  for (const [name, values] of Object.entries(GOOD)) {
    test(`${name}: models, rules, Peal, and Helm 3`, async () => {
      for (const object of rendered[name]) await validate(object);
      assert.deepEqual(await complaints(rendered[name], await context(OUTSIDE)), []);
      assert.deepEqual(objectsOf(await template(args(values), AGES[0])), rendered[name]);
    });
  }

  for (const [name, [values, complaint]] of Object.entries(BAD)) {
    test(`refused: ${name}`, async () => {
      for (const age of AGES) await assert.rejects(template(args(values), age), complaint);
    });
  }

  test('refused: an older Kubernetes', async () => {
    await assert.rejects(template(['--kube-version', '1.28.9']), /1\.28\.9/);
  });

  test('rules keep their order', () => {
    const { data } = of('ConfigMap', rendered.rules);
    assert.deepEqual(parse(data['peal.yaml']).rules, parse(GOOD.rules.rules));
    assert.ok(data['peal.yaml'].indexOf('"z:*"') < data['peal.yaml'].indexOf('"a: b"'));
  });

  test('options keep their types', () => {
    const { data } = of('ConfigMap', rendered['large numbers, lists, strings, switches']);
    for (const [name, value] of Object.entries(GOOD['large numbers, lists, strings, switches'].config)) {
      assert.deepEqual(parse(data['peal.yaml'])[name], value);
    }
  });

  test('a change of options, or of a Secret of its own, rolls the nodes', () => {
    const sums = ['defaults', 'three nodes', 'api keys', 'rules'].map((name) => {
      const { metadata, spec } = of('Deployment', rendered[name]).spec.template;
      return JSON.stringify([metadata.annotations, spec.volumes]);
    });
    assert.equal(new Set(sums).size, sums.length);
  });

  test('a change of options leaves the ConfigMap of old pods as it is', () => {
    const maps = ['defaults', 'rules', 'a long drain'].map((name) => of('ConfigMap', rendered[name]));
    assert.equal(new Set(maps.map(({ metadata }) => metadata.name)).size, maps.length);
    for (const map of maps) assert.equal(map.immutable, true);
  });

  // Something else sets the number of nodes: the chart must render what it is, not take it away,
  // for the API server would set it to 1.
  for (const age of AGES) {
    for (const name of ['HPA', 'KEDA']) {
      test(`${name} in a running installation, ${age}: the number of nodes stays`, async (t) => {
        const api = await startApiServer(t, {
          apiVersion: 'apps/v1', kind: 'Deployment', spec: { replicas: 7 },
          metadata: {
            name: 'bell-peal', namespace: 'rt', labels: { 'app.kubernetes.io/managed-by': 'Helm' },
            annotations: { 'meta.helm.sh/release-name': 'bell', 'meta.helm.sh/release-namespace': 'rt' },
          },
        });
        const objects = objectsOf(await template([...args(GOOD[name]), ...api], age));
        assert.equal(of('Deployment', objects).spec.replicas, 7);
      });
      test(`${name} in a new installation, ${age}: no number of nodes`, async (t) => {
        const objects = objectsOf(await template([...args(GOOD[name]), ...await startApiServer(t)], age));
        assert.equal(of('Deployment', objects).spec.replicas, undefined);
      });
    }
  }

  test('own annotations win over a preset, and come beside it', () => {
    const { metadata, spec } = of('Ingress', rendered['a preset and another class']);
    assert.equal(metadata.annotations['nginx.ingress.kubernetes.io/affinity'], 'cookie');
    assert.equal(metadata.annotations['nginx.ingress.kubernetes.io/affinity-mode'], 'balanced');
    assert.equal(spec.ingressClassName, 'internal');
    for (const preset of ['alb', 'gke']) {
      assert.equal(of('Ingress', rendered[`ingress ${preset}`]).metadata.annotations['example.com/a'], 'b');
    }
  });

  test('names fit', () => {
    for (const object of rendered.names) assert.ok(object.metadata.name.length <= 63, object.metadata.name);
  });

  test('every value is in the schema and in the README', () => {
    const schema = JSON.parse(readFileSync(join(CHART, 'values.schema.json'), 'utf8'));
    const readme = readFileSync(join(CHART, 'README.md'), 'utf8');
    const values = parse(readFileSync(join(CHART, 'values.yaml'), 'utf8'));
    for (const [name, value] of Object.entries(values)) {
      assert.ok(schema.properties[name], `${name} is not in the schema`);
      const { properties } = schema.properties[name];
      const inner = properties ? Object.keys(value).map((key) => `${name}.${key}`) : [name];
      for (const one of inner) assert.ok(readme.includes(`\`${one}\``), `${one} is not in the README`);
      if (properties) assert.deepEqual(Object.keys(properties).sort(), Object.keys(value).sort(), name);
    }
  });
});

// The chart, asked for what the overlays have, must give the same.
describe('chart and kustomize', { skip: lacking }, () => {
  const LABEL = /^app\.kubernetes\.io\/(instance|version|managed-by)$|^helm\.sh\/chart$/;
  const plain = (value) => (Array.isArray(value) ? value.map(plain)
    : value === null || typeof value !== 'object' ? value
      : Object.fromEntries(Object.entries(value)
        .filter(([key]) => !LABEL.test(key))
        .map(([key, inner]) => [key, plain(inner)])));

  let base;
  const chart = async (values) => plain(objectsOf(await template(args({
    fullnameOverride: 'peal', replicaCount: 3, backplane: { existingSecret: 'peal-backplane' }, ...values,
  }))));
  const component = async (name, file) => plain(objectsOf(readFileSync(join(KUSTOMIZE, 'components', name, file), 'utf8')))[0];
  before(async () => {
    base = plain(objectsOf(await kustomize(`${KUSTOMIZE}/overlays/production`)));
  });

  test('the same pods', async () => {
    const pod = (objects) => {
      const { spec } = of('Deployment', objects).spec.template;
      const [container] = spec.containers;
      const env = container.env.filter(({ name }) => name !== 'PEAL_API_KEY');
      return { ...spec, volumes: [], containers: [{ ...container, env }] };
    };
    assert.deepEqual(pod(await chart({})), pod(base));
  });

  test('the same objects', async () => {
    const objects = await chart({
      autoscaling: { enabled: true }, networkPolicy: { enabled: true },
      serviceMonitor: { enabled: true }, prometheusRule: { enabled: true },
    });
    const specs = (all) => Object.fromEntries(all
      .filter(({ kind, spec, metadata }) => spec && kind !== 'HTTPRoute' && !metadata.annotations?.['helm.sh/hook'])
      .map(({ kind, metadata, spec }) => [`${kind} ${metadata.name}`, { ...spec, template: null }]));
    assert.deepEqual(specs(objects), specs(base));
  });

  test('the same configuration', async () => {
    const of2 = (objects) => parse(of('ConfigMap', objects).data['peal.yaml']);
    assert.deepEqual({ ...of2(await chart({})), rules: null }, { ...of2(base), rules: null });
  });

  test('the same ScaledObject', async () => {
    const { spec } = of('ScaledObject', await chart({ keda: { enabled: true, query: 'sum(peal_connections{service="peal-metrics"})' } }));
    assert.deepEqual(spec, (await component('keda', 'scaledobject.yaml')).spec);
  });

  const PRESETS = { 'ingress-nginx': 'ingress-nginx', 'nginx-f5': 'ingress-nginx-f5', traefik: 'ingress-traefik', haproxy: 'ingress-haproxy', alb: 'ingress-alb', gke: 'ingress-gke' };
  for (const [preset, name] of Object.entries(PRESETS)) {
    test(`the same ${name}`, async () => {
      const objects = await chart({ ingress: { enabled: true, preset, tlsSecret: 'peal-tls' } });
      const ingress = await component('ingress', 'ingress.yaml');
      const { patches } = await component(name, 'kustomization.yaml');
      const patch = (kind) => patches.map((p) => parse(p.patch)).find((p) => p.kind === kind);
      assert.deepEqual(of('Ingress', objects).metadata.annotations, patch('Ingress').metadata.annotations);
      assert.deepEqual(of('Ingress', objects).spec, { ...ingress.spec, ...patch('Ingress').spec });
      assert.deepEqual(of('Service', objects).metadata.annotations, patch('Service')?.metadata.annotations);
      if (preset === 'gke') assert.deepEqual(of('BackendConfig', objects).spec, (await component(name, 'backendconfig.yaml')).spec);
    });
  }

  for (const [name, release] of [['gateway-api', ''], ['gateway-api-sticky-1.6', '1.6'], ['gateway-api-sticky-1.7', '1.7']]) {
    test(`the same ${name}`, async () => {
      const objects = await chart({ httpRoute: { enabled: true, parentRefs: [{ name: 'gateway', namespace: 'gateway' }], sessionPersistence: { release } } });
      const { spec } = await component('gateway-api', 'httproute.yaml');
      const { patches = [] } = await component(name, 'kustomization.yaml');
      for (const { value } of patches.flatMap(({ patch }) => parse(patch))) spec.rules[0].sessionPersistence = value;
      assert.deepEqual(of('HTTPRoute', objects).spec, spec);
    });
  }
});
