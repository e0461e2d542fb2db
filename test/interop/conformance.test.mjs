// SPDX-License-Identifier: MIT
//
// What the test suites of the two protocols demand, asked of the servers that they want to
// talk to: eio_echo sends every message back, sio_suite greets, echoes and acknowledges.
//
// The suites' intervals (300 ms, 200 ms) are kept where they are the subject; elsewhere they
// are long, so that a slow machine is no failure.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { Polling, RS } from './lib/engine.mjs';
import { OP, rawWebSocket } from './lib/frames.mjs';
import { UPGRADE, formatRequest, rawConnect, request } from './lib/http.mjs';
import { peal, useSuiteServer } from './lib/server.mjs';

const CALM = { 'socketio.ping_interval': '60s', 'socketio.ping_timeout': '60s' };
const PATIENT = { 'socketio.ping_timeout': '60s' };

const openPolling = (server) => Polling.open(server, `${server.base}?EIO=4&transport=polling`);

async function sends(p, body) {
  const res = await p.post(body);
  assert.deepEqual([res.status, res.text], [200, 'ok']);
}

async function gets(p, body) {
  const res = await p.get();
  assert.deepEqual([res.status, res.text], [200, body]);
}

const isOver = async (p) => assert.equal((await p.get()).status, 400);

const open = (server, query = 'EIO=4&transport=websocket') => rawWebSocket(server, `${server.base}?${query}`);

async function opened(server) {
  const ws = await open(server);
  const text = await ws.readText();
  assert.equal(text[0], '0');
  ws.handshake = JSON.parse(text.slice(1));
  return ws;
}

const refused = (promise) => assert.rejects(promise, /no upgrade: 400/);

function useEngine(set) {
  const server = useSuiteServer({ before, after }, 'eio_echo', { set });
  before(() => { server.base = '/engine.io/'; });
  return server;
}

