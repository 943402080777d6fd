// LangChain, with both APIs of OpenAI.
import { HumanMessage, ToolMessage } from '@langchain/core/messages';
import { tool } from '@langchain/core/tools';
import { ChatOpenAI } from '@langchain/openai';
import { z } from 'zod';
import { run } from './cases.mjs';

const chat = (useResponsesApi) => (url, model) =>
  new ChatOpenAI({
    model,
    apiKey: 'any',
    configuration: { baseURL: `${url}/v1` },
    useResponsesApi,
    maxRetries: 0,
  });
const weather = tool(async ({ city }) => `20 °C in ${city}`, {
  name: 'get_weather',
  description: 'The weather in a city',
  schema: z.object({ city: z.string() }),
});
const image = { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=' } };

const cases = Object.entries({ 'Chat Completions': chat(false), Responses: chat(true) }).flatMap(
  ([name, ask]) => [
    [
      `${name}: text`,
      async (url, model) => {
        const { text, usage_metadata } = await ask(url, model).invoke('Hallo');
        return [text, usage_metadata.total_tokens];
      },
    ],
    [
      `${name}: streamed`,
      async (url, model) => {
        let text = '';
        for await (const piece of await ask(url, model).stream('Hallo')) text += piece.text;
        return text;
      },
    ],
    [
      `${name}: a tool`,
      async (url, model) => {
        const messages = [new HumanMessage('The weather?')];
        const tooled = ask(url, model).bindTools([weather]);
        const called = await tooled.invoke(messages);
        const results = await Promise.all(called.tool_calls.map((call) => weather.invoke(call)));
        const { text } = await tooled.invoke([...messages, called, ...results]);
        return [text, results.every((result) => result instanceof ToolMessage)];
      },
    ],
    [
      `${name}: a picture`,
      async (url, model) => {
        const content = [{ type: 'text', text: 'What is this?' }, image];
        return (await ask(url, model).invoke([new HumanMessage({ content })])).text;
      },
    ],
    [
      `${name}: an object`,
      async (url, model) =>
        ask(url, model)
          .withStructuredOutput(z.object({ city: z.string() }))
          .invoke('Hallo'),
    ],
    [
      `${name}: an unknown model`,
      async (url) =>
        ask(url, 'nobody')
          .invoke('Hallo')
          .catch(({ status, code }) => [status, code]),
    ],
  ],
);

await run(Object.fromEntries(cases));
