// SPDX-License-Identifier: MIT
//
// The image: made as the Dockerfile makes it, read as a registry would read it, and run as a
// cluster would run it, with the chart's configuration and by confine.c.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';

import { io } from 'socket.io-client';
import WebSocket from 'ws';

import { request } from '../interop/lib/http.mjs';
import { Process } from '../interop/lib/peal.mjs';
import { next, within } from '../interop/lib/wait.mjs';
import { objectsOf, PEAL, scratchFile } from './lib/peal.mjs';
import { lacking, ROOT, template } from './lib/tools.mjs';

const SCRIPT = join(ROOT, 'deploy/image/build-rootfs.sh');
const USER = 65532;
const NOT_ALLOWED = 77;

const out = scratchFile('image');
const root = join(out, 'rootfs');
const confine = scratchFile('confine');
const sanitized = /asan|tsan/.test(execFileSync('ldd', [PEAL]).toString());

const build = (dir, env) => execFileSync(SCRIPT, [PEAL, dir], { env: { PATH: process.env.PATH, ...env }, stdio: 'pipe' });
const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

function walk(dir, prefix = '') {
  return readdirSync(join(dir, prefix), { withFileTypes: true }).flatMap((entry) => {
    const path = join(prefix, entry.name);
    return entry.isDirectory() ? walk(dir, path) : [path];
  });
}

// A layout as a function from names to contents.
function open(file) {
  const names = execFileSync('tar', ['-tf', file]).toString().split('\n');
  const read = (name) => execFileSync('tar', ['-xOf', file, name], { maxBuffer: 1 << 30 });
  const blob = ({ digest, size }) => {
    const bytes = read(`blobs/${digest.replace(':', '/')}`);
    assert.equal(`sha256:${sha256(bytes)}`, digest);
    assert.equal(bytes.length, size);
    return bytes;
  };
  const [entry] = JSON.parse(read('index.json')).manifests;
  const manifest = JSON.parse(blob(entry));
  return { names, read, entry, manifest, config: JSON.parse(blob(manifest.config)), layer: blob(manifest.layers[0]) };
}

before(() => build(out));

