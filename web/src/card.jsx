// SPDX-License-Identifier: MIT
// One protocol's view of the channel: what came over it, and a line to send over it.
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { socketioLink, sseLink, websocketLink } from './links.js';

const KEEP = 200; // messages a card shows
const NEAR = 40;  // pixels from its end: a reader there wants to see what comes

export const cards = [
  { id: 'socketio', title: 'Socket.IO', link: socketioLink, live: 'polite',
    note: <>The official client, in the room of this name</> },
  { id: 'websocket', title: 'WebSocket', link: websocketLink, live: 'off',
    note: <>No library: what it sends is published</> },
  { id: 'sse', title: 'SSE + HTTP', link: sseLink, live: 'off',
    note: <>Hears as EventSource, sends by POST</> },
];
const titles = new Map(cards.map(({ id, title }) => [id, title]));

const plain = (data) => {
  if (data instanceof ArrayBuffer) return `${data.byteLength} bytes`;
  return typeof data === 'string' ? data : JSON.stringify(data);
};

const clock = (at) => {
  const time = new Date(at ?? Date.now());
  return Number.isNaN(time.getTime()) ? clock() : time.toLocaleTimeString([], { timeStyle: 'medium' });
};

// Everything that can come is shown; what a page like this sent says from whom and over what.
let n = 0;
function describe(event, data) {
  const ours = data !== null && typeof data === 'object' && typeof data.text === 'string';
  const word = (value) => (ours && typeof value === 'string' ? value.slice(0, 40) : '');
  return {
    key: n++,
    from: word(data?.from),
    via: word(data?.via),
    event: event === 'message' ? '' : event,
    text: ours ? data.text : plain(data),
    at: clock(ours ? data.at : undefined),
  };
}

function Message({ m, name }) {
  return (
    <li class={m.from === name ? 'mine' : ''}>
      <div class="meta">
        {m.from && <strong>{m.from}</strong>}
        {m.from === name && <span>(you)</span>}
        {m.via && <span class={`chip c-${titles.has(m.via) ? m.via : 'other'}`}>{titles.get(m.via) ?? m.via}</span>}
        {m.event && <code>{m.event}</code>}
        <time>{m.at}</time>
      </div>
      <div>{m.text}</div>
    </li>
  );
}

function Log({ card, messages, name }) {
  const log = useRef(null), atEnd = useRef(true);
  const follow = () => {
    if (atEnd.current) log.current.scrollTop = log.current.scrollHeight;
  };
  useLayoutEffect(follow, [messages]);
  useEffect(() => {
    addEventListener('resize', follow);
    return () => removeEventListener('resize', follow);
  }, []);
  const onScroll = ({ currentTarget: e }) => {
    atEnd.current = e.scrollHeight - e.scrollTop - e.clientHeight < NEAR;
  };
  // Three cards hear the same: one of them is enough for a screen reader.
  return (
    <div class="log" role="log" aria-live={card.live} aria-label={`Messages over ${card.title}`}
      tabIndex={0} ref={log} onScroll={onScroll}>
      {messages.length === 0
        ? <p class="empty">Say something: every card hears it, in every tab that is open.</p>
        : <ul>{messages.map((m) => <Message key={m.key} m={m} name={name} />)}</ul>}
    </div>
  );
}

export function Card({ card, channel, name }) {
  const [messages, setMessages] = useState([]);
  const [[state, words], setState] = useState(['wait', 'connecting']);
  const [text, setText] = useState('');
  const [problem, setProblem] = useState('');
  const link = useRef(null);

  useEffect(() => {
    setMessages([]);
    link.current = card.link(channel,
      (event, data) => setMessages((old) => [...old.slice(1 - KEEP), describe(event, data)]),
      (...to) => setState(to));
    return () => link.current.close();
  }, [channel]);

  const send = async (event) => {
    event.preventDefault();
    const said = text.trim();
    if (!said || state !== 'on') return;
    setText('');
    const wrong = await link.current
      .send({ from: name, via: card.id, text: said, at: new Date().toISOString() })
      .catch((err) => err.message);
    setProblem(wrong ? `Not sent: ${wrong}` : '');
    if (wrong) setText((now) => now || said);
  };
  return (
    <section class={`card c-${card.id}`} aria-label={card.title} data-card={card.id}>
      <div class="top">
        <h2>{card.title}</h2>
        <span class={`state ${state}`} role="status">{words}</span>
      </div>
      <Log card={card} messages={messages} name={name} />
      <form onSubmit={send}>
        <input value={text} onInput={(e) => setText(e.currentTarget.value)} maxLength={2000}
          placeholder="Message" aria-label={`Message over ${card.title}`} autocomplete="off" enterkeyhint="send" />
        <button disabled={state !== 'on'}>Send</button>
      </form>
      <p class={problem ? 'note problem' : 'note'} role={problem ? 'alert' : undefined}>{problem || card.note}</p>
    </section>
  );
}
