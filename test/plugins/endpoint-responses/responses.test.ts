import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { definePlugin, type StreamChunk, WaggleError } from '#kernel';
import { openAiError } from '#sdk/dialect';
import { accessPlugin, as } from '../../support/access.js';
import { done, ScriptedAgent, text } from '../../support/agents.js';
import { type Hive, startHive } from '../../support/hive.js';

const agent = new ScriptedAgent('scripted');
const plugin = definePlugin({ name: 'scripted', apiVersion: 1, setup: (ctx) => void ctx.addAgent(agent) });
const think = (content: string): StreamChunk => ({ type: 'thinking', content });
const args = '{"city":"Rome"}';
const piece = (from: number, to: number): StreamChunk => ({
  type: 'tool_call_piece',
  id: 'c1',
  name: 'look',
  arguments: args.slice(from, to),
  from,
});
const call: StreamChunk = { type: 'tool_call', id: 'c1', name: 'look', arguments: args };
const look = { type: 'function', name: 'look', parameters: { type: 'object' } };

let hive: Hive;
beforeAll(async () => {
  hive = await startHive({ plugins: [plugin], config: { 'endpoint-responses': { maxChain: 5 } } });
});
afterAll(() => hive.close());
beforeEach(() => {
  agent.script = [text('Hello '), text('there'), done];
  agent.requests.length = 0;
});

interface Answered {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: JSON of any shape.
  readonly json: any;
  readonly headers: Headers;
}

async function ask(path: string, init: RequestInit & { readonly url?: string } = {}): Promise<Answered> {
  const response = await fetch(`${init.url ?? hive.url}/v1/responses${path}`, init);
  return { status: response.status, json: await response.json(), headers: response.headers };
}

const post = (body: object, headers: HeadersInit = {}, url?: string) =>
  ask('', {
    method: 'POST',
    body: JSON.stringify({ model: 'scripted', ...body }),
    headers: { 'content-type': 'application/json', ...headers },
    ...(url && { url }),
  });

async function streamed(init: RequestInit, path = ''): Promise<string> {
  const response = await fetch(`${hive.url}/v1/responses${path}`, init);
  expect([response.status, response.headers.get('content-type')]).toEqual([
    200,
    'text/event-stream; charset=utf-8',
  ]);
  return response.text();
}

const create = (body: object): RequestInit => ({
  method: 'POST',
  body: JSON.stringify({ model: 'scripted', stream: true, ...body }),
  headers: { 'content-type': 'application/json' },
});

/** The events of a body; each `event:` has to be the `type` of its data. */
function eventsIn(body: string) {
  const parts = body.split('\n\n');
  expect(parts.splice(-2)).toEqual(['data: [DONE]', '']);
  return parts.map((part) => {
    const [, event, data] = /^event: (.*)\ndata: (.*)$/.exec(part) as unknown as [string, string, string];
    const json = JSON.parse(data);
    expect(json.type).toBe(event);
    return json;
  });
}

const lastAsked = () => agent.requests.at(-1);

