// SPDX-License-Identifier: MIT
//
// The server asks: POST /api/emit with "ack" sends an event that Socket.IO clients
// acknowledge, and answers with what they say.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import * as msgpack from 'socket.io-msgpack-parser';

import { Polling } from './lib/engine.mjs';
import { OP, rawWebSocket } from './lib/frames.mjs';
import { formatRequest, rawConnect, request } from './lib/http.mjs';
import { startPeal as start } from './lib/peal.mjs';
import { useServer } from './lib/server.mjs';
import { MODES, ask, connect, settled, upgraded } from './lib/sio.mjs';
import { until } from './lib/wait.mjs';

const dev = useServer({ before, after }, { set: { workers: 2 } }, start);

const TYPE = { 'Content-Type': 'application/json' };
const body = (said) => ({ method: 'POST', path: '/api/emit', headers: TYPE, body: JSON.stringify({ ack: true, ...said }) });

async function emit(said, server = dev) {
  const res = await request(server, { ...body(said), ms: 70_000 });
  assert.equal(res.headers['content-type'], 'application/json');
  return { status: res.status, ...JSON.parse(res.text) };
}

// A call that is under way: resolves once the events have been sent.
async function begin(said, server = dev) {
  const conn = await rawConnect(server);
  conn.write(formatRequest(server, body(said)));
  return conn;
}

const done = async (conn) => JSON.parse((await conn.readResponse()).text);

// Every test has a namespace of its own.
let n = 0;
const fresh = () => `/asked-${n++}`;

