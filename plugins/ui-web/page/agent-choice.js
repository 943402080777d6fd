import { choice, choose } from './choice.js';
import { html } from './html.js';
import { lookAtAgents } from './look-at-agents.js';
import { agents } from './state.js';
import { words } from './words.js';

/** @typedef {import('./conversations.js').Choice} Choice */

/** The field for agent and model. It keeps a choice that is not available at the moment. */
export function AgentChoice() {
  const chosen = keyOf(choice.value);
  // The chat agent itself is the automatic choice.
  const others = (agents.value ?? []).filter(({ name }) => name !== 'queen');
  const all = [
    keyOf({}),
    ...others.flatMap(({ name, models = [] }) => [
      keyOf({ agent: name }),
      ...models.map((model) => keyOf({ agent: name, model })),
    ]),
  ];
  const { agent, model } = choice.value;
  const onChange = (/** @type {any} */ event) =>
    choose({ ...choice.value, agent: undefined, model: undefined, ...JSON.parse(event.target.value) });
  return html`<label for="agent" class="unseen">${words.whoAnswers}</label>
    <span class="select">
      <select id="agent" value=${chosen} onChange=${onChange} onFocus=${() => void lookAtAgents()}>
        <option value=${keyOf({})}>${words.automatic}</option>
        ${others.map((each) => html`<${Group} key=${each.name} agent=${each} />`)}
        ${
          !all.includes(chosen) &&
          html`<option value=${chosen}>${words.notThere([agent, model].filter(Boolean).join(', '))}</option>`
        }
      </select>
    </span>`;
}

/** @param {{ agent: import('./server.js').AgentStatus }} properties */
function Group({ agent: { name, healthy, models = [] } }) {
  const value = keyOf({ agent: name });
  const able = healthy ? name : words.notAble(name);
  if (models.length === 0) return html`<option value=${value}>${able}</option>`;
  return html`<optgroup label=${name}>
    <option value=${value}>${words.defaultModel(able)}</option>
    ${models.map((model) => html`<option value=${keyOf({ agent: name, model })}>${model}</option>`)}
  </optgroup>`;
}

/** @param {Choice} choice */
function keyOf({ agent, model }) {
  return JSON.stringify({ agent, model });
}
