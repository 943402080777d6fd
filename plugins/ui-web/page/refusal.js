import { useEffect, useState } from 'preact/hooks';
import { draft, setDraft } from './drafts.js';
import { html } from './html.js';
import { inPlainWords } from './plain-words.js';
import { connection, runHere } from './state.js';
import { resent, send } from './turns.js';
import { words } from './words.js';

/** Why what is in the field was not taken, and when it is sent again. */
export function Refusal() {
  const { refusal, text } = draft.value;
  const [now, setNow] = useState(Date.now());
  const { until = 0 } = resent.value?.text === text ? resent.value : {};
  useEffect(() => {
    if (!refusal) return undefined;
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, [refusal]);
  useEffect(() => {
    if (until > 0 && Date.now() >= until && connection.value === 'open' && !runHere.value)
      send({ content: text.trim() });
  });
  if (!refusal) return null;
  const { retryAfterMs = 0, ...error } = refusal.error;
  const leftMs = refusal.at + retryAfterMs - Math.max(now, refusal.at);
  return html`<div id="refusal" class="failure" role="status">
    <p>${inPlainWords({ ...error, ...(leftMs > 0 && { retryAfterMs: leftMs }) })} ${until > 0 && words.sentAgain}</p>
    <button type="button" class="quiet" onClick=${dismiss}>${until > 0 ? words.dontSend : words.close}</button>
  </div>`;
}

function dismiss() {
  resent.value = undefined;
  setDraft({ text: draft.value.text });
}
