// SPDX-License-Identifier: MIT
//
// The server a test file talks to: Peal, or with PEAL_REFERENCE=1 the original. Files say
// `const dev = useServer(test, {...})` once per configuration and use dev.url in tests.

import { startPeal, startSuiteServer } from './peal.mjs';

export const REFERENCE = Boolean(process.env.PEAL_REFERENCE);

// Options of a test that the original does not pass, and why.
export const peal = (why) => (REFERENCE ? { skip: `not on the reference: ${why}` } : {});

export async function start(options = {}) {
  if (!REFERENCE) return startPeal(options);
  const { startReference } = await import('./reference.mjs');
  return startReference(options);
}

// Starts a server before the tests of a suite and stops it after them; the returned object
// is filled in by then.
export function useServer({ before, after }, options = {}, starter = start) {
  const server = {};
  let real;
  before(async () => {
    real = await starter(options);
    Object.setPrototypeOf(server, real);
  });
  after(async () => {
    await real?.stop();
  });
  return server;
}

export const useSuiteServer = (hooks, name, options) =>
  useServer(hooks, options, (opts) => startSuiteServer(name, opts));
