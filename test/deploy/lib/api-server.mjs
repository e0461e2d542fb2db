// SPDX-License-Identifier: MIT
//
// As much of a Kubernetes API server as helm asks when a template calls `lookup`: its version, what
// kinds there are, and the objects that the test names. It answers reads only.

import http from 'node:http';

import { stringify } from 'yaml';

import { scratchFile } from './peal.mjs';

const VERSION = { major: '1', minor: '34', gitVersion: 'v1.34.0' };

// What the chart has objects of, with the parts of their paths.
const KINDS = {
  v1: { ConfigMap: 'configmaps', Secret: 'secrets', Service: 'services', ServiceAccount: 'serviceaccounts', Pod: 'pods' },
  'apps/v1': { Deployment: 'deployments' },
  'policy/v1': { PodDisruptionBudget: 'poddisruptionbudgets' },
  'autoscaling/v2': { HorizontalPodAutoscaler: 'horizontalpodautoscalers' },
  'keda.sh/v1alpha1': { ScaledObject: 'scaledobjects' },
  'monitoring.coreos.com/v1': { ServiceMonitor: 'servicemonitors' },
};
const groups = Object.keys(KINDS).filter((name) => name.includes('/')).map((groupVersion) => {
  const [name, version] = groupVersion.split('/');
  return { name, versions: [{ groupVersion, version }], preferredVersion: { groupVersion, version } };
});
const resources = (groupVersion) => ({
  kind: 'APIResourceList', apiVersion: 'v1', groupVersion,
  resources: Object.entries(KINDS[groupVersion]).map(([kind, name]) => (
    { name, singularName: kind.toLowerCase(), namespaced: true, kind, verbs: ['get', 'list'] })),
});
const root = (groupVersion) => (groupVersion.includes('/') ? `/apis/${groupVersion}` : `/api/${groupVersion}`);
const KNOWN = {
  '/version': VERSION,
  '/api': { kind: 'APIVersions', versions: ['v1'] },
  '/apis': { kind: 'APIGroupList', apiVersion: 'v1', groups },
  ...Object.fromEntries(Object.keys(KINDS).map((name) => [root(name), resources(name)])),
};

const pathOf = ({ apiVersion, kind, metadata: { namespace, name } }) =>
  `${root(apiVersion)}/namespaces/${namespace}/${KINDS[apiVersion][kind]}/${name}`;
const answer = (path, objects) => KNOWN[path] ?? objects.find((object) => pathOf(object) === path);

// The options by which helm asks it. It ends with the test.
export async function startApiServer(t, ...objects) {
  const server = http.createServer((req, res) => {
    const body = answer(new URL(req.url, 'http://x').pathname, objects);
    res.writeHead(body ? 200 : 404, { 'Content-Type': 'application/json' });
    res.end(JSON.stringify(body ?? {
      kind: 'Status', apiVersion: 'v1', status: 'Failure', reason: 'NotFound', code: 404, message: 'not found',
    }));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => { server.close(); server.closeAllConnections(); });
  const cluster = { server: `http://127.0.0.1:${server.address().port}` };
  return ['--dry-run=server', '--disable-openapi-validation', '--kubeconfig', scratchFile('kubeconfig', stringify({
    apiVersion: 'v1', kind: 'Config', 'current-context': 'test',
    clusters: [{ name: 'test', cluster }], users: [{ name: 'test', user: {} }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
  }))];
}
