// SPDX-License-Identifier: MIT
//
// A mixed cluster, what is asked in it: Socket.IO servers of Node's ask for sockets, for rooms and
// for acknowledgements, and move sockets about; Peal nodes do it and answer.

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';

import { ask, settled } from '../interop/lib/sio.mjs';
import { next } from '../interop/lib/wait.mjs';
import { openSocketIo, openWebSocket } from './lib/ears.mjs';
import { DIALECTS, bytes, fetched, fresh, inOrder, useMixed } from './lib/mixed.mjs';

for (const dialect of DIALECTS) {
  describe(`two Peal nodes are asked by a Node server, socketio.adapter=${dialect}`, () => {
    const bed = useMixed({ before, beforeEach, after, afterEach }, dialect);

    // With the sharded adapter a room's channel is subscribed when somebody is in it, so what is
    // emitted there at once may be missed, with Node servers too; several rooms share a channel.
    test('remote joins and leaves take effect before what is emitted next', async (t) => {
      const room = fresh();
      const ears = [...await bed.everywhere(t, { rooms: [room] }), ...await bed.everywhere(t)];
      const [x, y, z] = [fresh('x'), fresh('y'), fresh('z')];
      await bed.node.run((io, _, room, x, y, z, id, other, also) => {
        const to = (room) => io.to(also ? [room, also] : room);
        io.in(room).socketsJoin([x, y]);
        to(x).emit('in x');
        io.in(room).except(id).socketsLeave(x);
        to(x).emit('in x still');
        io.in(id).socketsJoin(z);
        to(z).emit('in z');
        io.in([x, other]).socketsJoin(z);
        to(z).emit('more in z');
        to(y).except(z).emit('in y only');
        io.socketsJoin('all');
        to('all').emit('in all');
        io.socketsLeave('all');
        to('all').emit('in none');
        io.emit('end');
      }, room, x, y, z, ears[0].id, ears[4].id, dialect === 'redis' ? undefined : fresh('nobody'));
      const got = (await bed.heard(ears)).map((items) => items.map(([event]) => event));
      assert.deepEqual(got[0], ['in x', 'in x still', 'in z', 'more in z', 'in all', 'end']);
      assert.deepEqual(got[1], ['in x', 'in y only', 'in all', 'end']);
      assert.deepEqual(got[3], ['in all', 'end']);
      assert.deepEqual(got[4], ['more in z', 'in all', 'end']);
    });

    test('what is emitted before a remote leave, or disconnect, arrives', async (t) => {
      const room = fresh();
      const ears = await bed.everywhere(t, { rooms: [room] });
      const gone = ears.slice(0, 2).map((ear) => next(ear.socket, 'disconnect'));
      await bed.node.run((io, _, room) => {
        io.to(room).emit('one');
        io.in(room).socketsLeave(room);
        io.to(room).emit('not this');
        io.in(room).socketsJoin('nothing');
        io.emit('two');
        io.disconnectSockets();
      }, room);
      for (const [i, ear] of ears.slice(0, 2).entries()) {
        assert.deepEqual(await gone[i], ['io server disconnect', undefined].slice(0, (await gone[i]).length));
        assert.deepEqual([await ear.next(), await ear.next()], [['one'], ['two']]);
      }
      assert.deepEqual((await bed.heard([])).flat(), []);
    });

    test('disconnected are the sockets of a namespace, or with their connections', async (t) => {
      const room = fresh();
      const ears = [];
      for (const peal of bed.peals) {
        const chat = await openSocketIo(t, peal, { nsp: '/chat', rooms: [room] });
        const { io } = chat.socket;
        const root = io.socket('/').connect();
        await next(root, 'connect');
        ears.push({ chat: chat.socket, root, io });
      }
      for (const { chat } of ears) chat.left = next(chat, 'disconnect');
      await bed.node.run((io, _, room) => io.of('/chat').in(room).disconnectSockets(), room);
      for (const { chat, root } of ears) {
        assert.equal((await chat.left)[0], 'io server disconnect');
        await ask(root, 'join', room);
      }
      for (const { root, io } of ears) Object.assign(root, { left: next(root, 'disconnect'), over: next(io.engine, 'close') });
      await bed.node.run((io, _, room) => io.in(room).disconnectSockets(true), room);
      for (const { root } of ears) {
        assert.equal((await root.left)[0], 'io server disconnect');
        await root.over;
      }
    });

    test('fetchSockets finds sockets of all servers', async (t) => {
      const [a, b] = [fresh(), fresh('ä"')];
      const ears = [
        ...await bed.everywhere(t), ...await bed.everywhere(t, { rooms: [a] }), ...await bed.everywhere(t, { rooms: [a, b] }),
        ...await bed.everywhere(t, { nsp: '/chat', rooms: [a] }),
      ];
      await openWebSocket(t, bed.peals[0], a); // no socket of Socket.IO
      const root = ears.slice(0, 9);
      assert.deepEqual(await fetched(bed.node), inOrder(root));
      assert.deepEqual(await fetched(bed.node, { rooms: [a] }), inOrder(ears.slice(3, 9)));
      assert.deepEqual(await fetched(bed.node, { rooms: [a], except: [b] }), inOrder(ears.slice(3, 6)));
      assert.deepEqual(await fetched(bed.node, { except: [a] }), inOrder(ears.slice(0, 3)));
      assert.deepEqual(await fetched(bed.node, { rooms: [ears[0].id, b], except: [ears[6].id] }),
        inOrder([ears[0], ears[7], ears[8]]));
      assert.deepEqual(await fetched(bed.node, { rooms: [fresh()] }), []);
      assert.deepEqual(await fetched(bed.node, { nsp: '/chat', rooms: [a] }), inOrder(ears.slice(9)));
      assert.deepEqual(await fetched(bed.node, { nsp: '/chat2' }), []);
      assert.deepEqual(await fetched(bed.node, { local: true }), inOrder(root.filter((ear) => ear.target === bed.node)));
    });

    test('nobody is found where nobody is, and everybody is counted', async () => {
      assert.deepEqual(await fetched(bed.node), []);
      assert.deepEqual(await fetched(bed.node, { nsp: '/chat2' }), []);
    });

    // The servers that are counted, and waited for, when somebody asks.
    const countedIn = async (nsp) => {
      const command = dialect === 'redis' ? ['NUMSUB', `socket.io-request#${nsp}#`] : ['SHARDNUMSUB', `socket.io#${nsp}#`];
      const [, n] = await bed.node.run((_, kept, command) => kept.pub.call('PUBSUB', ...command), command);
      return n;
    };

    test('a node is counted in "/" and where somebody has been', async (t) => {
      assert.equal(await countedIn('/'), 3);
      assert.equal(await countedIn('/chat2'), 1);
      const ears = [await openSocketIo(t, bed.peals[1], { nsp: '/chat2' })];
      assert.equal(await countedIn('/chat2'), 2);
      assert.deepEqual(await fetched(bed.node, { nsp: '/chat2' }), inOrder(ears));
      ears.push(await openSocketIo(t, bed.peals[0], { nsp: '/chat2' }));
      assert.equal(await countedIn('/chat2'), 3);
      assert.deepEqual(await fetched(bed.node, { nsp: '/chat2' }), inOrder(ears));
    });

    test('a remote socket can be worked with', async (t) => {
      const began = Date.now();
      const [a, b] = [fresh(), fresh()];
      const ears = await bed.everywhere(t, { rooms: [a] });
      const one = ears[0];
      const handshake = await bed.node.run(async (io, _, id, a, b) => {
        const find = async () => (await io.in(id).fetchSockets())[0];
        const socket = await find();
        socket.emit('hello', { a: 1 });
        socket.join(b);
        socket.leave(a);
        for (let rooms; !rooms?.has(b) || rooms.has(a);) ({ rooms } = await find());
        io.to(a).emit('not to one');
        socket.emit('bye', socket.data);
        return socket.handshake;
      }, one.id, a, b);
      assert.deepEqual(Object.keys(handshake).sort(),
        ['address', 'auth', 'headers', 'issued', 'query', 'secure', 'time', 'url', 'xdomain']);
      assert.equal(new Date(handshake.time).getTime(), handshake.issued);
      assert.ok(handshake.issued >= began - 1000 && handshake.issued <= Date.now());
      assert.deepEqual(await bed.heard(ears), [[['hello', { a: 1 }], ['bye', {}]], [['not to one']], [['not to one']]]);
      const gone = next(one.socket, 'disconnect');
      await bed.node.run(async (io, _, id) => {
        (await io.in(id).fetchSockets())[0].disconnect();
      }, one.id);
      assert.equal((await gone)[0], 'io server disconnect');
    });

    test('events between servers are answered with null', async () => {
      assert.deepEqual(await bed.node.run((io) => io.serverSideEmitWithAck('question', 1)), [null, null]);
      await bed.node.run((io) => { io.serverSideEmit('statement', 1); });
      assert.deepEqual(await fetched(bed.node), []);
    });

    // Node's emit to what names `rooms` and `except`, with an acknowledgement: the answers, in order.
    const asked = (options) => bed.node.run(async (io, _, { nsp = '/', rooms = [], except = [], ms = 10000, args }) => {
      try {
        const answers = await io.of(nsp).to(rooms).except(except).timeout(ms).emitWithAck('question', ...args);
        return { answers: answers.map((one) => JSON.stringify(one)).sort() };
      } catch (err) {
        return { error: err.message, answers: (err.responses ?? []).map((one) => JSON.stringify(one)).sort() };
      }
    }, options);
    const answering = (ears, what) => {
      for (const [i, ear] of ears.entries()) ear.socket.on('question', (...args) => args.pop()(...what(i, args)));
    };
    const texts = (...list) => list.map((one) => JSON.stringify(one)).sort();

    test('acknowledgements come from the clients of all servers', async (t) => {
      const [a, b] = [fresh(), fresh()];
      const ears = [...await bed.everywhere(t, { rooms: [a] }), ...await bed.everywhere(t, { rooms: [a, b] })];
      const chat = await bed.everywhere(t, { nsp: '/chat', transports: ['polling'] });
      answering(ears, (i, args) => [{ i, args }, 'ignored']);
      answering(chat, (i) => [i]);
      const from = (...list) => texts(...list.map((i) => ({ i, args: ['q', { x: 'ü' }] })));
      const args = ['q', { x: 'ü' }];
      assert.deepEqual(await asked({ rooms: [a], args }), { answers: from(0, 1, 2, 3, 4, 5) });
      assert.deepEqual(await asked({ rooms: [a], except: [b], args }), { answers: from(0, 1, 2) });
      assert.deepEqual(await asked({ rooms: [b, ears[0].id], args }), { answers: from(0, 3, 4, 5) });
      assert.deepEqual(await asked({ rooms: [ears[1].id], args }), { answers: from(1) });
      assert.deepEqual(await asked({ rooms: [fresh()], args }), { answers: [] });
      assert.deepEqual(await asked({ nsp: '/chat', args }), { answers: texts(0, 1, 2) });
      assert.deepEqual(await asked({ nsp: '/chat2', args }), { answers: [] });
    });

    test('what is emitted after a question comes after it', async (t) => {
      const room = fresh();
      const ears = await bed.everywhere(t, { rooms: [room] });
      answering(ears, (i) => [i]);
      const answers = await bed.node.run(async (io, _, room) => {
        const all = [];
        for (let n = 0; n < 20; n++) {
          all.push(io.to(room).timeout(10000).emitWithAck('question', n));
          io.to(room).emit('next', n);
        }
        return (await Promise.all(all)).map((one) => one.sort());
      }, room);
      assert.deepEqual(answers, Array(20).fill([0, 1, 2]));
      const got = (await bed.heard(ears)).map((items) => items.map(([event, n]) => `${event} ${n}`));
      const want = [...Array(20).keys()].flatMap((n) => [`question ${n}`, `next ${n}`]);
      // Node's sharded adapter emits to its own clients when Redis has answered, but asks them at once.
      for (const items of dialect === 'redis' ? got : got.slice(0, 2)) assert.deepEqual(items, want);
    });

    test('acknowledgements may be bytes, or nothing', async (t) => {
      const room = fresh();
      const ears = await bed.everywhere(t, { rooms: [room] });
      const answers = [[bytes(1, 2)], [], [{ deep: [bytes(3)] }]];
      let turn;
      answering(ears, (i) => answers[(i + turn) % 3]);
      for (turn = 0; turn < 3; turn++) {
        const got = await asked({ rooms: [room], args: [turn] });
        // What is undefined there has come as null.
        assert.deepEqual(got.answers.map((one) => one ?? 'null').sort(), texts(bytes(1, 2), null, { deep: [bytes(3)] }));
      }
    });

    test('who does not answer in time is missing, and what is late is dropped', async (t) => {
      const room = fresh();
      const ears = await bed.everywhere(t, { rooms: [room] });
      let late;
      ears[0].socket.on('question', (_, done) => (late = done));
      for (const ear of ears.slice(1)) ear.socket.on('question', (_, done) => done(ear.id));
      const got = await asked({ rooms: [room], ms: 2000, args: [1] });
      assert.match(got.error, /timed out/);
      assert.deepEqual(got.answers, texts(ears[1].id, ears[2].id));
      late('too late');
      await settled(ears[0].socket);
      assert.deepEqual((await bed.heard(ears)).map(([[event]]) => event), ['question', 'question', 'question']);
    });

    test('one socket alone is asked by its id', async (t) => {
      const ears = await bed.everywhere(t);
      answering(ears, (i, args) => [i, args]);
      const answers = await bed.node.run(async (io, _, ids) => Promise.all(ids.map(async (id) =>
        (await io.in(id).fetchSockets())[0].timeout(10000).emitWithAck('question', id))), ears.slice(0, 2).map(({ id }) => id));
      assert.deepEqual(answers, [0, 1]);
    });

    if (dialect === 'redis') {
      test('allRooms lists rooms of all servers', async (t) => {
        const [a, b] = [fresh(), fresh('ж')];
        const ears = [...await bed.everywhere(t, { rooms: [a] }), await openSocketIo(t, bed.peals[1], { rooms: [b, 7] })];
        const rooms = await bed.node.run(async (io) => [...await io.of('/').adapter.allRooms()]);
        assert.deepEqual(rooms.sort(), [...ears.map(({ id }) => id), a, b, '7'].sort());
        assert.deepEqual(await bed.node.run(async (io) => [...await io.of('/chat2').adapter.allRooms()]), []);
      });
    }
  });
}
