// SPDX-License-Identifier: MIT
// Three ways to the same channel. Each link is made with what to do with a message and
// with a change of its state, and is { send(message), close() }.

export function socketioLink(channel, onMessage, onState) {
  let socket, closed = false;
  const url = '/socket.io/socket.io.esm.min.js';
  onState('wait', 'loading');
  import(url).then(({ io }) => {
    if (closed) return;
    socket = io({ forceNew: true });
    const say = () => onState('on', `connected by ${socket.io.engine.transport.name}`);
    socket.on('connect', () => {
      socket.emit('join', channel);
      say();
      socket.io.engine.on('upgrade', say);
    });
    socket.on('disconnect', (why) => onState('wait', why));
    socket.on('connect_error', (err) => onState('off', err.message));
    socket.on('message', onMessage);
  }, () => onState('off', `${url} is not served`));
  return {
    send: (message) => socket?.emit('to', channel, 'message', message),
    close() {
      closed = true;
      socket?.disconnect();
    },
  };
}

export function websocketLink(channel, onMessage, onState) {
  let socket, timer, closed = false;
  const open = () => {
    onState('wait', 'connecting');
    socket = new WebSocket(`${location.origin.replace('http', 'ws')}/ws/${encodeURIComponent(channel)}`);
    socket.onopen = () => onState('on', 'connected');
    socket.onmessage = (event) => onMessage(parse(event.data));
    socket.onclose = (event) => {
      if (closed) return;
      onState('off', `closed with ${event.code}`);
      timer = setTimeout(open, 1500);
    };
  };
  open();
  return {
    send: (message) => socket.send(JSON.stringify(message)),
    close() {
      closed = true;
      clearTimeout(timer);
      socket.close();
    },
  };
}

export function sseLink(channel, onMessage, onState) {
  const source = new EventSource(`/sse/${encodeURIComponent(channel)}`);
  onState('wait', 'connecting');
  source.onopen = () => onState('on', 'connected');
  source.onerror = () => onState('wait', 'reconnecting');
  source.onmessage = (event) => onMessage(parse(event.data));
  return {
    // An EventSource cannot send: it publishes as a back end does, by HTTP.
    send: (message) => fetch('/api/publish', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ channel, event: 'message', data: message }),
    }).then(async (answer) => {
      if (!answer.ok) onState('off', (await answer.json()).error.message);
    }),
    close: () => source.close(),
  };
}

// What others publish need not be ours.
function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
