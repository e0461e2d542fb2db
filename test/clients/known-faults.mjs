// SPDX-License-Identifier: MIT
//
// What clients do wrong, against Node's server as well; docs/GUIDE.md has the table. A test that would meet one is left
// out, and says so.

export const KNOWN_FAULTS = [
  { clients: /^go socketio polling/, tests: /./, why: 'by polling it sends nothing for most of a minute' },
  { clients: /^rust socketio .*websocket/, tests: /500 KB of bytes/, why: 'a large binary message ends its WebSocket' },
];
