// SPDX-License-Identifier: MIT
//
// Peal in its image, run as a cluster would run it: by confine.c, with the arguments, variables
// and configuration that the chart renders.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { join } from 'node:path';

import { io } from 'socket.io-client';
import WebSocket from 'ws';

import { startRedis } from '../cluster/lib/redis.mjs';
import { request } from '../interop/lib/http.mjs';
import { Process } from '../interop/lib/peal.mjs';
import { next, until, within } from '../interop/lib/wait.mjs';
import { build, makeConfine, open, sanitized, USER } from './lib/image.mjs';
import { objectsOf, scratchFile } from './lib/peal.mjs';
import { lacking, template } from './lib/tools.mjs';

const RULES = 'namespaces:\n  /: { events: { hi: ack } }\nchannels:\n  "public-*": { subscribe: true }\n';

const confine = makeConfine();
const running = new Set();

// What is other than in a cluster: the ports, and fewer files.
const HERE = {
  PEAL_LISTEN: '127.0.0.1:0', PEAL_ADMIN_LISTEN: '127.0.0.1:0', PEAL_MAX_CONNECTIONS: '100',
  PEAL_DRAIN_DELAY: '0s', PEAL_DRAIN_WINDOW: '0s',
};

// What the tests set beside what the chart sets.
const OURS = new Set([...Object.keys(HERE), 'PEAL_NODE_LISTEN', 'PEAL_IO_ENGINE']);

// Puts the chart's configuration into the image, and returns how to run it there: start(env,
// options of confine).
async function deploy(out, sets) {
  const objects = objectsOf(await template([...sets.flatMap((set) => ['--set', set]), '--set-literal', `rules=${RULES}`]));
  const [container] = objects.find(({ kind }) => kind === 'Deployment').spec.template.spec.containers;
  const { config } = open(join(out, 'peal.tar')).config;
  writeFileSync(join(out, 'rootfs/etc/peal/peal.yaml'), objects.find(({ kind }) => kind === 'ConfigMap').data['peal.yaml']);
  const image = Object.fromEntries(config.Env.map((line) => line.split(/=(.*)/s)));
  const charts = container.env.map(({ name }) => name);
  return (env, options = []) => {
    for (const name of Object.keys(env)) assert.ok(OURS.has(name) || charts.includes(name), `the chart does not set ${name}`);
    const node = new Process(confine.path, [...options, join(out, 'rootfs'), ...config.Entrypoint, ...container.args], { env: { ...image, ...env } });
    running.add(node);
    return node;
  };
}

// Where it listens: for clients (nothing), admin, nodes.
async function listens(node, who) {
  const [, host, port] = await node.log(new RegExp(`address=([0-9.]+):(\\d+) tls=off${who ? ` for=${who}` : '\n'}`));
  return { host, port: Number(port) };
}

async function ends(node, status) {
  assert.deepEqual(await within(node.exited, 'the end'), { status, signal: null });
  return node.stderr;
}

