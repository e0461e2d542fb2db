// SPDX-License-Identifier: MIT
// Runs the binary (PEAL_BIN, or build/peal) with nothing of PEAL_... in its environment.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));
export const PEAL = process.env.PEAL_BIN ?? join(ROOT, 'build/peal');
export const read = (path) => readFileSync(join(ROOT, path), 'utf8');

const BARE_ENV = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.startsWith('PEAL_')));

// { status, stdout, stderr }
export function peal(args, { env = {}, input } = {}) {
  const child = spawn(PEAL, args, { env: { ...BARE_ENV, ...env } });
  const result = { stdout: '', stderr: '' };
  child.stdout.on('data', (data) => (result.stdout += data));
  child.stderr.on('data', (data) => (result.stderr += data));
  child.stdin.on('error', () => {}); // it need not read it
  child.stdin.end(input);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status) => resolve({ ...result, status }));
  });
}

// A folder for the test t: file(name, text) writes there and returns the path.
export function folder(t) {
  const dir = mkdtempSync(join(tmpdir(), 'peal-cli-'));
  t.after(() => rmSync(dir, { recursive: true }));
  return (name, text) => {
    const path = join(dir, name);
    if (text !== undefined) writeFileSync(path, text);
    return path;
  };
}