describe('a whole response', () => {
  it('has every field', async () => {
    const { status, json, headers } = await post({ input: 'Hallo', metadata: { a: '1' }, tools: [look] });
    expect(status).toBe(200);
    expect(headers.get('x-stream-id')).toBe(json.id.slice('resp_'.length));
    expect(json).toEqual({
      id: expect.stringMatching(/^resp_[\w-]{24}$/),
      object: 'response',
      created_at: expect.any(Number),
      completed_at: expect.any(Number),
      status: 'completed',
      background: false,
      error: null,
      incomplete_details: null,
      instructions: null,
      max_output_tokens: null,
      max_tool_calls: null,
      model: 'scripted',
      output: [
        {
          id: `msg_${json.id.slice(5)}_0`,
          type: 'message',
          status: 'completed',
          role: 'assistant',
          content: [{ type: 'output_text', text: 'Hello there', annotations: [], logprobs: [] }],
        },
      ],
      parallel_tool_calls: true,
      previous_response_id: null,
      presence_penalty: 0,
      frequency_penalty: 0,
      prompt_cache_key: null,
      reasoning: { effort: null, summary: null },
      safety_identifier: null,
      service_tier: 'default',
      store: true,
      temperature: 1,
      text: { format: { type: 'text' } },
      tool_choice: 'auto',
      tools: [{ ...look, description: null, strict: false }],
      top_logprobs: 0,
      top_p: 1,
      truncation: 'disabled',
      usage: {
        input_tokens: 1,
        input_tokens_details: { cached_tokens: 0 },
        output_tokens: 2,
        output_tokens_details: { reasoning_tokens: 0 },
        total_tokens: 3,
      },
      user: null,
      metadata: { a: '1' },
    });
  });

  it.each<[what: string, script: typeof agent.script, body: object, expected: object]>([
    [
      'thinking as it is',
      [think('hm'), text('yes'), done],
      {},
      { output: [{ type: 'reasoning', summary: [], content: [{ type: 'reasoning_text', text: 'hm' }] }, {}] },
    ],
    [
      'thinking in the place of a summary',
      [think('hm'), text('yes'), done],
      { reasoning: { summary: 'auto' } },
      { output: [{ type: 'reasoning', summary: [{ type: 'summary_text', text: 'hm' }] }, {}] },
    ],
    [
      'a tool call',
      [text('Well'), piece(0, 5), piece(5, 15), call, { ...done, reason: 'tool_calls' } as StreamChunk],
      { tools: [look] },
      {
        status: 'completed',
        output: [
          { type: 'message', status: 'completed' },
          { type: 'function_call', status: 'completed', call_id: 'c1', name: 'look', arguments: args },
        ],
      },
    ],
    [
      'a call of a custom tool',
      [{ ...call, arguments: '{"input":"ls -l"}' } as StreamChunk, done],
      { tools: [{ type: 'custom', name: 'look' }] },
      { output: [{ type: 'custom_tool_call', call_id: 'c1', name: 'look', input: 'ls -l' }] },
    ],
    [
      'an answer that was cut off',
      [text('Hel'), { type: 'done', reason: 'length' }],
      {},
      {
        status: 'incomplete',
        incomplete_details: { reason: 'max_output_tokens' },
        completed_at: null,
        output: [{ status: 'incomplete' }],
        usage: null,
      },
    ],
    [
      'an answer that was held back',
      [text('Hel'), { type: 'done', reason: 'refusal' }],
      {},
      { status: 'incomplete', incomplete_details: { reason: 'content_filter' } },
    ],
  ])('has %s', async (_, script, body, expected) => {
    agent.script = script;
    expect((await post({ input: 'Hallo', ...body })).json).toMatchObject(expected);
    const last = eventsIn(await streamed(create({ input: 'Hallo', ...body }))).at(-1);
    expect(last.response).toMatchObject(expected);
  });
});

