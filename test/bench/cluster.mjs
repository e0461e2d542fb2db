// SPDX-License-Identifier: MIT
// Two nodes over one Redis: what passes between them, and what happens when one dies.
//
// Five processes share the cores, so none is pinned, and a number per second says what the
// machine got done with all of them; the CPU of a message is that of both nodes and Redis.
import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeTls, redisIsMissing, servers, start } from './servers.mjs';

const both = ['peal uring', 'node socket.io'];
// In streams there is something to join on the way; in single messages hardly ever.
const streams = ['relay', '--channels', '16', '--outstanding', '256', '--rounds', '1', '--duration', '5'];
const single = ['relay', '--channels', '256', '--outstanding', '1', '--rounds', '1', '--duration', '5'];
const hop = ['relay', '--channels', '1', '--outstanding', '1', '--rounds', '2000', '--duration', '0.1'];
const rateKeys = { rate: 'messages_per_s', cpu: 'cpu_us_per_message' };
const hopKeys = { near50: 'local_p50_us', far50: 'remote_p50_us', near99: 'local_p99_us', far99: 'remote_p99_us',
  added99: 'added_p99_us' };
// By polling and with TLS there are fewer: the generator has to do as much as the server.
const avalanche = (n, { polling, tls } = {}) => ({
  id: `avalanche-${n}${polling ? '-polling' : ''}${tls ? '-tls' : ''}`,
  title: `${n} clients lose their node${polling ? ', polling first' : ''}${tls ? ', TLS' : ''}`,
  protocol: 'socketio', servers: both, kills: true, long: n > 5000, tls,
  args: ['avalanche', '--connections', `${n}`, '--duration', '120', ...(polling ? ['--polling'] : [])],
  keys: { back: 'all_back_s', failed: 'failed_attempts', cpu: 'cpu_us_per_return',
    busy: 'busiest_second_percent', calm: 'present_calm_p99_ms', storm: 'present_p99_ms',
    ...(tls ? { resumed: 'tls_resumed' } : {}) } });

/** As in budgets.mjs. kills: the first node is killed when the generator is ready. long: not for
 *  a quick look. */
export const clusterScenarios = [
  { id: 'relay-ws', title: 'WebSocket, 16 streams', protocol: 'ws', servers: ['peal uring'], args: streams,
    keys: rateKeys },
  { id: 'relay-sio', title: 'Socket.IO, 16 streams', protocol: 'socketio', servers: both, args: streams,
    keys: rateKeys },
  { id: 'relay-single', title: 'Socket.IO, 256 rooms with a message each', protocol: 'socketio', servers: both,
    args: single, keys: rateKeys },
  { id: 'hop-ws', title: 'WebSocket, one message', protocol: 'ws', servers: ['peal uring'], args: hop,
    keys: hopKeys },
  { id: 'hop-sio', title: 'Socket.IO, one message', protocol: 'socketio', servers: both, args: hop,
    keys: hopKeys },
  { id: 'drops', title: 'Socket.IO, 2 s cut off after 3 s each', protocol: 'socketio', servers: both,
    args: ['drops', '--connections', '100', '--up', '3', '--down', '2', '--duration', '15'],
    keys: { connected: 'connected_percent', delivered: 'delivered_percent' } },
  ...[5000, 10_000, 18_000].map((n) => avalanche(n)),
  avalanche(5000, { polling: true }), avalanche(3000, { tls: true }),
  avalanche(2000, { polling: true, tls: true }),
];

export const clusterUnits = { rate: 'messages a second', cpu: 'us of CPU each',
  near50: 'us within a node, p50', far50: 'us between nodes, p50', near99: 'us within a node, p99',
  far99: 'us between nodes, p99', added99: 'us more between nodes, p99',
  connected: '% of the time connected',
  delivered: '% delivered', back: 's until all are back', failed: 'attempts failed',
  busy: '% of a core, busiest second', calm: 'ms of a round trip before, p99 of 100 others',
  storm: 'ms of a round trip meanwhile, p99 of 100 others', resumed: 'TLS handshakes resumed' };

