// SPDX-License-Identifier: MIT
// peal bench: what it counts against peal serve, and that it notices what goes wrong. How long
// anything takes is not asserted.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { after, before, test } from 'node:test';

import { PEAL, Process, startPeal } from '../interop/lib/peal.mjs';
import { peal } from './lib.mjs';

let server;
// A storm must end by the clock, not by a limit of the server's.
before(async () => { server = await startPeal({ set: { workers: 1, 'sessions.rate': 0 } }); });
after(() => server?.stop());
const ws = () => ['--url', `ws://127.0.0.1:${server.port}/ws/bench`];
const sio = () => ['--url', `http://127.0.0.1:${server.port}`];

async function bench(...args) {
  const { status, stdout, stderr } = await peal(['bench', ...args, '--json']);
  assert.equal(stderr, '');
  assert.equal(status, 0);
  const found = JSON.parse(stdout);
  assert.equal(found.mode, args[0]);
  assert.equal(found.complete, 1);
  return found;
}

function checkFanout(found, { connections, rounds, burst, size }) {
  const receivers = connections + found.publisher_hears_itself;
  assert.deepEqual([found.connections, found.rounds, found.burst, found.size],
    [connections, rounds, burst, size]);
  assert.equal(found.deliveries, receivers * rounds * burst);
  assert.deepEqual([found.lost, found.skipped, found.repeated, found.corrupt], [0, 0, 0, 0]);
  assert.ok(found.cpu_us_per_delivery > 0);
  assert.ok(found.latency_p50_us > 0 && found.latency_p50_us <= found.latency_p99_us);
  assert.ok(found.latency_p99_us <= found.latency_max_us);
}

for (const [protocol, url] of [['ws', ws], ['socketio', sio]]) {
  test(`fan-out over ${protocol}: every delivery is counted, in step and in bursts`, async () => {
    const step = await bench('fanout', ...url(), '--connections', '20', '--rounds', '30');
    checkFanout(step, { connections: 20, rounds: 30, burst: 1, size: 100 });
    const burst = await bench('fanout', ...url(), '--connections', '5', '--rounds', '7',
      '--burst', '10', '--size', '3000');
    checkFanout(burst, { connections: 5, rounds: 7, burst: 10, size: 3000 });
    assert.equal(step.protocol, protocol);
  });

  test(`connections over ${protocol}: what one costs, and the idle server`, async () => {
    const found = await bench('connect', ...url(), '--connections', '50', '--idle', '0.1');
    assert.equal(found.connections, 50);
    assert.ok(found.cpu_us_per_connect > 0);
    assert.ok(found.rss_before > 0 && found.rss_after > 0);
    assert.ok(found.idle_seconds >= 0.1);
    assert.ok(found.idle_cpu_percent >= 0);
  });

  test(`storm over ${protocol}: connections come and go`, async () => {
    const found = await bench('storm', ...url(), '--concurrency', '4', '--duration', '0.2');
    assert.ok(found.cycles > 0);
    assert.equal(found.failed, 0);
  });
}

// One node will do: that there is a Redis between them, the load generator does not know.
for (const [protocol, url] of [['ws', ws], ['socketio', sio]]) {
  const place = () => [url()[0], url()[1].replace('bench', 'bench-{i}')];

  test(`relay over ${protocol}: what was published arrives, in order`, async () => {
    const found = await bench('relay', ...place(), '--channels', '3', '--connections', '6',
      '--outstanding', '10', '--rounds', '5', '--duration', '0.2');
    assert.ok(found.messages >= 60);
    assert.deepEqual([found.skipped, found.repeated, found.corrupt], [0, 0, 0]);
    assert.ok(found.cpu_us_per_message > 0);
    assert.ok(found.remote_p50_us > 0 && found.local_p50_us > 0);
  });

  test(`drops over ${protocol}: nothing is missing between two cuts`, async () => {
    const found = await bench('drops', ...url(), '--connections', '4', '--rate', '200',
      '--up', '0.2', '--down', '0.1', '--duration', '1');
    assert.ok(found.cuts > 0);
    assert.ok(found.received > 0);
    assert.deepEqual([found.skipped, found.repeated, found.corrupt], [0, 0, 0]);
  });
}

test('avalanche: who has lost a node comes back to the other', async () => {
  const lost = await startPeal({ set: { workers: 1 } });
  const run = new Process(PEAL, ['bench', 'avalanche', ...sio(), '--lost',
    `http://127.0.0.1:${lost.port}`, '--connections', '20', '--duration', '60', '--json']);
  await run.log(/ready/);
  await lost.kill();
  const { status } = await run.exited;
  assert.equal(status, 0);
  const found = JSON.parse(run.stdout);
  assert.deepEqual([found.lost, found.back, found.lost_again], [20, 20, 0]);
  assert.ok(found.all_back_s > 0);
});

test('echo: every event is acknowledged with what it said', async () => {
  const found = await bench('echo', ...sio(), '--connections', '3', '--outstanding', '5',
    '--duration', '0.2');
  assert.ok(found.round_trips >= 15);
  assert.deepEqual([found.lost, found.wrong], [0, 0]);
  assert.ok(found.cpu_us_per_round_trip > 0);
});

test('without --json it is a table', async () => {
  const { status, stdout } = await peal(['bench', 'fanout', ...ws(), '--connections', '2',
    '--rounds', '3']);
  assert.equal(status, 0);
  assert.match(stdout, /^deliveries +9 *$/m);
  assert.match(stdout, /^cpu_us_per_delivery +[0-9.]+ us$/m);
});

// A server that accepts every upgrade, and then does what it is told to.
async function fake(t, onConnection) {
  const accept = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n' +
    'Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n';
  const sockets = new Set();
  const tcp = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('data', () => {
      socket.write(accept);
      onConnection(socket);
    });
  }).listen(0, '127.0.0.1');
  await once(tcp, 'listening');
  t.after(() => {
    sockets.forEach((socket) => socket.destroy());
    tcp.close();
  });
  return ['--url', `ws://127.0.0.1:${tcp.address().port}/`];
}

async function fails(...args) {
  const { status, stdout, stderr } = await peal(['bench', ...args, '--json']);
  assert.equal(status, 1);
  assert.equal(JSON.parse(stdout).complete, 0);
  return stderr;
}

test('a delivery that never comes is lost', async (t) => {
  const url = await fake(t, () => {});
  assert.match(await fails('fanout', ...url, '--connections', '2', '--stall', '0.2'),
    /LOST: 2 deliveries never came/);
});

test('a delivery of other bytes is corrupt', async (t) => {
  const url = await fake(t, (socket) => socket.write('\x81\x05hello', 'latin1'));
  assert.match(await fails('fanout', ...url, '--connections', '2', '--stall', '0.2'),
    /[1-9]\d* corrupt/);
});

test('a connection that the server ends is noticed', async (t) => {
  const url = await fake(t, (socket) => socket.on('data', () => socket.destroy()));
  assert.match(await fails('echo', ...url, '--connections', '2', '--duration', '5'),
    /[12] connections broke: (closed by the server|reset)/);
});

test('a server that is not there is an error', async (t) => {
  const url = await fake(t, () => {});
  url[1] = url[1].replace(/:\d+\/$/, ':1/'); // nobody listens on port 1
  assert.match(await fails('connect', ...url, '--connections', '3', '--pid', '1'),
    /FAILED: 0 of 3 connections are ready, 3 failed: refused/);
});
