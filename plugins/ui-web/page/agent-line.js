import { element } from './elements.js';
import { words } from './words.js';

/** @typedef {import('./steps.js').AgentStep} AgentStep */

/** A line that tells of an agent that works for another one. */
export class AgentLine {
  element = element('p', { className: 'step agent', dir: 'auto' });

  /** @param {AgentStep} step @param {boolean} isLive whether its answer is still coming */
  show(step, isLive) {
    this.element.textContent = inWords(step, isLive);
    this.element.classList.toggle('busy', isLive && isAtWork(step));
  }
}

/** Whether the one that answers waits for it. @param {AgentStep} step */
export function isAtWork({ via, state }) {
  return via === 'consult' && state === 'started';
}

/** @param {AgentStep} step @param {boolean} isLive */
export function inWords({ agent, via, state, parent, nested }, isLive) {
  if (state === 'failed') return words.agentFailed(agent);
  const by = nested ? parent : '';
  if (via === 'handover') return words.handedOver(agent, by);
  return words.agentAsked(agent, by, isLive && state === 'started');
}