export const clusterIsMissing = redisIsMissing;

function addresses(scenario, name, [first, second]) {
  const url = (node) => servers[name][scenario.protocol](node.port, scenario.tls)[1]
    .replace(/bench$/, scenario.args[0] === 'relay' ? 'bench-{i}' : 'bench');
  return ['--url', url(second), scenario.kills ? '--lost' : '--publish', url(first)];
}

/** Runs the generator; onReady is called when it says so. Returns its report. */
async function generate(command, onReady) {
  const child = spawn(command[0], command.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (data) => { stdout += data; });
  child.stderr.on('data', (data) => {
    if (!stderr && String(data).includes('ready')) onReady();
    stderr += data;
  });
  const status = await new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  if (status !== 0) throw new Error(stderr.trim());
  return JSON.parse(stdout);
}

/** Plays one scenario with processes of its own. generator: the command and its first words. */
export async function playCluster(scenario, name, generator) {
  const started = [];
  const begin = async (...args) => {
    const server = await start(...args);
    started.push(server);
    return server;
  };
  try {
    // Clients that lose their node need no backplane; and with one a node keeps a quarter of its
    // files for requests of other nodes, so that 18,000 clients would not fit.
    const redis = scenario.kills ? undefined : await begin('redis');
    const url = redis && `redis://127.0.0.1:${redis.port}`;
    const tls = scenario.tls ? makeTls() : undefined;
    const nodes = [await begin(name, undefined, url, tls), await begin(name, undefined, url, tls)];
    const watched = scenario.kills ? [nodes[1]] : [...nodes, redis];
    await sleep(1000);
    return await generate([...generator, ...scenario.args, ...addresses(scenario, name, nodes),
      '--pid', watched.map(({ pid }) => pid).join(), '--json'], () => nodes[0].kill());
  } finally {
    for (const server of started.reverse()) await server.stop();
  }
}

/** The rows of section 8 for a cluster; m as in budgets.mjs. */
export function judgeCluster(m) {
  const [peal, node] = both;
  const info = (title, value, unit) => ({ title, budget: null, value, unit });
  return [
    { title: 'messages a second between nodes, in streams, Socket.IO, uring / Node', least: 10, unit: 'x',
      value: m('relay-sio', peal, 'rate') / m('relay-sio', node, 'rate') },
    { title: 'messages a second between nodes, single ones, Socket.IO, uring / Node', least: 1.8, unit: 'x',
      value: m('relay-single', peal, 'rate') / m('relay-single', node, 'rate') },
    info('messages a second between nodes, in streams, uring on WebSocket / Node on Socket.IO',
      m('relay-ws', peal, 'rate') / m('relay-sio', node, 'rate'), 'x'),
    info('CPU of a message between nodes, Redis included, in streams, Node / uring',
      m('relay-sio', node, 'cpu') / m('relay-sio', peal, 'cpu'), 'x'),
    info('CPU of a message between nodes, Redis included, single ones, Node / uring',
      m('relay-single', node, 'cpu') / m('relay-single', peal, 'cpu'), 'x'),
    { title: 'added latency of the hop, p99, WebSocket, uring', budget: 1000, unit: 'us',
      value: m('hop-ws', peal, 'added99') },
    { title: 'added latency of the hop, p99, Socket.IO, uring', budget: 1000, unit: 'us',
      value: m('hop-sio', peal, 'added99') },
    info('added latency of the hop, p99, Socket.IO, Node', m('hop-sio', node, 'added99'), 'us'),
    ...clusterScenarios.filter(({ kills }) => kills).flatMap(({ id, title }) => [
      { title: `${title}: time until all are back, uring / Node`, budget: 1, unit: 'x',
        value: m(id, peal, 'back') / m(id, node, 'back') },
      { title: `${title}: round trips of others meanwhile, p99, uring`, budget: 100, unit: 'ms',
        value: m(id, peal, 'storm') },
      { title: `${title}: attempts refused, uring`, budget: 0, unit: '', value: m(id, peal, 'failed') },
    ]),
  ];
}