describe('a streamed response', () => {
  it('numbers its events, and ends with the whole', async () => {
    agent.script = [think('h'), think('m'), text('a'), text('b'), piece(0, 5), piece(5, 15), call, done];
    const events = eventsIn(await streamed(create({ input: 'Hallo', tools: [look] })));
    expect(events.map(({ sequence_number }) => sequence_number)).toEqual(events.map((_, at) => at));
    expect(events.map(({ type }) => type.slice('response.'.length))).toEqual([
      'created',
      'in_progress',
      'output_item.added',
      'content_part.added',
      'reasoning_text.delta',
      'reasoning_text.delta',
      'reasoning_text.done',
      'content_part.done',
      'output_item.done',
      'output_item.added',
      'content_part.added',
      'output_text.delta',
      'output_text.delta',
      'output_text.done',
      'content_part.done',
      'output_item.done',
      'output_item.added',
      'function_call_arguments.delta',
      'function_call_arguments.delta',
      'function_call_arguments.done',
      'output_item.done',
      'completed',
    ]);
    const { response } = events.at(-1);
    expect(response.output).toEqual(
      events.filter(({ type }) => type === 'response.output_item.done').map(({ item }) => item),
    );
    const { json } = await ask(`/${response.id}`);
    expect(json).toEqual(response);
  });

  it('can be read again from every event on, byte for byte', async () => {
    const words = 'the quick brown fox, and so on — ä😀'.match(/\S+\s*/g) as string[];
    agent.script = [
      think('hm '),
      think('hm'),
      ...words.flatMap((word) => [text(word), 'wait' as const]),
      text('\n\n"\\'),
      piece(0, 5),
      'wait',
      piece(5, 15),
      call,
      done,
    ];
    const releasing = setInterval(() => agent.release(), 1);
    const body = await streamed(create({ input: 'Hallo', tools: [look] }));
    clearInterval(releasing);
    const events = eventsIn(body);
    const { id } = events.at(-1).response;
    const again = (after?: number) =>
      streamed({}, `/${id}?stream=true${after === undefined ? '' : `&starting_after=${after}`}`);
    expect(await again()).toBe(body);
    const parts = body.split(/(?<=\n\n)/);
    for (const { sequence_number } of events)
      expect(await again(sequence_number)).toBe(parts.slice(sequence_number + 1).join(''));
  });

  it('tells of a failure in the middle, and of one before with its status', async () => {
    agent.script = [text('Hel'), new Error('secret')];
    const events = eventsIn(await streamed(create({ input: 'Hallo' })));
    const last = events.at(-1);
    expect(last).toMatchObject({
      type: 'response.failed',
      response: { status: 'failed', error: { code: 'agent_failed' }, output: [{ status: 'incomplete' }] },
    });
    expect(JSON.stringify(last)).not.toContain('secret');
    expect((await ask(`/${last.response.id}`)).json).toEqual(last.response);
    agent.script = [new Error('secret')];
    const { status, json } = await post({ input: 'Hallo', stream: true });
    expect([status, json.error.code]).toEqual([500, 'agent_failed']);
  });

  it('begins before its first token when that takes long', async () => {
    const slow = await startHive({
      plugins: [plugin],
      config: { 'endpoint-responses': { holdHeadersMs: 10 } },
    });
    agent.script = ['wait', new Error('x')];
    const response = await fetch(`${slow.url}/v1/responses`, create({ input: 'Hallo' }));
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    const { value } = await reader.read();
    expect(Buffer.from(value as Uint8Array).toString()).toContain('response.created');
    agent.release();
    let rest = '';
    for (let next = await reader.read(); !next.done; next = await reader.read())
      rest += Buffer.from(next.value).toString();
    expect(rest).toContain('"sequence_number":2');
    expect(rest).toMatch(/^event: response\.failed\n/m);
    expect(rest).not.toContain('response.created');
    await slow.close();
  });
});

