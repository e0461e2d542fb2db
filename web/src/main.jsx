// SPDX-License-Identifier: MIT
// The demo: one channel seen through Socket.IO, a WebSocket and server-sent events.
import { render } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { socketioLink, sseLink, websocketLink } from './links.js';
import { snippets } from './snippets.js';

const KEEP = 200; // messages of a card

const cards = [
  { id: 'socketio', title: 'Socket.IO', link: socketioLink, note: 'polling first, then WebSocket; joined the room' },
  { id: 'websocket', title: 'WebSocket', link: websocketLink, note: 'no library: text and binary frames' },
  { id: 'sse', title: 'Server-sent events', link: sseLink, note: 'receives as EventSource, sends by POST /api/publish' },
];
const titles = { socketio: 'Socket.IO', websocket: 'WebSocket', sse: 'SSE + HTTP', api: 'HTTP API' };

// Everything that can come is shown; ours says who sent it and over what.
function describe(data) {
  const ours = data !== null && typeof data === 'object' && typeof data.text === 'string';
  const via = ours && data.via in titles ? data.via : 'api';
  return {
    from: ours && typeof data.from === 'string' ? data.from : 'somebody',
    via,
    text: ours ? data.text : typeof data === 'string' ? data : JSON.stringify(data),
    at: new Date().toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', second: '2-digit' }),
  };
}

function Card({ card, channel, name }) {
  const [messages, setMessages] = useState([]);
  const [state, setState] = useState(['wait', 'connecting']);
  const [text, setText] = useState('');
  const link = useRef(null), log = useRef(null);

  useEffect(() => {
    setMessages([]);
    link.current = card.link(channel,
      (data) => setMessages((old) => [...old.slice(1 - KEEP), describe(data)]),
      (kind, what) => setState([kind, what]));
    return () => link.current.close();
  }, [channel]);
  useEffect(() => {
    log.current.scrollTop = log.current.scrollHeight;
  }, [messages]);

  const send = (event) => {
    event.preventDefault();
    if (!text.trim()) return;
    link.current.send({ from: name, via: card.id, text: text.trim() });
    setText('');
  };
  return (
    <section class="card" aria-label={card.title} data-card={card.id}>
      <div class="top">
        <h2 class={`t-${card.id}`}>{card.title}</h2>
        <span class={`state ${state[0]}`} role="status">{state[1]}</span>
      </div>
      <ul class="log" ref={log} tabIndex={0} aria-label={`Messages over ${card.title}`}>
        {messages.length === 0 && <li class="empty">Say something. Every card, and every tab that is open, hears it.</li>}
        {messages.map((m) => (
          <li>
            <div class="meta">
              <strong>{m.from}</strong>
              <span class={`chip c-${m.via}`}>{titles[m.via]}</span>
              <time>{m.at}</time>
            </div>
            <div>{m.text}</div>
          </li>
        ))}
      </ul>
      <form onSubmit={send}>
        <input value={text} onInput={(e) => setText(e.currentTarget.value)} maxLength={2000}
          placeholder="Message" aria-label={`Message over ${card.title}`} autocomplete="off" />
        <button disabled={state[0] !== 'on'}>Send</button>
      </form>
      <p class="note">{card.note}</p>
    </section>
  );
}

function Code({ channel }) {
  const all = snippets(channel), names = Object.keys(all);
  const [tab, setTab] = useState(names[0]);
  const [copied, setCopied] = useState(false);
  const copy = () => navigator.clipboard?.writeText(all[tab]).then(() => {
    setCopied(true);
    setTimeout(() => setCopied(false), 1500);
  });
  return (
    <section class="code" aria-label="Code to copy">
      <div class="tabs" role="tablist">
        {names.map((n) => (
          <button role="tab" aria-selected={n === tab} onClick={() => setTab(n)}>{n}</button>
        ))}
      </div>
      <div class="pane" role="tabpanel">
        <button class="copy plain" onClick={copy}>{copied ? 'Copied' : 'Copy'}</button>
        <pre tabIndex={0}><code>{all[tab]}</code></pre>
      </div>
    </section>
  );
}

function stored(key, make) {
  const value = sessionStorage.getItem(key) ?? make();
  sessionStorage.setItem(key, value);
  return value;
}

function App() {
  const [name, setName] = useState(stored('name', () => `guest-${100 + Math.floor(Math.random() * 900)}`));
  const [channel, setChannel] = useState(new URLSearchParams(location.search).get('channel') || 'lobby');
  const [draft, setDraft] = useState(channel);
  const rename = (value) => {
    setName(value);
    sessionStorage.setItem('name', value);
  };
  const go = (event) => {
    event.preventDefault();
    if (!draft.trim()) return;
    setChannel(draft.trim());
    history.replaceState(null, '', `?channel=${encodeURIComponent(draft.trim())}`);
  };
  return (
    <main>
      <header>
        <div>
          <h1>
            <svg viewBox="0 0 32 32" aria-hidden="true"><path d="M16 3a3 3 0 0 1 3 3c4 1 6 5 6 9 0 5 1 7 3 9H4c2-2 3-4 3-9 0-4 2-8 6-9a3 3 0 0 1 3-3zm-4 23h8a4 4 0 0 1-8 0z" /></svg>
            Peal
          </h1>
          <p>One channel, three protocols. Open this page in a second tab and watch them talk.</p>
        </div>
        <div class="who">
          <label>Your name<input value={name} maxLength={40} onInput={(e) => rename(e.currentTarget.value)} /></label>
          <form onSubmit={go}>
            <label>Channel<input value={draft} maxLength={200} onInput={(e) => setDraft(e.currentTarget.value)} onBlur={go} /></label>
          </form>
        </div>
      </header>
      <div class="cards">
        {cards.map((card) => <Card key={card.id} card={card} channel={channel} name={name} />)}
      </div>
      <Code channel={channel} />
      <footer>
        Served by <code>peal serve --dev</code>: everything is allowed here. <a href="/metrics">Metrics</a>
      </footer>
    </main>
  );
}

render(<App />, document.getElementById('app'));
