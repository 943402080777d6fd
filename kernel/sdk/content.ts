import type { Agent, ChatRequest } from '../contracts/agent.js';
import { WaggleError } from '../errors.js';

/** Refuses content that the agent cannot pass on. @throws AGENT_FAILED with status 400 */
export function checkContent({ name: agent, takes }: Agent, { messages }: ChatRequest): void {
  for (const { parts = [] } of messages)
    for (const part of parts) {
      if (part.type === 'image' && !part.url.startsWith('data:') && !takes?.imageUrls)
        refuse(agent, 'no image is fetched here; send it as a base64 data URL');
      if (part.type === 'other' && part.value.type !== 'text' && !takes?.parts)
        refuse(agent, `a part of the kind "${String(part.value.type).slice(0, 40)}" cannot be passed on`);
    }
}

function refuse(agent: string, why: string): never {
  throw new WaggleError('AGENT_FAILED', { agent, why, refused: 400 });
}
