import type { ModelDetails } from '../../contracts/agent.js';
import type { AgentStatus } from '../../contracts/chat.js';

/** Facts about a model; unknown where absent. */
export type ModelFacts = Omit<ModelDetails, 'name'>;

/** The facts about the model of an agent for requests without one. It chooses another one for embeddings. */
export function factsOfAgent({ demo, model, modelDetails = [] }: AgentStatus): ModelFacts {
  if (demo) return { capabilities: ['completion'] };
  const found = modelDetails.find(({ name }) => model !== undefined && untagged(name) === untagged(model));
  const { name: _, capabilities, ...facts } = found ?? { name: '' };
  if (!capabilities) return facts;
  const embeds = modelDetails.some((each) => each.capabilities?.includes('embedding'));
  return {
    ...facts,
    capabilities: [...new Set([...capabilities, ...(embeds ? ['embedding' as const] : [])])],
  };
}

/** The facts of an agent that asks others in turn: what any of them can do, and the context that all of them have. */
export function factsOfAll(agents: readonly ModelFacts[]): ModelFacts {
  const lists = agents.map(({ capabilities }) => capabilities);
  return {
    ...(lists.length > 0 && lists.every(isKnown) && { capabilities: [...new Set(lists.flat())] }),
    ...leastContext(agents),
  };
}

function leastContext(all: readonly ModelFacts[]): Pick<ModelFacts, 'contextLength'> {
  const lengths = all.map(({ contextLength }) => contextLength);
  return lengths.length > 0 && lengths.every(isKnown) ? { contextLength: Math.min(...lengths) } : {};
}

function isKnown<T>(value: T | undefined): value is T {
  return value !== undefined;
}

/** A model name without the default tag, which some servers write out. */
export function untagged(model: string): string {
  return model.replace(/:latest$/, '');
}
