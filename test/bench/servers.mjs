// SPDX-License-Identifier: MIT
// The servers that are measured: how each one is started, and what it can be asked.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));

/** Where things are; run.mjs fills in what its options say. */
export const paths = {
  build: join(here, '../../build-release'),
  get peal() { return join(this.build, 'peal'); },
  get sendloop() { return join(this.build, 'test/bench/sendloop'); },
  get uws() { return join(this.build, 'bench/uws/server'); },
  get centrifugo() { return join(this.build, 'bench/go/centrifugo'); },
  get scratch() { return join(this.build, 'bench'); },
};

/** Debian's nginx and nchan: installed, or unpacked by tools/bench.sh; never one of each. */
function findNchan() {
  return ['/', join(paths.scratch, 'nginx')]
    .map((root) => ({
      nginx: join(root, 'usr/sbin/nginx'),
      module: join(root, 'usr/lib/nginx/modules/ngx_nchan_module.so'),
    }))
    .find(({ nginx, module }) => existsSync(nginx) && existsSync(module));
}

function nchanConfig(port, module, dir) {
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return `load_module ${module};
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
${process.getuid() === 0 ? 'user root;' : ''}
pid ${dir}/nginx.pid;
error_log ${dir}/error.log;
events { worker_connections 19000; }
http {
  access_log off;
  keepalive_requests 100000000;
  nchan_shared_memory_size 512m;
${temp.map((name) => `  ${name}_temp_path ${dir}/${name};`).join('\n')}
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location = /sub {
      nchan_subscriber websocket;
      nchan_channel_id bench;
      nchan_subscriber_first_message newest;
    }
    location = /pub {
      nchan_publisher http;
      nchan_channel_id bench;
      nchan_message_buffer_length 100;
      nchan_message_timeout 10s;
    }
  }
}
`;
}

function startNchan(port) {
  const { nginx, module } = findNchan();
  const dir = join(paths.scratch, `nchan-${port}`);
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, 'nginx.conf'), nchanConfig(port, module, dir));
  return [nginx, '-p', dir, '-e', join(dir, 'error.log'), '-c', join(dir, 'nginx.conf')];
}

// Its unidirectional WebSocket: the client says nothing, what it subscribes to is in the URL.
function startCentrifugo(port) {
  const config = join(paths.scratch, 'centrifugo.json');
  mkdirSync(paths.scratch, { recursive: true });
  writeFileSync(config, JSON.stringify({
    http_server: { address: '127.0.0.1', port: String(port) },
    http_api: { insecure: true },
    client: { insecure: true, allow_anonymous_connect_without_token: true },
    uni_websocket: { enabled: true },
    channel: { without_namespace: { allow_subscribe_for_client: true, allow_subscribe_for_anonymous: true } },
    log: { level: 'error' },
  }));
  // One core, as the others have one.
  return ['env', 'GOMAXPROCS=1', paths.centrifugo, '-c', config];
}

const webSocket = (port) => ['--url', `ws://127.0.0.1:${port}/ws/bench`];

const peal = (engine) => ({
  missing: () => !existsSync(paths.peal) && `${paths.peal} is not built`,
  command: (port, redis, tls) => [paths.peal, 'serve', '--dev', '--set', `listen=127.0.0.1:${port}`,
    '--set', 'workers=1', '--set', `io.engine=${engine}`,
    ...(redis ? ['--set', `backplane=${redis}`] : []),
    ...(tls ? ['--set', `tls.cert=${tls.cert}`, '--set', `tls.key=${tls.key}`,
      '--set', `tls.ticket_secret=${tls.secret}`] : [])],
  ws: webSocket,
  socketio: (port, tls) => ['--url', `${tls ? 'https' : 'http'}://127.0.0.1:${port}`],
});

const node = (script, name) => ({
  missing: () => !existsSync(join(here, 'node_modules', name)) &&
    `npm package ${name} is not installed in test/bench`,
  command: (port, redis, tls) => [process.execPath, join(here, 'peers', script), String(port),
    redis ?? '', ...(tls ? [tls.cert, tls.key] : [])],
});

// It knows no Socket.IO: beside servers that do, it echoes plain WebSocket messages.
const sendloop = (...mode) => ({
  missing: () => !existsSync(paths.sendloop) && `${paths.sendloop} is not built`,
  command: (port) => [paths.sendloop, String(port), ...mode],
  ws: webSocket,
  socketio: webSocket,
});

