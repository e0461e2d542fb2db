// SPDX-License-Identifier: MIT
//
// Server processes under test: start one on a port of the kernel's choice, read the port
// from its log, and end it by two SIGTERMs (the second skips the drain). A server must exit
// with status 0 and leave nothing a sanitizer has to say.

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import { sleep, until, within } from './wait.mjs';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
export const PEAL = process.env.PEAL_BIN ?? `${ROOT}build/peal`;
export const SERVERS = process.env.PEAL_SERVERS ?? `${ROOT}build/test/servers`;

const SANITIZER = /ERROR: AddressSanitizer|runtime error:|WARNING: ThreadSanitizer|LeakSanitizer/;
const ADDRESS = /address=([0-9.]+):(\d+)/;
const UNIX = /address=unix:(\S+)/;

// A variable PEAL_... is an option of the server: what belongs to the tests is not for it.
const BARE_ENV = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.startsWith('PEAL_')));

const running = new Set();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export class Process {
  constructor(command, args, { env = {}, cwd } = {}) {
    this.stderr = '';
    this.stdout = '';
    this.command = [command, ...args].join(' ');
    this.child = spawn(command, args, {
      cwd,
      env: { ...BARE_ENV, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.pid = this.child.pid;
    running.add(this.child);
    this.child.stdout.on('data', (data) => (this.stdout += data));
    this.child.stderr.on('data', (data) => (this.stderr += data));
    this.exited = new Promise((resolve) => {
      this.child.on('error', (err) => resolve({ error: err }));
      this.child.on('close', (status, signal) => resolve({ status, signal }));
    }).then((how) => {
      running.delete(this.child);
      this.how = how;
      return how;
    });
  }

  signal(name) {
    this.child.kill(name);
  }

  get alive() {
    return this.how === undefined;
  }

  // Waits until the log matches; fails at once if the process ends before.
  log(pattern, from = 0) {
    return until(() => {
      const match = pattern.exec(this.stderr.slice(from));
      if (!match && !this.alive) throw this.complaint('ended too early');
      return match;
    }, `${pattern} in the log of ${this.command}:\n${this.stderr}`);
  }

  complaint(what) {
    const how = this.how?.error?.message ?? JSON.stringify(this.how);
    return new Error(`${this.command}: ${what} (${how})\n${this.stderr.slice(-4000)}`);
  }

  // Ends the server the way an operator in a hurry does, and looks at how it went.
  async stop() {
    if (this.alive) {
      this.signal('SIGTERM');
      await Promise.race([this.exited, sleep(50)]);
      // One signal still pending would swallow the next: repeat until it is seen.
      for (let i = 0; i < 100 && this.alive; i++) {
        this.signal('SIGTERM');
        await Promise.race([this.exited, sleep(200)]);
      }
      if (this.alive) {
        this.signal('SIGKILL');
        await this.exited;
        throw this.complaint('did not end after SIGTERM');
      }
    }
    if (SANITIZER.test(this.stderr)) throw this.complaint('a sanitizer has found something');
    if (this.how.status !== 0) throw this.complaint('did not end with status 0');
  }

  async kill() {
    this.signal('SIGKILL');
    await this.exited;
  }
}

const setArgs = (set) =>
  Object.entries(set).flatMap(([name, value]) =>
    [value].flat().flatMap((one) => ['--set', `${name}=${one}`]));

// Runs the command to its end: { status, stdout, stderr }.
export async function runPeal(...args) {
  const run = new Process(PEAL, args);
  const { status, error } = await within(run.exited, `peal ${args.join(' ')} to end`);
  if (error) throw error;
  return { status, stdout: run.stdout, stderr: run.stderr };
}

//   set      options by name; a list sets the option several times
//   dev      false: without --dev
//   config   text of a configuration file (written by the caller): its path
//   prefix   a command that runs the server, such as prlimit
export async function startPeal({
  set = {}, dev = true, config, args = [], env = {}, prefix = [],
} = {}) {
  const listen = set.listen ?? '127.0.0.1:0';
  const command = [
    ...prefix, PEAL, 'serve',
    ...(config ? ['-c', config] : []), ...(dev ? ['--dev'] : []),
    ...setArgs({ ...set, listen }), ...args,
  ];
  return announce(new Process(command[0], command.slice(1), { env }), [listen].flat());
}

// One of the small servers of test/servers: ws_echo, eio_echo, sio_suite.
export async function startSuiteServer(name, { set = {} } = {}) {
  const args = ['--listen', '127.0.0.1:0', ...setArgs(set)];
  return announce(new Process(`${SERVERS}/${name}`, args), ['127.0.0.1:0']);
}

async function announce(server, listens) {
  const tcp = listens.some((address) => !address.startsWith('unix:'));
  try {
    const match = await server.log(tcp ? ADDRESS : UNIX);
    if (tcp) {
      server.host = match[1];
      server.port = Number(match[2]);
      server.url = `http://${server.host}:${server.port}`;
    } else {
      server.path = match[1];
    }
    return server;
  } catch (err) {
    if (server.alive) await server.kill();
    throw err;
  }
}