describe('what a request says reaches the agent', () => {
  const user = { role: 'user', content: 'Hallo' };
  it.each<[what: string, body: object, asked: object]>([
    ['a text', { input: 'Hallo' }, { messages: [user] }],
    [
      'instructions, and a developer',
      { instructions: 'Be kind', input: [{ role: 'developer', content: 'Be short' }, user] },
      { messages: [{ role: 'system', content: 'Be kind' }, { role: 'system', content: 'Be short' }, user] },
    ],
    [
      'parts',
      {
        input: [
          {
            type: 'message',
            role: 'user',
            content: [
              { type: 'input_text', text: 'Hallo' },
              { type: 'input_image', image_url: 'data:image/png;base64,AAAA', detail: 'low' },
            ],
          },
        ],
      },
      { messages: [{ content: 'Hallo', images: ['data:image/png;base64,AAAA'] }] },
    ],
    [
      'a file of text, under its name',
      {
        input: [
          {
            role: 'user',
            content: [
              {
                type: 'input_file',
                filename: 'a.md',
                file_data: `data:text/markdown;base64,${Buffer.from('# Grüße').toString('base64')}`,
              },
              { type: 'input_text', text: 'Sum it up' },
            ],
          },
        ],
      },
      { messages: [{ content: 'a.md:\n\n# Grüße\nSum it up' }] },
    ],
    [
      'a round of tools, with the reasoning before it',
      {
        input: [
          user,
          { type: 'reasoning', id: 'rs_1', summary: [], content: [{ type: 'reasoning_text', text: 'hm' }] },
          { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'I look' }] },
          { type: 'function_call', call_id: 'a', name: 'look', arguments: '{"x":1.0}' },
          { type: 'function_call', call_id: 'b', name: 'look', arguments: '' },
          { type: 'function_call_output', call_id: 'a', output: 'rain' },
          { type: 'function_call_output', call_id: 'b', output: [{ type: 'input_text', text: 'sun' }] },
          { type: 'reasoning', id: 'rs_2', summary: [{ type: 'summary_text', text: 'so' }] },
          { role: 'assistant', content: 'Rain' },
          user,
        ],
      },
      {
        messages: [
          user,
          {
            role: 'assistant',
            content: 'I look',
            thinking: 'hm',
            toolCalls: [
              { id: 'a', name: 'look', arguments: '{"x":1.0}' },
              { id: 'b', name: 'look', arguments: '{}' },
            ],
          },
          { role: 'tool', content: 'rain', toolCallId: 'a', toolName: 'look' },
          { role: 'tool', content: 'sun', toolCallId: 'b', toolName: 'look' },
          { role: 'assistant', content: 'Rain', thinking: 'so' },
          user,
        ],
      },
    ],
    [
      'a custom tool and its calls',
      {
        input: [
          { type: 'custom_tool_call', call_id: 'a', name: 'sh', input: 'ls' },
          { type: 'custom_tool_call_output', call_id: 'a', output: 'x' },
        ],
        tools: [{ type: 'custom', name: 'sh', description: 'Runs', format: { type: 'text' } }],
      },
      {
        messages: [
          { role: 'assistant', toolCalls: [{ name: 'sh', arguments: '{"input":"ls"}' }] },
          { role: 'tool', content: 'x', toolName: 'sh' },
        ],
        options: {
          tools: [
            { name: 'sh', parameters: { required: ['input'] }, description: expect.stringContaining('Runs') },
          ],
        },
      },
    ],
    [
      'options',
      {
        input: 'Hallo',
        temperature: 0.5,
        top_p: '0.5',
        max_output_tokens: 7,
        presence_penalty: 1,
        frequency_penalty: 2,
        parallel_tool_calls: false,
        reasoning: { effort: 'low' },
        text: {
          format: { type: 'json_schema', name: 'a', schema: { type: 'object' }, strict: true },
          verbosity: 'low',
        },
        metadata: { a: 'b' },
      },
      {
        metadata: { a: 'b' },
        options: {
          temperature: 0.5,
          topP: 0.5,
          maxTokens: 7,
          presencePenalty: 1,
          frequencyPenalty: 2,
          parallelToolCalls: false,
          reasoningEffort: 'low',
          format: { type: 'object' },
          formatDetails: { name: 'a', strict: true },
          more: { verbosity: 'low', metadata: { a: 'b' } },
        },
      },
    ],
    [
      'allowed tools',
      {
        input: 'Hallo',
        tools: [look, { ...look, name: 'other' }],
        tool_choice: { type: 'allowed_tools', mode: 'required', tools: [{ type: 'function', name: 'look' }] },
      },
      { options: { toolChoice: 'required', tools: [{ name: 'look' }] } },
    ],
    [
      'one tool by its name',
      { input: 'Hallo', tools: [look], tool_choice: { type: 'function', name: 'look' } },
      { options: { toolChoice: { name: 'look' } } },
    ],
    ['JSON', { input: 'Hallo', text: { format: { type: 'json_object' } } }, { options: { format: 'json' } }],
    [
      'nulls',
      { input: 'Hallo', tools: null, text: null, reasoning: { effort: null }, include: null, user: null },
      { messages: [user] },
    ],
  ])('%s', async (_, body, asked) => {
    expect((await post(body)).status).toBe(200);
    expect(lastAsked()).toMatchObject(asked);
  });

  it('and names what does not', async () => {
    const { headers } = await post({
      input: [
        { role: 'user', content: 'Hallo' },
        { type: 'web_search_call', id: 'ws_1' },
      ],
      tools: [look, { type: 'web_search' }],
      tomorrow: 1,
      client_metadata: {},
    });
    expect(headers.get('x-waggle-warning')).toBe(
      'left out: tools[1], the hosted tool "web_search", input[1] of the kind "web_search_call", tomorrow',
    );
  });
});

