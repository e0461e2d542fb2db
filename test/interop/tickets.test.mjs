// SPDX-License-Identifier: MIT
//
// TLS sessions that are resumed: at another worker, at another node, after a reload; and where
// no secret is shared. (Time and rotation: test/unit/test_tickets.c.)

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import tls from 'node:tls';

import { startPeal } from './lib/peal.mjs';

let dir;

before(() => {
  dir = mkdtempSync(join(tmpdir(), 'peal-tickets-'));
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256',
    '-nodes', '-subj', '/CN=localhost', '-keyout', join(dir, 'key.pem'), '-out', join(dir, 'cert.pem')],
  { stdio: 'ignore' });
});
after(() => rmSync(dir, { recursive: true }));

async function start(t, set) {
  const server = await startPeal({ set: { workers: 1, 'tls.cert': join(dir, 'cert.pem'),
    'tls.key': join(dir, 'key.pem'), ...set } });
  t.after(() => server.stop());
  return server;
}

// Asks for /livez, and takes the session along: was the last one resumed?
async function visit({ host, port }, client) {
  const socket = tls.connect({ host, port, rejectUnauthorized: false, session: client.session,
    minVersion: client.version, maxVersion: client.version });
  let resumed;
  socket.on('session', (session) => { client.session = session; });
  socket.on('secureConnect', () => { resumed = socket.isSessionReused(); });
  const text = await new Promise((resolve, reject) => {
    let heard = '';
    socket.on('error', reject);
    socket.on('data', (data) => { heard += data; });
    socket.on('close', () => resolve(heard));
    socket.write(`GET /livez HTTP/1.1\r\nHost: ${host}:${port}\r\nConnection: close\r\n\r\n`);
  });
  assert.match(text, /^HTTP\/1\.1 200 OK/);
  return resumed;
}

for (const version of ['TLSv1.2', 'TLSv1.3']) {
  describe(`tickets of ${version}`, () => {
    test('are taken by every node that has the secret', async (t) => {
      const set = { 'tls.ticket_secret': 'a'.repeat(32) };
      const [here, there] = [await start(t, set), await start(t, { ...set, workers: 2 })];
      const client = { version };
      assert.equal(await visit(here, client), false);
      for (const server of [there, here, there, there]) {
        assert.equal(await visit(server, client), true);
      }
    });

    test('are worth nothing elsewhere, and do no harm', async (t) => {
      const client = { version };
      for (const secret of ['a', 'b']) {
        const server = await start(t, { 'tls.ticket_secret': secret.repeat(32) });
        assert.equal(await visit(server, client), false);
      }
      assert.equal(await visit(await start(t, {}), client), false);
    });

    test('outlive a reload, also where there is no secret', async (t) => {
      const server = await start(t, {});
      const client = { version };
      assert.equal(await visit(server, client), false);
      server.signal('SIGHUP');
      await server.log(/certificate reloaded/);
      assert.equal(await visit(server, client), true);
    });
  });
}