const startRedis = (port) => ['redis-server', '--port', String(port), '--bind', '127.0.0.1',
  '--save', '', '--appendonly', 'no'];

export const redisIsMissing = () =>
  spawnSync('redis-server', ['--version']).status !== 0 && 'no redis-server';

export const servers = {
  'peal uring': peal('uring'),
  'peal epoll': peal('epoll'),
  'send loop': sendloop(),
  'ring loop': sendloop('ring'),
  'echo loop': sendloop('echo'),
  'node ws': {
    ...node('ws.mjs', 'ws'),
    ws: webSocket,
  },
  'node socket.io': {
    ...node('socketio.mjs', 'socket.io'),
    socketio: (port, tls) => ['--url', `${tls ? 'https' : 'http'}://127.0.0.1:${port}`],
  },
  'uWebSockets': {
    missing: () => !existsSync(paths.uws) && 'UWS names no source tree of it (see tools/bench.sh)',
    command: (port) => [paths.uws, String(port)],
    ws: webSocket,
  },
  'centrifugo': {
    missing: () => !existsSync(paths.centrifugo) && 'it is built with Go, which is not here (tools/bench.sh)',
    command: startCentrifugo,
    ws: (port) => [
      '--url', `ws://127.0.0.1:${port}/connection/uni_websocket?cf_connect=${
        encodeURIComponent('{"subs":{"bench":{}}}')}`,
      '--publish', `http://127.0.0.1:${port}/api/publish`,
      '--body', '{"channel":"bench","data":"@"}',
      '--delivered', '{"channel":"bench","pub":{"data":"@"}}'],
  },
  'nginx nchan': {
    missing: () => !findNchan() && 'no nginx with libnginx-mod-nchan (tools/bench.sh gets it)',
    command: startNchan,
    ws: (port) => ['--url', `ws://127.0.0.1:${port}/sub`,
      '--publish', `http://127.0.0.1:${port}/pub`],
  },
};

/** A certificate of RSA 2048, which most sites have, and a secret for tickets; made once. */
export function makeTls() {
  const tls = { cert: join(paths.scratch, 'cert.pem'), key: join(paths.scratch, 'key.pem'),
    secret: randomBytes(32).toString('hex') };
  mkdirSync(paths.scratch, { recursive: true });
  if (!existsSync(tls.key)) {
    execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '3650',
      '-subj', '/CN=localhost', '-keyout', tls.key, '-out', tls.cert], { stdio: 'ignore' });
  }
  return tls;
}

async function freePort() {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  await once(probe, 'close');
  return port;
}

async function answers(port) {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** Puts a command on one core, when there are two. */
export const pinned = (cpu, command) => (cpu === undefined ? command
  : ['taskset', '-c', String(cpu), ...command]);

const running = new Set();
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));

/** Starts a server and waits until it accepts; stop() ends it and waits for that, kill() does
 *  not ask. redis: the URL of one that makes it one of many nodes. "redis" is such a one. tls:
 *  certificate, see makeTls. */
export async function start(name, cpu, redis, tls) {
  const port = await freePort();
  const command = name === 'redis' ? startRedis(port) : servers[name].command(port, redis, tls);
  const [file, ...args] = pinned(cpu, command);
  const child = spawn(file, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const gone = once(child, 'exit');
  let said = '';
  child.stderr.on('data', (data) => { said = (said + data).slice(-4000); });
  running.add(child);
  for (let i = 0; !(await answers(port)); i++) {
    if (child.exitCode !== null || i === 200) {
      child.kill('SIGKILL');
      running.delete(child);
      throw new Error(`${name} does not start: ${said.trim()}`);
    }
    await sleep(50);
  }
  const stop = async () => {
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), 1000);
    await gone;
    clearTimeout(timer);
    running.delete(child);
  };
  return { port, pid: child.pid, stop, kill: () => child.kill('SIGKILL') };
}

/** Nanoseconds on a processor of all threads of a process. */
export function cpuNs(pid) {
  return readdirSync(`/proc/${pid}/task`)
    .map((tid) => Number(readFileSync(`/proc/${pid}/task/${tid}/schedstat`, 'utf8').split(' ')[0]))
    .reduce((a, b) => a + b, 0);
}
