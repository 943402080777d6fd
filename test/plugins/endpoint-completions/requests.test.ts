import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import agentOllama from '../../../plugins/agent-ollama/index.js';
import agentOpenai from '../../../plugins/agent-openai/index.js';
import { type Hive, startHive } from '../../support/hive.js';
import { events, lines, type ScriptedServer, startScriptedServer } from '../../support/scripted-server.js';

const png = 'data:image/png;base64,iVBORw0KGgo=';
const hello = [{ role: 'user', content: 'Hallo' }];
const look = { type: 'function', function: { name: 'look', parameters: { type: 'object' } } };
const called = { id: 'x', type: 'function', function: { name: 'look', arguments: '{}' } };
const result = { role: 'tool', tool_call_id: 'x', content: 'a bee' };

let server: ScriptedServer;
let hive: Hive;

beforeAll(async () => {
  server = await startScriptedServer(({ path }) =>
    path === '/api/chat'
      ? { body: lines({ message: { content: 'Hi' }, done: true, done_reason: 'stop' }) }
      : {
          headers: { 'content-type': 'text/event-stream' },
          body: events({ choices: [{ delta: { content: 'Hi' }, finish_reason: 'stop' }] }, '[DONE]'),
        },
  );
  hive = await startHive();
  const back = { baseUrl: `${server.url}/v1`, model: 'm' };
  await hive.kernel.load(agentOpenai, { id: 'agent-back', config: back });
  await hive.kernel.load(agentOpenai, { id: 'agent-seeing', config: { ...back, imageUrls: 'pass' } });
  await hive.kernel.load(agentOllama, { config: { baseUrl: server.url, model: 'm' } });
});
afterAll(async () => {
  await hive.close();
  await server.close();
});

