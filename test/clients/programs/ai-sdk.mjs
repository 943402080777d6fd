// The AI SDK with three of its providers.
import { createOpenResponses } from '@ai-sdk/open-responses';
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { generateObject, generateText, stepCountIs, streamText, tool } from 'ai';
import { z } from 'zod';
import { run } from './cases.mjs';

const providers = {
  'open-responses': (url) => createOpenResponses({ name: 'waggle', url: `${url}/v1/responses` }),
  openai: (url) => createOpenAI({ baseURL: `${url}/v1`, apiKey: 'any' }),
  'openai-compatible': (url) =>
    createOpenAICompatible({ name: 'waggle', baseURL: `${url}/v1`, includeUsage: true }),
};
const thinking = {
  'open-responses': { waggle: { reasoningEffort: 'low', reasoningSummary: 'auto' } },
  openai: { openai: { reasoningEffort: 'low', reasoningSummary: 'auto', forceReasoning: true } },
  'openai-compatible': { waggle: { reasoningEffort: 'low' } },
};
const pixel =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
const tools = {
  get_weather: tool({
    inputSchema: z.object({ city: z.string() }),
    execute: async ({ city }) => `20 °C in ${city}`,
  }),
};

const cases = Object.entries(providers).flatMap(([name, provider]) => [
  [
    `${name}: text`,
    async (url, model) => {
      const { text, usage, finishReason } = await generateText({
        model: provider(url)(model),
        prompt: 'Hallo',
      });
      return [text, finishReason, usage.totalTokens];
    },
  ],
  [
    `${name}: streamed`,
    async (url, model) => {
      const result = streamText({ model: provider(url)(model), prompt: 'Hallo', onError() {} });
      let text = '';
      for await (const piece of result.textStream) text += piece;
      return [text, await result.finishReason, (await result.usage).totalTokens];
    },
  ],
  ...['generateText', 'streamText'].map((way) => [
    `${name}: a tool by ${way}`,
    async (url, model) => {
      const body = { model: provider(url)(model), prompt: 'The weather?', tools, stopWhen: stepCountIs(3) };
      const { text, steps } = way === 'generateText' ? await generateText(body) : streamText(body);
      return [await text, (await steps).length];
    },
  ]),
  [
    `${name}: reasoning, twice`,
    async (url, model) => {
      const body = { model: provider(url)(model), providerOptions: thinking[name] };
      const first = await generateText({ ...body, prompt: 'Hallo' });
      const messages = [
        { role: 'user', content: 'Hallo' },
        ...first.response.messages,
        { role: 'user', content: 'And?' },
      ];
      const second = streamText({ ...body, messages });
      return [first.reasoningText, await second.reasoningText, await second.text];
    },
  ],
  [
    `${name}: a picture`,
    async (url, model) => {
      const image = { type: 'image', image: Buffer.from(pixel, 'base64'), mediaType: 'image/png' };
      const content = [{ type: 'text', text: 'What is this?' }, image];
      return (await generateText({ model: provider(url)(model), messages: [{ role: 'user', content }] }))
        .text;
    },
  ],
  [
    `${name}: an unknown model`,
    async (url) =>
      generateText({ model: provider(url)('nobody'), prompt: 'Hallo' }).catch(
        ({ name: kind, statusCode, message }) => [kind, statusCode, message],
      ),
  ],
  [
    `${name}: an object`,
    async (url, model) =>
      (
        await generateObject({
          model: provider(url)(model),
          schema: z.object({ city: z.string() }),
          prompt: 'Hallo',
        })
      ).object,
  ],
]);

await run(Object.fromEntries(cases));
