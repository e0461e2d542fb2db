// SPDX-License-Identifier: MIT
// The code to copy, a tab for each client.
import { useRef, useState } from 'preact/hooks';
import { snippets } from './snippets.js';

const STEPS = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };

export function Code({ channel }) {
  const all = snippets(channel), names = Object.keys(all);
  const [open, setOpen] = useState(0);
  const [said, setSaid] = useState('');
  const tabs = useRef([]), pane = useRef(null);

  const say = (what) => {
    setSaid(what);
    setTimeout(() => setSaid(''), 2000);
  };
  // Without a clipboard (a page by plain http from another machine) it is marked instead.
  const mark = () => {
    getSelection().selectAllChildren(pane.current);
    say('Selected');
  };
  const copy = () => (navigator.clipboard
    ? navigator.clipboard.writeText(all[names[open]]).then(() => say('Copied'), mark) : mark());
  const onKeyDown = (event) => {
    const step = STEPS[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const last = names.length - 1;
    const to = Number.isFinite(step) ? (open + step + names.length) % names.length : step < 0 ? 0 : last;
    setOpen(to);
    tabs.current[to].focus();
  };
  return (
    <section class="code" aria-labelledby="code-title">
      <div class="top">
        <h2 id="code-title">Code to copy</h2>
        <button class="plain" onClick={copy}><span role="status">{said || 'Copy'}</span></button>
      </div>
      <div class="tabs" role="tablist" aria-labelledby="code-title" onKeyDown={onKeyDown}>
        {names.map((name, i) => (
          <button key={name} role="tab" id={`tab-${i}`} aria-controls="pane" aria-selected={i === open}
            tabIndex={i === open ? 0 : -1} ref={(e) => { tabs.current[i] = e; }}
            onClick={() => setOpen(i)}>{name}</button>
        ))}
      </div>
      <pre id="pane" role="tabpanel" aria-labelledby={`tab-${open}`} tabIndex={0} ref={pane}><code>{all[names[open]]}</code></pre>
    </section>
  );
}
