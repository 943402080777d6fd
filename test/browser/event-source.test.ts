/// <reference lib="dom" />
import { expect, it } from 'vitest';
import { done, text } from '../support/agents.js';
import { pageText } from '../support/pages.js';
import { Stage } from './stage.js';

const stage = new Stage();
const page = pageText('plugins/endpoint-chat/README.md');
const example = /```js\n(const source = new EventSource.*?)```/s.exec(page)?.[1] as string;

/** The id of a stream that was read to its end, as another client has asked for it. */
async function streamed(): Promise<string> {
  stage.script(text('Hello '), text('there'), done);
  const answer = await fetch(`${stage.hive.url}/chat/stream`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ content: 'Hallo', user_id: 'a' }),
  });
  await answer.text();
  return answer.headers.get('x-stream-id') as string;
}

it('The EventSource of the pages reads a stream once, and closes', async () => {
  const page = await (await stage.visitor()).visit();
  const streamId = await streamed();
  const asked: string[] = [];
  page.on('request', (request) => {
    if (request.url().includes(streamId)) asked.push(request.url());
  });
  const { said, state } = (await page.evaluate(
    // In the words of the page, whose policy allows no `eval`.
    `(async () => {
      let said = '';
      const show = (content) => { said += content; };
      const streamId = ${JSON.stringify(streamId)};
      ${example}
      await new Promise((resolve) => source.addEventListener('streaming_end', resolve));
      return { said, state: source.readyState };
    })()` as never,
  )) as unknown as { said: string; state: number };
  expect({ said, state, asked: asked.length }).toEqual({ said: 'Hello there', state: 2, asked: 1 });
});

it('an EventSource that nobody closes comes back once, and stops by itself', async () => {
  const page = await (await stage.visitor()).visit();
  const streamId = await streamed();
  const statuses: number[] = [];
  page.on('response', (response) => {
    if (response.url().includes(streamId)) statuses.push(response.status());
  });
  const seen = await page.evaluate(async (id) => {
    const source = new EventSource(`/chat/stream/${id}`);
    const types: string[] = [];
    for (const type of ['streaming_start', 'streaming_token', 'streaming_end'])
      source.addEventListener(type, () => types.push(type));
    await new Promise<void>((resolve) => {
      source.onerror = () => {
        if (source.readyState === EventSource.CLOSED) resolve();
      };
    });
    return types;
  }, streamId);
  expect(statuses).toEqual([200, 204]);
  expect(seen.filter((type) => type !== 'streaming_token')).toEqual(['streaming_start', 'streaming_end']);
});
