// SPDX-License-Identifier: MIT
//
// What must hold for a set of objects that are applied together, beyond what their models say:
// references lead somewhere, pods pass the Pod Security Standard "restricted", a node has the
// time to drain, and Peal itself takes the configuration. Each rule returns its complaints.

import { parse } from 'yaml';

const named = ({ kind, metadata }) => `${kind} ${metadata.name}`;
const is = (kind) => (object) => object.kind === kind;

const podOf = (object) => (object.kind === 'Pod' ? object : object.spec.template);
const workloads = (objects) => objects.filter((o) => ['Deployment', 'Pod'].includes(o.kind));
const containersOf = (object) => {
  const { containers, initContainers = [] } = podOf(object).spec;
  return [...containers, ...initContainers];
};

const matches = (labels, wanted) => Object.entries(wanted ?? {}).every(([k, v]) => labels?.[k] === v);
const selects = (selector, labels) =>
  selector !== undefined && Object.keys(selector).length > 0 && matches(labels, selector);

const find = (objects, kind, name) => objects.find((o) => o.kind === kind && o.metadata.name === name);
const list = (array) => array ?? [];

export function security(objects) {
  return workloads(objects).flatMap((object) => {
    const { spec } = podOf(object);
    const pod = spec.securityContext ?? {};
    const wrong = [];
    const must = (ok, what) => ok || wrong.push(`${named(object)}: ${what}`);
    must(spec.automountServiceAccountToken === false, 'a token is mounted');
    must(spec.enableServiceLinks === false, 'variables of services are set');
    for (const key of ['hostNetwork', 'hostPID', 'hostIPC']) must(!spec[key], key);
    for (const volume of list(spec.volumes)) must(!volume.hostPath, `hostPath ${volume.name}`);
    for (const c of containersOf(object)) {
      const sc = { ...pod, ...c.securityContext };
      must(sc.runAsNonRoot === true, `${c.name}: runAsNonRoot`);
      must(sc.runAsUser > 0, `${c.name}: runAsUser`);
      must(sc.seccompProfile?.type === 'RuntimeDefault', `${c.name}: seccompProfile`);
      must(sc.allowPrivilegeEscalation === false, `${c.name}: allowPrivilegeEscalation`);
      must(!sc.privileged, `${c.name}: privileged`);
      must(sc.readOnlyRootFilesystem === true, `${c.name}: readOnlyRootFilesystem`);
      must(sc.capabilities?.drop?.includes('ALL') && !sc.capabilities.add?.length, `${c.name}: capabilities`);
      must(list(c.ports).every((p) => !p.hostPort), `${c.name}: hostPort`);
    }
    return wrong;
  });
}

