// SPDX-License-Identifier: MIT
//
// Waiting: every test waits for an event with a generous bound, and none looks at how long
// it took. A bound that passes names what was waited for.

// A sanitized build on two shared cores is slow; the bound only has to end a hung test.
export const PATIENCE = 20_000;

export function within(promise, what, ms = PATIENCE) {
  let timer;
  const bound = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited in vain for ${what}`)), ms);
  });
  return Promise.race([promise, bound]).finally(() => clearTimeout(timer));
}

// The arguments of the next `event`, as an array.
export function next(emitter, event, ms = PATIENCE) {
  let listener;
  const got = new Promise((resolve) => {
    listener = (...args) => resolve(args);
    emitter.once(event, listener);
  });
  return within(got, `event ${String(event)}`, ms).finally(() => emitter.off(event, listener));
}

// The arguments of the next n `event`s, in order.
export function collect(emitter, event, n, ms = PATIENCE) {
  const all = [];
  let listener;
  const got = new Promise((resolve) => {
    listener = (...args) => {
      all.push(args);
      if (all.length === n) resolve(all);
    };
    emitter.on(event, listener);
  });
  const what = () => `${n} events ${String(event)}`;
  return within(got, what(), ms)
    .catch((err) => {
      throw new Error(`${err.message}, got ${all.length}`);
    })
    .finally(() => emitter.off(event, listener));
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Polls `probe` until it returns something true, and returns that.
export async function until(probe, what, ms = PATIENCE) {
  const end = Date.now() + ms;
  for (;;) {
    const value = await probe();
    if (value) return value;
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
    await sleep(20);
  }
}

// A queue between callbacks and awaits: push() what comes, shift() what came, end() at the
// close; shift() after the end rejects.
export class Inbox {
  #items = [];
  #waiters = [];
  #ended = false;

  constructor(name = 'message') {
    this.name = name;
  }

  push(item) {
    const waiter = this.#waiters.shift();
    if (waiter) waiter.resolve(item);
    else this.#items.push(item);
  }

  end() {
    this.#ended = true;
    for (const waiter of this.#waiters.splice(0)) {
      waiter.reject(new Error(`closed while waiting for a ${this.name}`));
    }
  }

  shift(ms = PATIENCE) {
    if (this.#items.length) return Promise.resolve(this.#items.shift());
    if (this.#ended) return Promise.reject(new Error(`no ${this.name} will come: closed`));
    let waiter;
    const got = new Promise((resolve, reject) => {
      waiter = { resolve, reject };
      this.#waiters.push(waiter);
    });
    return within(got, `a ${this.name}`, ms).catch((err) => {
      this.#waiters = this.#waiters.filter((w) => w !== waiter);
      throw err;
    });
  }

  async take(n) {
    const all = [];
    while (all.length < n) all.push(await this.shift());
    return all;
  }

  // What has come and was not taken yet.
  get pending() {
    return [...this.#items];
  }
}
