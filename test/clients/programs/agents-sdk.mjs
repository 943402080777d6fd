// OpenAI's Agents SDK, over HTTP and over a WebSocket.

import {
  Agent,
  OpenAIProvider,
  Runner,
  setTracingDisabled,
  tool,
  withResponsesWebSocketSession,
} from '@openai/agents';
import { WebSocket } from 'ws';
import { z } from 'zod';
import { run } from './cases.mjs';

setTracingDisabled(true);
// Node.js has had its own since version 22.
globalThis.WebSocket ??= WebSocket;

const weather = tool({
  name: 'get_weather',
  description: 'The weather in a city',
  parameters: z.object({ city: z.string() }),
  execute: async ({ city }) => `20 °C in ${city}`,
});
const runner = (url, more = {}) =>
  new Runner({ modelProvider: new OpenAIProvider({ baseURL: `${url}/v1`, apiKey: 'any', ...more }) });
const withTool = (model) => new Agent({ name: 'Guide', instructions: 'Be brief', model, tools: [weather] });
const plain = (model) => new Agent({ name: 'Guide', model });

async function streamed(result) {
  let text = '';
  for await (const piece of result.toTextStream()) text += piece;
  await result.completed;
  return [text, result.finalOutput];
}

await run({
  'a tool': async (url, model) => (await runner(url).run(withTool(model), 'The weather?')).finalOutput,
  'a tool, streamed': async (url, model) =>
    streamed(await runner(url).run(withTool(model), 'The weather?', { stream: true })),
  'a handoff': async (url, model) => {
    const expert = new Agent({ name: 'Expert', model, tools: [weather] });
    const first = new Agent({ name: 'First', model, handoffs: [expert] });
    const { finalOutput, lastAgent } = await runner(url).run(first, 'The weather?');
    return [lastAgent.name, finalOutput];
  },
  'a previous response': async (url, model) => {
    const first = await runner(url).run(plain(model), 'Hallo');
    const previousResponseId = first.lastResponseId;
    const second = await runner(url).run(plain(model), 'And?', { previousResponseId });
    return [first.finalOutput, second.finalOutput];
  },
  'a conversation of the server': async (url, model) => {
    const agent = new Agent({ name: 'Guide', model, modelSettings: { providerData: { user: 'ann' } } });
    const conversationId = `conv_${model}`;
    const answers = [];
    for (const text of ['Hallo', 'And?'])
      answers.push((await runner(url).run(agent, text, { conversationId })).finalOutput);
    return answers;
  },
  'a conversation of the client': async (url, model) => {
    const first = await runner(url).run(withTool(model), 'The weather?');
    return (await runner(url).run(withTool(model), [...first.history, { role: 'user', content: 'And?' }]))
      .finalOutput;
  },
  'an answer of a shape': async (url, model) => {
    const agent = new Agent({ name: 'Guide', model, outputType: z.object({ city: z.string() }) });
    return (await runner(url).run(agent, 'Hallo')).finalOutput;
  },
  'over a WebSocket': (url, model) =>
    withResponsesWebSocketSession(
      async ({ runner: session }) => {
        const tooled = await streamed(await session.run(withTool(model), 'The weather?', { stream: true }));
        const first = await session.run(plain(model), 'Hallo');
        const previousResponseId = first.lastResponseId;
        const second = await session.run(plain(model), 'And?', { previousResponseId });
        return [tooled, second.finalOutput];
      },
      { providerOptions: { baseURL: `${url}/v1`, apiKey: 'any' } },
    ),
  'over Chat Completions': async (url, model) =>
    streamed(
      await runner(url, { useResponses: false }).run(withTool(model), 'The weather?', { stream: true }),
    ),
});