export function images(objects) {
  return workloads(objects).flatMap((object) => containersOf(object)
    .filter(({ image }) => !/(:[\w][\w.-]*|@sha256:[0-9a-f]{64})$/.test(image.replace(/^[^/]*:\d+\//, '')) ||
      /:latest$/.test(image))
    .map(({ image }) => `${named(object)}: image ${image}`));
}

export function probes(objects) {
  return objects.filter(is('Deployment')).flatMap((object) => containersOf(object).flatMap((c) => {
    const wrong = [];
    for (const [probe, path] of [['startupProbe', '/livez'], ['livenessProbe', '/livez'], ['readinessProbe', '/readyz']]) {
      const get = c[probe]?.httpGet;
      if (!get) wrong.push(`no ${probe}`);
      else if (get.path !== path) wrong.push(`${probe} asks ${get.path}`);
      else if (!list(c.ports).some((p) => p.name === get.port)) wrong.push(`${probe}: no port ${get.port}`);
    }
    // A node that hangs uses up whatever it is given.
    const { terminationGracePeriodSeconds: grace = Infinity } = c.livenessProbe ?? {};
    if (grace > 10) wrong.push('livenessProbe waits for a drain that does not come');
    return wrong.map((what) => `${named(object)}: ${what}`);
  }));
}

// Labels that select, and names that refer.
export function references(objects, { outside = [] } = {}) {
  const wrong = [];
  const pods = workloads(objects).map(podOf);
  const services = objects.filter(is('Service'));
  const hit = (owner, selector) => pods.some((pod) => selects(selector, pod.metadata.labels)) ||
    wrong.push(`${named(owner)} selects no pod`);
  const exists = (owner, kind, name) => find(objects, kind, name) || outside.includes(`${kind} ${name}`) ||
    wrong.push(`${named(owner)}: no ${kind} ${name}`);

  for (const object of objects) {
    const { spec } = object;
    switch (object.kind) {
      case 'Deployment':
        if (!selects(spec.selector.matchLabels, spec.template.metadata.labels)) wrong.push(`${named(object)} selects not its own pods`);
        for (const { labelSelector } of list(spec.template.spec.topologySpreadConstraints)) hit(object, labelSelector.matchLabels);
        exists(object, 'ServiceAccount', spec.template.spec.serviceAccountName);
        break;
      case 'Service':
        hit(object, spec.selector);
        for (const { targetPort } of spec.ports) {
          const open = pods.filter((pod) => selects(spec.selector, pod.metadata.labels))
            .every((pod) => pod.spec.containers.some((c) => list(c.ports).some((p) => p.name === targetPort)));
          if (!open) wrong.push(`${named(object)}: no port ${targetPort}`);
        }
        break;
      case 'PodDisruptionBudget':
        hit(object, spec.selector.matchLabels);
        if (spec.maxUnavailable !== 1 || spec.minAvailable !== undefined) wrong.push(`${named(object)}: maxUnavailable`);
        break;
      case 'NetworkPolicy':
        hit(object, spec.podSelector.matchLabels);
        for (const rule of list(spec.ingress)) {
          for (const { port } of list(rule.ports)) {
            if (!pods.some((pod) => pod.spec.containers.some((c) => list(c.ports).some((p) => p.containerPort === port || p.name === port)))) wrong.push(`${named(object)}: no port ${port}`);
          }
        }
        break;
      case 'HorizontalPodAutoscaler':
      case 'ScaledObject': {
        const { name, kind = 'Deployment' } = spec.scaleTargetRef;
        exists(object, kind, name);
        if (find(objects, kind, name)?.spec.replicas !== undefined) wrong.push(`${named(object)}: ${kind} ${name} has replicas of its own`);
        break;
      }
      case 'ServiceMonitor':
        for (const { port } of spec.endpoints) {
          const all = services.filter((s) => selects(spec.selector.matchLabels, s.metadata.labels) && s.spec.ports.some((p) => p.name === port));
          if (all.length !== 1) wrong.push(`${named(object)}: ${all.length} services with port ${port}`);
        }
        break;
      case 'Ingress':
        for (const { http } of spec.rules) {
          for (const { backend: { service } } of http.paths) {
            exists(object, 'Service', service.name);
            const ports = list(find(objects, 'Service', service.name)?.spec.ports);
            if (!ports.some((p) => p.name === service.port.name)) wrong.push(`${named(object)}: no port ${service.port.name}`);
          }
        }
        break;
      case 'HTTPRoute':
        for (const { name, port } of spec.rules.flatMap((rule) => rule.backendRefs)) {
          exists(object, 'Service', name);
          const ports = list(find(objects, 'Service', name)?.spec.ports);
          if (!ports.some((p) => p.port === port)) wrong.push(`${named(object)}: no port ${port}`);
        }
        break;
    }
  }
  for (const object of workloads(objects)) {
    for (const { configMap, secret } of list(podOf(object).spec.volumes)) {
      if (configMap && !configMap.optional) exists(object, 'ConfigMap', configMap.name);
      if (secret && !secret.optional) exists(object, 'Secret', secret.secretName);
    }
    for (const { valueFrom } of containersOf(object).flatMap((c) => list(c.env))) {
      const key = valueFrom?.secretKeyRef;
      if (!key || key.optional) continue;
      exists(object, 'Secret', key.name);
      const secret = find(objects, 'Secret', key.name);
      if (secret && !(key.key in (secret.data ?? secret.stringData))) wrong.push(`${named(object)}: no key ${key.key} in Secret ${key.name}`);
    }
  }
  return wrong;
}

// What the container gets, with examples for what only a cluster knows.
const FIELDS = { 'metadata.name': 'peal-6f7c9d-x2x4z', 'status.podIP': '10.1.2.3', 'metadata.namespace': 'rt' };
function environment(objects, container) {
  const secret = ({ name, key }) => {
    const { data, stringData } = find(objects, 'Secret', name) ?? {};
    if (data?.[key]) return Buffer.from(data[key], 'base64').toString();
    return stringData?.[key] ?? (/backplane|redis|url/.test(`${name} ${key}`) ? 'redis://user:password@redis:6379/0' : 'example');
  };
  const known = ({ valueFrom }) => {
    const key = valueFrom?.secretKeyRef;
    const { data, stringData } = find(objects, 'Secret', key?.name) ?? {};
    return !key?.optional || data?.[key.key] !== undefined || stringData?.[key.key] !== undefined;
  };
  return Object.fromEntries(list(container.env).filter(known).map(({ name, value, valueFrom }) => [name,
    value ?? (valueFrom.fieldRef ? FIELDS[valueFrom.fieldRef.fieldPath] : secret(valueFrom.secretKeyRef))]));
}

const seconds = (text) => {
  const [, n, unit] = /^(\d+)(ms|s|m|h|d)$/.exec(text);
  return n * { ms: 0.001, s: 1, m: 60, h: 3600, d: 86400 }[unit];
};

// How the pods of a Deployment are replaced, for nodes with these options.
function rollout({ strategy, minReadySeconds = 0, progressDeadlineSeconds = 600 }, options) {
  const drain = seconds(options['drain.delay']) + seconds(options['drain.window']);
  const wrong = [];
  if (progressDeadlineSeconds <= minReadySeconds) wrong.push(`progressDeadlineSeconds ${progressDeadlineSeconds}, minReadySeconds ${minReadySeconds}`);
  if (options.backplane === 'memory') {
    if (strategy?.type !== 'Recreate') wrong.push('an old and a new node without a backplane are two islands');
  } else if (minReadySeconds < drain) {
    wrong.push(`drains of ${drain} s overlap: minReadySeconds ${minReadySeconds}`);
  }
  return wrong;
}

// peal(args, { env, files: { path: text } }) runs it: { status, stdout, stderr }.
export async function configuration(objects, { peal, names }) {
  const wrong = [];
  for (const object of objects.filter(is('Deployment'))) {
    const { spec } = podOf(object);
    const [container] = spec.containers;
    const complain = (what) => wrong.push(`${named(object)}: ${what}`);
    const env = environment(objects, container);
    for (const name of Object.keys(env)) {
      if (name.startsWith('PEAL_') && !names.has(name)) complain(`no such variable: ${name}`);
    }
    const file = container.args[container.args.indexOf('-c') + 1];
    const mount = container.volumeMounts.find(({ mountPath }) => file.startsWith(`${mountPath}/`));
    const volume = spec.volumes.find(({ name }) => name === mount?.name);
    const text = find(objects, 'ConfigMap', volume?.configMap.name)?.data[file.slice(mount.mountPath.length + 1)];
    if (text === undefined) {
      complain(`${file} is nowhere`);
      continue;
    }
    const checked = await peal(['check', '-c'], { env, text });
    if (checked.status !== 0) {
      complain(`peal check: ${checked.stderr}${checked.stdout}`);
      continue;
    }
    const options = parse((await peal(['config', '--effective', '-c'], { env, text })).stdout);
    const needs = seconds(options['drain.delay']) + 2 * seconds(options['drain.window']);
    const grace = spec.terminationGracePeriodSeconds;
    if (!(grace > needs)) complain(`is killed after ${grace} s, drains for ${needs}`);
    for (const what of rollout(object.spec, options)) complain(what);
    for (const option of ['listen', 'admin.listen', 'node.listen']) {
      if (options.backplane === 'memory' && option === 'node.listen') continue;
      const port = Number(/:(\d+)$/.exec(options[option])?.[1]);
      if (!list(container.ports).some((p) => p.containerPort === port)) complain(`no port for ${option} ${options[option]}`);
    }
    const scaled = objects.some((o) => ['HorizontalPodAutoscaler', 'ScaledObject'].includes(o.kind));
    const many = scaled || (object.spec.replicas ?? 1) > 1;
    if (many && options.backplane === 'memory') complain('several nodes without a backplane');
    if (many && !env.PEAL_NODE_ADVERTISE) complain('several nodes, and none says where it is');
    if (!env.PEAL_NODE_NAME) complain('has no name');
    if (!container.resources?.limits?.memory || container.resources.limits.cpu) complain('limits');
    const ping = Math.max(...['socketio', 'ws', 'sse'].map((p) => seconds(options[`${p}.ping_interval`])));
    if (ping >= 60) complain('pings are rarer than proxies are patient');
  }
  return wrong;
}

export const RULES = { security, images, probes, references, configuration };

export async function complaints(objects, context) {
  return (await Promise.all(Object.values(RULES).map((rule) => rule(objects, context)))).flat();
}
