// SPDX-License-Identifier: MIT
//
// A Redis that keeps nothing, on a port of its own; it can be killed and started again there.

import Client from 'ioredis';
import { readFileSync } from 'node:fs';

import { Process, Service, freePort, scratch } from './bed.mjs';

// Of redis-server, for TLS in place of plain TCP: certificates of makeCertificates, the name of
// the one to show; clients must show one of the same authority.
const tlsArgs = (port, { dir, name = 'server' }) => [
  '--port', '0', '--tls-port', `${port}`, '--tls-ca-cert-file', `${dir}/ca.pem`,
  '--tls-cert-file', `${dir}/${name}.pem`, '--tls-key-file', `${dir}/${name}.key`,
  '--tls-replication', 'yes', '--tls-cluster', 'yes',
];

// args: more of redis-server; tls: { dir, name }; config: text of a file, which a Sentinel needs
export async function startRedis({ args = [], tls, start = true, name = 'Redis' } = {}) {
  const port = await freePort();
  const dir = scratch('redis');
  const redis = new Service(name, port, () => new Process('redis-server', [
    ...(typeof args === 'function' ? args(dir) : args),
    ...(tls ? tlsArgs(port, tls) : ['--port', `${port}`]),
    '--bind', '127.0.0.1', '--dir', dir, '--save', '', '--appendonly', 'no',
  ]));
  redis.dir = dir;
  redis.tls = tls;
  redis.url = `redis://127.0.0.1:${port}`;
  return start ? redis.start() : redis;
}

// Sends one command, and returns the answer.
export async function ask(redis, ...words) {
  const file = (name) => readFileSync(`${redis.tls.dir}/${name}`);
  const client = new Client({
    host: redis.host, port: redis.port, password: redis.password, maxRetriesPerRequest: 0,
    retryStrategy: null,
    ...(redis.tls && { tls: {
      ca: file('ca.pem'), cert: file('client.pem'), key: file('client.key'), checkServerIdentity: () => undefined,
    } }),
  });
  client.on('error', () => {});
  try {
    return await client.call(...words.map(String));
  } finally {
    client.disconnect();
  }
}