describe('a request that cannot be answered', () => {
  const hosted = 'is not offered here';
  it.each<[what: string, body: object, param: string | null, says: string]>([
    ['no model', { model: undefined, input: 'a' }, 'model', 'string'],
    ['no input', {}, 'input', 'expected'],
    ['empty input', { input: [] }, 'input', 'expected'],
    ['an unknown role', { input: [{ role: 'owner', content: 'a' }] }, 'input[0].role', 'expected'],
    [
      'a part without text',
      { input: [{ role: 'user', content: [{ type: 'input_text' }] }] },
      'input[0].content[0].text',
      'string',
    ],
    [
      'a result without its call',
      { input: [{ type: 'function_call_output', output: 'a' }] },
      'input[0].call_id',
      'expected',
    ],
    ['only a hosted tool', { input: 'a', tools: [{ type: 'web_search' }] }, 'tools[0].type', hosted],
    [
      'a hosted tool by choice',
      { input: 'a', tools: [look, { type: 'mcp' }], tool_choice: { type: 'mcp' } },
      'tool_choice',
      hosted,
    ],
    ['a function without a name', { input: 'a', tools: [{ type: 'function' }] }, 'tools', '`name`'],
    [
      'the tools of another API',
      { input: 'a', tools: [{ type: 'function', function: { name: 'a' } }] },
      'tools',
      'beside `type`',
    ],
    [
      'a choice that is not there',
      { input: 'a', tools: [look], tool_choice: { type: 'function', name: 'b' } },
      'tool_choice',
      '"b"',
    ],
    ['a stored prompt', { input: 'a', prompt: { id: 'p' } }, 'prompt', 'send `input`'],
    [
      'two pasts',
      { input: 'a', previous_response_id: 'resp_a', conversation: 'c' },
      'previous_response_id',
      'not both',
    ],
    [
      'a request of another API',
      { messages: [{ role: 'user', content: 'a' }] },
      'messages',
      'not its Chat Completions API: send `input`',
    ],
    ["nobody's conversation", { input: 'a', conversation: 'c' }, 'conversation', 'belongs to a `user`'],
    [
      'a past that is gone',
      { input: 'a', previous_response_id: 'resp_a' },
      'previous_response_id',
      'send the conversation again',
    ],
    [
      'a reference to nothing',
      { input: [{ type: 'item_reference', id: 'msg_a_0' }] },
      'input[0].id',
      'no item',
    ],
    [
      'a compaction of another server',
      { input: [{ type: 'compaction', encrypted_content: 'x' }] },
      'input',
      'was not made here',
    ],
    [
      'an image to fetch',
      { input: [{ role: 'user', content: [{ type: 'input_image', image_url: 'https://x.test/a.png' }] }] },
      'input[0].content[0].image_url.url',
      'base64',
    ],
    [
      'a file',
      { input: [{ role: 'user', content: [{ type: 'input_file', file_data: 'x' }] }] },
      'input[0].content[0].type',
      'cannot be passed on',
    ],
    [
      'the background, and nothing kept',
      { input: 'a', background: true, store: false },
      'background',
      'stored',
    ],
  ])('says so: %s', async (_, body, param, says) => {
    const { status, json } = await post(body);
    expect({ status, param: json.error.param }).toEqual({ status: 400, param });
    expect(json.error.message).toContain(says);
    expect(agent.requests).toEqual([]);
  });

  it('for a model that is not there', async () => {
    const { status, json } = await post({ model: 'nobody', input: 'a' });
    expect([status, json.error.code, json.error.param]).toEqual([404, 'model_not_found', 'model']);
  });

  it.each(['', '/cancel', '/input_items', '?stream=true'])(
    'for a response that is not there%s',
    async (path) => {
      const { status, json } = await ask(`/resp_nope${path}`, {
        method: path === '/cancel' ? 'POST' : 'GET',
      });
      expect([status, json.error.code]).toEqual([404, 'response_not_found']);
    },
  );
});