describe('image', () => {
  let image;
  before(() => {
    image = open(join(out, 'peal.tar'));
  });

  test('has peal, its libraries and little else', () => {
    const files = walk(root).map((path) => `/${path}`);
    assert.deepEqual(files.filter((path) => /\/s?bin\//.test(path)), ['/usr/bin/peal']);
    const allowed = /^\/(usr\/bin\/peal|etc\/(passwd|group|nsswitch\.conf|ssl\/certs\/ca-certificates\.crt)|(usr\/)?lib(64)?\/.*\.so(\.\d+)*|usr\/share\/doc\/[^/]+\/copyright|var\/lib\/dpkg\/status\.d\/[^/]+)$/;
    assert.deepEqual(files.filter((path) => !allowed.test(path)), []);
    const needed = execFileSync('ldd', [PEAL]).toString().match(/\/\S+/g);
    assert.deepEqual(needed.filter((path) => !files.includes(path)), []);
    for (const path of files) assert.equal(statSync(join(root, path)).mode & 0o7022, 0, path);
    assert.match(readFileSync(join(root, 'etc/passwd'), 'utf8'), new RegExp(`^peal:x:${USER}:${USER}:`, 'm'));
  });

  test('is a proper OCI layout', () => {
    assert.deepEqual(JSON.parse(image.read('oci-layout')), { imageLayoutVersion: '1.0.0' });
    assert.equal(image.manifest.schemaVersion, 2);
    assert.equal(image.manifest.mediaType, image.entry.mediaType);
    const tar = gunzipSync(image.layer);
    assert.deepEqual(image.config.rootfs, { type: 'layers', diff_ids: [`sha256:${sha256(tar)}`] });
    const listed = execFileSync('tar', ['-tf', '-'], { input: tar, maxBuffer: 1 << 26 }).toString().split('\n')
      .filter((name) => name && !name.endsWith('/')).map((name) => name.replace(/^\.\//, ''));
    assert.deepEqual(listed.sort(), walk(root).sort());
    if (!sanitized) assert.ok(image.layer.length < 15_000_000, `${image.layer.length} bytes`);
  });

  test('says the same as the Dockerfile', () => {
    const text = readFileSync(join(ROOT, 'deploy/image/Dockerfile'), 'utf8').replace(/\\\n/g, ' ');
    const last = text.slice(text.lastIndexOf('\nFROM '));
    const all = (word) => [...last.matchAll(new RegExp(`^${word} (.*)$`, 'gm'))].map(([, rest]) => rest.trim());
    const { config } = image.config;
    assert.deepEqual(all('FROM'), ['scratch']);
    assert.deepEqual(all('USER'), [config.User]);
    assert.deepEqual(all('STOPSIGNAL'), [config.StopSignal]);
    assert.deepEqual(all('ENTRYPOINT').map((json) => JSON.parse(json)), [config.Entrypoint]);
    assert.deepEqual(all('CMD').map((json) => JSON.parse(json)), [config.Cmd]);
    assert.deepEqual(all('ENV').flatMap((line) => line.split(/\s+/)).sort(), [...config.Env].sort());
    assert.deepEqual(all('EXPOSE').flatMap((line) => line.split(' ')).map((port) => `${port}/tcp`).sort(), Object.keys(config.ExposedPorts).sort());
    for (const label of Object.keys(config.Labels)) assert.ok(last.includes(`${label}=`), label);
    assert.equal(config.User, `${USER}:${USER}`);
    assert.equal(config.StopSignal, 'SIGTERM');
  });

  test('takes what it is told about its origin', () => {
    const dir = scratchFile('labelled');
    build(dir, { SOURCE_DATE_EPOCH: '86400', IMAGE_SOURCE: 'https://example.com/peal', IMAGE_REVISION: 'abc' });
    const { config } = open(join(dir, 'peal.tar'));
    assert.equal(config.created, '1970-01-02T00:00:00Z');
    assert.equal(config.config.Labels['org.opencontainers.image.source'], 'https://example.com/peal');
    assert.equal(config.config.Labels['org.opencontainers.image.revision'], 'abc');
  });

  test('is the same twice', () => {
    const dir = scratchFile('again');
    build(dir);
    assert.equal(sha256(readFileSync(join(dir, 'peal.tar'))), sha256(readFileSync(join(out, 'peal.tar'))));
  });
});

// A reason to skip, or false.
function confinement() {
  const made = spawnSync('cc', ['-O1', '-o', confine, fileURLToPath(new URL('confine.c', import.meta.url))], { encoding: 'utf8' });
  if (made.error) return 'there is no C compiler';
  if (made.status !== 0) throw new Error(made.stderr);
  mkdirSync(root, { recursive: true });
  const { status, stderr } = spawnSync(confine, [root, '/nothing'], { encoding: 'utf8' });
  return status === NOT_ALLOWED && `namespaces cannot be had here: ${stderr.trim()}`;
}

describe('confined', { skip: confinement() || sanitized && 'sanitizers want more of a container' || lacking }, () => {
  let node, env, args, client, admin;
  const rules = 'namespaces:\n  /: { events: { hi: ack } }\nchannels:\n  "public-*": { subscribe: true }\n';

  before(async () => {
    const objects = objectsOf(await template(['--set-literal', `rules=${rules}`]));
    const [container] = objects.find(({ kind }) => kind === 'Deployment').spec.template.spec.containers;
    writeFileSync(join(root, 'etc/peal/peal.yaml'), objects.find(({ kind }) => kind === 'ConfigMap').data['peal.yaml']);
    const { config } = open(join(out, 'peal.tar')).config;
    args = [...config.Entrypoint, ...container.args];
    env = {
      ...Object.fromEntries(config.Env.map((line) => line.split(/=(.*)/s))),
      // As the cluster does; then what differs here.
      PEAL_NODE_NAME: 'peal-6f7c9d-x2x4z',
      PEAL_LISTEN: '127.0.0.1:0', PEAL_ADMIN_LISTEN: '127.0.0.1:0',
      PEAL_MAX_CONNECTIONS: '100', PEAL_DRAIN_DELAY: '0s', PEAL_DRAIN_WINDOW: '0s',
    };
    node = new Process(confine, [root, ...args], { env });
    const [, host, port] = await node.log(/address=([0-9.]+):(\d+) tls=off\n/);
    const [, , adminPort] = await node.log(/address=([0-9.]+):(\d+) .*for=admin/);
    client = { host, port: Number(port) };
    admin = { host, port: Number(adminPort) };
  });
  after(async () => {
    if (node?.alive) await node.kill();
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
    const other = new Process(confine, [root, ...args], { env: { ...env, PEAL_LISTEN: 'unix:/peal.sock' } });
    assert.equal((await within(other.exited, 'the end')).status, 1);
    assert.match(other.stderr, /Read-only file system/);
  });

  test('refuses to start where io_uring is demanded', async () => {
    const other = new Process(confine, [root, ...args], { env: { ...env, PEAL_IO_ENGINE: 'uring' } });
    assert.equal((await within(other.exited, 'the end')).status, 1);
    assert.match(other.stderr, /io_uring cannot be had here/);
  });

  test('ends on SIGTERM', async () => {
    node.signal('SIGTERM');
    assert.deepEqual(await within(node.exited, 'the end'), { status: 0, signal: null });
    assert.match(node.stderr, /msg="?stopped"?/);
  });
});