const post = async (body: object, path = '/v1/chat/completions') => {
  const response = await fetch(`${hive.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'back', messages: hello, ...body }),
  });
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into bodies freely
  const answer = (await response.json()) as any;
  const [warning, retry] = ['x-waggle-warning', 'x-should-retry'].map((name) => response.headers.get(name));
  return { status: response.status, answer, error: answer.error, warning, retry };
};
/** What the model server gets of it. */
const passed = async (body: object, path?: string) => {
  const { status, error } = await post(body, path);
  expect(error).toBeUndefined();
  expect(status).toBe(200);
  return server.chats.at(-1)?.body;
};
const messageOf = async (message: object) => (await passed({ messages: [message] })).messages[0];

describe('what clients send is read as others read it', () => {
  it.each<[what: string, message: object, sent: object]>([
    [
      'null beside tool calls',
      { role: 'assistant', content: null, tool_calls: [called] },
      { content: '', tool_calls: [called] },
    ],
    [
      'nothing beside tool calls',
      { role: 'assistant', tool_calls: [called] },
      { content: '', tool_calls: [called] },
    ],
    ['an empty answer', { role: 'assistant', content: null }, { role: 'assistant', content: '' }],
    ['a result without text', { ...result, content: null }, { role: 'tool', content: '', tool_call_id: 'x' }],
    [
      'what the client got',
      {
        role: 'assistant',
        content: 'Hi',
        refusal: null,
        annotations: [],
        audio: null,
        function_call: null,
        tool_calls: null,
      },
      { role: 'assistant', content: 'Hi' },
    ],
    [
      'a refusal',
      { role: 'assistant', content: null, refusal: 'No.' },
      { role: 'assistant', content: 'No.' },
    ],
    [
      'a refusal as a part',
      { role: 'assistant', content: [{ type: 'refusal', refusal: 'No.' }] },
      { role: 'assistant', content: 'No.' },
    ],
    [
      'input_text',
      { role: 'user', content: [{ type: 'input_text', text: 'Hi' }] },
      { role: 'user', content: 'Hi' },
    ],
    [
      'output_text',
      { role: 'assistant', content: [{ type: 'output_text', text: 'Hi', annotations: [] }] },
      { role: 'assistant', content: 'Hi' },
    ],
    [
      'thinking as a part',
      {
        role: 'assistant',
        content: [
          { type: 'thinking', thinking: 'Hm' },
          { type: 'text', text: 'Hi' },
        ],
      },
      { content: 'Hi', reasoning_content: 'Hm' },
    ],
    [
      'thinking as a list of texts',
      { role: 'assistant', content: [{ type: 'thinking', thinking: [{ type: 'text', text: 'Hm' }] }] },
      { content: '', reasoning_content: 'Hm' },
    ],
    [
      'reasoning_content beside calls',
      { role: 'assistant', content: '', reasoning_content: 'Hm', tool_calls: [called] },
      { reasoning_content: 'Hm', tool_calls: [called] },
    ],
    [
      'reasoning',
      { role: 'assistant', content: 'Hi', reasoning: 'Hm' },
      { content: 'Hi', reasoning_content: 'Hm' },
    ],
    [
      'reasoning_details',
      { role: 'assistant', content: 'Hi', reasoning_details: [{ data: 'x' }] },
      { reasoning_details: [{ data: 'x' }] },
    ],
    [
      'a call without arguments',
      { role: 'assistant', tool_calls: [{ id: 'a', function: { name: 'now', arguments: ' ' } }] },
      { tool_calls: [{ id: 'a', type: 'function', function: { name: 'now', arguments: '{}' } }] },
    ],
    [
      'a call of former times without arguments',
      { role: 'assistant', function_call: { name: 'now', arguments: '' } },
      { tool_calls: [{ type: 'function', function: { name: 'now', arguments: '{}' } }] },
    ],
    ['a developer', { role: 'developer', content: 'Be brief' }, { role: 'system', content: 'Be brief' }],
    ['a name', { role: 'user', name: 'ann', content: 'Hi' }, { role: 'user', name: 'ann', content: 'Hi' }],
    [
      'texts',
      {
        role: 'user',
        content: [
          { type: 'text', text: 'a' },
          { type: 'text', text: 'b' },
        ],
      },
      { content: 'a\nb' },
    ],
    [
      'an image as text',
      { role: 'user', content: [{ type: 'image_url', image_url: png }] },
      { content: [{ type: 'image_url', image_url: { url: png } }] },
    ],
    [
      'an input_image',
      { role: 'user', content: [{ type: 'input_image', image_url: png, detail: 'low' }] },
      { content: [{ type: 'image_url', image_url: { url: png, detail: 'low' } }] },
    ],
    [
      'reasoning as a part',
      {
        role: 'assistant',
        content: [
          { type: 'reasoning', text: 'Hm' },
          { type: 'text', text: 'Hi' },
        ],
      },
      { content: 'Hi', reasoning_content: 'Hm' },
    ],
    [
      'an image with its detail beside it',
      { role: 'user', content: [{ type: 'image_url', image_url: { url: png }, detail: 'high' }] },
      { content: [{ type: 'image_url', image_url: { url: png, detail: 'high' } }] },
    ],
    [
      'an image as another API has it',
      {
        role: 'user',
        content: [
          { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'iVBORw0KGgo=' } },
        ],
      },
      { content: [{ type: 'image_url', image_url: { url: png } }] },
    ],
    [
      'a file',
      {
        role: 'user',
        content: [
          { type: 'text', text: 'Read' },
          { type: 'file', file: { file_data: 'x' } },
        ],
      },
      {
        content: [
          { type: 'text', text: 'Read' },
          { type: 'file', file: { file_data: 'x' } },
        ],
      },
    ],
    [
      'a sound',
      { role: 'user', content: [{ type: 'input_audio', input_audio: { data: 'x', format: 'wav' } }] },
      { content: [{ type: 'input_audio', input_audio: { data: 'x', format: 'wav' } }] },
    ],
    [
      'what is said of a part',
      { role: 'user', content: [{ type: 'text', text: 'Hi', cache_control: { type: 'ephemeral' } }] },
      { content: [{ type: 'text', text: 'Hi', cache_control: { type: 'ephemeral' } }] },
    ],
    [
      'texts and images in their order, and how closely to look',
      {
        role: 'user',
        content: [
          { type: 'image_url', image_url: { url: png, detail: 'high' } },
          { type: 'text', text: 'or' },
          { type: 'image_url', image_url: { url: png } },
          { type: 'text', text: '?' },
        ],
      },
      {
        content: [
          { type: 'image_url', image_url: { url: png, detail: 'high' } },
          { type: 'text', text: 'or' },
          { type: 'image_url', image_url: { url: png } },
          { type: 'text', text: '?' },
        ],
      },
    ],
    ['what a client has added', { role: 'assistant', content: 'Hi', prefix: true }, { prefix: true }],
  ])('a message with %s', async (_, message, sent) => {
    expect(await messageOf(message)).toMatchObject(sent);
  });

  it('a function of former times', async () => {
    const function_call = { name: 'look', arguments: '{"a":1.0}' };
    const messages = [
      ...hello,
      { role: 'assistant', content: null, function_call },
      { role: 'function', name: 'look', content: 'a bee' },
    ];
    const body = await passed({ messages, functions: [{ name: 'look' }], function_call: { name: 'look' } });
    const [{ id }] = body.messages[1].tool_calls;
    expect(body.messages[1].tool_calls).toEqual([{ id, type: 'function', function: function_call }]);
    expect(body.messages[2]).toMatchObject({ role: 'tool', tool_call_id: id, content: 'a bee' });
    expect(body).toMatchObject({
      tools: [{ function: { name: 'look' } }],
      tool_choice: { function: { name: 'look' } },
    });
  });

  it.each<[what: string, given: object, sent: object, absent?: string]>([
    ['max_tokens -1', { max_tokens: -1 }, {}, 'max_tokens'],
    ['max_completion_tokens "-1"', { max_completion_tokens: '-1' }, {}, 'max_tokens'],
    [
      'numbers as text',
      { temperature: '0.5', top_p: '1', max_tokens: '10', seed: '7', n: '1' },
      { temperature: 0.5, top_p: 1, max_tokens: 10, seed: 7 },
    ],
    ['a number as text with an exponent', { temperature: '5e-1' }, { temperature: 0.5 }],
    ['a seed of 53 bits', { seed: 9007199254740991 }, { seed: 9007199254740991 }],
    ['a seed of 64 bits without a sign', { seed: 2 ** 64 - 2048 }, { seed: -2048 }],
    ['a seed that no number holds', { seed: 2 ** 63 }, { seed: 1024 - 2 ** 63 }],
    ['a seed of 64 bits', { seed: 2 ** 63 - 1024 }, { seed: 2 ** 63 - 1024 }],
    ['an empty stop', { stop: '' }, {}, 'stop'],
    ['empty stops', { stop: ['', 'x', ''] }, { stop: ['x'] }],
    ['only empty stops', { stop: [''] }, {}, 'stop'],
    ['an empty effort', { reasoning_effort: '' }, {}, 'reasoning_effort'],
    ['an empty effort elsewhere', { reasoning: { effort: '' } }, {}, 'reasoning_effort'],
    ['an empty tool choice', { tools: [look], tool_choice: '' }, { tools: [look] }, 'tool_choice'],
    [
      'a schema in the words of llama.cpp',
      { response_format: { type: 'json_object', schema: { type: 'array' } } },
      { response_format: { json_schema: { schema: { type: 'array' } } } },
    ],
  ])('%s', async (_, given, sent, absent = 'nothing') => {
    const body = await passed(given);
    expect(body).toMatchObject(sent);
    expect(body).not.toHaveProperty(absent);
  });

  it.each<[what: string, body: object, param: string, says: string]>([
    [
      'a kind of part',
      { messages: [{ role: 'user', content: [{ type: 'text', text: 'x' }, { type: 'hologram' }] }] },
      'messages[0].content[1].type',
      'hologram',
    ],
    ['a role', { messages: [{ role: 'robot', content: 'x' }] }, 'messages[0].role', 'robot'],
    ['no role', { messages: [{ content: 'x' }] }, 'messages[0].role', 'nothing'],
    ['content that is a map', { messages: [{ role: 'user', content: {} }] }, 'messages[0].content', 'map'],
    [
      'a part without its text',
      { messages: [{ role: 'user', content: [{ type: 'text' }] }] },
      'messages[0].content[0].text',
      'string',
    ],
    ['no content of a user', { messages: [{ role: 'user' }] }, 'messages[0].content', 'nothing'],
    [
      'an image that is none',
      { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'ftp://x' } }] }] },
      'messages[0].content[0].image_url.url',
      'data URL',
    ],
    ['a list in a list of stops', { stop: [['a']] }, 'stop[0]', 'expected string, got list'],
    ['a function that is none', { tools: [{ type: 'function' }] }, 'tools[0].type', 'a function beside it'],
    [
      'a question without one',
      { messages: [{ role: 'user', content: null }] },
      'messages[0].content',
      'got null',
    ],
    ['a tool choice', { tools: [look], tool_choice: 'sometimes' }, 'tool_choice', 'required'],
    [
      'a choice of no tool',
      { tools: [look], tool_choice: { type: 'function', function: { name: 'jump' } } },
      'tool_choice',
      'jump',
    ],
    ['a choice of tools without any', { tool_choice: 'required' }, 'tool_choice', 'none'],
    [
      'a choice that names nothing',
      { tools: [look], tool_choice: { type: 'function' } },
      'tool_choice',
      'name',
    ],
    ['a seed with a fraction', { seed: 1.5 }, 'seed', 'integer'],
    ['a temperature in words', { temperature: 'hot' }, 'temperature', 'number'],
    ['no tokens', { max_tokens: 0 }, 'max_tokens', '1'],
    ['the Responses API', { messages: undefined, input: 'Hallo' }, 'input', 'Responses API'],
    ['a prompt', { messages: undefined, prompt: 'Hallo' }, 'prompt', '/v1/completions'],
    [
      'flat tools',
      { tools: [{ type: 'function', name: 'look', parameters: {} }] },
      'tools[0]',
      'Responses API',
    ],
    [
      'an image to be fetched',
      {
        messages: [
          {
            role: 'user',
            content: [
              { type: 'text', text: 'x' },
              { type: 'image_url', image_url: { url: 'https://example.com/x.png' } },
            ],
          },
        ],
      },
      'messages[0].content[1].image_url.url',
      'no image is fetched here',
    ],
    [
      'the same for Ollama',
      {
        model: 'ollama',
        messages: [{ role: 'user', content: [{ type: 'image_url', image_url: 'http://example.com/x.png' }] }],
      },
      'messages[0].content[0].image_url.url',
      'no image is fetched here',
    ],
    [
      'a file for Ollama',
      { model: 'ollama', messages: [{ role: 'user', content: [{ type: 'file', file: {} }] }] },
      'messages[0].content[0].type',
      '"file"',
    ],
    [
      'a sound for an agent that knows texts',
      { model: 'eliza', messages: [{ role: 'user', content: [{ type: 'input_audio' }] }] },
      'messages[0].content[0].type',
      '"input_audio"',
    ],
  ])('400 names %s', async (_, body, param, says) => {
    const before = server.chats.length;
    const { status, error } = await post(body);
    expect({ status, param: error?.param }).toEqual({ status: 400, param });
    expect(error.message).toContain(says);
    expect(error.message).not.toContain('Invalid input');
    expect(server.chats.length).toBe(before);
  });

  it.each<[what: string, body: object, param: string, says: string]>([
    ['two prompts', { prompt: ['a', 'b'] }, 'prompt', 'expected one text'],
    ['no text', { prompt: '' }, 'prompt', 'string >= 1'],
    ['tokens', { prompt: [1, 2] }, 'prompt', 'tokens are not taken'],
    ['messages', { prompt: undefined }, 'messages', '/v1/chat/completions'],
    ['an echo', { prompt: 'a', echo: true }, 'echo', 'false'],
    ['a suffix', { prompt: 'a', suffix: 'z' }, 'suffix', '""'],
    ['several answers', { prompt: 'a', best_of: 2 }, 'best_of', '1'],
  ])('/v1/completions says what it takes: %s', async (_, body, param, says) => {
    const { status, error } = await post(body, '/v1/completions');
    expect({ status, param: error?.param }).toEqual({ status: 400, param });
    expect(error.message).toContain(says);
  });

  it('a long conversation in parts is passed on', async () => {
    const content = [
      { type: 'text', text: 'a' },
      { type: 'text', text: 'b' },
    ];
    const asked = Array.from({ length: 100 }, () => ({ role: 'user', content }));
    expect((await passed({ messages: asked })).messages).toHaveLength(100);
  });

  it('an image by its URL goes to a model server that fetches for itself', async () => {
    const image_url = { url: 'https://example.com/x.png' };
    const content = [{ type: 'image_url', image_url }];
    const { messages } = await passed({ model: 'seeing', messages: [{ role: 'user', content }] });
    expect(messages).toEqual([{ role: 'user', content }]);
  });
});

describe('what was asked is passed on', () => {
  const schema = { type: 'object', properties: {} };
  it.each<[what: string, given: object, sent?: object]>([
    [
      'the schema of the answer, its name and strictness',
      {
        response_format: {
          type: 'json_schema',
          json_schema: { name: 'bee', description: 'One', schema, strict: true },
        },
      },
    ],
    [
      'the strictness of a tool',
      { tools: [{ type: 'function', function: { name: 'a', parameters: schema, strict: true } }] },
    ],
    ['parallel_tool_calls', { tools: [look], parallel_tool_calls: false }],
    ['tool_choice required', { tools: [look], tool_choice: 'required' }],
    ['tool_choice any', { tools: [look], tool_choice: 'any' }, { tool_choice: 'required' }],
    ['tool_choice none', { tools: [look], tool_choice: 'none' }],
    ['a tool by its name', { tools: [look], tool_choice: { type: 'function', function: { name: 'look' } } }],
    [
      'a tool by its name, flat',
      { tools: [look], tool_choice: { type: 'function', name: 'look' } },
      { tool_choice: { type: 'function', function: { name: 'look' } } },
    ],
    [
      'allowed tools',
      {
        tools: [look, { type: 'function', function: { name: 'jump' } }],
        tool_choice: {
          type: 'allowed_tools',
          allowed_tools: { mode: 'required', tools: [{ type: 'function', function: { name: 'look' } }] },
        },
      },
      { tools: [look], tool_choice: 'required' },
    ],
    ['user and metadata', { user: 'ann', metadata: { a: 'b' } }],
    ['top_k, min_p and others', { top_k: 3, min_p: 0.1, repetition_penalty: 1.1 }],
    ['logit_bias', { logit_bias: { 50256: -100 } }],
    ['logprobs', { logprobs: true, top_logprobs: 2 }],
    ['chat_template_kwargs', { chat_template_kwargs: { enable_thinking: false } }],
    ['fields of tomorrow', { service_tier: 'flex', thinking: { type: 'enabled' }, x_y: [1] }],
    [
      'what is said of reasoning',
      { reasoning: { effort: 'low', max_tokens: 5 } },
      { reasoning: { effort: 'low', max_tokens: 5 }, reasoning_effort: 'low' },
    ],
  ])('%s', async (_, given, sent = given) => {
    expect(await passed(given)).toMatchObject(sent);
  });

  it('nothing of ours is replaced by what a client adds', async () => {
    const body = await passed({
      stream: false,
      stream_options: { include_usage: false, x: 1 },
      __proto__x: 1,
    });
    expect(body).toMatchObject({ model: 'm', stream: true, stream_options: { include_usage: true } });
  });

  it('Ollama gets what it knows, in its words', async () => {
    const given = {
      top_k: 3,
      min_p: 0.1,
      repetition_penalty: 1.1,
      options: { num_ctx: 8192 },
      keep_alive: -1,
    };
    expect(await passed({ model: 'ollama', ...given })).toMatchObject({
      options: { top_k: 3, min_p: 0.1, repeat_penalty: 1.1, num_ctx: 8192 },
      keep_alive: -1,
    });
    for (const more of [
      { chat_template_kwargs: { enable_thinking: false } },
      { enable_thinking: false },
      { think: false },
    ])
      expect(await passed({ model: 'ollama', ...more })).toMatchObject({ think: false });
    const thought = { role: 'assistant', content: 'Hi', reasoning_content: 'Hm' };
    const { messages } = await passed({ model: 'ollama', messages: [...hello, thought, ...hello] });
    expect(messages[1]).toEqual({ role: 'assistant', content: 'Hi', thinking: 'Hm' });
  });

  it.each<[what: string, body: object, says: string | null]>([
    ['a plain one', {}, null],
    ['one that is passed on', { top_k: 3, logit_bias: {}, user: 'ann' }, null],
    [
      'a tool of an unknown kind',
      { tools: [look, { type: 'web_search' }] },
      'left out: tools[1] of the kind "web_search"',
    ],
    [
      'one of another kind that has a name',
      { tools: [{ type: 'custom', custom: { name: 'x' } }] },
      'left out: tools[0] of the kind "custom"',
    ],
    ['no logprobs', { logprobs: false }, null],
    [
      'what Ollama has no word for',
      { model: 'ollama', top_k: 1, logit_bias: { 1: 1 }, service_tier: 'flex', user: 'ann' },
      'not passed on: logit_bias, service_tier',
    ],
    [
      'a template of Ollama',
      { model: 'ollama', chat_template_kwargs: { enable_thinking: true, style: 'x' } },
      'not passed on: chat_template_kwargs.style',
    ],
    [
      'a choice for Ollama',
      { model: 'ollama', tools: [look], tool_choice: 'required', parallel_tool_calls: false },
      'not passed on: tool_choice, parallel_tool_calls',
    ],
    [
      'a strict tool for Ollama',
      { model: 'ollama', tools: [look, { type: 'function', function: { name: 'plan', strict: true } }] },
      'not passed on: tools[].function.strict',
    ],
    [
      'what an agent of another kind does not read',
      { model: 'eliza', logit_bias: {}, user: 'ann', metadata: {} },
      'not passed on: logit_bias',
    ],
    ['a name that no header may hold', { model: 'eliza', 'bé\ne': 1 }, 'not passed on: b??e'],
  ])('the warning for %s', async (_, body, says) => {
    const { status, warning } = await post(body);
    expect({ status, warning }).toEqual({ status: 200, warning: says });
  });

  it('a tool of an unknown kind is left out, the others are passed on', async () => {
    expect((await passed({ tools: [{ type: 'web_search' }, look] })).tools).toEqual([look]);
  });
});

describe('a schema of a tool may be deep', () => {
  const deep = (levels: number): unknown => JSON.parse(`${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`);
  const withSchema = (levels: number) => ({
    tools: [look, { type: 'function', function: { name: 'plan', parameters: deep(levels) } }],
  });
  it('up to its own limit', async () => {
    const body = withSchema(100);
    expect(await passed(body)).toMatchObject(body);
    const json_schema = { name: 'a', schema: deep(100) };
    expect(await passed({ response_format: { type: 'json_schema', json_schema } })).toMatchObject({
      response_format: { json_schema },
    });
    const asked = { type: 'json_object', schema: deep(100) };
    const { response_format: format } = await passed({ response_format: asked });
    expect(format).toMatchObject({ json_schema: { schema: asked.schema } });
  });

  it.each<[what: string, body: object, param: string | null, says: string]>([
    ['a tool', withSchema(101), 'tools[1].function.parameters', 'the schema of the tool "plan"'],
    [
      'a tool that is much deeper',
      withSchema(3000),
      'tools[1].function.parameters',
      'the schema of the tool "plan"',
    ],
    [
      'a function of former times',
      { functions: [{ name: 'plan', parameters: deep(101) }] },
      'functions[0].parameters',
      '"plan"',
    ],
    [
      'an answer',
      { response_format: { type: 'json_schema', json_schema: { schema: deep(101) } } },
      'response_format.json_schema.schema',
      '100 levels',
    ],
    [
      'an answer in other words',
      { response_format: { type: 'json_object', schema: deep(101) } },
      'response_format.schema',
      '100 levels',
    ],
    ['a form without a schema', { response_format: { type: 'text', x: deep(33) } }, null, '32 levels'],
    ['a tool of another kind', { tools: [{ type: 'x', x: deep(33) }] }, null, '32 levels'],
    ['tools that are no list', { tools: deep(33) }, null, '32 levels'],
    ['anything else', { metadata: deep(33) }, null, '32 levels'],
    ['a field of tomorrow', { x: deep(3000) }, null, '32 levels'],
    [
      'what is beside a schema',
      { tools: [{ type: 'function', function: { name: 'a', parameters: {}, x: deep(33) } }] },
      null,
      '32 levels',
    ],
  ])('and names %s that is deeper', async (_, body, param, says) => {
    const { status, error } = await post(body);
    expect({ status, param: error.param }).toEqual({ status: 400, param });
    expect(error.message).toContain(says);
  });
});
