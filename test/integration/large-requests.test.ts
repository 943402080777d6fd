import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningServer, startServer } from '../support/server.js';
import { isThorough } from '../support/thorough.js';
import { call } from '../support/transport.js';
import { WsClient } from '../support/ws-client.js';

const sizeBytes = 500_000;
/** What is refused may cost this much more than the same where anything is taken. To word each mistake costs far more. */
const ratioLimit = 8;

/** Ends a JSON text of the size with a list of the same item over and over. */
function filled(item: unknown): string {
  const text = JSON.stringify(item);
  return `[${Array.from({ length: Math.floor(sizeBytes / (text.length + 1)) }, () => text).join()}]`;
}

const long = 'k'.repeat(sizeBytes);
const keys = `{${Array.from({ length: 80_000 }, (_, index) => `"k${index}":0`).join()}}`;
const chat = (rest: string) => `{"content":"x","user_id":"u",${rest}}`;
const v1 = (rest: string) => `{"model":"eliza",${rest}}`;
const hello = '"messages":[{"role":"user","content":"x"}]';
const said = (content: string) => v1(`"messages":[{"role":"user","content":${content}}]`);

const bodies: readonly (readonly [string, string, string])[] = [
  ['an unknown key of one long text', '/chat', chat(`"${long}":1`)],
  ['many unknown keys', '/chat', chat(keys.slice(1, -1))],
  ['stops that are none', '/chat', chat(`"options":{"stop":${filled(0)}}`)],
  ['stops, too many', '/chat', chat(`"options":{"stop":${filled('a')}}`)],
  ['an unknown option of one long text', '/chat', chat(`"options":{"stop":0,"${long}":1}`)],
  ['a list for a text', '/chat', chat(`"request_id":${filled({})}`)],
  ['messages that are none', '/v1/chat/completions', v1(`"messages":${filled(0)}`)],
  ['messages without a role', '/v1/chat/completions', v1(`"messages":${filled({})}`)],
  ['messages of empty lists', '/v1/chat/completions', v1(`"messages":${filled([])}`)],
  ['too many messages', '/v1/chat/completions', v1(`"messages":${filled({ role: 'user', content: 'x' })}`)],
  ['parts that are none', '/v1/chat/completions', said(filled(0))],
  ['parts without a type', '/v1/chat/completions', said(filled({}))],
  ['parts without their text', '/v1/chat/completions', said(filled({ type: 'text' }))],
  ['too many parts', '/v1/chat/completions', said(filled({ type: 'text', text: 'x' }))],
  ['images that are none', '/v1/chat/completions', said(filled({ type: 'image_url', image_url: 0 }))],
  [
    'an image that is none',
    '/v1/chat/completions',
    said(`[{"type":"image_url","image_url":{"url":"${long}"}}]`),
  ],
  [
    'few parts in many messages',
    '/v1/chat/completions',
    v1(`"messages":${filled({ role: 'user', content: [0, 0, 0] })}`),
  ],
  ['tools that are none', '/v1/chat/completions', v1(`${hello},"tools":${filled(0)}`)],
  [
    'tools without a function',
    '/v1/chat/completions',
    v1(`${hello},"tools":${filled({ type: 'function' })}`),
  ],
  [
    'calls that are none',
    '/v1/chat/completions',
    v1(`"messages":[{"role":"assistant","tool_calls":${filled(0)}}]`),
  ],
  ['stops that are none', '/v1/chat/completions', v1(`${hello},"stop":${filled(0)}`)],
  ['prompts, too many', '/v1/completions', v1(`"prompt":${filled('x')}`)],
  ['prompts that are none', '/v1/completions', v1(`"prompt":${filled(0)}`)],
  ['a key of one long text beside the input', '/tasks/count?wait=5', `{"${long}":1}`],
  ['an input of wrong items', '/tasks/count?wait=5', `{"input":{"numbers":${filled('')}}}`],
  ['an input with a key of one long text', '/tasks/count?wait=5', `{"input":{"${long}":1}}`],
  ['an input with many keys', '/tasks/count?wait=5', `{"input":${keys}}`],
];

