// SPDX-License-Identifier: MIT
//
// The balancers of deploy/ in front of three nodes that know nothing of each other.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { ask, connect } from '../interop/lib/sio.mjs';
import { startNginx } from './lib/balancers.mjs';
import { startNodes, useBed } from './lib/bed.mjs';

describe('nginx with peal-hash.conf', () => {
  const bed = useBed({ before, after }, async (add) => {
    const nodes = await add(startNodes(3));
    return { nodes, balancer: await add(startNginx('peal-hash.conf', nodes)) };
  });

  test('a client that polls stays with its node', async (t) => {
    const socket = await connect(t, bed.balancer, { transports: ['polling'], withCredentials: true });
    for (let i = 0; i < 10; i++) assert.deepEqual(await ask(socket, 'q', i), [i]);
  });
});