describe('confined', { skip: confine.lacking || sanitized && 'sanitizers want more of a container' || lacking }, () => {
  const out = scratchFile('image');
  before(() => build(out));
  after(async () => {
    for (const node of running) if (node.alive) await node.kill();
  });

  describe('one node', () => {
    const env = { ...HERE, PEAL_NODE_NAME: 'peal-6f7c9d-x2x4z' };
    let start, node, client, admin;
    before(async () => {
      start = await deploy(out, []);
      node = start(env);
      client = await listens(node);
      admin = await listens(node, 'admin');
    });

    test('runs without io_uring, and says so', async () => {
      await node.log(/msg="?started"? .*engine=epoll/);
    });

    test('is user 65532, has no capabilities, gets none, and is filtered', () => {
      const status = readFileSync(`/proc/${node.pid}/status`, 'utf8');
      const field = (name) => new RegExp(`^${name}:\\s+(.*)$`, 'm').exec(status)[1];
      if (process.getuid() === 0) assert.equal(field('Uid'), [USER, USER, USER, USER].join('\t'));
      assert.match(field('CapEff'), /^0+$/);
      assert.match(field('CapPrm'), /^0+$/);
      assert.equal(field('NoNewPrivs'), '1');
      assert.equal(field('Seccomp'), '2');
    });

    test('is alive and ready, on the admin port alone', async () => {
      assert.equal((await request(admin, { path: '/livez' })).status, 200);
      assert.equal((await request(admin, { path: '/readyz' })).status, 200);
      assert.match((await request(admin, { path: '/metrics' })).text, /^peal_build_info\{.*engine="epoll",node="peal-6f7c9d-x2x4z"/m);
      for (const path of ['/livez', '/readyz', '/metrics']) assert.equal((await request(client, { path })).status, 404);
    });

    test('serves a WebSocket', async () => {
      const ws = new WebSocket(`ws://${client.host}:${client.port}/ws/public-a`);
      await next(ws, 'open');
      ws.close();
      await next(ws, 'close');
    });

    test('serves Socket.IO, by polling and by WebSocket', async () => {
      for (const transport of ['polling', 'websocket']) {
        const socket = io(`http://${client.host}:${client.port}`, { transports: [transport], forceNew: true, reconnection: false });
        await next(socket, 'connect');
        assert.equal(await within(socket.emitWithAck('hi', transport), 'an answer'), transport);
        socket.close();
      }
    });

    test('cannot write', async () => {
      assert.match(await ends(start({ ...env, PEAL_LISTEN: 'unix:/peal.sock' }), 1), /Read-only file system/);
    });

    test('refuses to start where io_uring is demanded', async () => {
      assert.match(await ends(start({ ...env, PEAL_IO_ENGINE: 'uring' }), 1), /io_uring is not available/);
    });

    test('ends on SIGTERM', async () => {
      node.signal('SIGTERM');
      assert.match(await ends(node, 0), /msg="?stopped"?/);
    });
  });

  describe('several nodes', () => {
    const env = { ...HERE, PEAL_API_KEY: 'k', PEAL_NODE_ADVERTISE: '127.0.0.1', PEAL_NODE_LISTEN: '127.0.0.1:0' };
    let redis, start;
    before(async () => {
      redis = await startRedis();
      start = await deploy(out, ['replicaCount=3', 'backplane.existingSecret=r', 'api.existingSecret=a']);
    });
    after(() => redis?.stop());

    // In a network of its own the ports can be what they are in a pod.
    for (const options of [['-n'], ['-n', '-4']]) {
      test(`listens as it is told, confined by ${options.join(' ')}`, async () => {
        const { PEAL_LISTEN, PEAL_ADMIN_LISTEN, PEAL_NODE_LISTEN, ...rest } = env;
        const node = start({ ...rest, PEAL_NODE_ADVERTISE: '10.1.2.3', PEAL_BACKPLANE: 'redis://127.0.0.1:1/0' }, options);
        const any = options.includes('-4') ? '0\\.0\\.0\\.0' : '\\[::\\]';
        await node.log(new RegExp(`address=${any}:8080 tls=off\n`));
        await node.log(new RegExp(`address=${any}:9090 tls=off for=admin`));
        await node.log(new RegExp(`address=${any}:7946 tls=off for=nodes`));
        await node.log(/address=10\.1\.2\.3:7946/);
        node.signal('SIGTERM');
        await ends(node, 0);
      });
    }

    test('find each other, share channels, and forward', async () => {
      const nodes = ['a', 'b'].map((name) => start({ ...env, PEAL_NODE_NAME: name, PEAL_BACKPLANE: redis.url }));
      const clients = await Promise.all(nodes.map((node) => listens(node)));
      const [a, b] = clients;
      const headers = { Authorization: 'Bearer k', 'Content-Type': 'application/json' };
      await until(async () => {
        const all = await Promise.all(clients.map((at) => request(at, { path: '/api/nodes', headers })));
        return all.every(({ text }) => JSON.parse(text).nodes.filter(({ state }) => state === 'up').length === 2);
      }, 'the nodes to know each other');
      for (const node of nodes) assert.equal((await request(await listens(node, 'admin'), { path: '/readyz' })).status, 200);

      const ws = new WebSocket(`ws://${a.host}:${a.port}/ws/public-a`);
      await next(ws, 'open');
      const got = next(ws, 'message');
      await until(async () => {
        const body = JSON.stringify({ channel: 'public-a', data: 'hello' });
        assert.equal((await request(b, { method: 'POST', path: '/api/publish', headers, body })).status, 200);
        return Promise.race([got, new Promise((resolve) => setTimeout(resolve, 50))]);
      }, 'a message of the other node');
      assert.equal(String((await got)[0]), 'hello');
      ws.close();

      const path = '/socket.io/?EIO=4&transport=polling';
      const { sid } = JSON.parse((await request(a, { path })).text.slice(1));
      const answer = await request(b, { method: 'POST', path: `${path}&sid=${sid}`, body: '40' });
      assert.deepEqual([answer.status, answer.text], [200, 'ok']);

      for (const node of nodes) node.signal('SIGTERM');
      for (const node of nodes) await ends(node, 0);
    });
  });
});