describe('a response that was stored', () => {
  it('is followed by others', async () => {
    agent.script = [think('hm'), call, done];
    const first = await post({ instructions: 'Only once', input: 'Hallo', tools: [look] });
    agent.script = [text('Rain'), done];
    const second = await post({
      previous_response_id: first.json.id,
      input: [{ type: 'function_call_output', call_id: 'c1', output: 'rain' }],
    });
    await post({ previous_response_id: second.json.id, input: 'Thanks' });
    expect(lastAsked()?.messages).toEqual([
      { role: 'user', content: 'Hallo' },
      {
        role: 'assistant',
        content: '',
        thinking: 'hm',
        toolCalls: [{ id: 'c1', name: 'look', arguments: args }],
      },
      { role: 'tool', content: 'rain', toolCallId: 'c1', toolName: 'look' },
      { role: 'assistant', content: 'Rain' },
      { role: 'user', content: 'Thanks' },
    ]);
  });

  it('lists its input, and items of it can be referred to', async () => {
    const input = ['a', 'b', 'c'].map((content) => ({ role: 'user', content }));
    const { json } = await post({ input });
    const { json: page } = await ask(`/${json.id}/input_items?order=asc&limit=2`);
    expect(page).toMatchObject({ object: 'list', has_more: true, data: [{ type: 'message' }, {}] });
    expect(page.data[0].content).toEqual([{ type: 'input_text', text: 'a' }]);
    const { json: rest } = await ask(`/${json.id}/input_items?order=asc&after=${page.last_id}`);
    expect(rest.data.map(({ content }: never) => content[0])).toMatchObject([{ text: 'c' }]);
    const { json: latest } = await ask(`/${json.id}/input_items?limit=1`);
    expect(latest.data).toEqual(rest.data);
    await post({
      input: [
        { type: 'item_reference', id: page.first_id },
        { id: json.output[0].id },
        { role: 'user', content: 'd' },
      ],
    });
    expect(lastAsked()?.messages.map(({ content }) => content)).toEqual(['a', 'Hello there', 'd']);
  });

  it('may be followed so many times only', async () => {
    let previous_response_id: string | undefined;
    for (let links = 0; links < 6; links++)
      previous_response_id = (await post({ input: 'a', previous_response_id })).json.id;
    const { status, json } = await post({ input: 'a', previous_response_id });
    expect([status, json.error.code]).toEqual([400, 'previous_response_not_found']);
  });

  it('can be deleted', async () => {
    const { json } = await post({ input: 'a' });
    expect((await ask(`/${json.id}`, { method: 'DELETE' })).json).toEqual({
      id: json.id,
      object: 'response',
      deleted: true,
    });
    for (const method of ['GET', 'DELETE']) expect((await ask(`/${json.id}`, { method })).status).toBe(404);
    expect((await post({ input: 'a', previous_response_id: json.id })).status).toBe(400);
  });

  it('leaves when there are too many, so that conversations keep their room', async () => {
    const few = await startHive({
      plugins: [plugin],
      config: { 'endpoint-responses': { maxStored: 2 }, 'streams-memory': { keepMs: 1 } },
    });
    await post({ input: 'a', user: 'ann', conversation: 'mine' }, {}, few.url);
    const ids: string[] = [];
    for (const input of ['a', 'b', 'c']) ids.push((await post({ input }, {}, few.url)).json.id);
    await expect.poll(() => few.streams.stats.kept).toBe(0);
    const statuses = await Promise.all(ids.map(async (id) => (await ask(`/${id}`, { url: few.url })).status));
    expect(statuses).toEqual([404, 200, 200]);
    await post({ input: 'b', user: 'ann', conversation: 'mine' }, {}, few.url);
    expect(lastAsked()?.messages).toHaveLength(3);
    await few.close();
  });

  it('does not count as read for its client when it is stored', async () => {
    const { json } = await post({ input: 'a', background: true });
    await expect.poll(async () => (await ask(`/${json.id}`)).json.status).toBe('completed');
    const other = await hive.streams.find(json.id.slice('resp_'.length));
    expect(other?.ended).toBe(true);
    agent.script = ['wait', text('x'), done];
    const { json: cut } = await post({ input: 'a', background: true });
    await ask(`/${cut.id}`);
    expect((await hive.streams.find(cut.id.slice('resp_'.length)))?.wasRead).toBe(false);
    await ask(`/${cut.id}`, { method: 'DELETE' });
  });

  it('is not there if it was not to be', async () => {
    const { json } = await post({ input: 'a', store: false });
    expect((await ask(`/${json.id}`)).status).toBe(404);
    expect((await post({ input: 'a', previous_response_id: json.id })).status).toBe(400);
  });

  it('outlives its log, without its events', async () => {
    const short = await startHive({ plugins: [plugin], config: { 'streams-memory': { keepMs: 1 } } });
    const { json } = await post({ input: 'a' }, {}, short.url);
    await expect.poll(() => short.streams.stats.kept).toBe(0);
    expect((await ask(`/${json.id}`, { url: short.url })).json).toEqual(json);
    const gone = await ask(`/${json.id}?stream=true`, { url: short.url });
    expect([gone.status, gone.json.error.code]).toEqual([410, 'stream_gone']);
    await post({ input: 'b', previous_response_id: json.id }, {}, short.url);
    expect(lastAsked()?.messages).toHaveLength(3);
    await short.close();
  });

  it('belongs to its user alone', async () => {
    const guarded = await startHive({ plugins: [plugin, accessPlugin()] });
    const url = guarded.url;
    const { json } = await post({ input: 'a' }, as('ann'), url);
    const attempts = async (user: string, id: string) => {
      const headers = as(user);
      const answers = [
        await ask(`/${id}`, { url, headers }),
        await ask(`/${id}?stream=true`, { url, headers }),
        await ask(`/${id}/input_items`, { url, headers }),
        await ask(`/${id}/cancel`, { url, headers, method: 'POST' }),
        await post({ input: 'a', previous_response_id: id }, headers, url),
        await post({ input: [{ type: 'item_reference', id: `msg_${id.slice(5)}_0` }] }, headers, url),
        await ask(`/${id}`, { url, headers, method: 'DELETE' }),
      ];
      return answers.map(({ status, json: body }) => [
        status,
        JSON.stringify(body).replaceAll(id, 'ID').replaceAll(id.slice(5), 'ID'),
      ]);
    };
    const theirs = await attempts('bob', json.id);
    expect(theirs).toEqual(await attempts('bob', 'resp_000000000000000000000000'));
    expect((await ask(`/${json.id}`, { url, headers: as('ann') })).json).toEqual(json);
    const { data } = await (await fetch(`${url}/v1/models`, { headers: as('ann') })).json();
    expect(data).not.toEqual([]);
    await guarded.close();
  });

  it('is no conversation in a list of them', async () => {
    await post({ input: 'a', user: 'ann' });
    await post({ input: 'a', user: 'ann', conversation: 'mine' });
    await post({ input: 'b', user: 'ann', conversation: { id: 'mine' } });
    expect(lastAsked()?.messages).toHaveLength(3);
    const { ConversationStore } = await import('#kernel');
    const list = await hive.kernel.get(ConversationStore).list('ann', { limit: 10 });
    expect(list.map(({ conversationId }) => conversationId)).toEqual(['mine']);
  });
});

