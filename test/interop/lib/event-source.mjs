// SPDX-License-Identifier: MIT
//
// EventSource of the package, over node:http in place of fetch: the one of Node 18 forgets to end
// a request that is aborted, once its signal has been collected as garbage, and some versions
// do not tell of several Set-Cookie. init.fetch may wrap httpFetch.

import http from 'node:http';
import { Readable } from 'node:stream';

import { EventSource as Base } from 'eventsource';

// As much of fetch as EventSource asks for. Each stream has a connection of its own.
export function httpFetch(url, { headers, signal }) {
  return new Promise((resolve, reject) => {
    const req = http.get(url, { headers, agent: new http.Agent({ keepAlive: true }) });
    let res;
    const abort = () => {
      const why = new DOMException('aborted', 'AbortError');
      req.destroy(why);
      res?.destroy(why);
    };
    signal?.addEventListener('abort', abort, { once: true });
    req.on('error', reject);
    req.on('response', (response) => {
      res = response;
      resolve({
        status: res.statusCode, redirected: false, url: String(url), body: Readable.toWeb(res),
        headers: { get: (name) => res.headers[name.toLowerCase()], getSetCookie: () => res.headers['set-cookie'] ?? [] },
      });
    });
  });
}

export class EventSource extends Base {
  constructor(url, init) {
    super(url, { fetch: httpFetch, ...init });
  }
}
