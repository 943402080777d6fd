import type { ChatOptions } from '../../contracts/agent.js';
import { WaggleError } from '../../errors.js';

/** Refuses a choice that is not among the tools. `field` has the choice. @throws INVALID_REQUEST */
export function checkToolChoice(field: string, { toolChoice, tools = [] }: ChatOptions): void {
  const name = typeof toolChoice === 'object' ? toolChoice.name : undefined;
  if (name !== undefined && !tools.some((tool) => tool.name === name))
    refuse(field, `there is no tool ${JSON.stringify(name)}`);
  if (toolChoice === 'required' && tools.length === 0)
    refuse(field, 'a tool is to be called, and there is none');
}

function refuse(field: string, what: string): never {
  throw new WaggleError('INVALID_REQUEST', { issues: [`${field}: ${what}`] });
}