describe('a response in the background', () => {
  it('goes on by itself, and is read later', async () => {
    agent.script = [text('Hel'), 'wait', text('lo'), done];
    const { json } = await post({ input: 'a', background: true });
    expect(json).toMatchObject({ status: 'in_progress', background: true });
    await expect.poll(async () => (await ask(`/${json.id}`)).json.output[0]?.content[0]?.text).toBe('Hel');
    agent.release();
    await expect.poll(async () => (await ask(`/${json.id}`)).json.status).toBe('completed');
    expect((await ask(`/${json.id}`)).json.output[0].content[0].text).toBe('Hello');
  });

  it('is cancelled, and says so', async () => {
    agent.script = [text('Hel'), 'wait', text('lo'), done];
    const { json } = await post({ input: 'a', background: true });
    const reading = streamed({}, `/${json.id}?stream=true`);
    await expect.poll(() => agent.running).toBe(1);
    const cancelled = await ask(`/${json.id}/cancel`, { method: 'POST' });
    expect(cancelled.json).toMatchObject({ status: 'cancelled', error: null });
    expect(agent.running).toBe(0);
    const last = eventsIn(await reading).at(-1);
    expect(last).toMatchObject({ type: 'response.incomplete', response: { status: 'cancelled' } });
    expect((await ask(`/${json.id}`)).json).toEqual(last.response);
    expect((await ask(`/${json.id}/cancel`, { method: 'POST' })).json).toEqual(last.response);
  });

  it('is not stopped by a client that leaves, and any other is', async () => {
    agent.script = [text('Hel'), 'wait', text('lo'), done];
    const leave = async (body: object) => {
      const abort = new AbortController();
      const response = await fetch(`${hive.url}/v1/responses`, { ...create(body), signal: abort.signal });
      const id = response.headers.get('x-stream-id');
      abort.abort();
      return `resp_${id}`;
    };
    const kept = await leave({ input: 'a', background: true });
    const stopped = await leave({ input: 'a' });
    await expect.poll(() => agent.running).toBe(1);
    await expect.poll(async () => (await ask(`/${stopped}`)).json.status).toBe('failed');
    agent.release();
    await expect.poll(async () => (await ask(`/${kept}`)).json.status).toBe('completed');
  });
});

