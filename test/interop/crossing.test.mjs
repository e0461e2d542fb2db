// SPDX-License-Identifier: MIT
//
// One channel, every protocol: what anybody publishes reaches everybody in the form of their
// protocol, byte for byte. Everything here is raw, so that no client library helps.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import * as msgpack from 'socket.io-msgpack-parser';

import { OP, rawWebSocket } from './lib/frames.mjs';
import { formatRequest, rawConnect, request } from './lib/http.mjs';
import { startPeal as start } from './lib/peal.mjs';
import { useServer } from './lib/server.mjs';
import { connect, settled } from './lib/sio.mjs';
import { next } from './lib/wait.mjs';

const RS = '\x1e';
const POLL = '/socket.io/?EIO=4&transport=polling';
const WS = '/socket.io/?EIO=4&transport=websocket';
const PLACE = (n) => `{"_placeholder":true,"num":${n}}`;
const X = 'orders/ü 1';
const x = encodeURIComponent(X);

// Receivers: each subscribes to X, and read(expected) gives what came, in the shape of
// what is expected of it.

class SocketIo {
  constructor(ws) {
    this.ws = ws;
  }

  static async open(server, query = '', room = X) {
    const sio = new SocketIo(await rawWebSocket(server, WS + query));
    await sio.ws.readText();
    sio.ws.text('40');
    assert.match(await sio.ws.readText(), /^40\{"sid"/);
    if (room) {
      sio.ws.text(`420["join",${JSON.stringify(room)}]`);
      assert.match(await sio.ws.readText(), /^430\[/);
    }
    return sio;
  }

  // Text, then its attachments in the order of the packet.
  send(text, ...atts) {
    this.ws.text(text);
    for (const bytes of atts) this.ws.send(OP.BINARY, bytes);
  }

  async read({ sio }) {
    const got = [await this.ws.readText()];
    for (let n = sio.length - 1; n > 0; n--) {
      const { opcode, payload } = await this.ws.read();
      got.push(opcode === OP.BINARY ? payload : payload.toString());
    }
    return got;
  }

  expected({ sio }) {
    return sio;
  }

  close() {
    this.ws.destroy();
  }
}

const inBase64 = ([text, ...atts]) => [text, ...atts.map((b) => `b${b.toString('base64')}`)];

class Base64SocketIo extends SocketIo {
  static async open(server) {
    return new Base64SocketIo((await SocketIo.open(server, '&b64=1')).ws);
  }

  expected({ sio }) {
    return inBase64(sio);
  }
}

class Poller {
  static async open(server) {
    const p = new Poller();
    const { text } = await request(server, { path: POLL });
    Object.assign(p, { server, path: `${POLL}&sid=${JSON.parse(text.slice(1)).sid}` });
    for (const body of ['40', `420["join",${JSON.stringify(X)}]`]) {
      await request(server, { method: 'POST', path: p.path, body });
      assert.match((await request(server, { path: p.path })).text, /^4[03]/);
    }
    return p;
  }

  async read() {
    return (await request(this.server, { path: this.path })).text.split(RS);
  }

  expected({ sio }) {
    return inBase64(sio);
  }

  close() {}
}

class Plain {
  static async open(server) {
    return Object.assign(new Plain(), { ws: await rawWebSocket(server, `/ws/${x}`) });
  }

  async read() {
    const { opcode, payload } = await this.ws.read();
    return opcode === OP.BINARY ? payload : payload.toString();
  }

  expected({ ws }) {
    return ws;
  }

  close() {
    this.ws.destroy();
  }
}

class Envelopes extends Plain {
  static async open(server) {
    return Object.assign(new Envelopes(), { ws: await rawWebSocket(server, `/ws?channel=${x}&channel=another`) });
  }

  expected({ many }) {
    return `{"channel":${JSON.stringify(X)},${many}}`;
  }
}

class EventStream {
  static async open(server) {
    const conn = await rawConnect(server);
    conn.write(formatRequest(server, { path: `/sse/${x}` }));
    assert.equal((await conn.readHead()).status, 200);
    assert.equal((await conn.readChunk()).toString(), 'retry: 2000\n\n');
    return Object.assign(new EventStream(), { conn });
  }

  async read() {
    return (await this.conn.readChunk()).toString();
  }

  expected({ sse }) {
    return `${sse}\n\n`;
  }

  close() {
    this.conn.destroy();
  }
}

const RECEIVERS = { 'Socket.IO over WebSocket': SocketIo, 'Socket.IO with b64': Base64SocketIo,
  'Socket.IO over polling': Poller, '/ws': Plain, '/ws with envelopes': Envelopes, '/sse': EventStream };

// Rows. `publish` gets the publishers; the rest is what receivers must see: the Socket.IO
// packet and its attachments, the message of /ws, the envelope behind its channel, the event.
const RAW = JSON.stringify(X);
const api = (path, body) => async ({ server }) => {
  const res = await request(server, { method: 'POST', path, headers: { 'Content-Type': 'application/json' }, body });
  assert.deepEqual([res.status, res.text], [200, '{}\n'], res.text);
};
const publish = (fields) => api('/api/publish', `{"channel":${RAW},${fields}}`);
const emit = (fields) => api('/api/emit', `{"rooms":${RAW},${fields}}`);
const say = (rest, ...atts) => ({ sio }) =>
  sio.send(`4${atts.length ? `5${atts.length}-` : '2'}["to",${RAW},${rest}]`, ...atts);
const plain = (data) => ({ ws }) => ws.send(Buffer.isBuffer(data) ? OP.BINARY : OP.TEXT, data);
const envelope = (rest) => ({ many }) => many.text(`{"channel":${RAW},${rest}}`);

const JSONS = ['{"id":7, "x":1.0}', '[ 1 ,2e3]', '{"z":1,"a":{"10":[],"\\u0061":"\\/"}}', '{}', '[]'];
const SCALARS = ['1e3', '-0.0', 'true', 'null', '123456789012345678901234567890'];
const TEXTS = [['"hi"', 'hi'], ['""', ''], ['"a\\u00e9\\t\\"\\\\\\/"', 'aé\t"\\/'],
  ['"\\ud83d\\ude00 😀 \u2028"', '😀 😀 \u2028'], ['"12"', '12'], ['"{\\"a\\":1}"', '{"a":1}']];
const ONE = Buffer.from([1, 2, 250]);
const TWO = Buffer.from([0, 30, 255, 10]);

const value = (how, json) => ({ publish: publish(`"data":${json}`), what: `${how} ${json.slice(0, 40)}`,
  sio: [`42["message",${json}]`], ws: json, many: `"data":${json}`, sse: `data: ${json}` });

const rows = [
  { what: 'API: an event with JSON', publish: publish('"event":"created","data":{"id":7, "x":1.0}'),
    sio: ['42["created",{"id":7, "x":1.0}]'], ws: '{"id":7, "x":1.0}',
    many: '"event":"created","data":{"id":7, "x":1.0}', sse: 'event: created\ndata: {"id":7, "x":1.0}' },
  ...[...JSONS, ...SCALARS].map((json) => value('API: JSON', json)),
  ...TEXTS.map(([json, text]) => ({ ...value('API: text', json), ws: text, sse: `data: ${text}` })),
  { what: 'API: lines', publish: publish('"data":"a\\nb\\r\\nc\\rd\\n"'), sio: ['42["message","a\\nb\\r\\nc\\rd\\n"]'],
    ws: 'a\nb\r\nc\rd\n', many: '"data":"a\\nb\\r\\nc\\rd\\n"', sse: 'data: a\ndata: b\ndata: c\ndata: d\ndata: ' },
  { what: 'API: emit with two arguments', publish: emit('"event":"say","args":[1, {"a":2}]'),
    sio: ['42["say",1, {"a":2}]'], ws: '[1, {"a":2}]', many: '"event":"say","data":[1, {"a":2}]',
    sse: 'event: say\ndata: [1, {"a":2}]' },
  { what: 'API: emit with one', publish: emit('"event":"say","args":["one"]'), sio: ['42["say","one"]'], ws: 'one',
    many: '"event":"say","data":"one"', sse: 'event: say\ndata: one' },
  { what: 'API: emit with none', publish: emit('"event":"tick"'), sio: ['42["tick"]'], ws: '[]',
    many: '"event":"tick","data":[]', sse: 'event: tick\ndata: []' },
  { what: 'Socket.IO: two arguments', publish: say('"say",1,{"a": 2.50}'), sio: ['42["say",1,{"a": 2.50}]'],
    ws: '[1,{"a": 2.50}]', many: '"event":"say","data":[1,{"a": 2.50}]', sse: 'event: say\ndata: [1,{"a": 2.50}]' },
  { what: 'Socket.IO: no argument', publish: say('"tick"'), sio: ['42["tick"]'], ws: '[]',
    many: '"event":"tick","data":[]', sse: 'event: tick\ndata: []' },
  ...JSONS.map((json) => ({ what: `Socket.IO: ${json}`, publish: say(`"e",${json}`), sio: [`42["e",${json}]`],
    ws: json, many: `"event":"e","data":${json}`, sse: `event: e\ndata: ${json}` })),
  ...TEXTS.map(([json, text]) => ({ what: `Socket.IO: text ${json}`, publish: say(`"e",${json}`), sio: [`42["e",${json}]`],
    ws: text, many: `"event":"e","data":${json}`, sse: `event: e\ndata: ${text}` })),
  { what: 'Socket.IO: a number as event', publish: say('7,"x"'), sio: ['42[7,"x"]'], ws: 'x',
    many: '"event":7,"data":"x"', sse: 'event: 7\ndata: x' },
  { what: 'Socket.IO: an event named message', publish: say('"message",{"a":1}'), sio: ['42["message",{"a":1}]'],
    ws: '{"a":1}', many: '"event":"message","data":{"a":1}', sse: 'event: message\ndata: {"a":1}' },
  { what: 'Socket.IO: an event with escapes', publish: say('"\\u00e9\\"",1'), sio: ['42["\\u00e9\\"",1]'], ws: '1',
    many: '"event":"\\u00e9\\"","data":1', sse: 'event: é"\ndata: 1' },
  { what: 'Socket.IO: bytes alone', publish: say(`"pic",${PLACE(0)}`, ONE), sio: [`451-["pic",${PLACE(0)}]`, ONE],
    ws: ONE, many: '"event":"pic","encoding":"base64","data":"AQL6"', sse: 'event: pic\ndata: AQL6' },
  { what: 'Socket.IO: bytes among others', publish: say(`"x",{"a":${PLACE(0)}, "n":1.0},${PLACE(1)}`, ONE, TWO),
    sio: [`452-["x",{"a":${PLACE(0)}, "n":1.0},${PLACE(1)}]`, ONE, TWO], ws: '[{"a":"AQL6", "n":1.0},"AB7/Cg=="]',
    many: '"event":"x","data":[{"a":"AQL6", "n":1.0},"AB7/Cg=="]',
    sse: 'event: x\ndata: [{"a":"AQL6", "n":1.0},"AB7/Cg=="]' },
  ...JSONS.map((json) => ({ ...value('/ws: JSON', json), publish: plain(json) })),
  ...[...SCALARS, '"q"', '{', '[1,]', 'tt', '\u0000\u001e\u001f'].map((text) => ({ what: `/ws: text ${text}`,
    publish: plain(text), sio: [`42["message",${JSON.stringify(text)}]`], ws: text,
    many: `"data":${JSON.stringify(text)}`, sse: `data: ${text}` })),
  { what: '/ws: lines', publish: plain('one\r\ntwo'), sio: ['42["message","one\\r\\ntwo"]'], ws: 'one\r\ntwo',
    many: '"data":"one\\r\\ntwo"', sse: 'data: one\ndata: two' },
  { what: '/ws: bytes', publish: plain(ONE), sio: [`451-["message",${PLACE(0)}]`, ONE], ws: ONE,
    many: '"encoding":"base64","data":"AQL6"', sse: 'event: binary\ndata: AQL6' },
  { what: '/ws: no bytes', publish: plain(Buffer.alloc(0)), sio: [`451-["message",${PLACE(0)}]`, Buffer.alloc(0)],
    ws: Buffer.alloc(0), many: '"encoding":"base64","data":""', sse: 'event: binary\ndata: ' },
  { what: 'envelope: an event', publish: envelope('"event":"e","data":[1, 2]'), sio: ['42["e",[1, 2]]'], ws: '[1, 2]',
    many: '"event":"e","data":[1, 2]', sse: 'event: e\ndata: [1, 2]' },
  { what: 'envelope: text without event', publish: envelope('"data":"t\\u0041"'), sio: ['42["message","t\\u0041"]'],
    ws: 'tA', many: '"data":"t\\u0041"', sse: 'data: tA' },
  { what: 'envelope: bytes', publish: envelope('"encoding":"base64","data":"AQL6"'), sio: [`451-["message",${PLACE(0)}]`, ONE],
    ws: ONE, many: '"encoding":"base64","data":"AQL6"', sse: 'event: binary\ndata: AQL6' },
  { what: '/ws: a large one', publish: plain(`[${'1.0, '.repeat(30_000)}0]`), get sio() { return [`42["message",${this.ws}]`]; },
    ws: `[${'1.0, '.repeat(30_000)}0]`, get many() { return `"data":${this.ws}`; }, get sse() { return `data: ${this.ws}`; } },
];

describe('one channel', () => {
  const server = useServer({ before, after }, { set: { workers: 2 } }, start);
  const receivers = {};
  const publishers = {};

  before(async () => {
    for (const [name, Kind] of Object.entries(RECEIVERS)) receivers[name] = await Kind.open(server);
    Object.assign(publishers, { server, sio: await SocketIo.open(server, '', null),
      ws: receivers['/ws'].ws, many: receivers['/ws with envelopes'].ws });
  });
  after(() => {
    for (const receiver of Object.values(receivers)) receiver.close();
    publishers.sio?.close();
  });

  for (const row of rows) {
    test(row.what, async () => {
      await row.publish(publishers);
      for (const [name, receiver] of Object.entries(receivers))
        assert.deepEqual(await receiver.read(row), receiver.expected(row), name);
    });
  }

  test('a lone surrogate is still UTF-8 for plain clients', async () => {
    await publish('"data":"a\\ud800b"')(publishers);
    const row = { sio: ['42["message","a\\ud800b"]'], ws: 'a\ufffdb', many: '"data":"a\\ud800b"', sse: 'data: a\ufffdb' };
    for (const [name, receiver] of Object.entries(receivers))
      assert.deepEqual(await receiver.read(row), receiver.expected(row), name);
  });
});

// With the msgpack parser a client's bytes are not those of the others; what they mean is.
describe('one channel, with the msgpack parser', () => {
  const server = useServer({ before, after }, { set: { workers: 2, 'socketio.parser': 'msgpack' } }, start);
  const parser = msgpack.default ?? msgpack;

  test('what others publish reaches a client', async (t) => {
    const socket = await connect(t, server, { transports: ['websocket'], parser });
    const ws = await rawWebSocket(server, `/ws/${x}`);
    t.after(() => ws.destroy());
    socket.emit('join', X);
    await settled(socket);
    const cases = [
      [() => publish('"event":"created","data":{"id":7,"n":[1.5,-1,4294967296,null]}')({ server }),
        'created', [{ id: 7, n: [1.5, -1, 4294967296, null] }]],
      [() => publish('"data":"h\\u00e9\\ud83d\\ude00"')({ server }), 'message', ['hé😀']],
      [() => emit('"event":"say","args":[1,{"a":2}]')({ server }), 'say', [1, { a: 2 }]],
      [() => ws.text('{"a":1e3}'), 'message', [{ a: 1000 }]],
      [() => ws.text('plain "text"'), 'message', ['plain "text"']],
    ];
    for (const [act, event, args] of cases) {
      const got = next(socket, event);
      await act();
      assert.deepEqual(await got, args);
    }
    const got = next(socket, 'message');
    ws.send(OP.BINARY, ONE);
    assert.deepEqual(Buffer.from((await got)[0]), ONE);
  });

  test('what a client publishes reaches others as JSON', async (t) => {
    const socket = await connect(t, server, { transports: ['websocket'], parser });
    const [ws, sse] = [await Plain.open(server), await EventStream.open(server)];
    t.after(() => [ws, sse].forEach((receiver) => receiver.close()));
    const cases = [
      [['say', 1, { a: 2.5, s: 'é"\n' }], '[1,{"a":2.5,"s":"é\\"\\n"}]'],
      [['one', [true, null, -7, 2 ** 40]], '[true,null,-7,1099511627776]'],
      [['text', 'line\nline'], 'line\nline'],
      [['deep', { b: Buffer.from([1, 2, 250]) }, 0], '[{"b":"AQL6"},0]'],
    ];
    for (const [args, text] of cases) {
      socket.emit('to', X, ...args);
      assert.equal(await ws.read(), text);
      assert.equal(await sse.read(), `event: ${args[0]}\n${text.split('\n').map((l) => `data: ${l}\n`).join('')}\n`);
    }
    socket.emit('to', X, 'pic', ONE);
    assert.deepEqual(await ws.read(), ONE);
    assert.equal(await sse.read(), 'event: pic\ndata: AQL6\n\n');
  });
});
