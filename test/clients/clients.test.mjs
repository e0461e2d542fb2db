// SPDX-License-Identifier: MIT
//
// Clients of other makers: python-socketio (sync and asyncio), the official Java client, Go's and Rust's, and plain
// WebSocket and SSE libraries of these languages, against one node and against a cluster behind nginx.
//
// A driver is a program `driver KIND URL [TRANSPORT...]` that is told what to do by lines of JSON on standard input:
//   {"do":"emit","event":E,"args":[...]}   emit an event            (socketio, asyncio)
//   {"do":"ask","event":E,"args":[...]}    emit it, with an acknowledgement
//   {"do":"send","text":T}                 send a text message      (ws, gorilla)
//   {"do":"bytes","size":N}                emit "bytes" with N bytes, or send a binary message
//   {"do":"close"}                         disconnect and end
// and says what happens by lines on standard output:
//   {"state":"connected"} {"state":"disconnected"} {"got":E,"args":[...]} {"ack":[...]}
// where bytes are {"size":N,"sum":S}. Drivers reconnect as their library does, or in a loop where it leaves that to its
// user. PEAL_DRIVERS, made by tools/clients.sh, has the commands that start them: {"python":["python3","driver.py"],...}.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';

import { Inbox, until } from '../interop/lib/wait.mjs';
import { openAndFind, startCluster, startNodes, united, useBed } from '../cluster/lib/bed.mjs';
import { startNginx } from '../cluster/lib/balancers.mjs';
import { startRedis } from '../cluster/lib/redis.mjs';
import { KNOWN_FAULTS } from './known-faults.mjs';

const DRIVERS = JSON.parse(process.env.PEAL_DRIVERS ?? '{}');
const SOCKET_IO = { python: ['socketio', 'asyncio'], java: ['socketio'], go: ['socketio'], rust: ['socketio'] };
const WEBSOCKET = { python: ['ws'], java: ['ws'], go: ['ws', 'gorilla'], rust: ['ws'] };
const TRANSPORTS = [['polling'], ['websocket'], ['polling', 'websocket']];
// A client may take long to find out that its server is gone.
const PATIENCE = 60_000;
const SMALL = 20;
const LARGE = 500_000;

const sumOf = (size) => {
  let sum = 0;
  for (let i = 0; i < size; i++) sum += (i * 31 & 255) * (i % 251 + 1);
  return { size, sum };
};

let serial = 0;
const fresh = () => `c-${process.pid}-${++serial}`;

class Driver {
  constructor(t, language, kind, url, transports = []) {
    const [command, ...args] = DRIVERS[language];
    this.states = new Inbox('state');
    this.events = new Inbox('event');
    this.acks = new Inbox('acknowledgement');
    this.errors = '';
    this.child = spawn(command, [...args, kind, url, ...transports], { stdio: ['pipe', 'pipe', 'pipe'] });
    this.exited = new Promise((resolve) => this.child.once('close', resolve));
    this.child.stderr.on('data', (data) => (this.errors += data));
    this.child.stdin.on('error', () => {});
    createInterface({ input: this.child.stdout }).on('line', (line) => {
      const { state, got, args: values, ack } = JSON.parse(line);
      if (state) this.states.push(state);
      else if (got !== undefined) this.events.push([got, ...values]);
      else this.acks.push(ack);
    });
    t.after(() => this.end());
  }

  do(order) {
    this.child.stdin.write(`${JSON.stringify(order)}\n`);
  }

  async state(wanted) {
    while ((await this.states.shift(PATIENCE).catch((err) => {
      throw new Error(`${err.message} (${wanted}); ${this.errors.slice(-2000)}`);
    })) !== wanted);
    return this;
  }

  ask(event, ...args) {
    this.do({ do: 'ask', event, args });
    return this.acks.shift(PATIENCE);
  }

  // The next event with this name; others are passed over.
  async event(name) {
    for (;;) {
      const [event, ...args] = await this.events.shift(PATIENCE);
      if (event === name) return args;
    }
  }

  async end() {
    this.do({ do: 'close' });
    const timer = setTimeout(() => this.child.kill('SIGKILL'), 2000);
    await this.exited;
    clearTimeout(timer);
  }
}

const connect = (t, bed, language, kind, transports) =>
  new Driver(t, language, kind, bed.target.url, transports).state('connected');

// Test names are what KNOWN_FAULTS refers to.
function clientTest(label, name, options, fn) {
  const fault = KNOWN_FAULTS.find((known) => known.clients.test(label) && known.tests.test(name));
  test(`${label}: ${name}`, { timeout: 180_000, ...options, skip: fault ? `a known fault of the client: ${fault.why}` : false }, fn);
}

