// SPDX-License-Identifier: MIT
//
// Clients that come back whatever happens, and look at numbered messages { p, n }: from each
// publisher p they must come in order and once, and none may be missing but while the client
// was away.

import WebSocket from 'ws';

import { EventSource } from '../../interop/lib/event-source.mjs';
import { makeClient } from '../../interop/lib/sio.mjs';
import { sleep, until } from '../../interop/lib/wait.mjs';

const EVENT = 'numbered';

class Follower {
  #last = new Map(); // publisher: { n, epoch }
  #epoch = 0; // what is missing between messages of two epochs is excused
  problems = [];
  cuts = 0; // times that the client lost its connection
  present = false;

  constructor(kind) {
    this.kind = kind;
  }

  hear({ p, n }) {
    const last = this.#last.get(p);
    if (last && n <= last.n) this.problems.push(`${p}: ${n} after ${last.n}`);
    if (last && n > last.n + 1 && last.epoch === this.#epoch) {
      this.problems.push(`${p}: nothing between ${last.n} and ${n}`);
    }
    this.#last.set(p, { n, epoch: this.#epoch });
  }

  // There is a connection. socket.io-client may still tell of messages of the one before.
  begin() {
    this.#epoch++;
  }

  // It is on the channel.
  come() {
    this.present = true;
  }

  go() {
    this.present = false;
    this.cuts++;
    this.#epoch++;
  }

  lastOf(p) {
    return this.#last.get(p)?.n ?? -1;
  }

  ready() {
    return until(() => {
      if (this.lost) throw new Error(`the client by ${this.kind} will not come back: ${this.lost}`);
      return this.present;
    }, `the client by ${this.kind} to be there`);
  }
}

function followSocketIo(t, target, channel, transports) {
  const follower = new Follower();
  const socket = makeClient(t, target, { withCredentials: true, ...(transports && { transports }) });
  socket.on('connect', () => {
    follower.begin();
    socket.emit('join', channel, () => follower.come());
  });
  socket.on('disconnect', () => follower.go());
  socket.on(EVENT, (data) => follower.hear(data));
  return follower;
}

function followWebSocket(t, target, channel) {
  const follower = new Follower();
  let ws;
  let over = false;
  const open = () => {
    if (over) return;
    ws = new WebSocket(`ws://${target.host}:${target.port}/ws/${channel}`);
    ws.on('open', () => follower.come());
    ws.on('message', (data) => follower.hear(JSON.parse(data.toString())));
    ws.on('error', () => {});
    ws.on('close', () => {
      follower.go();
      setTimeout(open, 50);
    });
  };
  open();
  t.after(() => {
    over = true;
    ws.terminate();
  });
  return follower;
}

function followEventSource(t, target, channel) {
  const follower = new Follower();
  const es = new EventSource(`${target.url}/sse/${channel}`);
  es.addEventListener('open', () => follower.come());
  es.addEventListener('error', (err) => {
    follower.go();
    if (es.readyState === es.CLOSED) follower.lost = `${err.code} ${err.message}`;
  });
  es.addEventListener(EVENT, (ev) => follower.hear(JSON.parse(ev.data)));
  t.after(() => es.close());
  return follower;
}

const FOLLOW = {
  'Socket.IO by polling': (t, target, channel) => followSocketIo(t, target, channel, ['polling']),
  'Socket.IO by WebSocket': (t, target, channel) => followSocketIo(t, target, channel, ['websocket']),
  'Socket.IO, polling first': (t, target, channel) => followSocketIo(t, target, channel),
  WebSocket: followWebSocket,
  EventSource: followEventSource,
};
export const FOLLOWERS = Object.keys(FOLLOW);

export async function follow(t, kind, target, channel) {
  const follower = FOLLOW[kind](t, target, channel);
  follower.kind = kind;
  await follower.ready();
  return follower;
}

// Publishes { p, n } on a node, n from 0 on, until it is paused.
export class Publisher {
  n = 0;
  #running = null;

  constructor(t, node, channel, p = node.name) {
    Object.assign(this, { node, channel, p });
    t.after(() => this.pause());
  }

  async say() {
    await this.node.publish({ channel: this.channel, event: EVENT, data: { p: this.p, n: this.n } });
    this.n++;
  }

  start() {
    this.on = true;
    this.#running = (async () => {
      while (this.on) {
        await this.say();
        await sleep(5);
      }
    })();
    this.#running.catch(() => {}); // for whoever awaits pause
  }

  async pause() {
    this.on = false;
    await this.#running;
    this.#running = null;
  }
}

// The next messages of these publishers reach these followers, and none has complaints.
export async function allHear(followers, publishers) {
  for (const publisher of publishers) {
    await publisher.say();
    for (const follower of followers) {
      await until(() => follower.lastOf(publisher.p) >= publisher.n - 1,
        `${publisher.p} to be heard by ${follower.kind}`);
    }
  }
}

export const complaints = (followers) =>
  followers.flatMap((follower) => follower.problems.map((problem) => `${follower.kind}: ${problem}`));
