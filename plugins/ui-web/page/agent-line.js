import { element } from './elements.js';

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
  if (state === 'failed') return `${agent} failed`;
  const by = nested ? ` by ${parent}` : '';
  if (via === 'handover') return `handed over to ${agent}${by}`;
  return `${agent} ${isLive && state === 'started' ? 'is' : 'was'} asked${by}`;
}
