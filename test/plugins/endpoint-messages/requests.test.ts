import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AgentTakes, definePlugin } from '#kernel';
import { accessPlugin, as } from '../../support/access.js';
import { ScriptedAgent } from '../../support/agents.js';
import { type Hive, startHive } from '../../support/hive.js';

/** Passes on everything. */
class Seeing extends ScriptedAgent {
  readonly takes: AgentTakes = { imageUrls: true, parts: true };
  ignores = () => [];
}

const seeing = new Seeing('seeing');
const blind = new ScriptedAgent('blind');
const agents = definePlugin({
  name: 'agents',
  apiVersion: 1,
  setup(ctx) {
    ctx.addAgent(seeing);
    ctx.addAgent(blind);
  },
});
let hive: Hive;
let closed: Hive;
beforeAll(async () => {
  [hive, closed] = await Promise.all([
    startHive({ plugins: [agents] }),
    startHive({ plugins: [agents, accessPlugin()] }),
  ]);
});
afterAll(() => Promise.all([hive.close(), closed.close()]));

const user = (...content: readonly object[]) => ({ role: 'user', content });
const assistant = (...content: readonly object[]) => ({ role: 'assistant', content });
const said = (text: string, more: object = {}) => ({ type: 'text', text, ...more });
const hello = [{ role: 'user', content: 'Hallo' }];
const order = (text: string) => `<system-reminder>\n${text}\n</system-reminder>`;
const cache_control = { type: 'ephemeral' };
const png = { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'AAAA' } };
const pngUrl = 'data:image/png;base64,AAAA';
const webUrl = 'https://example.com/x.png';
const web = { type: 'image', source: { type: 'url', url: webUrl } };
const pdf = {
  type: 'document',
  title: 'a.pdf',
  source: { type: 'base64', media_type: 'application/pdf', data: 'BBBB' },
};
const filePart = {
  type: 'other',
  value: { type: 'file', file: { filename: 'a.pdf', file_data: 'data:application/pdf;base64,BBBB' } },
};
const look = { name: 'look', description: 'Looks', input_schema: { type: 'object', properties: {} } };
const used = { type: 'tool_use', id: 't1', name: 'look', input: { at: [1, { b: null }] } };
const call = { id: 't1', name: 'look', arguments: '{"at":[1,{"b":null}]}' };
const result = (more: object = {}) => ({ type: 'tool_result', tool_use_id: 't1', ...more });