it.each([
  [{ responseId: 'resp_x' }, 404, 'response_not_found', null],
  [{ responseId: 'resp_x', isPrevious: true }, 400, 'previous_response_not_found', 'previous_response_id'],
])('RESPONSE_UNKNOWN is worded as others word it: %j', (details, status, code, param) => {
  const answer = openAiError(new WaggleError('RESPONSE_UNKNOWN', details), undefined);
  expect(answer).toMatchObject({ status, body: { error: { code, param } } });
});

describe('a compaction', () => {
  it('takes the place of a conversation', async () => {
    agent.script = [text('We said hello.'), done];
    const { status, json } = await ask('/compact', {
      method: 'POST',
      body: JSON.stringify({ model: 'scripted', input: [{ role: 'user', content: 'Hallo' }] }),
      headers: { 'content-type': 'application/json' },
    });
    expect({ status, json }).toMatchObject({
      status: 200,
      json: { object: 'response.compaction', output: [{ type: 'compaction' }], usage: { total_tokens: 3 } },
    });
    await post({ input: [...json.output, { role: 'user', content: 'And now?' }] });
    expect(lastAsked()?.messages).toEqual([
      { role: 'system', content: 'Summary of the conversation before:\n\nWe said hello.' },
      { role: 'user', content: 'And now?' },
    ]);
  });
});

describe('a key', () => {
  it('joins the response that it started', async () => {
    const headers = { 'idempotency-key': 'k1' };
    const body = { input: 'a', user: 'ann' };
    const first = await post(body, headers);
    const second = await post(body, headers);
    expect(second.json).toEqual(first.json);
    expect(agent.requests).toHaveLength(1);
  });
});
