// SPDX-License-Identifier: MIT
//
// Clients of a mixed cluster, and all that each of them is told: [event, ...args]. To know that
// nothing more will come, every server says a mark to everybody, which arrives after all that it
// said before. (Between Peal nodes that is so for what is of one channel. What is of others may
// leave together with the mark, so what was said before must have left: the node has answered a
// subscription since.)

import WebSocket from 'ws';

import { EventSource } from '../../interop/lib/event-source.mjs';
import { ask, connected, makeClient } from '../../interop/lib/sio.mjs';
import { next, until, within } from '../../interop/lib/wait.mjs';

let marks = 0;
let settled = 0;

class Ear {
  #items = [];
  #marks = new Map(); // of the last mark: server: how often it came

  constructor(kind, target, nsp, rooms) {
    Object.assign(this, { kind, target, nsp, rooms });
  }

  get name() {
    return `${this.kind} of ${this.target.name} in ${this.rooms.join(' ') || 'no room'}`;
  }

  isIn(room) {
    return room === this.id || this.rooms.some((one) => String(one) === String(room));
  }

  hear(item) {
    const { mark, of, room } = Object(item.at(-1));
    if (mark === undefined) this.#items.push(item);
    else if (room !== this.byRoom) return; // meant for the others
    else if (mark === marks && !this.#marks.has(of)) this.#marks.set(of);
    else this.#items.push(['a mark more', mark, of]);
  }

  expectMarks() {
    this.#marks.clear();
  }

  async takeUntilMarked(servers) {
    await until(() => this.#marks.size === servers.length,
      `marks of all servers at ${this.name}, has ${[...this.#marks.keys()]}`);
    return this.#items.splice(0);
  }

  // What it is told next, whatever it is.
  async next() {
    await until(() => this.#items.length > 0, `something for ${this.name}`);
    return this.#items.shift();
  }
}

// options: nsp, rooms to join, and those of the client
export async function openSocketIo(t, target, { nsp = '/', rooms = [], ...options } = {}) {
  const ear = new Ear('Socket.IO', target, nsp, rooms);
  const { io } = makeClient(t, target, { transports: ['websocket'], autoConnect: false, ...options });
  ear.socket = io.socket(nsp);
  ear.socket.onAny((...item) => ear.hear(item));
  ear.socket.connect();
  await connected(ear.socket);
  ear.id = ear.socket.id;
  for (const room of rooms) await ask(ear.socket, 'join', room);
  await target.run?.((_, kept) => kept.subscribed());
  return ear;
}

const parse = (text) => {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
};

export async function openWebSocket(t, target, channel) {
  const ear = Object.assign(new Ear('WebSocket', target, '/', [channel]), { byRoom: true });
  const ws = new WebSocket(`ws://${target.host}:${target.port}/ws/${encodeURIComponent(channel)}`);
  ear.ws = ws;
  ws.on('message', (data, binary) => ear.hear(['message', binary ? data : parse(data.toString())]));
  t.after(() => ws.terminate());
  await next(ws, 'open');
  return ear;
}

export async function openEventSource(t, target, channel, events = []) {
  const ear = Object.assign(new Ear('EventSource', target, '/', [channel]), { byRoom: true });
  const es = new EventSource(`${target.url}/sse/${encodeURIComponent(channel)}`);
  for (const name of ['message', 'mark', ...events]) es.addEventListener(name, (ev) => ear.hear([name, parse(ev.data)]));
  t.after(() => es.close());
  await within(new Promise((resolve) => es.addEventListener('open', resolve)), 'the stream to open');
  return ear;
}

// io.of(nsp).to(rooms).except(except).emit(event, ...args) on a server of either kind.
export async function emit(server, { nsp = '/', rooms = [], except = [], event, args = [], volatile = false }) {
  if (server.run) {
    await server.run((io, _, m) => {
      let op = io.of(m.nsp).to(m.rooms).except(m.except);
      if (m.volatile) op = op.volatile;
      op.emit(m.event, ...m.args);
    }, { nsp, rooms, except, event, args, volatile });
  } else {
    await server.post('/api/emit', {
      namespace: nsp, ...(rooms.length && { rooms }), except, event, args, ...(volatile && { volatile }),
    });
  }
}

async function settle(server) {
  if (server.run) return;
  const ws = new WebSocket(`ws://${server.host}:${server.port}/ws/settle-${process.pid}-${++settled}`);
  await next(ws, 'open');
  ws.terminate();
}

// All that these clients have been told since the last time: a list for each.
export async function heard(servers, ears) {
  await Promise.all(servers.map(settle));
  marks++;
  for (const ear of ears) ear.expectMarks();
  for (const server of servers) {
    for (const nsp of new Set(ears.filter((ear) => !ear.byRoom).map((ear) => ear.nsp))) {
      await emit(server, { nsp, event: 'mark', args: [{ mark: marks, of: server.name }] });
    }
    for (const room of new Set(ears.filter((ear) => ear.byRoom).map((ear) => ear.rooms[0]))) {
      await emit(server, { rooms: [room], event: 'mark', args: [{ mark: marks, of: server.name, room: true }] });
    }
  }
  return Promise.all(ears.map((ear) => ear.takeUntilMarked(servers)));
}
