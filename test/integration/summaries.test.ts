import { describe, expect, it } from 'vitest';
import type { AgentCall, ChatRequest, ContextWindow, StreamChunk } from '#kernel';
import { eventually } from '../support/eventually.js';
import { ScriptedModel, say } from '../support/scripted-model.js';
import { ToolHive } from '../support/tool-hive.js';

const server = new ToolHive();

function isDone(step: StreamChunk | readonly StreamChunk[]): step is Extract<StreamChunk, { type: 'done' }> {
  return 'type' in step && step.type === 'done';
}

/** A model with a small window, which is asked for summaries as well. */
class Small extends ScriptedModel {
  constructor() {
    super('m', ({ messages }: ChatRequest) =>
      messages[0]?.content.startsWith('Summarise') ? [say('They like tea.')] : [say('ok')],
    );
  }

  contextWindow(): ContextWindow {
    return { tokens: 1024 };
  }

  override async *generateResponseStream(request: ChatRequest, call: AgentCall) {
    const inputTokens = Math.ceil(request.messages.map(({ content }) => content).join('').length / 4);
    for await (const step of super.generateResponseStream(request, call))
      yield isDone(step) ? { ...step, usage: { inputTokens, outputTokens: 1 } } : step;
  }

  get summarised(): readonly ChatRequest[] {
    return this.requests.filter(({ messages }) => messages[0]?.content.startsWith('Summarise'));
  }
}

async function converse(model: Small, queen: object) {
  await server.start([model], [], { tools: [], systemPrompt: 'Rules', ...queen });
  const client = await server.client();
  for (let turn = 0; turn < 9; turn++)
    await client.ask({ content: `q${turn} ${'words of a text '.repeat(30)}`, conversationId: 'k' });
  return client;
}

describe('a summary', () => {
  it('stands for the turns that no longer fit', async () => {
    const model = new Small();
    const client = await converse(model, { summarise: true });
    await eventually(() => expect(model.summarised.length).toBeGreaterThan(0));
    expect(model.summarised[0]?.messages[1]?.content).toContain('user: q0 words');
    await eventually(async () => {
      await client.ask({ content: 'What do they like?', conversationId: 'k' });
      const [order] = model.requests.at(-1)?.messages ?? [];
      expect(order?.role).toBe('system');
      expect(order?.content).toMatch(/^Rules\n\nSummary of the conversation so far: They like tea\./);
    });
    const { messages = [] } = model.requests.at(-1) ?? {};
    expect(messages.filter(({ role }) => role === 'system')).toHaveLength(1);
    // It is no part of the conversation.
    expect(JSON.stringify(await server.stored('k'))).not.toContain('tea');
  });

  it('is not made unless the config says so', async () => {
    const model = new Small();
    await converse(model, {});
    expect(model.summarised).toEqual([]);
    expect(model.requests.at(-1)?.messages[0]?.content).toBe('Rules');
  });
});
