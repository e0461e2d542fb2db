// SPDX-License-Identifier: MIT
//
// A mixed cluster, what is said in it: whatever a Peal node, a Socket.IO server of Node's or the
// official emitter emits, clients of all servers are told, once and in order.

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';

import { Emitter } from '@socket.io/redis-emitter';
import Redis from 'ioredis';

import { ask, settled } from '../interop/lib/sio.mjs';
import { next } from '../interop/lib/wait.mjs';
import { emit, openEventSource, openSocketIo, openWebSocket } from './lib/ears.mjs';
import { DIALECTS, bytes, fresh, useMixed } from './lib/mixed.mjs';

// As a pattern of Redis it finds itself, and more than itself.
const WEIRD = '/a*b?^{c}.+$|(d)';

// What is of several channels comes from another Peal node in any order.
const byN = ([, { n: a }], [, { n: b }]) => a - b;
const byText = (a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1);

const PAYLOADS = {
  'nothing': [],
  'numbers': [0, -1, 1.5, -1e-7, 2 ** 31, -(2 ** 31), 2 ** 53 - 1, -(2 ** 53 - 1)],
  'text': ['', 'héllo', 'дом 🎉', '\u0000\u001f"\\/\u2028', 'a'.repeat(70000)],
  'structures': [null, true, [], {}, { a: [1, { b: null }], '': 'x', 'ключ': [[[]]] }],
  'what looks special': [{ _placeholder: false, num: 0 }, '__proto__', ['message', 2], { type: 'Buffer' }],
  'bytes': [bytes(1, 2, 3)],
  'bytes deep inside': ['x', { a: [bytes(), { b: bytes(0, 255, 254) }], c: 1 }, bytes(...Array(300).keys())],
};