for (const [name, mode] of Object.entries(MODES)) describe(`over ${name}`, () => {
  async function clients(t, count, nsp, server = dev, options = {}) {
    const all = await Promise.all(Array.from({ length: count }, () => connect(t, server, { ...mode, ...options, nsp })));
    if (!mode.transports) await Promise.all(all.map(upgraded));
    return all;
  }

  test('every client is asked, and the answer has what each says', async (t) => {
    const nsp = fresh();
    const all = await clients(t, 5, nsp);
    all.forEach((socket, i) => socket.on('sum', (a, b, answer) => answer(a + b + i)));
    const { responses, ...rest } = await emit({ namespace: nsp, event: 'sum', args: [1, 20] });
    assert.deepEqual(rest, { status: 200, asked: 5, answered: 5 });
    assert.deepEqual(responses.sort(), [21, 22, 23, 24, 25]);
  });

  test('one client, by its id, again and again', async (t) => {
    const nsp = fresh();
    const [one, other] = await clients(t, 2, nsp);
    one.on('who', (answer) => answer(one.id));
    other.on('who', (answer) => answer('not me'));
    for (let i = 0; i < 20; i++) {
      assert.deepEqual(await emit({ namespace: nsp, rooms: one.id, event: 'who' }),
        { status: 200, responses: [one.id], asked: 1, answered: 1 });
    }
  });

  test('rooms and exceptions say who is asked, and everybody once', async (t) => {
    const nsp = fresh();
    const all = await clients(t, 4, nsp);
    const joins = [['red'], ['red', 'blue'], ['blue', 'quiet'], []];
    for (const [i, socket] of all.entries()) {
      socket.on('q', (answer) => answer(i));
      for (const room of joins[i]) await ask(socket, 'join', room);
    }
    const both = await emit({ namespace: nsp, rooms: ['red', 'blue', 'red'], except: 'quiet', event: 'q' });
    assert.deepEqual({ ...both, responses: both.responses.sort() },
      { status: 200, responses: [0, 1], asked: 2, answered: 2 });
    assert.deepEqual(await emit({ namespace: nsp, rooms: ['blue', all[0].id], except: ['red'], event: 'q' }),
      { status: 200, responses: [2], asked: 1, answered: 1 });
  });

  test('arguments and answers of every kind pass', async (t) => {
    const nsp = fresh();
    const [socket] = await clients(t, 1, nsp);
    const values = [{ z: 1, a: [null, 'é "x" 👩‍👩‍👧‍👦'] }, 'text', 1.5, true, null, [], ''];
    for (const value of values) {
      socket.once('echo', (...args) => args.at(-1)(...args.slice(0, -1)));
      assert.deepEqual((await emit({ namespace: nsp, event: 'echo', args: [value, 'second'] })).responses, [value]);
    }
    socket.once('none', (answer) => answer());
    assert.deepEqual((await emit({ namespace: nsp, event: 'none' })).responses, [null]);
    const large = 'x'.repeat(300_000);
    socket.once('large', (text, answer) => answer(text));
    assert.deepEqual((await emit({ namespace: nsp, event: 'large', args: [large] })).responses, [large]);
  });

  test('bytes in an answer are base64', async (t) => {
    const nsp = fresh();
    const all = await clients(t, 2, nsp);
    const blob = Buffer.from(Array.from({ length: 1000 }, (_, i) => i & 255));
    for (const socket of all) socket.on('bytes', (answer) => answer({ blob, list: [Buffer.from('ab')] }, Buffer.from('second')));
    const { responses, answered } = await emit({ namespace: nsp, event: 'bytes' });
    assert.equal(answered, 2);
    for (const value of responses) assert.deepEqual(value, { blob: blob.toString('base64'), list: ['YWI='] });
    all[0].on('lone', (answer) => answer(Buffer.from('xyz')));
    assert.deepEqual((await emit({ namespace: nsp, rooms: all[0].id, event: 'lone' })).responses, ['eHl6']);
  });

  test('at the timeout the answer has what was said until then', async (t) => {
    const nsp = fresh();
    const all = await clients(t, 3, nsp);
    const late = [];
    all[0].on('q', (answer) => answer('in time'));
    all[1].on('q', (answer) => late.push(answer));
    all[2].on('q', () => {});
    assert.deepEqual(await emit({ namespace: nsp, event: 'q', timeout_ms: 500 }),
      { status: 200, responses: ['in time'], asked: 3, answered: 1 });
    for (const answer of late) answer('too late');
    await settled(all[1]);
    all[1].off('q').on('q', (answer) => answer('again'));
    assert.deepEqual(await emit({ namespace: nsp, rooms: all[1].id, event: 'q' }),
      { status: 200, responses: ['again'], asked: 1, answered: 1 });
  });

  test('a client that leaves, or loses its connection, is not waited for', async (t) => {
    const nsp = fresh();
    const all = await clients(t, 3, nsp);
    all[0].on('q', (answer) => answer('here'));
    all[1].on('q', () => all[1].disconnect());
    all[2].on('q', () => all[2].io.engine.transport.name === 'polling' ? all[2].io.engine.close() : all[2].io.engine.transport.ws.terminate());
    assert.deepEqual(await emit({ namespace: nsp, event: 'q', timeout_ms: 60_000 }),
      { status: 200, responses: ['here'], asked: 3, answered: 1 });
  });

  test('several calls at once are told apart', async (t) => {
    const nsp = fresh();
    const all = await clients(t, 3, nsp);
    const waiting = [];
    for (const socket of all) socket.on('q', (i, answer) => waiting.push(() => answer(i)));
    const calls = Array.from({ length: 10 }, (_, i) => emit({ namespace: nsp, event: 'q', args: [i] }));
    await until(() => waiting.length === 30, 'all questions');
    for (const answer of waiting.reverse()) answer();
    for (const [i, got] of (await Promise.all(calls)).entries()) {
      assert.deepEqual(got, { status: 200, responses: [i, i, i], asked: 3, answered: 3 });
    }
  });

  test('a question keeps its place among other events', async (t) => {
    const nsp = fresh();
    const all = await clients(t, 12, nsp);
    const heard = all.map(() => []);
    all.forEach((socket, i) => {
      socket.on('n', (k) => heard[i].push(k));
      socket.on('q', (k, answer) => {
        heard[i].push(k);
        answer(heard[i].length);
      });
    });
    for (let k = 0; k < 9; k += 3) {
      for (const j of [k, k + 1]) await request(dev, { ...body(), body: JSON.stringify({ namespace: nsp, event: 'n', args: [j] }) });
      assert.equal((await emit({ namespace: nsp, event: 'q', args: [k + 2] })).answered, 12);
    }
    for (const got of heard) assert.deepEqual(got, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
  });

  describe('with the msgpack parser', () => {
    const packed = useServer({ before, after }, { set: { 'socketio.parser': 'msgpack', workers: 2 } }, start);
    const parser = msgpack.default ?? msgpack;

    test('answers come back, bytes too', async (t) => {
      for (const nsp of ['/', '/packed']) {
        const all = await clients(t, 3, nsp, packed, { parser });
        all.forEach((socket, i) => socket.on('q', (x, answer) => answer({ x, i, bytes: Buffer.from([1, 2, 3]) }, 'second')));
        const { responses, ...rest } = await emit({ namespace: nsp, event: 'q', args: [{ a: 1 }] }, packed);
        assert.deepEqual(rest, { status: 200, asked: 3, answered: 3 });
        assert.deepEqual(responses.sort((a, b) => a.i - b.i), [0, 1, 2].map((i) => ({ x: { a: 1 }, i, bytes: 'AQID' })));
      }
    });
  });
});

// A client by hand: what is asked of it, and answers as it likes.
class Hand {
  static async join(t, nsp, server = dev) {
    const ws = await rawWebSocket(server, '/socket.io/?EIO=4&transport=websocket');
    t.after(() => ws.destroy());
    await ws.readText();
    ws.text(`40${nsp},`);
    const [, sid] = /"sid":"(.*?)"/.exec(await ws.readText());
    return Object.assign(new Hand(), { ws, nsp, sid });
  }

  // The id of the next question.
  async asked() {
    const text = await this.ws.readText();
    const [, nsp, id] = /^42(\/[^,]*),(\d+)\["q"\]$/.exec(text) ?? assert.fail(text);
    assert.equal(nsp, this.nsp);
    return id;
  }

  answer(id, ...values) {
    this.ws.text(`43${this.nsp},${id}${JSON.stringify(values)}`);
  }

  // The server has read everything up to here, and nothing but this has come.
  async settled() {
    this.ws.text(`42${this.nsp},7["settled"]`);
    assert.equal(await this.ws.readText(), `43${this.nsp},7[]`);
  }
}

describe('answers by hand', () => {
  test('that are not owed, or not any more, mean nothing', async (t) => {
    const nsp = fresh();
    const [one, two] = [await Hand.join(t, nsp), await Hand.join(t, nsp)];
    for (const id of ['0', '12345', '18446744073709551615', '99999999999999999999']) one.answer(id, 'before');
    one.ws.text(`43${nsp},["no id"]`);
    const call = await begin({ namespace: nsp, event: 'q', timeout_ms: 60_000 });
    const [first, second] = [await one.asked(), await two.asked()];
    if (first !== second) {
      one.answer(second, 'for the other');
      two.answer(first, 'for the other');
    }
    one.answer(first, 'mine');
    one.answer(first, 'mine again');
    await one.settled();
    two.answer(second, 'mine too');
    two.answer(second, 'mine too again');
    const { responses, ...rest } = await done(call);
    assert.deepEqual(rest, { asked: 2, answered: 2 });
    assert.deepEqual(responses.sort(), ['mine', 'mine too']);
    await two.settled();
    call.destroy();
  });

  test('count only in the namespace that was asked', async (t) => {
    const nsp = fresh();
    const one = await Hand.join(t, nsp);
    one.ws.text('40/other,');
    assert.match(await one.ws.readText(), /^40\/other,/);
    const call = await begin({ namespace: nsp, event: 'q', timeout_ms: 60_000 });
    const id = await one.asked();
    one.ws.text(`43/other,${id}["wrong"]`);
    one.answer(id, 'right');
    assert.deepEqual(await done(call), { responses: ['right'], asked: 1, answered: 1 });
    call.destroy();
  });

  test('may have attachments, as frames and as base64', async (t) => {
    const nsp = fresh();
    const one = await Hand.join(t, nsp);
    for (const send of [() => one.ws.send(OP.BINARY, Buffer.from([1, 2, 3])), () => one.ws.text('bAQID')]) {
      const call = await begin({ namespace: nsp, event: 'q', timeout_ms: 60_000 });
      one.ws.text(`461-${nsp},${await one.asked()}[[{"_placeholder":true,"num":0}]]`);
      send();
      assert.deepEqual((await done(call)).responses, [['AQID']]);
      call.destroy();
    }
  });

  test('may come over another transport than the question', async () => {
    const p = await Polling.open(dev);
    const [, sid] = /"sid":"(.*?)"/.exec(await p.join());
    const call = await begin({ rooms: sid, event: 'q', timeout_ms: 60_000 });
    const [, id] = /^42(\d+)\["q"\]$/.exec((await p.get()).text);
    const ws = await rawWebSocket(dev, `/socket.io/?EIO=4&transport=websocket&sid=${p.sid}`);
    ws.text('2probe');
    assert.equal(await ws.readText(), '3probe');
    ws.text('5');
    ws.text(`43${id}["moved"]`);
    assert.deepEqual(await done(call), { responses: ['moved'], asked: 1, answered: 1 });
    ws.destroy();
    call.destroy();
  });

  test('that break the protocol close the connection, and are not waited for', async (t) => {
    const nsp = fresh();
    const one = await Hand.join(t, nsp);
    const call = await begin({ namespace: nsp, event: 'q', timeout_ms: 60_000 });
    one.ws.text(`43${nsp},${await one.asked()}{"not":"an array"}`);
    assert.equal(await one.ws.readClose(), null);
    assert.deepEqual(await done(call), { responses: [], asked: 1, answered: 0 });
    call.destroy();
  });
});

describe('the call', () => {
  test('is answered at once where nobody is', async () => {
    for (const said of [{ namespace: '/empty' }, { rooms: 'empty' }, { rooms: 'A'.repeat(20) }]) {
      assert.deepEqual(await emit({ event: 'q', timeout_ms: 60_000, ...said }),
        { status: 200, responses: [], asked: 0, answered: 0 });
    }
  });

  test('that is given up leaves nothing behind', async (t) => {
    const nsp = fresh();
    const one = await Hand.join(t, nsp);
    const ids = [];
    for (let i = 0; i < 300; i++) { // more than one client may owe
      const call = await begin({ namespace: nsp, event: 'q', timeout_ms: 60_000 });
      ids.push(await one.asked());
      call.destroy();
    }
    for (const id of ids) one.answer(id, 'nobody listens');
    await one.settled();
    const call = await begin({ namespace: nsp, event: 'q', timeout_ms: 60_000 });
    one.answer(await one.asked(), 'still');
    assert.deepEqual((await done(call)).responses, ['still']);
    call.destroy();
  });

  test('asks nobody who owes 256 answers', async (t) => {
    const nsp = fresh();
    const one = await Hand.join(t, nsp);
    const calls = [];
    for (let i = 0; i < 256; i++) calls.push(await begin({ namespace: nsp, event: 'q', timeout_ms: 60_000 }));
    const ids = [];
    for (let i = 0; i < 256; i++) ids.push(await one.asked());
    assert.deepEqual(await emit({ namespace: nsp, event: 'q' }), { status: 200, responses: [], asked: 0, answered: 0 });
    const { text } = await request(dev, { path: '/metrics' });
    assert.match(text, /^peal_acks_dropped_total 1$/m);
    for (const id of ids) one.answer(id, id);
    const answers = await Promise.all(calls.map(done));
    assert.deepEqual(answers.map(({ responses }) => responses[0]).sort(), ids.sort());
    for (const call of calls) call.destroy();
  });

  test('asks a thousand clients, and not one more', async (t) => {
    const nsp = fresh();
    const all = [];
    for (let i = 0; i < 1000; i += 50) {
      all.push(...await Promise.all(Array.from({ length: 50 }, () => Hand.join(t, nsp))));
    }
    const call = await begin({ namespace: nsp, event: 'q', timeout_ms: 60_000 });
    await Promise.all(all.map(async (one, i) => one.answer(await one.asked(), i)));
    const { responses, ...rest } = await done(call);
    assert.deepEqual(rest, { asked: 1000, answered: 1000 });
    assert.deepEqual(responses.sort((a, b) => a - b), Array.from({ length: 1000 }, (_, i) => i));
    call.destroy();

    all.push(await Hand.join(t, nsp));
    const { status, error } = await emit({ namespace: nsp, event: 'q' });
    assert.deepEqual([status, error.code], [400, 'too_many_clients']);
    assert.match(error.message, /more than 1000 clients.*nothing was sent/);
    for (const one of all.slice(-20)) await one.settled();
    assert.equal((await emit({ namespace: nsp, rooms: all[3].sid, event: 'q', timeout_ms: 1 })).asked, 1);
  });

  test('lists responses of io.queue_max and counts the others', async (t) => {
    const nsp = fresh();
    const all = await Promise.all(Array.from({ length: 6 }, () => connect(t, dev, { ...MODES.websocket, nsp })));
    for (const one of all) one.on('q', (answer) => answer('x'.repeat(300_000)));
    const { responses, ...rest } = await emit({ namespace: nsp, event: 'q', timeout_ms: 60_000 });
    assert.deepEqual(rest, { status: 200, asked: 6, answered: 6 });
    assert.equal(responses.length, 3);
  });

  test('reaches plain clients too, who are not asked', async (t) => {
    const ws = await rawWebSocket(dev, '/ws/asked-room');
    t.after(() => ws.destroy());
    const socket = await connect(t, dev, { ...MODES.websocket });
    await ask(socket, 'join', 'asked-room');
    socket.on('q', (x, answer) => answer(x + 1));
    assert.deepEqual(await emit({ rooms: 'asked-room', event: 'q', args: [1] }),
      { status: 200, responses: [2], asked: 1, answered: 1 });
    assert.equal(await ws.readText(), '1');
    assert.deepEqual(await emit({ rooms: 'asked-room', except: socket.id, event: 'q', args: [2] }),
      { status: 200, responses: [], asked: 0, answered: 0 });
    assert.equal(await ws.readText(), '2');
  });

  test('may be volatile', async (t) => {
    const nsp = fresh();
    const socket = await connect(t, dev, { ...MODES.websocket, nsp });
    socket.on('q', (answer) => answer('v'));
    assert.deepEqual(await emit({ namespace: nsp, event: 'q', volatile: true }),
      { status: 200, responses: ['v'], asked: 1, answered: 1 });
  });

  test('without ack is what it was', async (t) => {
    const nsp = fresh();
    const one = await Hand.join(t, nsp);
    const res = await request(dev, body({ namespace: nsp, event: 'q', ack: false }));
    assert.deepEqual([res.status, res.text], [200, '{}\n']);
    assert.equal(await one.ws.readText(), `42${nsp},["q"]`);
  });

  for (const [name, said, message] of [
    ['ack that is neither', { ack: 1 }, /^ack: expected true or false$/],
    ['ack with an object', { ack: { timeout_ms: 1 } }, /^ack: expected true or false$/],
    ['a timeout without ack', { ack: undefined, timeout_ms: 5 }, /^timeout_ms: only with ack$/],
    ['a timeout with ack false', { ack: false, timeout_ms: 5 }, /^timeout_ms: only with ack$/],
    ...[0, 60_001, 1.5, -1, '5', null, 1e30].map((timeout) =>
      [`a timeout of ${JSON.stringify(timeout)}`, { timeout_ms: timeout }, /^timeout_ms: expected a whole number from 1 to 60000$/]),
  ]) {
    test(`with ${name} is refused`, async () => {
      const { status, error } = await emit({ event: 'q', ...said });
      assert.deepEqual([status, error.code], [400, 'invalid_field']);
      assert.match(error.message, message);
    });
  }

  for (const workers of [1, 2]) {
    test(`is cut off when the server ends without a drain (${workers} workers)`, async (t) => {
      const server = await start({ set: { workers, 'drain.delay': '60s' } });
      const all = [await Hand.join(t, '/end', server), await Hand.join(t, '/end', server), await Hand.join(t, '/end', server)];
      const calls = [];
      for (let i = 0; i < 4; i++) calls.push(await begin({ namespace: '/end', event: 'q', timeout_ms: 60_000 }, server));
      for (const one of all) for (let i = 0; i < calls.length; i++) await one.asked();
      await server.stop();
      for (const call of calls) await call.waitClosed();
    });
  }

  test('is cut off when the server ends, and leaves nothing to complain about', async (t) => {
    const server = await start({ set: { workers: 4 } });
    const all = [];
    for (let i = 0; i < 20; i++) all.push(await Hand.join(t, '/end', server));
    const calls = [];
    for (let i = 0; i < 8; i++) calls.push(await begin({ namespace: '/end', event: 'q', timeout_ms: 60_000 }, server));
    for (const one of all) for (let i = 0; i < calls.length; i++) await one.asked();
    await server.stop();
    for (const call of calls) {
      await call.waitClosed();
      if (call.buffer.length === 0) continue; // else its clients had gone before
      const { responses, answered } = await done(call);
      assert.deepEqual([responses, answered], [[], 0]);
    }
  });
});
