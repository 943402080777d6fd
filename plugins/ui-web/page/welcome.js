import { byId, element } from './elements.js';

const ideas = [
  'How do bees tell each other where the food is?',
  'Compare WebSockets and Server-Sent Events in a table',
  'Write a haiku about patience',
];

/**
 * Shows an empty conversation: the agents that can answer, and ideas to begin with.
 * @param {readonly import('./server.js').AgentStatus[]} agents
 * @param {(idea: string) => void} onIdea
 */
export function showWelcome(agents, onIdea) {
  byId('who', HTMLElement).replaceChildren(...whoAnswers(agents));
  const buttons = ideas.map((idea) => {
    const button = element('button', { type: 'button' }, idea);
    button.addEventListener('click', () => onIdea(idea));
    return element('li', {}, button);
  });
  byId('ideas', HTMLElement).replaceChildren(...buttons);
}

/** @param {readonly import('./server.js').AgentStatus[]} agents @returns {(string | Node)[]} */
function whoAnswers(agents) {
  const able = agents.filter(({ name, healthy }) => healthy && name !== 'queen');
  if (able.length === 0) return ['No agent can answer at the moment. The inspector shows why.'];
  if (able.some(({ models }) => models?.length)) return [`${namesOf(able)} can answer.`];
  return [
    `No model can be reached, so a small embedded agent answers. Start one with `,
    element('code', {}, 'ollama serve'),
    `; it is detected automatically.`,
  ];
}

/** @param {readonly import('./server.js').AgentStatus[]} agents */
function namesOf(agents) {
  const names = agents.map(({ name }) => name[0]?.toUpperCase() + name.slice(1));
  return new Intl.ListFormat('en').format(names);
}
