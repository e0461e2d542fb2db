// SPDX-License-Identifier: MIT
// The demo: one channel seen through Socket.IO, a WebSocket and server-sent events.
import { render } from 'preact';
import { useState } from 'preact/hooks';
import { Card, cards } from './card.jsx';
import { Code } from './code.jsx';

// A name for this tab; storage may be forbidden.
function storedName() {
  try {
    const name = sessionStorage.getItem('name');
    if (name) return name;
  } catch { /* a new one, then */ }
  return store(`guest-${100 + Math.floor(Math.random() * 900)}`);
}
function store(name) {
  try {
    sessionStorage.setItem('name', name);
  } catch { /* it lasts as long as the page */ }
  return name;
}

// A field that takes effect when it is left or entered; what is blank does not.
function Field({ label, value, max, onSet }) {
  const [draft, setDraft] = useState(value);
  const set = (event) => {
    event.preventDefault();
    const next = draft.trim() || value;
    setDraft(next);
    if (next !== value) onSet(next);
  };
  return (
    <form onSubmit={set}>
      <label>{label}
        <input value={draft} maxLength={max} autocomplete="off" spellcheck={false}
          onInput={(e) => setDraft(e.currentTarget.value)} onBlur={set} />
      </label>
    </form>
  );
}

function App() {
  const [name, setName] = useState(storedName);
  const [channel, setChannel] = useState(() => new URLSearchParams(location.search).get('channel') || 'lobby');
  const here = `?channel=${encodeURIComponent(channel)}`;
  const go = (to) => {
    setChannel(to);
    history.replaceState(null, '', `?channel=${encodeURIComponent(to)}`);
  };
  return (
    <>
      <header>
        <div>
          <h1>
            <svg viewBox="0 0 32 32" aria-hidden="true"><path d="M16 3a3 3 0 0 1 3 3c4 1 6 5 6 9 0 5 1 7 3 9H4c2-2 3-4 3-9 0-4 2-8 6-9a3 3 0 0 1 3-3zm-4 23h8a4 4 0 0 1-8 0z" /></svg>
            Peal
          </h1>
          <p>One channel, three protocols. <a href={here} target="_blank" rel="noopener">Open a second tab</a> and watch them talk.</p>
        </div>
        <div class="who">
          <Field label="Your name" value={name} max={40} onSet={(to) => setName(store(to))} />
          <Field label="Channel" value={channel} max={200} onSet={go} />
        </div>
      </header>
      <main>
        <div class="cards">
          {cards.map((card) => <Card key={card.id} card={card} channel={channel} name={name} />)}
        </div>
        <Code channel={channel} />
      </main>
      <footer>
        Served by <code>peal serve --dev</code>, where everybody may do everything. <a href="/metrics">Metrics</a>
      </footer>
    </>
  );
}

render(<App />, document.getElementById('app'));