function socketIoTests(bed, language, kind, transports) {
  const label = `${language} ${kind} ${transports.join('+')}`;
  const open = (t) => connect(t, bed, language, kind, transports);

  clientTest(label, 'events go both ways', {}, async (t) => {
    const client = await open(t);
    const room = fresh();
    client.do({ do: 'emit', event: 'say', args: [1, { a: 'ü', b: [true, null] }] });
    assert.deepEqual(await client.event('say'), [1, { a: 'ü', b: [true, null] }]);
    await client.ask('join', room);
    await bed.nodes[0].publish({ channel: room, event: 'created', data: { id: 7 } });
    assert.deepEqual(await client.event('created'), [{ id: 7 }]);
  });

  clientTest(label, 'an event is acknowledged', {}, async (t) => {
    const client = await open(t);
    for (let i = 0; i < 20; i++) assert.deepEqual(await client.ask('q', i, 'x'), [i, 'x']);
  });

  clientTest(label, 'bytes go both ways', {}, async (t) => {
    const client = await open(t);
    client.do({ do: 'bytes', size: SMALL });
    assert.deepEqual(await client.event('bytes'), [sumOf(SMALL)]);
  });

  clientTest(label, '500 KB of text', {}, async (t) => {
    const client = await open(t);
    const text = 'x'.repeat(LARGE);
    client.do({ do: 'emit', event: 'big', args: [text] });
    const [got] = await client.event('big');
    assert.equal(got.length, LARGE);
  });

  clientTest(label, '500 KB of bytes', {}, async (t) => {
    const client = await open(t);
    client.do({ do: 'bytes', size: LARGE });
    assert.deepEqual(await client.event('bytes'), [sumOf(LARGE)]);
  });
}

// How a client of any kind comes back when its node ends; `works` uses it once.
function endTests(bed, label, open, works) {
  for (const [name, end] of [['its node is killed', 'kill'], ['its node drains', 'stop']]) {
    clientTest(label, name, {}, async (t) => {
      const client = await openAndFind(bed.nodes, () => open(t));
      t.after(async () => {
        if (!client.node.process.alive) await client.node.start();
        await united(bed.nodes);
      });
      await works(client);
      await client.node[end]();
      await client.state('connected');
      await works(client);
    });
  }
}

function webSocketTests(bed, language, kind) {
  const url = (channel) => `${bed.target.url.replace('http', 'ws')}/ws/${channel}`;
  const open = (t) => new Driver(t, language, kind, url(fresh())).state('connected');

  clientTest(`${language} ${kind}`, 'messages go both ways', {}, async (t) => {
    const client = await open(t);
    client.do({ do: 'send', text: 'grüezi' });
    assert.deepEqual(await client.event('message'), ['grüezi']);
    client.do({ do: 'send', text: 'x'.repeat(LARGE) });
    assert.equal((await client.event('message'))[0].length, LARGE);
    client.do({ do: 'bytes', size: LARGE });
    assert.deepEqual(await client.event('message'), [sumOf(LARGE)]);
  });
  return { label: `${language} ${kind}`, open, works: async (client) => {
    client.do({ do: 'send', text: 'hi' });
    assert.deepEqual(await client.event('message'), ['hi']);
  } };
}

function sseTests(bed, language) {
  const open = async (t) => {
    const channel = fresh();
    const client = await new Driver(t, language, 'sse', `${bed.target.url}/sse/${channel}`).state('connected');
    return Object.assign(client, { channel });
  };
  const publish = (client, data) =>
    bed.nodes.find((node) => !node.killed && node.process.alive).publish({ channel: client.channel, event: 'e', data });

  clientTest(`${language} sse`, 'events arrive', {}, async (t) => {
    const client = await open(t);
    for (const data of ['a', 'line\nline', 'x'.repeat(LARGE)]) {
      await publish(client, data);
      assert.deepEqual(await client.event('e'), [data]);
    }
  });
  return { label: `${language} sse`, open, works: async (client) => {
    await publish(client, 'hi');
    assert.deepEqual(await client.event('e'), ['hi']);
  } };
}

const BEDS = {
  'one node': async (add) => {
    const nodes = await add(startNodes(1));
    return { nodes, target: nodes[0] };
  },
  'a cluster behind nginx': async (add) => {
    const redis = await add(startRedis());
    const nodes = await add(startCluster(3, redis, {
      set: { 'http.trusted_proxies': '127.0.0.1', 'drain.delay': '0s', 'drain.window': '1s' },
    }));
    return { nodes, target: await add(startNginx('peal-roundrobin.conf', nodes)) };
  },
};

for (const [name, build] of Object.entries(BEDS)) {
  describe(name, () => {
    const bed = useBed({ before, after }, build);

    for (const language of Object.keys(DRIVERS)) {
      const others = [];
      for (const kind of SOCKET_IO[language]) {
        for (const transports of TRANSPORTS) {
          socketIoTests(bed, language, kind, transports);
          others.push({
            label: `${language} ${kind} ${transports.join('+')}`,
            open: (t) => connect(t, bed, language, kind, transports),
            works: async (client) => assert.deepEqual(await client.ask('q', 'there'), ['there']),
          });
        }
      }
      for (const kind of WEBSOCKET[language]) others.push(webSocketTests(bed, language, kind));
      others.push(sseTests(bed, language));
      if (name === 'one node') continue;
      for (const { label, open, works } of others) endTests(bed, label, open, works);
    }
  });
}
