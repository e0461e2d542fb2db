// SPDX-License-Identifier: MIT
//
// Nodes that know nothing of each other, behind a balancer, are started again one after the
// other: who polls is served to its turn, everybody comes back, and no EventSource is told
// something after which it would stay away.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { until, within } from '../interop/lib/wait.mjs';
import { startHaproxy, startNginx } from './lib/balancers.mjs';
import { startNodes, useBed } from './lib/bed.mjs';
import { KINDS, openWebSocket } from './lib/clients.mjs';

let serial = 0;
const fresh = () => `c-${process.pid}-${++serial}`;
const BALANCERS = {
  'nginx, sticky': (nodes) => startNginx('peal-hash.conf', nodes),
  'HAProxy, sticky': (nodes) => startHaproxy('haproxy.cfg', nodes, { 'inter 2s': 'inter 100ms' }),
};

// Does the balancer send a client without a cookie to this node? Others' messages do not come.
async function sends(t, bed, node) {
  const client = await openWebSocket(t, bed.balancer, fresh());
  for (const [i, one] of bed.nodes.entries()) await one.publish({ channel: client.channel, data: { i } });
  const [, { i }] = await client.inbox.shift();
  client.close();
  return bed.nodes[i] === node;
}

for (const [name, start] of Object.entries(BALANCERS)) {
  describe(`three nodes behind ${name}`, () => {
    const bed = useBed({ before, after }, async (add) => {
      const nodes = await add(startNodes(3, {
        set: { 'drain.delay': '500ms', 'drain.window': '2s', 'sse.retry': '100ms' },
      }));
      return { nodes, balancer: await add(start(nodes)) };
    });

    test('everybody comes back', async (t) => {
      const clients = [];
      for (let i = 0; i < 6; i++) {
        for (const open of Object.values(KINDS)) clients.push(await open(t, bed.balancer, fresh()));
      }
      const codes = [];
      let absences = 0;
      for (const { socket, es, gone } of clients) {
        gone?.then((code) => codes.push(code));
        socket?.on('disconnect', () => absences++);
        es?.addEventListener('error', ({ code }) => {
          absences++;
          assert.equal(code, undefined, 'no status');
        });
      }
      for (const node of bed.nodes) {
        node.process.signal('SIGTERM');
        assert.equal((await within(node.process.exited, 'the end')).status, 0);
        for (const { socket, es } of clients) {
          if (socket) await until(() => socket.connected, 'a client to come back');
          if (es) await until(() => es.readyState === es.OPEN, 'a stream to come back');
        }
        await node.start();
        await until(() => sends(t, bed, node), 'the balancer to know that the node is back');
      }
      assert.ok(absences >= clients.filter(({ ws }) => !ws).length, 'all have moved');
      assert.deepEqual(codes, clients.filter(({ ws }) => ws).map(() => 1012));
    });
  });
}
