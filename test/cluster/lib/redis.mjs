// SPDX-License-Identifier: MIT
//
// A Redis that keeps nothing, on a port of its own; it can be killed and started again there.

import { Process, Service, freePort, scratch } from './bed.mjs';

export async function startRedis() {
  const port = await freePort();
  const dir = scratch('redis');
  const redis = new Service('Redis', port, () => new Process('redis-server', [
    '--port', `${port}`, '--bind', '127.0.0.1', '--dir', dir, '--save', '', '--appendonly', 'no',
  ]));
  redis.url = `redis://127.0.0.1:${port}`;
  return redis.start();
}
