// SPDX-License-Identifier: MIT
//
// The test bed: Peal nodes, a Redis, balancers, each a process on a port of its own that can
// be ended and started again at the same address. What a bed has started it ends.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { request } from '../../interop/lib/http.mjs';
import { Process, startPeal } from '../../interop/lib/peal.mjs';
import { until, within } from '../../interop/lib/wait.mjs';

// So that the handlers of exit run when the test runner gives up on a file.
process.on('SIGTERM', () => process.exit(143));

const folders = [];
process.on('exit', () => {
  for (const dir of folders) rmSync(dir, { recursive: true, force: true });
});

// Below the ports that the kernel gives to outgoing connections, so that one which was let go
// is still there when its process starts again.
const PORTS = { first: 15_000, count: 15_000 };
const given = new Set();

export async function freePort() {
  for (;;) {
    const port = PORTS.first + Math.floor(Math.random() * PORTS.count);
    if (given.has(port)) continue;
    const free = await new Promise((resolve) => {
      const server = net.createServer();
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
    });
    if (!free) continue;
    given.add(port);
    return port;
  }
}

const answers = (port) => new Promise((resolve) => {
  const socket = net.connect(port, '127.0.0.1');
  socket.once('connect', () => { socket.destroy(); resolve(true); });
  socket.once('error', () => resolve(false));
});

// A program that listens on 127.0.0.1:port. `launch` starts it: a Process.
export class Service {
  constructor(name, port, launch) {
    Object.assign(this, { name, host: '127.0.0.1', port, launch });
    this.url = `http://127.0.0.1:${port}`;
  }

  async start() {
    this.process = await this.launch();
    await until(async () => {
      if (!this.process.alive) throw this.process.complaint('ended too early');
      return answers(this.port);
    }, `${this.name} to listen`);
    return this;
  }

  get pid() {
    return this.process.pid;
  }

  get log() {
    return this.process.stderr + this.process.stdout;
  }

  async stop() {
    if (!this.process?.alive) return;
    this.process.signal('SIGTERM');
    await within(this.process.exited, `the end of ${this.name}`);
  }

  async kill() {
    await this.process.kill();
  }
}

const KEY = 'of-the-tests';
const AUTH = { Authorization: `Bearer ${KEY}` };

// A node. Its options are those of startPeal; the address stays when it starts again.
export class Node extends Service {
  constructor(name, port, options) {
    super(name, port, () => startPeal({
      ...options,
      set: { 'node.name': name, 'api.key': KEY, workers: 2, listen: `127.0.0.1:${port}`, ...options.set },
    }));
    this.killed = false;
    if (options.set?.['listen.proxy_protocol'] === 'on') this.prefix = 'PROXY UNKNOWN\r\n';
  }

  async start() {
    this.killed = false;
    return super.start();
  }

  // A drain to its end, or at once. Looks at the exit status and at what a sanitizer says.
  async stop() {
    if (this.killed || !this.process) return;
    await this.process.stop();
  }

  async kill() {
    this.killed = true;
    await super.kill();
  }

  // A number of /metrics, summed over labels if none are named.
  async metric(name) {
    const { text } = await request(this, { path: '/metrics' });
    const lines = text.split('\n').filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));
    return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
  }

  async post(path, body) {
    const res = await request(this, {
      method: 'POST', path, headers: { ...AUTH, 'Content-Type': 'application/json' }, body: JSON.stringify(body),
    });
    assert.equal(res.status, 200, res.text);
  }

  // { channel, event, data, ... }
  publish(body) {
    return this.post('/api/publish', body);
  }

  async sessions() {
    return (await this.metric('peal_sessions{protocol="ws"}')) +
      (await this.metric('peal_sessions{protocol="sse"}')) +
      (await this.metric('peal_sessions{protocol="socketio"}'));
  }
}

export async function startNodes(n, options = {}) {
  const nodes = [];
  for (let i = 1; i <= n; i++) {
    nodes.push(await new Node(`node${i}`, await freePort(), options).start());
  }
  return nodes;
}

const sessions = (nodes) => Promise.all(nodes.map((node) => node.sessions()));

// The clients of the test before are gone.
export const quiet = (nodes) =>
  until(async () => (await sessions(nodes)).every((n) => n === 0), 'the nodes to be empty');

// Opens a client; its node is the one with a session more.
export async function openAndFind(nodes, open) {
  const before = await sessions(nodes);
  const client = await open();
  client.node = await until(async () => {
    const after = await sessions(nodes);
    return nodes.find((_, i) => after[i] > before[i]);
  }, 'a session more');
  return client;
}

export async function listNodes(target) {
  const { status, text } = await request(target, { path: '/api/nodes', headers: AUTH });
  if (status === 502 || status === 503) return [];
  assert.equal(status, 200, text);
  return JSON.parse(text).nodes;
}

// The nodes that a node knows, by name: { name: state }.
export const knownTo = async (node) =>
  Object.fromEntries((await listNodes(node)).map(({ name, state }) => [name, state]));

// The balancer sends clients to this node.
export const usedBy = (balancer, node) => until(
  async () => (await listNodes(balancer)).find(({ self }) => self)?.name === node.name,
  `${balancer.name} to use ${node.name}`);

// Each of these nodes knows all of them and no other one, and may be sent clients.
export async function united(nodes) {
  const want = nodes.map((node) => node.name).sort().join();
  for (const node of nodes) {
    await until(async () => {
      const known = await knownTo(node);
      const up = Object.keys(known).filter((name) => known[name] === 'up');
      return up.sort().join() === want && Object.keys(known).length === nodes.length;
    }, `${node.name} to know ${want}, and no others`);
    await until(async () => (await request(node, { path: '/readyz' })).status === 200, `${node.name} to be ready`);
  }
}

// n nodes on one Redis.
export async function startCluster(n, redis, options = {}) {
  const nodes = await startNodes(n, { ...options, set: { backplane: redis.url, ...options.set } });
  await united(nodes);
  return nodes;
}

// A folder that goes when the tests end.
export function scratch(name) {
  folders.push(mkdtempSync(join(tmpdir(), `peal-${name}-`)));
  return folders.at(-1);
}

// What `build(add)` returns is in the returned object when tests run; `add` takes services, or
// promises of them, that are to be stopped, the last one first.
export function useBed({ before, after }, build) {
  const bed = {};
  const all = [];
  const add = async (starting) => {
    const started = await starting;
    all.push(...[started].flat());
    return started;
  };
  before(async () => {
    Object.assign(bed, await build(add));
  });
  after(async () => {
    const errors = [];
    for (const service of all.reverse()) await service.stop().catch((err) => errors.push(err));
    if (errors.length) throw errors[0];
  });
  return bed;
}

export { Process };
