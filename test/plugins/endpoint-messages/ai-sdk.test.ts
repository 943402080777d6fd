import { createAnthropic } from '@ai-sdk/anthropic';
import { generateText, jsonSchema, stepCountIs, streamText, tool } from 'ai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { definePlugin } from '#kernel';
import { ScriptedAgent, text } from '../../support/agents.js';
import { type Hive, startHive } from '../../support/hive.js';

const usage = { inputTokens: 5, outputTokens: 7, cachedTokens: 2 };
const said = [text('20 '), text('°C'), { type: 'done', reason: 'stop', usage }] as const;
const called = [
  { type: 'thinking', content: 'Hm' },
  text('I look.'),
  { type: 'tool_call_piece', id: 'c1', name: 'weather', arguments: '{"city"', from: 0 },
  { type: 'tool_call', id: 'c1', name: 'weather', arguments: '{"city":"Köln"}' },
  { type: 'done', reason: 'tool_calls', usage },
] as const;

/** Calls a tool once, and then tells what it said. */
class Calling extends ScriptedAgent {
  override async *generateResponseStream(...args: Parameters<ScriptedAgent['generateResponseStream']>) {
    this.script = args[0].messages.some(({ role }) => role === 'tool') ? said : called;
    yield* super.generateResponseStream(...args);
  }
}

describe('the AI SDK', () => {
  let hive: Hive;
  const agent = new Calling('calling');
  const seen: string[] = [];
  const weather = tool({
    inputSchema: jsonSchema<{ city: string }>({ type: 'object', properties: { city: { type: 'string' } } }),
    execute: ({ city }) => {
      seen.push(city);
      return '20 °C';
    },
  });
  const asked = () => ({
    model: createAnthropic({ baseURL: `${hive.url}/v1`, apiKey: 'any' })('calling'),
    prompt: 'What is the weather?',
    maxOutputTokens: 100,
    tools: { weather },
    stopWhen: stepCountIs(3),
    maxRetries: 0,
    providerOptions: { anthropic: { thinking: { type: 'enabled', budgetTokens: 1024 } } },
  });
  beforeAll(async () => {
    hive = await startHive({
      plugins: [definePlugin({ name: 'calling', apiVersion: 1, setup: (ctx) => void ctx.addAgent(agent) })],
    });
  });
  afterAll(() => hive.close());

  it('reads whole messages, and runs tools', async () => {
    const { steps, text, usage } = await generateText(asked());
    expect(steps.map(({ finishReason }) => finishReason)).toEqual(['tool-calls', 'stop']);
    expect(steps[0]).toMatchObject({ text: 'I look.', reasoningText: 'Hm' });
    expect({ text, city: seen.splice(0), usage }).toMatchObject({
      text: '20 °C',
      city: ['Köln'],
      usage: { inputTokens: 5, outputTokens: 7, inputTokenDetails: { cacheReadTokens: 2 } },
    });
    expect(agent.requests.at(-1)?.messages.slice(1)).toEqual([
      {
        role: 'assistant',
        content: 'I look.',
        thinking: 'Hm',
        toolCalls: [{ id: 'c1', name: 'weather', arguments: '{"city":"Köln"}' }],
      },
      { role: 'tool', content: '20 °C', toolCallId: 'c1', toolName: 'weather' },
    ]);
  });

  it('reads streams, and runs tools', async () => {
    const stream = streamText(asked());
    const errors: unknown[] = [];
    for await (const part of stream.fullStream) if (part.type === 'error') errors.push(part.error);
    expect(errors).toEqual([]);
    expect(await stream.text).toBe('20 °C');
    expect((await stream.steps)[0]).toMatchObject({ text: 'I look.', reasoningText: 'Hm' });
    expect(seen.splice(0)).toEqual(['Köln']);
  });
});
