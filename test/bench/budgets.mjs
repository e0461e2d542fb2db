// SPDX-License-Identifier: MIT
// What is measured, and what the design's section 8 allows; the arithmetic between them.

/** The ring loop and the echo loop do nothing but what the kernel is needed for: what they
 *  cost is the least that a server can cost on this machine. */
const all = ['peal uring', 'peal epoll', 'send loop', 'uWebSockets', 'centrifugo', 'node ws', 'nginx nchan'];
const fanout = ['peal uring', 'peal epoll', 'send loop', 'ring loop', 'uWebSockets', 'centrifugo', 'node ws',
  'nginx nchan'];
const sio = ['peal uring', 'peal epoll', 'node socket.io'];
const ack = ['peal uring', 'peal epoll', 'echo loop', 'node socket.io'];

/** args: those of peal bench, without the address; keys: what of its report is kept. */
export const scenarios = [
  { id: 'ws-step', title: 'WebSocket fan-out, in step', protocol: 'ws', servers: fanout,
    args: ['fanout', '--connections', '3000', '--rounds', '150', '--duration', '4'],
    keys: { cpu: 'cpu_us_per_delivery' } },
  { id: 'ws-burst', title: 'WebSocket fan-out, bursts of 10', protocol: 'ws', servers: fanout,
    args: ['fanout', '--connections', '3000', '--burst', '10', '--rounds', '150',
      '--duration', '4'],
    keys: { cpu: 'cpu_us_per_delivery' } },
  { id: 'sio-step', title: 'Socket.IO fan-out, in step', protocol: 'socketio', servers: sio,
    args: ['fanout', '--connections', '3000', '--rounds', '150', '--duration', '4'],
    keys: { cpu: 'cpu_us_per_delivery' } },
  { id: 'sio-burst', title: 'Socket.IO fan-out, bursts of 10', protocol: 'socketio',
    servers: sio,
    args: ['fanout', '--connections', '3000', '--burst', '10', '--rounds', '150',
      '--duration', '4'],
    keys: { cpu: 'cpu_us_per_delivery' } },
  { id: 'sio-ack', title: 'Socket.IO event with acknowledgement', protocol: 'socketio',
    servers: ack,
    args: ['echo', '--connections', '100', '--outstanding', '4', '--duration', '3'],
    keys: { cpu: 'cpu_us_per_round_trip' } },
  { id: 'ws-connect', title: 'WebSocket connect', protocol: 'ws', servers: all,
    args: ['connect', '--connections', '10000'],
    keys: { cpu: 'cpu_us_per_connect', memory: 'bytes_per_connection' } },
  { id: 'sio-connect', title: 'Socket.IO connect', protocol: 'socketio', servers: sio,
    args: ['connect', '--connections', '10000'],
    keys: { cpu: 'cpu_us_per_connect', memory: 'bytes_per_connection' } },
];

/** Once, not in every round: pings come every 25 s, so a look at them takes minutes. */
export const idle = { id: 'sio-idle', title: 'Socket.IO, idle', protocol: 'socketio',
  servers: ['peal uring', 'peal epoll'],
  args: ['connect', '--connections', '19000', '--idle', '75'],
  keys: { idle: 'idle_cpu_percent' } };

const ratio = (title, budget, value) => ({ title, budget, value, unit: 'x' });

/** The rows of section 8 for one node. m(scenario, server, key) is a median, and
 *  cpu([scenario, server], [scenario, server]) the median of the rounds' quotients of CPU,
 *  which the machine's moods leave alone as they pass over a round. A row whose value is
 *  NaN could not be measured in this run. budget null: the number is for information. */
export function judge(m, cpu) {
  const [step, burst, ack] = ['ws-step', 'ws-burst', 'sio-ack'].map((id) =>
    (one, other) => cpu([id, one], [id, other]));
  const rows = [
    ratio('the least of a fan-out in step: ring loop / uWebSockets', null,
      step('ring loop', 'uWebSockets')),
    ratio('the least of a fan-out in bursts: ring loop / uWebSockets', null,
      burst('ring loop', 'uWebSockets')),
    ratio('the least of a fan-out in step: ring loop / Node', null,
      cpu(['ws-step', 'ring loop'], ['sio-step', 'node socket.io'])),
    ratio('the least of a round trip: echo loop / Node', null, ack('echo loop', 'node socket.io')),
  ];
  for (const [engine, inStep, inBursts, floor] of [
    ['uring', 0.9, 0.9, 1.1], ['epoll', 1, 1, null]]) {
    const peal = `peal ${engine}`;
    rows.push(
      ratio(`fan-out in step, ${engine} / uWebSockets`, inStep, step(peal, 'uWebSockets')),
      ratio(`fan-out in bursts, ${engine} / uWebSockets`, inBursts, burst(peal, 'uWebSockets')),
      ratio(`fan-out in step, ${engine} / ring loop`, floor, step(peal, 'ring loop')),
      ratio(`fan-out in bursts, ${engine} / ring loop`, floor, burst(peal, 'ring loop')),
      ratio(`Socket.IO in step / own WebSocket, ${engine}`, 1.1,
        cpu(['sio-step', peal], ['ws-step', peal])),
      ratio(`Socket.IO in bursts / own WebSocket, ${engine}`, 1.1,
        cpu(['sio-burst', peal], ['ws-burst', peal])),
      ratio(`Socket.IO in step, ${engine} / Node`, 0.5,
        cpu(['sio-step', peal], ['sio-step', 'node socket.io'])),
      ratio(`Socket.IO in bursts, ${engine} / Node`, 0.1,
        cpu(['sio-burst', peal], ['sio-burst', 'node socket.io'])),
      { title: `memory of a WebSocket connection, ${engine}`, budget: 512, unit: 'B',
        value: m('ws-connect', peal, 'memory') },
      { title: `memory of a Socket.IO session, ${engine}`, budget: 800, unit: 'B',
        value: m('sio-connect', peal, 'memory') },
      ratio(`WebSocket connect, ${engine} / bare loop`, null,
        cpu(['ws-connect', peal], ['ws-connect', 'send loop'])),
      ratio(`WebSocket connect, ${engine} / uWebSockets`, 1.1,
        cpu(['ws-connect', peal], ['ws-connect', 'uWebSockets'])),
      ratio(`Socket.IO connect, ${engine} / Node`, 0.15,
        cpu(['sio-connect', peal], ['sio-connect', 'node socket.io'])),
      ratio(`event with acknowledgement, ${engine} / Node`, 0.4, ack(peal, 'node socket.io')),
      ratio(`event with acknowledgement, ${engine} / echo loop`, 1.15, ack(peal, 'echo loop')),
      { title: `CPU of a worker with nothing to do, ${engine}`, budget: 0.005, unit: '%',
        value: m('empty', peal, 'idle') },
      { title: `CPU of pings, 19,000 sessions, ${engine}`, budget: 0.5 * 0.95, unit: '%',
        value: m('sio-idle', peal, 'idle') },
    );
  }
  return rows;
}

/** budget: at most so much; least: at least so much. */
export function verdict({ budget, least, value }) {
  if (!Number.isFinite(value)) return 'not measured';
  if (least !== undefined) return value >= least ? 'met' : 'missed';
  if (budget === null) return 'for information';
  return value <= budget ? 'met' : 'missed';
}