async function post(body: object, path = '/v1/messages', headers: object = {}, server = hive) {
  const response = await fetch(`${server.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-api-key': 'any', ...headers },
    body: JSON.stringify({ model: 'seeing', max_tokens: 9, messages: hello, ...body }),
  });
  return { status: response.status, headers: response.headers, body: await response.json() };
}
/** What the agent is asked, and what the client is warned of. */
async function asked(body: object, agent: ScriptedAgent = seeing) {
  const answer = await post({ model: agent.name, ...body });
  expect(answer.body).toMatchObject({ type: 'message' });
  const { messages, options } = agent.requests.at(-1) ?? {};
  return { messages, options, warning: answer.headers.get('x-waggle-warning') };
}

describe('the messages of a request', () => {
  it.each<[what: string, body: object, messages: readonly object[]]>([
    ['text', {}, [{ role: 'user', content: 'Hallo' }]],
    [
      'a system prompt',
      { system: 'Be brief.' },
      [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'Hallo' },
      ],
    ],
    [
      'a system prompt in blocks to be cached',
      { system: [said('Be brief.', { cache_control }), said('Be kind.')] },
      [
        { role: 'system', content: 'Be brief.\nBe kind.' },
        { role: 'user', content: 'Hallo' },
      ],
    ],
    [
      'a system prompt behind the billing line of Claude Code',
      { system: [said('x-anthropic-billing-header: cc_version=2.1; cch=5f1;'), said('Be brief.')] },
      [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'Hallo' },
      ],
    ],
    [
      'the same in one text',
      { system: 'x-anthropic-billing-header: cc_version=2.1; cch=5f1;\nBe brief.' },
      [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'Hallo' },
      ],
    ],
    ['nothing but the billing line', { system: 'x-anthropic-billing-header: cch=5f1;' }, hello],
    ['an empty system prompt', { system: '' }, hello],
    [
      'system messages before all others',
      { system: 'Be brief.', messages: [{ role: 'system', content: 'Be kind.' }, ...hello] },
      [{ role: 'system', content: 'Be brief.\n\nBe kind.' }, ...hello],
    ],
    [
      'nothing but a system message',
      { messages: [{ role: 'system', content: 'Be kind.' }] },
      [{ role: 'system', content: 'Be kind.' }],
    ],
    [
      'a system message in the conversation',
      { messages: [...hello, { role: 'system', content: 'Be brief.' }, ...hello] },
      [{ role: 'user', content: `Hallo\n${order('Be brief.')}\nHallo` }],
    ],
    [
      'a system message after a result',
      {
        messages: [
          ...hello,
          assistant(used),
          user(result({ content: 'seen' })),
          { role: 'system', content: [said('Be brief.')] },
          assistant(said('Hi')),
        ],
      },
      [
        ...hello,
        { role: 'assistant', content: '', toolCalls: [call] },
        { role: 'tool', content: 'seen', toolCallId: 't1', toolName: 'look' },
        { role: 'user', content: order('Be brief.') },
        { role: 'assistant', content: 'Hi' },
      ],
    ],
    [
      'orders in a message of the user',
      { messages: [user(said('Hallo'), { type: 'mid_conv_system', content: [said('Be brief.')] })] },
      [{ role: 'user', content: `Hallo\n${order('Be brief.')}` }],
    ],
    [
      'neighbours of one role',
      {
        messages: [
          ...hello,
          assistant({ type: 'thinking', thinking: 'Hm', signature: 's' }, said('I')),
          assistant(said('look.'), used),
          user(result({ content: 'seen' })),
          ...hello,
        ],
      },
      [
        ...hello,
        { role: 'assistant', content: 'I\nlook.', thinking: 'Hm', toolCalls: [call] },
        { role: 'tool', content: 'seen', toolCallId: 't1', toolName: 'look' },
        ...hello,
      ],
    ],
    [
      'blocks of text',
      { messages: [user(said('Ha', { cache_control, citations: null }), said('llo'))] },
      [{ role: 'user', content: 'Ha\nllo' }],
    ],
    ['empty blocks of text', { messages: [user(said(''), said('Hallo'), said(''))] }, hello],
    ['nothing but empty blocks', { messages: [user(said(''))] }, [{ role: 'user', content: '' }]],
    [
      'the beginning of the answer',
      { messages: [...hello, { role: 'assistant', content: 'Hel' }] },
      [...hello, { role: 'assistant', content: 'Hel' }],
    ],
    [
      'an image',
      { messages: [user(said('What?'), png)] },
      [
        {
          role: 'user',
          content: 'What?',
          images: [pngUrl],
          parts: [
            { type: 'text', text: 'What?' },
            { type: 'image', url: pngUrl },
          ],
        },
      ],
    ],
    [
      'an image at a URL',
      { messages: [user(web)] },
      [{ role: 'user', content: '', parts: [{ type: 'image', url: webUrl }] }],
    ],
    ['a document', { messages: [user(pdf)] }, [{ role: 'user', content: '', parts: [filePart] }]],
    [
      'a document that is text',
      {
        messages: [
          user({
            type: 'document',
            title: 'T',
            source: { type: 'text', media_type: 'text/plain', data: 'D' },
          }),
        ],
      },
      [{ role: 'user', content: 'T\nD' }],
    ],
    [
      'a document of blocks',
      {
        messages: [
          user({
            type: 'document',
            context: 'C',
            source: { type: 'content', content: [said('D'), said('E')] },
          }),
        ],
      },
      [{ role: 'user', content: 'C\nD\nE' }],
    ],
    [
      'a result of a search',
      { messages: [user({ type: 'search_result', title: 'T', source: 'https://x', content: [said('D')] })] },
      [{ role: 'user', content: 'T\nhttps://x\nD' }],
    ],
    [
      'thinking',
      {
        messages: [
          ...hello,
          assistant(
            { type: 'thinking', thinking: 'Hm', signature: 'c2ln' },
            { type: 'redacted_thinking', data: 'xx' },
            said('Hi'),
          ),
          ...hello,
        ],
      },
      [...hello, { role: 'assistant', content: 'Hi', thinking: 'Hm' }, ...hello],
    ],
    [
      'a call and its result',
      { messages: [...hello, assistant(said('I look.'), used), user(result({ content: 'seen' }))] },
      [
        ...hello,
        { role: 'assistant', content: 'I look.', toolCalls: [call] },
        { role: 'tool', content: 'seen', toolCallId: 't1', toolName: 'look' },
      ],
    ],
    [
      'a call with data of its model server, and the fields of newer clients',
      {
        messages: [
          ...hello,
          assistant({ ...used, caller: { type: 'direct' }, cache_control, extra_content: { a: 1 } }),
        ],
      },
      [
        ...hello,
        { role: 'assistant', content: '', toolCalls: [{ ...call, extra: { extra_content: { a: 1 } } }] },
      ],
    ],
    [
      'several results, and text before and after them',
      {
        messages: [
          ...hello,
          assistant(used, { ...used, id: 't2', name: 'see', input: {} }),
          user(
            said('Well,'),
            result({ content: [said('a'), said('b')] }),
            result({ tool_use_id: 't2' }),
            said('go on'),
          ),
        ],
      },
      [
        ...hello,
        { role: 'assistant', content: '', toolCalls: [call, { id: 't2', name: 'see', arguments: '{}' }] },
        { role: 'tool', content: 'a\nb', toolCallId: 't1', toolName: 'look' },
        { role: 'tool', content: '', toolCallId: 't2', toolName: 'see' },
        { role: 'user', content: 'Well,\ngo on' },
      ],
    ],
    [
      'a result with an image',
      { messages: [...hello, assistant(used), user(result({ content: [said('A picture'), png] }))] },
      [
        ...hello,
        { role: 'assistant', content: '', toolCalls: [call] },
        { role: 'tool', content: 'A picture', toolCallId: 't1', toolName: 'look' },
        {
          role: 'user',
          content: 'From the result of the tool look:',
          images: [pngUrl],
          parts: [
            { type: 'text', text: 'From the result of the tool look:' },
            { type: 'image', url: pngUrl },
          ],
        },
      ],
    ],
    [
      'a result that is nothing but an image',
      { messages: [user(result({ content: [png] }))] },
      [
        { role: 'tool', content: 'See the next message.', toolCallId: 't1' },
        expect.objectContaining({ role: 'user', content: 'From the result of a tool:', images: [pngUrl] }),
      ],
    ],
    [
      'a result that names a tool',
      { messages: [user(result({ content: [{ type: 'tool_reference', tool_name: 'look' }] }))] },
      [{ role: 'tool', content: 'look', toolCallId: 't1' }],
    ],
    ...[
      ['a tool that failed', 'no such city', 'Error: no such city'],
      ['one that failed without a word', '', 'Error: the tool failed'],
      ['one that says so', 'Error: no such city', 'Error: no such city'],
      [
        'one that Claude Code words',
        '<tool_use_error>No</tool_use_error>',
        '<tool_use_error>No</tool_use_error>',
      ],
    ].map(([what, content, shown]): [string, object, readonly object[]] => [
      what as string,
      { messages: [user(result({ content, is_error: true }))] },
      [{ role: 'tool', content: shown, toolCallId: 't1' }],
    ]),
  ])('%s', async (_, body, messages) => {
    expect((await asked(body)).messages).toEqual(messages);
  });

  it('leaves out what Anthropic has run, and says so', async () => {
    const messages = [
      ...hello,
      assistant(
        { type: 'server_tool_use', id: 's', name: 'web_search', input: {} },
        { type: 'web_search_tool_result', tool_use_id: 's', content: [] },
        said('Hi'),
      ),
      ...hello,
    ];
    const got = await asked({ messages });
    expect(got.messages).toEqual([...hello, { role: 'assistant', content: 'Hi' }, ...hello]);
    expect(got.warning).toBe(
      'left out: messages[1].content[0] of the kind "server_tool_use", messages[1].content[1] of the kind "web_search_tool_result"',
    );
  });
});

describe('the options of a request', () => {
  const schema = { type: 'object', properties: { a: { type: 'string' } } };
  const tool = { name: 'look', description: 'Looks', parameters: look.input_schema };
  it.each<[what: string, body: object, options: object]>([
    ['the limit', {}, { maxTokens: 9 }],
    ['the limit in digits', { max_tokens: '9' }, { maxTokens: 9 }],
    [
      'sampling',
      { temperature: 0.5, top_p: 0.9, top_k: 40, stop_sequences: ['END', ''] },
      { maxTokens: 9, temperature: 0.5, topP: 0.9, stop: ['END'], more: { top_k: 40 } },
    ],
    ['a tool', { tools: [{ ...look, cache_control }] }, { maxTokens: 9, tools: [tool] }],
    [
      'a strict tool of a kind that has a name',
      { tools: [{ ...look, type: 'custom', strict: true, defer_loading: true, input_examples: [] }] },
      { maxTokens: 9, tools: [{ ...tool, strict: true }] },
    ],
    ['no tools', { tools: [] }, { maxTokens: 9, tools: [] }],
    ...[
      [{ type: 'auto' }, { toolChoice: 'auto' }],
      [{ type: 'none' }, { toolChoice: 'none' }],
      [{ type: 'any' }, { toolChoice: 'required' }],
      [{ type: 'tool', name: 'look' }, { toolChoice: { name: 'look' } }],
      [
        { type: 'any', disable_parallel_tool_use: true },
        { toolChoice: 'required', parallelToolCalls: false },
      ],
      [{ type: 'auto', disable_parallel_tool_use: false }, { toolChoice: 'auto' }],
    ].map(([tool_choice, chosen]): [string, object, object] => [
      `the choice ${JSON.stringify(tool_choice)}`,
      { tools: [look], tool_choice },
      { maxTokens: 9, tools: [tool], ...chosen },
    ]),
    ...[
      [{ thinking: { type: 'enabled', budget_tokens: 1024 } }, 'low'],
      [{ thinking: { type: 'enabled', budget_tokens: 4096 } }, 'medium'],
      [{ thinking: { type: 'enabled', budget_tokens: 31_999, display: 'summarized' } }, 'high'],
      [{ thinking: { type: 'enabled' } }, undefined],
      [{ thinking: { type: 'adaptive' } }, undefined],
      [{ thinking: { type: 'disabled' } }, 'none'],
      [{ output_config: { effort: 'max' } }, 'max'],
      [{ thinking: { type: 'adaptive' }, output_config: { effort: 'low' } }, 'low'],
      [{ thinking: { type: 'enabled', budget_tokens: 1024 }, output_config: { effort: 'xhigh' } }, 'xhigh'],
      [{ thinking: { type: 'disabled' }, output_config: { effort: 'high' } }, 'none'],
    ].map(([body, reasoningEffort]): [string, object, object] => [
      `the effort of ${JSON.stringify(body)}`,
      body as object,
      { maxTokens: 9, ...(reasoningEffort !== undefined && { reasoningEffort }) },
    ]),
    [
      'a shape of the answer',
      { output_config: { format: { type: 'json_schema', schema } } },
      { maxTokens: 9, format: schema },
    ],
    [
      'the same by its former name',
      { output_format: { type: 'json_schema', schema } },
      { maxTokens: 9, format: schema },
    ],
    [
      'null for everything that may be left out',
      Object.fromEntries(
        [
          'system',
          'tools',
          'tool_choice',
          'thinking',
          'output_config',
          'output_format',
          'stop_sequences',
          'temperature',
          'top_p',
          'top_k',
          'metadata',
          'stream',
        ].map((name) => [name, null]),
      ),
      { maxTokens: 9 },
    ],
  ])('%s', async (_, body, options) => {
    const got = await asked(body);
    expect(JSON.parse(JSON.stringify(got.options))).toEqual({ truncate: false, ...options });
    expect(got.warning).toBeNull();
  });

  it.each<[what: string, body: object, warning: string]>([
    [
      'tools of Anthropic',
      { tools: [look, { type: 'web_search_20250305', name: 'web_search', max_uses: 5 }] },
      'left out: tools[1] of the kind "web_search_20250305"',
    ],
    [
      'fields of its servers, and those of newer clients',
      { service_tier: 'auto', context_management: { edits: [] }, container: null, betas: ['x'] },
      'left out: "service_tier", "context_management", "betas"',
    ],
  ])('%s are left out, and named', async (_, body, warning) => {
    expect((await asked(body)).warning).toBe(warning);
  });

  it('options that the agent does not pass on are named', async () => {
    expect((await asked({ top_k: 40 }, blind)).warning).toBe('not passed on: top_k');
  });

  it.each(['?beta=true', '?beta=true&x=1'])('take headers and a query of any version: %s', async (query) => {
    const headers = {
      'anthropic-version': '2023-06-01',
      'anthropic-beta': 'interleaved-thinking-2025-05-14,context-management-2025-06-27',
      'anthropic-dangerous-direct-browser-access': 'true',
    };
    expect(await post({}, `/v1/messages${query}`, headers)).toMatchObject({ status: 200 });
  });
});

describe('a bad request', () => {
  const deep = (levels: number): object => (levels === 0 ? {} : { a: deep(levels - 1) });
  it.each<[what: string, body: object, message: string | RegExp]>([
    ['no limit', { max_tokens: undefined }, /^max_tokens: .*expected/],
    ['a limit of nothing', { max_tokens: 0 }, /^max_tokens: .*1/],
    ['no messages', { messages: [] }, /^messages: /],
    ['no model', { model: undefined }, /^model: /],
    ['another role', { messages: [{ role: 'tool', content: 'x' }] }, /^messages\.0\.role: .*user/],
    ['no content', { messages: [{ role: 'user' }] }, /^messages\.0\.content: /],
    ['a block of no kind', { messages: [user({ text: 'x' })] }, /^messages\.0\.content\.0\.type: /],
    [
      'a block of OpenAI',
      { messages: [user({ type: 'image_url' })] },
      /^messages\.0\.content\.0\.type: .*image/,
    ],
    [
      'a tool of OpenAI',
      { tools: [{ type: 'function', function: look }] },
      /^tools\.0: this is the Messages API/,
    ],
    ['another API', { messages: undefined, input: 'Hallo' }, /^input: this is the Messages API.*messages/],
    ['a tool without a name', { tools: [{ input_schema: {} }] }, /^tools\.0/],
    [
      'a choice that is no tool',
      { tools: [look], tool_choice: { type: 'tool', name: 'see' } },
      /^tool_choice: .*"see"/,
    ],
    ['a choice among none', { tool_choice: { type: 'any' } }, /^tool_choice: .*there is none/],
    [
      'an image to be fetched',
      { model: 'blind', messages: [user(web)] },
      'messages.0.content.0.source.url: no image is fetched here; send its data in base64',
    ],
    [
      'an image to be fetched in a result',
      { model: 'blind', messages: [user(said('x'), result({ content: [web] }))] },
      'messages.0.content.1.content.0.source.url: no image is fetched here; send its data in base64',
    ],
    [
      'a document that the model server does not take',
      { model: 'blind', messages: [user(pdf)] },
      'messages.0.content.0.type: a part of the kind "document" cannot be passed on to this model',
    ],
    [
      'a document to be fetched',
      { messages: [user({ type: 'document', source: { type: 'url', url: 'https://example.com/a.pdf' } })] },
      /^messages\.0\.content\.0\.source.*no document is fetched here/,
    ],
    [
      'a call of the user',
      { messages: [user(used)] },
      /^messages\.0\.content\.0\.type: "tool_use" cannot be .*"user"/,
    ],
    [
      'a result of the assistant',
      { messages: [...hello, assistant(said('x'), result())] },
      /^messages\.1\.content\.1\.type: "tool_result" cannot be .*"assistant"/,
    ],
    [
      'thinking of the user',
      { messages: [user({ type: 'thinking', thinking: 'x' })] },
      /^messages\.0\.content\.0\.type: "thinking"/,
    ],
    [
      'an image in a system message',
      { messages: [{ role: 'system', content: [png] }, ...hello] },
      /^messages\.0\.content\.0\.type: "image" cannot be .*"system"/,
    ],
    [
      'an input that is text',
      { messages: [assistant({ ...used, input: 'x' })] },
      /^messages\.0\.content\.0\.input: /,
    ],
    [
      'a tool that is too deep',
      { tools: [{ ...look, input_schema: deep(101) }] },
      /^tools\.0\.input_schema: .*"look"/,
    ],
    [
      'an input that is too deep',
      { messages: [assistant({ ...used, input: deep(101) })] },
      /^messages\.0\.content\.0\.input: the input of a tool/,
    ],
    ['metadata that is too deep', { metadata: deep(40) }, /deeper than 32 levels/],
  ])('is told of %s', async (_, body, message) => {
    const before = seeing.requests.length + blind.requests.length;
    const { status, headers, body: got } = await post(body);
    expect({ status, ...got }).toEqual({
      status: 400,
      type: 'error',
      error: { type: 'invalid_request_error', message: expect.stringMatching(message) },
      request_id: headers.get('request-id'),
    });
    expect(got.error.message).not.toContain('Invalid input');
    expect(seeing.requests.length + blind.requests.length).toBe(before);
  });

  it('is none because the conversation is long', async () => {
    const turn = [
      user(result({ content: [said('a'), said('b')] }), said('c'), png),
      assistant(said('d'), { type: 'thinking', thinking: 'e', signature: '' }, used),
    ];
    const { status } = await post({ messages: Array.from({ length: 1000 }, () => turn).flat() });
    expect(status).toBe(200);
  });

  it('is none because a tool or its input is as deep as real ones are', async () => {
    const messages = [...hello, assistant({ ...used, input: deep(90) }), user(result({ content: 'x' }))];
    const { status } = await post({ messages, tools: [{ ...look, input_schema: deep(90) }] });
    expect(status).toBe(200);
  });
});

describe('the user of a request', () => {
  const longId = `user_${'0'.repeat(64)}_account__session_${'a'.repeat(80)}`;
  it.each<[what: string, id: string, user: RegExp]>([
    ['is named in an open server', 'ann', /^ann$/],
    ['may have the long id of Claude Code', longId, /^[\w-]{43}$/],
  ])('%s', async (_, user_id, user) => {
    await post({ metadata: { user_id } });
    const { userId, metadata } = seeing.requests.at(-1) ?? {};
    expect(metadata).toEqual({ user_id });
    expect(userId).toMatch(user);
  });

  it.each<[what: string, name: string, user: string]>([
    ['that of the credentials, whoever is named', 'ann', 'ann'],
    ['the named one for those who act for others', 'proxy', 'somebody'],
  ])('is %s', async (_, name, user) => {
    const { authorization } = as(name);
    const key = authorization.replace('Bearer ', '');
    const answer = await post(
      { metadata: { user_id: 'somebody' } },
      '/v1/messages',
      { 'x-api-key': key },
      closed,
    );
    expect(answer.status).toBe(200);
    expect(seeing.requests.at(-1)?.userId).toBe(user);
  });

  it('without credentials is told so', async () => {
    const { status, body } = await post({}, '/v1/messages', {}, closed);
    expect({ status, body }).toMatchObject({
      status: 401,
      body: { error: { type: 'authentication_error' } },
    });
  });
});

describe('the estimate of tokens', () => {
  const count = async (body: object): Promise<number> => {
    const { status, headers, body: got } = await post(body, '/v1/messages/count_tokens');
    expect({ status, warning: headers.get('x-waggle-warning') }).toEqual({
      status: 200,
      warning: 'input_tokens is an estimate',
    });
    return got.input_tokens;
  };
  const lines = (text: string, times: number) => ({
    messages: [{ role: 'user', content: text.repeat(times) }],
  });

  // Counts of tokenizers of current models.
  it.each<[what: string, body: object, least: number, most: number]>([
    ['English', lines('The quick brown fox jumps over the lazy dog. ', 100), 900, 1300],
    ['German', lines('Der schnelle braune Fuchs springt über den faulen Hund. ', 100), 1100, 1800],
    ['code', lines('for (let i = 0; i < items.length; i++) sum += items[i].price;\n', 100), 1500, 2400],
    ['Japanese', lines('素早い茶色の狐が怠け者の犬を飛び越える。', 100), 1400, 2600],
    ['Russian', lines('Быстрая коричневая лиса прыгает через ленивую собаку. ', 100), 1200, 2800],
    ['an image', { messages: [user(png)] }, 500, 1700],
  ])('of %s is about right', async (_, body, least, most) => {
    const tokens = await count(body);
    expect(tokens).toBeGreaterThan(least);
    expect(tokens).toBeLessThan(most);
  });

  it('counts everything that a model reads, and asks none', async () => {
    const before = seeing.requests.length;
    const all = [
      {},
      { system: 'Be brief.' },
      { system: 'Be brief.', tools: [look] },
      {
        system: 'Be brief.',
        tools: [look],
        messages: [...hello, assistant(used), user(result({ content: 'x' }))],
      },
    ];
    const counts: number[] = [];
    for (const body of all) counts.push(await count({ ...body, max_tokens: undefined }));
    expect(counts).toEqual([...new Set(counts)].sort((a, b) => a - b));
    expect(seeing.requests.length).toBe(before);
  });

  it('is none for a model that is none', async () => {
    const { status, body } = await post({ model: 'nobody' }, '/v1/messages/count_tokens');
    expect({ status, body }).toMatchObject({ status: 404, body: { error: { type: 'not_found_error' } } });
  });
});
