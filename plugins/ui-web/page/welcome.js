import { write } from './drafts.js';
import { html } from './html.js';
import { focusMessage } from './open.js';
import { agents } from './state.js';
import { words } from './words.js';

/** An empty conversation: the agents that can answer, and ideas to begin with. */
export function Welcome() {
  const take = (/** @type {string} */ idea) => {
    write(idea);
    focusMessage();
  };
  return html`<div id="welcome">
    <h2>${words.welcome}</h2>
    <p id="who">${whoAnswers()}</p>
    <ul id="ideas" aria-label=${words.ideasLabel}>
      ${words.ideas.map((idea) => html`<li><button type="button" onClick=${() => take(idea)}>${idea}</button></li>`)}
    </ul>
  </div>`;
}

function whoAnswers() {
  if (!agents.value) return '';
  const able = agents.value.filter(({ name, healthy }) => healthy && name !== 'queen');
  if (able.length === 0) return words.nobodyAnswers;
  if (able.some(({ models }) => models?.length))
    return words.theyAnswer(able.map(({ name }) => (name[0] ?? '').toUpperCase() + name.slice(1)));
  return html`${words.noModel[0]}<code>ollama serve</code>${words.noModel[1]}`;
}