describe('Engine.IO', peal('it has a server of its own'), () => {
  const strict = useEngine({});
  const patient = useEngine(PATIENT);
  const calm = useEngine(CALM);

  const isHandshake = (handshake, upgrades) => {
    assert.deepEqual(Object.keys(handshake), ['sid', 'upgrades', 'pingInterval', 'pingTimeout', 'maxPayload']);
    assert.equal(typeof handshake.sid, 'string');
    const { sid, ...rest } = handshake;
    assert.deepEqual(rest, { upgrades, pingInterval: 300, pingTimeout: 200, maxPayload: 1000000 });
  };

  describe('handshake over polling', () => {
    test('opens a session', async () => isHandshake((await openPolling(strict)).handshake, ['websocket']));

    for (const [what, query] of Object.entries({ 'EIO is missing': 'transport=polling', 'EIO is abc': 'EIO=abc&transport=polling',
      'transport is missing': 'EIO=4', 'transport is abc': 'EIO=4&transport=abc' })) {
      test(`fails if ${what}`, async () => {
        assert.equal((await request(strict, { path: `${strict.base}?${query}` })).status, 400);
      });
    }

    test('fails if the method is not GET', async () => {
      for (const method of ['POST', 'PUT'])
        assert.equal((await request(strict, { method, path: `${strict.base}?EIO=4&transport=polling`, body: '' })).status, 400);
    });

    test('any origin may ask, as the suite runs in a browser too', async () => {
      const headers = { Origin: 'http://localhost:8000' };
      for (const query of ['EIO=4&transport=polling', 'EIO=4&transport=abc']) {
        const res = await request(strict, { path: `${strict.base}?${query}`, headers });
        assert.equal(res.headers['access-control-allow-origin'], '*');
      }
    });
  });

  describe('handshake over WebSocket', () => {
    test('opens a session', async () => {
      const ws = await opened(strict);
      isHandshake(ws.handshake, []);
      ws.destroy();
    });

    for (const query of ['transport=websocket', 'EIO=abc&transport=websocket', 'EIO=4', 'EIO=4&transport=abc'])
      test(`fails with ${query}`, () => refused(open(strict, query)));
  });

  describe('messages over polling', () => {
    test('one comes back', async () => {
      const p = await openPolling(calm);
      await sends(p, '4hello');
      await gets(p, '4hello');
    });

    test('several come back together', async () => {
      const p = await openPolling(calm);
      const all = ['4test1', '4test2', '4test3'].join(RS);
      await sends(p, all);
      await gets(p, all);
    });

    test('bytes come back', async () => {
      const p = await openPolling(calm);
      await sends(p, 'bAQIDBA==');
      await gets(p, 'bAQIDBA==');
    });

    test('text and bytes come back in their order', async () => {
      const p = await openPolling(calm);
      const all = ['4a', 'bAQ==', '4€', 'b', '4'].join(RS);
      await sends(p, all);
      await gets(p, all);
    });

    test('a packet that is none ends the session', async () => {
      const p = await openPolling(calm);
      assert.ok([200, 400].includes((await p.post('abc')).status));
      await isOver(p);
    });

    test('a poll beside another ends the session', async () => {
      const p = await openPolling(calm);
      const [first, second] = await Promise.all([p.get(), p.get()]);
      const [ok, bad] = first.status === 200 ? [first, second] : [second, first];
      assert.deepEqual([ok.status, ok.text], [200, '1']);
      assert.equal(bad.status, 400);
      await isOver(p);
    });

    test('a poll that is aborted ends the session', async () => {
      const p = await openPolling(calm);
      (await p.park()).destroy();
      await p.ends();
      await isOver(p);
    });
  });

  describe('messages over WebSocket', () => {
    test('text comes back', async () => {
      const ws = await opened(calm);
      ws.text('4hello');
      assert.equal(await ws.readText(), '4hello');
      ws.text('4');
      assert.equal(await ws.readText(), '4');
      ws.destroy();
    });

    test('bytes come back', async () => {
      const ws = await opened(calm);
      for (const bytes of [[1, 2, 3, 4], []]) {
        ws.send(OP.BINARY, Buffer.from(bytes));
        const got = await ws.read();
        assert.deepEqual([got.opcode, [...got.payload]], [OP.BINARY, bytes]);
      }
      ws.destroy();
    });

    test('a packet that is none closes', async () => {
      const ws = await opened(calm);
      ws.text('abc');
      await ws.readClose();
      await ws.conn.waitClosed();
    });
  });

  describe('heartbeats', () => {
    test('over polling, who answers stays', async () => {
      const p = await openPolling(patient);
      for (let i = 0; i < 3; i++) {
        await gets(p, '2');
        await sends(p, '3');
      }
      await sends(p, '4still');
      await gets(p, '4still');
    });

    test('over polling, who does not is forgotten', async () => {
      const p = await openPolling(strict);
      await p.ends();
      await isOver(p);
    });

    test('over WebSocket, who answers stays', async () => {
      const ws = await opened(patient);
      for (let i = 0; i < 3; i++) {
        assert.equal(await ws.readText(), '2');
        ws.text('3');
      }
      ws.text('4still');
      assert.equal(await ws.readText(), '4still');
      ws.destroy();
    });

    test('over WebSocket, who does not is closed', async () => {
      const ws = await opened(strict);
      assert.equal(await ws.readText(), '2');
      await ws.readClose();
      await ws.conn.waitClosed();
    });
  });

  describe('closing', () => {
    test('over polling: a noop for the poll, then nothing', async () => {
      const p = await openPolling(calm);
      const poll = await p.park();
      await sends(p, '1');
      const res = await poll.readResponse();
      assert.deepEqual([res.status, res.text], [200, '6']);
      await isOver(p);
    });

    test('over WebSocket: soon', async () => {
      const ws = await opened(strict);
      ws.text('1');
      await ws.readClose();
      await ws.conn.waitClosed();
    });
  });

  describe('upgrade', () => {
    const upgrade = async () => {
      const p = await openPolling(calm);
      const ws = await open(calm, `EIO=4&transport=websocket&sid=${p.handshake.sid}`);
      ws.text('2probe');
      assert.equal(await ws.readText(), '3probe');
      return { p, ws };
    };
    const upgraded = async () => {
      const { p, ws } = await upgrade();
      ws.text('5');
      ws.text('4hello');
      assert.equal(await ws.readText(), '4hello');
      return { p, ws };
    };

    test('polling goes over to WebSocket', async () => (await upgraded()).ws.destroy());

    test('a poll meanwhile gets a noop', async () => {
      const { p, ws } = await upgrade();
      await gets(p, '6');
      ws.text('5');
      ws.text('4hello');
      assert.equal(await ws.readText(), '4hello');
      ws.destroy();
    });

    test('polls after it are refused', async () => {
      const { p, ws } = await upgraded();
      assert.equal((await p.get()).status, 400);
      ws.text('4still');
      assert.equal(await ws.readText(), '4still');
      ws.destroy();
    });

    test('a second WebSocket after it is closed, the first is not', async () => {
      const { p, ws } = await upgraded();
      const second = await open(calm, `EIO=4&transport=websocket&sid=${p.handshake.sid}`);
      await second.readClose();
      ws.text('4still');
      assert.equal(await ws.readText(), '4still');
      ws.destroy();
    });

    test('of a session that nobody knows is refused', () =>
      refused(open(calm, 'EIO=4&transport=websocket&sid=abc')));
  });
});

function useSuite(set) {
  const server = useSuiteServer({ before, after }, 'sio_suite', { set });
  before(() => { server.base = '/socket.io/'; });
  return server;
}

