// SPDX-License-Identifier: MIT
// `make bench`: every server in turn, interleaved, several rounds, medians, ratios.
//
// A round plays every scenario against every server before the next round begins, so what
// the machine does meanwhile hits all of them alike. Each measurement has a server process
// of its own. The server is on core 0, the generator on core 1. At the end come clusters
// (cluster.mjs), which take longer, in fewer rounds.
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs, promisify } from 'node:util';
import { idle, judge, scenarios, verdict } from './budgets.mjs';
import {
  clusterIsMissing, clusterScenarios, clusterUnits, judgeCluster, playCluster,
} from './cluster.mjs';
import { cpuNs, paths, pinned, servers, start } from './servers.mjs';

const usage = `usage: run.mjs [--quick] [--rounds N] [--only SCENARIO,...] [--servers NAME,...]
              [--build DIR] [--generator "COMMAND ..."] [--no-idle]
              [--no-cluster]`;
const { values: options } = parseArgs({ options: {
  quick: { type: 'boolean', default: false },
  rounds: { type: 'string' },
  only: { type: 'string' },
  servers: { type: 'string' },
  build: { type: 'string' },
  generator: { type: 'string' },
  'no-idle': { type: 'boolean', default: false },
  'no-cluster': { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} });
if (options.help) {
  console.log(usage);
  process.exit(0);
}
if (options.build) Object.defineProperty(paths, 'build', { value: resolve(options.build) });

const rounds = Number(options.rounds ?? (options.quick ? 1 : 5));
const clusterRounds = Number(options.rounds ?? (options.quick ? 1 : 3));
const only = options.only?.split(',');
const wanted = options.servers?.split(',');
const pin = availableParallelism() > 1 && existsSync('/usr/bin/taskset');
const generator = options.generator?.split(' ') ?? [paths.peal, 'bench'];
const run = promisify(execFile);
const samples = new Map(); // "scenario|server|key" -> numbers
let failures = 0;

/** A measurement that failed is NaN, so that the same index is the same round everywhere. */
function record(scenario, server, key, value) {
  const id = `${scenario}|${server}|${key}`;
  if (!samples.has(id)) samples.set(id, []);
  samples.get(id).push(value);
}

const measured = (scenario, server, key) => samples.get(`${scenario}|${server}|${key}`) ?? [];

function middle(list) {
  const values = list.filter(Number.isFinite).sort((a, b) => a - b);
  const half = values.length >> 1;
  return values.length % 2 ? values[half] : (values[half - 1] + values[half]) / 2;
}

const median = (...which) => middle(measured(...which));

/** Round by round, then the median: see judge. */
function cpuQuotient(one, other) {
  const divisors = measured(...other, 'cpu');
  return middle(measured(...one, 'cpu').map((value, round) => value / divisors[round]));
}

async function generate(args) {
  const [file, ...rest] = pinned(pin ? 1 : undefined, [...generator, ...args, '--json']);
  try {
    const { stdout, stderr } = await run(file, rest);
    if (stderr) process.stderr.write(stderr);
    return JSON.parse(stdout);
  } catch (error) {
    throw new Error((error.stderr ?? error.message).trim());
  }
}

async function generateFor(scenario, name) {
  const server = await start(name, pin ? 0 : undefined);
  try {
    const [mode, ...args] = scenario.args;
    return await generate([mode, ...servers[name][scenario.protocol](server.port), ...args]);
  } finally {
    await server.stop();
  }
}

async function measure(scenario, name, play = generateFor) {
  try {
    const found = await play(scenario, name, generator);
    for (const [key, field] of Object.entries(scenario.keys)) {
      record(scenario.id, name, key, found[field]);
    }
    const shown = Object.values(scenario.keys).map((field) => `${field} ${found[field]}`);
    const p99 = found.latency_p99_us === undefined ? ''
      : `  (p99 ${Math.round(found.latency_p99_us)} us)`;
    console.log(`  ${scenario.id.padEnd(12)} ${name.padEnd(15)} ${shown.join('  ')}${p99}`);
  } catch (error) {
    failures++;
    for (const key of Object.keys(scenario.keys)) record(scenario.id, name, key, NaN);
    console.log(`  ${scenario.id.padEnd(12)} ${name.padEnd(15)} FAILED: ${error.message}`);
  }
}

/** A server without a client: what it costs to wait. */
async function measureEmpty(name, seconds) {
  const server = await start(name, pin ? 0 : undefined);
  await sleep(2000);
  const before = cpuNs(server.pid);
  await sleep(seconds * 1000);
  record('empty', name, 'idle', (cpuNs(server.pid) - before) / 1e7 / seconds);
  await server.stop();
}

function available() {
  return new Set(Object.keys(servers).filter((name) => {
    if (wanted && !wanted.includes(name)) return false;
    const missing = servers[name].missing();
    if (missing) console.log(`NOTICE: without ${name}: ${missing}`);
    return !missing;
  }));
}

const number = (v) => (v === undefined || !Number.isFinite(v) ? '-'
  : v >= 100 ? v.toFixed(0) : v >= 10 ? v.toFixed(1) : v >= 0.01 || v === 0 ? v.toFixed(2)
    : v.toFixed(4));

function spread(...which) {
  const values = measured(...which).filter(Number.isFinite);
  if (values.length === 0) return '-';
  const typical = number(middle(values));
  return values.length === 1 ? typical
    : `${typical} (${number(Math.min(...values))} - ${number(Math.max(...values))})`;
}

function table(title, names, list, units) {
  const lines = ['', `### ${title}: median (least - most)`,
    '', `| scenario | ${names.join(' | ')} |`, `|---${'|---'.repeat(names.length)}|`];
  for (const scenario of list) {
    for (const key of Object.keys(scenario.keys)) {
      const cells = names.map((name) => spread(scenario.id, name, key));
      if (cells.some((cell) => cell !== '-')) {
        lines.push(`| ${scenario.title}, ${units[key]} | ${cells.join(' | ')} |`);
      }
    }
  }
  return lines.length > 5 ? lines : [];
}

function tables(here) {
  const inClusters = (name) => clusterScenarios.some((one) => one.servers.includes(name));
  const lines = [
    ...table('CPU of the server in microseconds, memory in bytes', [...here],
      [...scenarios, idle], { cpu: 'us', memory: 'B', idle: '% of a core' }),
    ...table('Two nodes over one Redis', [...here].filter(inClusters), clusterScenarios, clusterUnits),
    '', '### Budgets', '', '| what | measured | budget | |', '|---|---|---|---|'];
  const rows = [...judge(median, cpuQuotient), ...judgeCluster(median)];
  for (const row of rows.filter(({ value }) => (!only && !wanted) || Number.isFinite(value))) {
    const budget = row.least !== undefined ? `>= ${row.least} ${row.unit}`
      : row.budget === null ? '-' : `<= ${row.budget} ${row.unit}`;
    lines.push(`| ${row.title} | ${number(row.value)} ${row.unit} | ${budget} | ${verdict(row)} |`);
  }
  return lines.join('\n');
}

function check(words, known) {
  const wrong = words?.find((word) => !known.includes(word));
  if (wrong === undefined) return;
  console.error(`run.mjs: no "${wrong}"; there are: ${known.join(', ')}`);
  process.exit(2);
}

async function measureClusters(here) {
  const chosen = clusterScenarios.filter(({ id, long }) => only?.includes(id) ??
    !(options.quick && long));
  const missing = clusterIsMissing();
  if (options['no-cluster'] || chosen.length === 0) return;
  if (missing) {
    console.log(`NOTICE: without clusters: ${missing}`);
    return;
  }
  for (let round = 1; round <= clusterRounds; round++) {
    console.log(`clusters, round ${round} of ${clusterRounds}`);
    for (const scenario of chosen) {
      for (const name of scenario.servers.filter((server) => here.has(server))) {
        await measure(scenario, name, playCluster);
      }
    }
  }
}

async function main() {
  check(only, [...scenarios, idle, ...clusterScenarios].map(({ id }) => id));
  check(wanted, Object.keys(servers));
  const here = available();
  const chosen = scenarios.filter(({ id }) => !only || only.includes(id));
  console.log(`${new Date().toISOString().slice(0, 10)}, ${cpus()[0].model}, ` +
    `${availableParallelism()} cores, Linux ${release()}, load ${loadavg()[0].toFixed(2)}` +
    `${pin ? ', server on core 0, generator on core 1' : ', not pinned'}`);
  for (let round = 1; round <= rounds && chosen.length > 0; round++) {
    console.log(`round ${round} of ${rounds}`);
    for (const scenario of chosen) {
      for (const name of scenario.servers.filter((server) => here.has(server))) {
        await measure(scenario, name);
      }
    }
  }
  if (!options['no-idle'] && (!only || only.includes(idle.id))) {
    console.log('idle');
    for (const name of idle.servers.filter((server) => here.has(server))) {
      await measureEmpty(name, options.quick ? 3 : 10);
      if (!options.quick) await measure(idle, name);
    }
  }
  await measureClusters(here);
  console.log(tables(here));
  mkdirSync(paths.scratch, { recursive: true });
  writeFileSync(join(paths.scratch, 'results.json'),
    `${JSON.stringify(Object.fromEntries(samples), null, 1)}\n`);
  if (failures > 0) console.log(`\n${failures} measurements FAILED`);
  process.exitCode = failures > 0 ? 1 : 0;
}

await main();
