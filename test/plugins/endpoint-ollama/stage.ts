import { type Agent, definePlugin, type Embeddings, type EmbedRequest, type StreamChunk } from '#kernel';
import { ScriptedAgent } from '../../support/agents.js';

/** A scripted agent that also makes vectors. */
export class StageAgent extends ScriptedAgent {
  readonly embedded: EmbedRequest[] = [];

  async embed(request: EmbedRequest): Promise<Embeddings> {
    this.embedded.push(request);
    const embeddings = request.input.map((text) => [text.length, 0.25]);
    return { embeddings, usage: { inputTokens: 7, outputTokens: 0 } };
  }
}

/** A plugin that adds an agent. */
export const withAgent = (agent: Agent) =>
  definePlugin({ name: agent.name, apiVersion: 1, setup: (ctx) => void ctx.addAgent(agent) });

export const think = (content: string): StreamChunk => ({ type: 'thinking', content });

export const look = (args: string, id = 'c1'): StreamChunk => ({
  type: 'tool_call',
  id,
  name: 'look',
  arguments: args,
});