describe('Socket.IO', peal('it has a server of its own'), () => {
  const calm = useSuite(CALM);
  const hasty = useSuite({ ...CALM, 'socketio.connect_timeout': '300ms' });

  // Joins /, and takes the greeting.
  async function joined() {
    const ws = await opened(calm);
    ws.text('40');
    assert.match(await ws.readText(), /^40\{"sid":"[^"]+"\}$/);
    assert.equal(await ws.readText(), '42["auth",{}]');
    return ws;
  }

  const connecting = {
    'to the main namespace': ['40', /^40\{"sid":"[\w-]{20}"\}$/, '42["auth",{}]'],
    'to the main namespace, with a payload': ['40{"token":"123"}', /^40\{"sid":"[\w-]{20}"\}$/, '42["auth",{"token":"123"}]'],
    'to a custom namespace': ['40/custom,', /^40\/custom,\{"sid":"[\w-]{20}"\}$/, '42/custom,["auth",{}]'],
    'to a custom namespace, with a payload': ['40/custom,{"token":"abc"}', /^40\/custom,\{"sid":"[\w-]{20}"\}$/,
      '42/custom,["auth",{"token":"abc"}]'],
  };
  for (const [name, [packet, answer, greeting]] of Object.entries(connecting)) {
    test(`connects ${name}`, async () => {
      const ws = await opened(calm);
      ws.text(packet);
      assert.match(await ws.readText(), answer);
      assert.equal(await ws.readText(), greeting);
      ws.destroy();
    });
  }

  test('disallows a namespace that does not exist', async () => {
    const ws = await opened(calm);
    ws.text('40/random');
    assert.equal(await ws.readText(), '44/random,{"message":"Invalid namespace"}');
    ws.text('40');
    assert.match(await ws.readText(), /^40\{/);
    ws.destroy();
  });

  test('closes on a handshake that is none', async () => {
    const ws = await opened(calm);
    ws.text('4abc');
    await ws.readClose();
    await ws.conn.waitClosed();
  });

  test('closes if no handshake comes', async () => {
    const ws = await opened(hasty);
    await ws.readClose();
    await ws.conn.waitClosed();
    const refusedOnly = await opened(hasty);
    refusedOnly.text('40/random');
    assert.match(await refusedOnly.readText(), /^44\/random,/);
    await refusedOnly.readClose();
  });

  test('disconnects from the main namespace', async () => {
    const ws = await joined();
    ws.text('41');
    ws.text('40/custom');
    assert.match(await ws.readText(), /^40\/custom,/);
    assert.equal(await ws.readText(), '42/custom,["auth",{}]');
    ws.text('42["message","to where it is not"]');
    await ws.readClose();
  });

  test('connects, then disconnects from a custom namespace', async () => {
    const ws = await joined();
    ws.text('40/custom');
    assert.match(await ws.readText(), /^40\/custom,/);
    assert.equal(await ws.readText(), '42/custom,["auth",{}]');
    ws.text('41/custom');
    ws.text('42["message","message to main namespace"]');
    assert.equal(await ws.readText(), '42["message-back","message to main namespace"]');
    ws.destroy();
  });

  const bytes = async (ws, ...expected) => {
    for (const one of expected) {
      const { opcode, payload } = await ws.read();
      assert.deepEqual([opcode, payload.toString('hex')], [OP.BINARY, Buffer.from(one).toString('hex')]);
    }
  };

  test('sends plain text back', async () => {
    const ws = await joined();
    ws.text('42["message",1,"2",{"3":[true]}]');
    assert.equal(await ws.readText(), '42["message-back",1,"2",{"3":[true]}]');
    ws.destroy();
  });

  test('sends bytes back', async () => {
    const ws = await joined();
    ws.text('452-["message",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]');
    ws.send(OP.BINARY, Buffer.from([1, 2, 3]));
    ws.send(OP.BINARY, Buffer.from([4, 5, 6]));
    assert.equal(await ws.readText(), '452-["message-back",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]');
    await bytes(ws, [1, 2, 3], [4, 5, 6]);
    ws.destroy();
  });

  test('acknowledges plain text', async () => {
    const ws = await joined();
    ws.text('42456["message-with-ack",1,"2",{"3":[false]}]');
    assert.equal(await ws.readText(), '43456[1,"2",{"3":[false]}]');
    ws.destroy();
  });

  test('acknowledges bytes', async () => {
    const ws = await joined();
    ws.text('452-789["message-with-ack",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]');
    ws.send(OP.BINARY, Buffer.from([1, 2, 3]));
    ws.send(OP.BINARY, Buffer.from([4, 5, 6]));
    assert.equal(await ws.readText(), '462-789[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]');
    await bytes(ws, [1, 2, 3], [4, 5, 6]);
    ws.destroy();
  });

  for (const [name, packet] of Object.entries({ 'an unknown type': '4abc', 'an object as payload': '42{}',
    'letters in the id': '42abc["message-with-ack",1,"2",{"3":[false]}]' })) {
    test(`closes on ${name}`, async () => {
      const ws = await joined();
      ws.text(packet);
      await ws.readClose();
      await ws.conn.waitClosed();
    });
  }

  test('an upgrade request says what it must', async () => {
    const conn = await rawConnect(calm);
    conn.write(formatRequest(calm, { path: `${calm.base}?EIO=4&transport=websocket`, headers: UPGRADE }));
    const head = await conn.readHead();
    assert.deepEqual([head.status, head.headers.upgrade.toLowerCase(), head.headers.connection.toLowerCase()],
      [101, 'websocket', 'upgrade']);
    conn.destroy();
  });
});
