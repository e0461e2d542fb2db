// SPDX-License-Identifier: MIT
// Three ways to the same channel. Each link is made with what to do with a message
// (event name or undefined, data) and with a change of its state ('on', 'wait' or 'off', and
// words), and is { send(message), close() }. send answers with what went wrong, if anything.

const AGAIN_MS = 1500;

// The name of the node that a Socket.IO id was made by: it begins with the node's number.
async function nodeOf(id) {
  const bytes = atob(id.slice(0, 8).replaceAll('-', '+').replaceAll('_', '/'));
  const number = [...bytes.slice(0, 4)].map((c) => c.charCodeAt(0).toString(16).padStart(2, '0')).join('');
  const answer = await fetch('/api/nodes').catch(() => null);
  const nodes = answer?.ok ? (await answer.json()).nodes : [];
  return nodes.find((node) => node.node === number)?.name;
}

export function socketioLink(channel, onMessage, onState) {
  let socket, closed = false, joined = false; // joined: nothing on the channel is missed
  const url = '/socket.io/socket.io.esm.min.js'; // the server's own copy
  onState('wait', 'loading');
  import(url).then(({ io }) => {
    if (closed) return;
    socket = io({ forceNew: true });
    let node;
    const say = () => onState('on',
      ['connected', socket.io.engine.transport.name, node].filter(Boolean).join(', '));
    socket.on('connect', () => {
      socket.io.engine.on('upgrade', () => joined && say());
      socket.emit('join', channel, () => {
        joined = true;
        say();
      });
      nodeOf(socket.id).then((name) => {
        node = name;
        if (joined) say();
      });
    });
    socket.on('disconnect', () => {
      joined = false;
      onState('wait', 'reconnecting');
    });
    socket.on('connect_error', (err) =>
      onState(socket.active ? 'wait' : 'off', socket.active ? 'reconnecting' : err.message));
    socket.onAny((event, ...args) => onMessage(event, args.length === 1 ? args[0] : args));
  }, () => onState('off', 'client not served'));
  return {
    async send(message) {
      socket.emit('to', channel, 'message', message);
    },
    close() {
      closed = true;
      socket?.disconnect();
    },
  };
}

export function websocketLink(channel, onMessage, onState) {
  let socket, timer, closed = false;
  const open = () => {
    socket = new WebSocket(`${location.origin.replace('http', 'ws')}/ws/${encodeURIComponent(channel)}?node`);
    socket.binaryType = 'arraybuffer';
    socket.onmessage = (event) => { // the first says where we are
      onState('on', `connected, ${parse(event.data).node}`);
      socket.onmessage = (next) => onMessage(undefined, parse(next.data));
    };
    socket.onclose = () => {
      if (closed) return;
      onState('wait', 'reconnecting');
      timer = setTimeout(open, AGAIN_MS);
    };
  };
  onState('wait', 'connecting');
  open();
  return {
    async send(message) {
      socket.send(JSON.stringify(message));
    },
    close() {
      closed = true;
      clearTimeout(timer);
      socket.close();
    },
  };
}

export function sseLink(channel, onMessage, onState) {
  let source, timer;
  const open = () => {
    source = new EventSource(`/sse/${encodeURIComponent(channel)}?node`);
    source.addEventListener('node', (event) => onState('on', `connected, ${parse(event.data).node}`));
    source.onmessage = (event) => onMessage(undefined, parse(event.data));
    source.addEventListener('binary', (event) =>
      onMessage('binary', Uint8Array.from(atob(event.data), (c) => c.charCodeAt(0)).buffer));
    source.onerror = () => {
      onState('wait', 'reconnecting');
      // After an answer that is no event stream it does not try again by itself.
      if (source.readyState === EventSource.CLOSED) timer = setTimeout(open, AGAIN_MS);
    };
  };
  onState('wait', 'connecting');
  open();
  return {
    // An EventSource cannot send: it publishes as a back end does, by HTTP.
    async send(message) {
      const answer = await fetch('/api/publish', {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ channel, event: 'message', data: message }),
      });
      if (answer.ok) return undefined;
      const body = await answer.json().catch(() => null);
      return body?.error?.message ?? `the server answered ${answer.status}`;
    },
    close() {
      clearTimeout(timer);
      source.close();
    },
  };
}

// What others publish need not be JSON.
function parse(data) {
  if (typeof data !== 'string') return data;
  try {
    return JSON.parse(data);
  } catch {
    return data;
  }
}
