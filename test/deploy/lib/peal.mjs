// SPDX-License-Identifier: MIT
//
// What the checks ask Peal itself: its variables, and whether it takes a configuration.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { parseAllDocuments } from 'yaml';

import { PEAL } from '../../interop/lib/peal.mjs';
import { complaints } from './rules.mjs';
import { run } from './tools.mjs';

export { PEAL };

const scratch = mkdtempSync(join(tmpdir(), 'peal-deploy-'));
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));
let files = 0;

// A new path, of a file with that text if one is given; it goes with the process.
export function scratchFile(name, text) {
  const path = join(scratch, `${files++}-${name}`);
  if (text !== undefined) writeFileSync(path, text);
  return path;
}

export const peal = (args, { env = {}, text } = {}) =>
  run(PEAL, text === undefined ? args : [...args, scratchFile('peal.yaml', text)], { env });

export async function variables() {
  const { stdout } = await peal(['config', '--env']);
  return new Set(stdout.split('\n').map((line) => line.split('=')[0]));
}

export const objectsOf = (yaml) =>
  parseAllDocuments(yaml).map((doc) => doc.toJS()).filter((object) => object !== null);

export const context = async (outside = []) => ({ peal, names: await variables(), outside });
export { complaints };
