import { element } from './elements.js';
import { recall, remember } from './storage.js';

/**
 * @typedef {import('./conversations.js').Choice} Choice
 * @typedef {import('./server.js').AgentStatus} AgentStatus
 */

/** The field for agent and model. */
export class AgentChoice {
  #field;

  /** @param {HTMLSelectElement} field */
  constructor(field) {
    this.#field = field;
    field.addEventListener('change', () => remember('choice', this.value));
  }

  /** @returns {Choice} */
  get value() {
    return JSON.parse(this.#field.value || '{}');
  }

  /** Shows the available agents; keeps the choice even while it is unavailable. @param {readonly AgentStatus[]} agents */
  show(agents) {
    const chosen = JSON.stringify(recall('choice') ?? {});
    const groups = agents.filter(({ name }) => name !== 'queen').map(groupOf);
    // The chat agent itself is the automatic choice.
    this.#field.replaceChildren(option({}, 'Automatic'), ...groups);
    if (![...this.#field.options].some(({ value }) => value === chosen)) {
      const { agent, model } = JSON.parse(chosen);
      this.#field.append(
        option({ agent, model }, `${[agent, model].filter(Boolean).join(', ')} (not there)`),
      );
    }
    this.#field.value = chosen;
  }
}

/** @param {AgentStatus} agent */
function groupOf({ name, healthy, models = [] }) {
  const plain = option({ agent: name }, healthy ? name : `${name} (cannot answer now)`);
  if (models.length === 0) return plain;
  plain.textContent += ', default model';
  const group = element('optgroup', { label: name });
  group.append(plain, ...models.map((model) => option({ agent: name, model }, model)));
  return group;
}

/** @param {Choice} choice @param {string} text */
function option({ agent, model }, text) {
  return element('option', { value: JSON.stringify({ agent, model }) }, text);
}