for (const dialect of DIALECTS) {
  describe(`two Peal nodes and a Node server, socketio.adapter=${dialect}`, () => {
    const bed = useMixed({ before, beforeEach, after, afterEach }, dialect);

    // From each server, one after the other: `say(server)` says something to those that
    // `expected(ear, server)` tells: a list.
    async function check(ears, say, expected, order, servers = bed.servers) {
      for (const server of servers) {
        await say(server);
        const got = await bed.heard(ears);
        for (const [i, ear] of ears.entries()) {
          const want = expected(ear, server);
          if (order) {
            got[i].sort(order);
            want.sort(order);
          }
          assert.deepEqual(got[i], want, `${ear.name}, from ${server.name}`);
        }
      }
    }

    test('all, rooms, exceptions and ids reach whom they name, once and in order', async (t) => {
      const [a, b, c] = [fresh('a'), fresh('б'), fresh('c#d/ e')];
      const long = 'twenty-characters-ab'; // as long as an id
      const ears = [
        ...await bed.everywhere(t),
        ...await bed.everywhere(t, { rooms: [a] }),
        ...await bed.everywhere(t, { rooms: [a, b, long] }),
        ...await bed.everywhere(t, { rooms: [b, c] }),
        ...await Promise.all(bed.peals.map((node) => openWebSocket(t, node, a))),
        ...await Promise.all(bed.peals.map((node) => openEventSource(t, node, b, ['said']))),
      ];
      const ids = ears.slice(0, 6).map((ear) => ear.id);
      const cases = [
        {}, { rooms: [a] }, { rooms: [b] }, { rooms: [c] }, { rooms: [long] }, { rooms: [a, b] }, { rooms: [c, a, b, long] },
        { rooms: [fresh('empty')] }, { rooms: [fresh('empty'), c] },
        { except: [a] }, { except: [b, c] }, { rooms: [a], except: [b] }, { rooms: [a, b], except: [c, long] },
        { except: ids.slice(0, 2) }, { rooms: [a], except: [ids[4]] },
        ...ids.map((id) => ({ rooms: [id] })), { rooms: [ids[0], ids[5], b] }, { rooms: ids, except: [a] },
      ].map((one, n) => ({ rooms: [], except: [], event: 'said', args: [{ n }], ...one }));
      const isFor = (ear, { rooms, except }) => !except.some((room) => ear.isIn(room)) &&
        (rooms.length === 0 ? !ear.byRoom : rooms.some((room) => ear.isIn(room)));
      const event = (ear) => (ear.kind === 'WebSocket' ? 'message' : 'said');
      await check(ears, async (server) => {
        for (const one of cases) await emit(server, one);
      }, (ear) => cases.filter((one) => isFor(ear, one)).map(({ args }) => [event(ear), ...args]), byN);
    });

    test('what a server says in a room, or to all, arrives in that order', async (t) => {
      const room = fresh();
      const ears = (await Promise.all([1, 2].map(() => bed.everywhere(t, { rooms: [room] })))).flat();
      await Promise.all(bed.servers.map(async (server) => {
        for (let n = 0; n < 200; n++) {
          await emit(server, { ...(n % 2 && { rooms: [room] }), event: n % 2 ? 'room' : 'all', args: [{ n, of: server.name }] });
        }
      }));
      for (const [i, items] of (await bed.heard(ears)).entries()) {
        assert.equal(items.length, 600);
        for (const server of bed.servers) {
          for (const kind of ['room', 'all']) {
            const got = items.filter(([event, { of }]) => event === kind && of === server.name).map(([, { n }]) => n);
            assert.deepEqual(got, [...got].sort((a, b) => a - b), `${ears[i].name}, ${kind}, from ${server.name}`);
          }
        }
      }
    });

    test('payloads arrive as they were sent, bytes too', async (t) => {
      const room = fresh();
      const ears = await bed.everywhere(t, { rooms: [room] });
      for (const origin of ears) {
        for (const [name, args] of Object.entries(PAYLOADS)) {
          origin.socket.emit('to', room, 'got', ...args);
          for (const ear of ears) {
            assert.deepEqual(await ear.next(), ['got', ...args], `${name}: ${origin.name} to ${ear.name}`);
          }
        }
      }
      assert.deepEqual((await bed.heard(ears)).flat(), []);
    });

    test('clients of /ws and /sse are told what Node says to their channel', async (t) => {
      const channel = fresh();
      const ears = [
        ...await Promise.all(bed.peals.map((node) => openWebSocket(t, node, channel))),
        ...await Promise.all(bed.peals.map((node) => openEventSource(t, node, channel, ['one', 'two', 'binary']))),
      ];
      await bed.node.run((io, _, room) => {
        io.to(room).emit('one', { a: 'ä' });
        io.to(room).emit('two', 1, 'x');
        io.to(room).emit('message', 'text');
        io.to(room).emit('one', Buffer.from([1, 2, 3]));
        io.to(room).emit('two');
      }, channel);
      for (const [i, got] of (await bed.heard(ears)).entries()) {
        assert.deepEqual(got, i < 2
          ? [['message', { a: 'ä' }], ['message', [1, 'x']], ['message', 'text'], ['message', bytes(1, 2, 3)], ['message', []]]
          : [['one', { a: 'ä' }], ['two', [1, 'x']], ['message', 'text'], ['one', 'AQID'], ['two', []]], ears[i].name);
      }
    });

    test('Node clients are told what /ws clients and POST /api/publish say', async (t) => {
      const [a, b] = [fresh(), fresh()];
      const ears = await bed.everywhere(t, { rooms: [a, b] });
      await check(ears, async (peal) => {
        const { ws } = await openWebSocket(t, peal, a);
        for (const data of ['{"n":1}', 'text', bytes(9, 8), '[1,2]', 'ünï']) ws.send(data);
        for (const ear of ears) assert.deepEqual(await ear.next(), ['message', { n: 1 }]);
        await peal.publish({ channel: a, data: [1, 'x'] });
        await peal.publish({ channels: [b, a, fresh()], event: 'sold', data: { id: 7 } });
        await peal.publish({ channel: b, event: 'sold', data: null });
      }, () => [
        ['message', 'text'], ['message', bytes(9, 8)], ['message', [1, 2]], ['message', 'ünï'],
        ['message', [1, 'x']], ['sold', { id: 7 }], ['sold', null],
      ], byText, bed.peals);
    });

    test('a sender is left out by broadcast, and told by to', async (t) => {
      const room = fresh();
      const ears = await bed.everywhere(t, { rooms: [room] });
      const origin = ears[2];
      origin.socket.emit('others', 'all', 1);
      origin.socket.emit('others in', room, 'some', 2);
      await settled(origin.socket);
      const got = await bed.heard(ears);
      assert.deepEqual(got, [[['all', 1], ['some', 2]], [['all', 1], ['some', 2]], []]);
    });

    test('rooms that are numbers', async (t) => {
      const ears = [
        ...await bed.everywhere(t, { rooms: [42] }), ...await bed.everywhere(t, { rooms: [42, 43] }),
        await openSocketIo(t, bed.node, { rooms: ['42'] }), await openSocketIo(t, bed.node, { rooms: ['42', '43'] }),
      ];
      const sent = ['n', { n: 1 }];
      // To Node's clients room 42 and room '42' are two; to Peal's they are one.
      await bed.node.run((io) => io.to(42).except(43).emit('n', { n: 1 }));
      assert.deepEqual(await bed.heard(ears), [[sent], [sent], [sent], [], [], [], [], []]);
      await bed.node.run((io) => io.to('42').except('43').emit('n', { n: 1 }));
      assert.deepEqual(await bed.heard(ears), [[sent], [sent], [], [], [], [], [sent], []]);
      for (const peal of bed.peals) {
        await emit(peal, { rooms: ['42'], except: ['43'], event: 'n', args: [{ n: 1 }] });
        assert.deepEqual(await bed.heard(ears), [[sent], [sent], [sent], [], [], [], [sent], []]);
      }
      await bed.node.run((io) => io.in(43).socketsJoin(44));
      await bed.node.run(async (io) => (await io.fetchSockets()).length); // all have joined
      await bed.node.run((io) => io.to(44).emit('n', { n: 1 }));
      const got = await bed.heard(ears);
      assert.deepEqual(got.map((items) => items.length), [0, 0, 0, 1, 1, 1, 0, 0]);
    });

    test('flags: volatile and uncompressed are delivered, local stays where it is', async (t) => {
      const ears = await bed.everywhere(t);
      await bed.node.run((io) => {
        io.volatile.emit('volatile', 1);
        io.compress(false).emit('uncompressed', Buffer.from([1]));
        io.volatile.compress(false).timeout(100).emit('both');
        io.local.emit('local');
        io.except('nobody').local.emit('local');
      });
      const got = await bed.heard(ears);
      const told = [['volatile', 1], ['uncompressed', bytes(1)], ['both']];
      assert.deepEqual(got.slice(0, 2), [told, told]);
      // Node drops what is volatile if something else is on its way at that moment.
      assert.deepEqual(got[2].filter(([event]) => event === 'local'), [['local'], ['local']]);
      for (const peal of bed.peals) await emit(peal, { event: 'volatile', args: [2], volatile: true });
      assert.deepEqual((await bed.heard(ears)).slice(0, 2), [told, told].map(() => [['volatile', 2], ['volatile', 2]]));
    });

    test('namespaces keep apart, also those whose names mean something to Redis', async (t) => {
      const names = ['/', '/chat', '/chat2', WEIRD, fresh('/dynamic').replace(/-\d+-/, '-')];
      const room = fresh();
      const ears = (await Promise.all(names.map((nsp) => bed.everywhere(t, { nsp, rooms: [room, '/chat'] })))).flat();
      await check(ears, async (server) => {
        for (const nsp of names) {
          await emit(server, { nsp, event: 'all', args: [nsp] });
          await emit(server, { nsp, rooms: [room], event: 'some', args: [nsp] });
          await emit(server, { nsp, rooms: ['/chat'], event: 'odd', args: [nsp] });
          await emit(server, { nsp, rooms: [fresh()], event: 'none', args: [nsp] });
          await emit(server, { nsp: '/nobody', event: 'none' });
          await emit(server, { nsp, except: [room], event: 'none' });
        }
      }, (ear) => [['all', ear.nsp], ['some', ear.nsp], ['odd', ear.nsp]], byText);
    });

    test('a namespace whose name is a pattern for others hears itself only', async (t) => {
      const names = ['/a*', '/ab', '/a[b]'];
      const ears = (await Promise.all(names.map((nsp) => Promise.all(
        bed.peals.map((peal) => openSocketIo(t, peal, { nsp, rooms: ['r'] })))))).flat();
      // Node takes such a name for a pattern itself, so it only speaks here.
      await bed.node.run((io, _, names) => {
        for (const nsp of names) {
          io.of(nsp).emit('all', nsp);
          io.of(nsp).to('r').emit('some', nsp);
        }
      }, names);
      for (const [i, items] of (await bed.heard(ears)).entries()) {
        assert.deepEqual(items, [['all', ears[i].nsp], ['some', ears[i].nsp]], ears[i].nsp);
      }
    });

    if (dialect === 'redis') {
      test('the emitter reaches everybody', async (t) => {
        const room = fresh();
        const redis = new Redis(bed.redis.port, { lazyConnect: true });
        t.after(() => redis.disconnect());
        await redis.connect();
        const emitter = new Emitter(redis);
        const ears = [
          ...await bed.everywhere(t, { rooms: [room] }), ...await bed.everywhere(t),
          ...await bed.everywhere(t, { nsp: '/chat', rooms: [room] }),
        ];
        emitter.emit('all', 1, 'ü', Buffer.from([1]));
        emitter.to(room).emit('some', { a: [Buffer.from([2])] });
        emitter.to(room).to('x').except(ears[0].id).emit('not one');
        emitter.of('/chat').volatile.compress(false).emit('chat');
        emitter.of('/chat').in(room).emit('chat room');
        emitter.in(ears[3].id).socketsJoin(room);
        emitter.to(room).emit('one more');
        emitter.in(ears[3].id).socketsLeave([room, 'y']);
        emitter.to(room).emit('one less');
        emitter.serverSideEmit('nobody', 'listens');
        await redis.ping(); // all is published
        const root = [['all', 1, 'ü', bytes(1)]];
        const [some, notOne, more, less] = [['some', { a: [bytes(2)] }], ['not one'], ['one more'], ['one less']];
        const got = await bed.heard(ears);
        assert.deepEqual(got[0], [...root, some, more, less]);
        for (const i of [1, 2]) assert.deepEqual(got[i], [...root, some, notOne, more, less]);
        assert.deepEqual(got[3], [...root, more]);
        for (const i of [4, 5]) assert.deepEqual(got[i], root);
        // Node may find its client not ready for what is volatile.
        for (const i of [6, 7]) assert.deepEqual(got[i], [['chat'], ['chat room']]);
        const gone = ears.slice(0, 2).map((ear) => next(ear.socket, 'disconnect'));
        emitter.in(room).disconnectSockets(true);
        for (const one of gone) assert.equal((await one)[0], 'io server disconnect');
      });

      test('what other emitters say is understood', async (t) => {
        const room = fresh();
        const ears = await bed.everywhere(t, { rooms: [room] });
        const data = ['said', 1];
        await bed.node.run(async (_, kept, room, data, notepack) => {
          const { encode } = await import(notepack);
          const all = 'socket.io#/#';
          const one = `${all}${room}#`;
          const say = (channel, message) => kept.pub.publish(channel, encode(message));
          const packet = { type: 2, data, nsp: '/' };
          await say(one, ['emitter', packet, { rooms: [room], flags: {} }]); // Rust, Python: no except
          await say(one, ['emitter', { data, type: 2, nsp: '/' },
            { except: null, rooms: [room], flags: { volatile: false, compress: false } }]);
          await say(all, ['emitter', packet, { rooms: '', flags: '' }]); // an empty string for nothing
          await say(all, ['emitter', packet, { rooms: null, except: null, flags: null }]);
          await say(all, ['emitter', { type: 2, data }, { rooms: [], flags: {}, except: [] }]); // no namespace
          await say(all, ['emitter', packet, { rooms: [room, 'x'], flags: { binary: true, json: 1 } }]);
          const join = { type: 2, opts: { rooms: null, except: [] }, rooms: ['joined'] };
          await kept.pub.publish('socket.io-request#/#', JSON.stringify(join));
          await say(all, ['emitter', packet, { rooms: ['joined'], except: [] }]);
        }, room, data, import.meta.resolve('notepack.io'));
        const got = await bed.heard(ears);
        assert.deepEqual(got, ears.map(() => Array(7).fill(data)));
      });
    }
  });
}