const frames: readonly (readonly [string, string])[] = [
  ['stops that are none', `{"type":"stream_request","content":"x","options":{"stop":${filled(0)}}}`],
  ['stops, too many', `{"type":"message","content":"x","options":{"stop":${filled('a')}}}`],
  ['a list for a text', `{"type":"cancel","streamId":${filled({})}}`],
  ['a wrong field beside a key of one long text', `{"type":"message","content":0,"${long}":1}`],
  ['a type of one long text', `{"type":"${long}"}`],
  ['a task with an input of wrong items', `{"type":"task","task":"count","input":{"numbers":${filled('')}}}`],
  [
    'a task with an input with a key of one long text',
    `{"type":"task","task":"count","input":{"${long}":1}}`,
  ],
  ['a message that is a task, with wrong items', `{"type":"count","numbers":${filled('')}}`],
  ['a message that is a task, with a key of one long text', `{"type":"count","${long}":1}`],
];

/**
 * How many times as long as the other the first takes, each at its shortest. They alternate, and go on while the ratio is above
 * the limit: what else the machine does may slow one of them down a few times, and what is slow by itself is so every time.
 */
async function ratioOf(refused: () => Promise<unknown>, taken: () => Promise<unknown>): Promise<number> {
  const shortestMs = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY] as [number, number];
  for (let round = 0; round < 2 || (round < 12 && shortestMs[0] >= ratioLimit * shortestMs[1]); round++) {
    for (const [index, run] of [refused, taken].entries()) {
      const from = performance.now();
      await run();
      shortestMs[index] = Math.min(shortestMs[index] as number, performance.now() - from);
    }
  }
  return shortestMs[0] / shortestMs[1];
}

describe.each([
  ['transport-uws', 0],
  ['transport-node', 1],
])('over %s', (transport, place) => {
  // What is checked does not depend on the transport: each on one of them.
  const halfOf = <Row>(rows: readonly Row[]) => rows.filter((_, at) => isThorough || at % 2 === place);
  let server: RunningServer;
  let client: WsClient;
  const post = (path: string, body: string) =>
    call(server.port, { method: 'POST', path, headers: { 'content-type': 'application/json' }, body });
  const ask = async (frame: string) => {
    const from = client.frames.length;
    client.send(frame);
    return client.until((each) => /error|task_result/.test(each.type) && client.frames.indexOf(each) >= from);
  };

  beforeAll(async () => {
    const config = { frameLimitBytes: 1_048_576, port: 0, host: '127.0.0.1' };
    server = await startServer({
      config: {
        plugins: {
          'transport-uws': { ...(transport !== 'transport-uws' && { use: transport }), config },
          checked: { use: fileURLToPath(new URL('../fixtures/checked.mjs', import.meta.url)) },
          'endpoint-ws': { config: { maxBadFrames: 1000 } },
        },
      },
    });
    client = await WsClient.connect(`${server.ws}/large`);
  });
  afterAll(async () => {
    await client.close();
    expect(await server.stop()).toBe(0);
  });

  it.each(halfOf(bodies))(
    'a body with %s for %s is refused about as fast as it is taken elsewhere',
    async (_, path, body) => {
      const answer = await post(path, body);
      expect(answer.status).toBe(400);
      expect(answer.text.length).toBeLessThan(8000);
      const taken = await post('/tasks/any?wait=5', `{"input":${body}}`);
      expect(taken.status).toBe(200);
      const ratio = await ratioOf(
        () => post(path, body),
        () => post('/tasks/any?wait=5', `{"input":${body}}`),
      );
      expect(ratio).toBeLessThan(ratioLimit);
    },
  );

  it.each(halfOf(frames))(
    'a frame with %s is refused about as fast as it is taken elsewhere',
    async (_, frame) => {
      const error = await ask(frame);
      expect(error.type).toBe('error');
      expect(JSON.stringify(error).length).toBeLessThan(8000);
      const right = `{"type":"task","task":"any","input":${frame}}`;
      expect((await ask(right)).type).toBe('task_result');
      const ratio = await ratioOf(
        () => ask(frame),
        () => ask(right),
      );
      expect(ratio).toBeLessThan(ratioLimit);
    },
  );
});
