import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import agentOllama from '../../plugins/agent-ollama/index.js';
import agentOpenai from '../../plugins/agent-openai/index.js';
import { answerIn, type Dialect, dialects, roundsOf, type ScriptTurn } from '../support/model-script.js';
import { type ScriptedServer, type Seen, startScriptedServer } from '../support/scripted-server.js';
import { ToolHive } from '../support/tool-hive.js';
import { call } from '../support/transport.js';
import { type Frame, textOf } from '../support/ws-client.js';

const server = new ToolHive();
let models: ScriptedServer | undefined;

afterEach(async () => {
  await models?.close();
});

const input = z.object({ text: z.string() });
const tools = [
  {
    name: 'text:count',
    lane: 'main' as const,
    tool: true as const,
    input,
    run: ({ text }: { text: string }) => text.length,
  },
  {
    name: 'text:twice',
    lane: 'main' as const,
    tool: true as const,
    input,
    run: ({ text }: { text: string }) => `${text}${text}`,
  },
  {
    name: 'text:fails',
    lane: 'main' as const,
    tool: true as const,
    input,
    run: () => {
      throw new Error('no');
    },
  },
];

async function start(dialect: Dialect, turnOf: (request: Seen) => ScriptTurn, pieceChars?: number) {
  const made = await startScriptedServer((request) => answerIn(dialect, turnOf(request), pieceChars));
  models = made;
  const agent = { baseUrl: dialect === 'ollama' ? made.url : `${made.url}/v1`, model: 'm' };
  const plugin = dialect === 'ollama' ? agentOllama : agentOpenai;
  await server.start(
    [],
    tools,
    { candidates: [dialect] },
    { plugins: [plugin], config: { [plugin.name]: agent } },
  );
  return made;
}

const count = (text: string) => ({ name: 'text_count', args: JSON.stringify({ text }) });

describe.each(dialects)('a model server that speaks %s', (dialect) => {
  it('gets three tools run in two rounds', async () => {
    const turns: ScriptTurn[] = [
      { text: 'I count. ', calls: [count('a'), { name: 'text_twice', args: '{"text":"b"}' }] },
      { text: 'Once more. ', calls: [count('abc')] },
      { text: 'It is 3.' },
    ];
    const made = await start(dialect, (request) => turns[roundsOf(request)] as ScriptTurn);
    const frames = await server.ask();
    expect(textOf(frames)).toBe('I count. Once more. It is 3.');
    const outputs = frames
      .filter(({ type }) => type === 'streaming_tool_result')
      .map(({ name, output }) => [name, output]);
    expect(outputs.slice(0, 2)).toEqual(
      expect.arrayContaining([
        ['text:count', 1],
        ['text:twice', 'bb'],
      ]),
    );
    expect(outputs[2]).toEqual(['text:count', 3]);
    expect(frames.at(-1)).toMatchObject({ reason: 'stop', usage: { inputTokens: 9, outputTokens: 6 } });
    expect(made.chats).toHaveLength(3);
    expect(
      made.chats[0]?.body.tools.map((tool: { function: { name: string } }) => tool.function.name),
    ).toEqual(['text_count', 'text_twice', 'text_fails']);
    expect(made.chats[2]?.body.messages.filter(({ role }: { role: string }) => role === 'tool')).toHaveLength(
      3,
    );
  });

  it.each<[string, ScriptTurn, string]>([
    ['broken JSON', { calls: [{ name: 'text_count', args: '{"text":' }] }, 'INVALID_JSON'],
    ['the wrong arguments', { calls: [{ name: 'text_count', args: '{"txt":1}' }] }, 'INVALID_REQUEST'],
    ['no arguments', { calls: [{ name: 'text_count', args: '' }] }, 'INVALID_REQUEST'],
    ['an unknown tool', { calls: [{ name: 'made_up', args: '{}' }] }, 'TASK_UNKNOWN'],
    ['a tool that fails', { calls: [{ name: 'text_fails', args: '{"text":"a"}' }] }, 'TASK_FAILED'],
  ])('may write %s, and hears of it', async (_, turn, code) => {
    const made = await start(dialect, (request) => (roundsOf(request) > 0 ? { text: 'I see.' } : turn));
    const frames = await server.ask();
    expect(frames.find(({ type }) => type === 'streaming_tool_result')).toMatchObject({ error: { code } });
    expect(textOf(frames)).toBe('I see.');
    expect(made.chats[1]?.body.messages.at(-1)).toMatchObject({
      role: 'tool',
      content: expect.stringContaining(code),
    });
  });

  it('that calls for ever ends', async () => {
    const made = await start(dialect, () => ({ calls: [count('a')] }));
    const frames = await server.ask();
    expect(frames.at(-1)).toMatchObject({ type: 'streaming_end', reason: 'length' });
    expect(made.chats).toHaveLength(9);
    expect(made.chats.at(-1)?.body.tools).toBeUndefined();
  });

  it('gives the same frames to whoever resumes, at every position, and the same text over every API', async () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'ä', '😀', ' b', '"'), maxLength: 8 });
    const turn = fc.record({
      text,
      calls: fc.array(
        fc.constantFrom(count('a'), count('abc'), { name: 'text_fails', args: '{"text":"a"}' }),
        { minLength: 1, maxLength: 3 },
      ),
    });
    let script: readonly ScriptTurn[] = [];
    await start(dialect, (request) => script[roundsOf(request)] as ScriptTurn, 2);
    const port = Number(new URL(server.hive.url).port);
    const post = (path: string, body: object, headers = {}) =>
      call(port, {
        method: 'POST',
        path,
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify(body),
      });
    const client = await server.client();
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(turn, { maxLength: 2 }), text, async (turns, last) => {
        script = [...turns, { text: `${last}.` }];
        const user = `u${runs++}`;
        const frames = await client.ask({ content: 'Hi', conversationId: user });
        const whole = textOf(frames);
        const { streamId } = frames[0] as Frame;
        for (let position = 0; position <= whole.length; position++) {
          const again = await client.ask({ type: 'resume', streamId, position });
          expect(again[0]).toMatchObject({ type: 'streaming_start', resumed: true });
          expect(textOf(again)).toBe(whole.slice(position));
          expect(steps(again)).toEqual(stepsFrom(frames, position));
        }
        const lines = await post(
          '/chat/stream',
          { content: 'Hi', user_id: `${user}n` },
          { accept: 'application/x-ndjson' },
        );
        expect(
          textOf(
            lines.text
              .trim()
              .split('\n')
              .map((line) => JSON.parse(line)),
          ),
        ).toBe(whole);
        const chat = await post('/chat', { content: 'Hi', user_id: `${user}c` });
        expect(chat.json.response).toBe(whole);
        const messages = [{ role: 'user', content: 'Hi' }];
        const completion = await post('/v1/chat/completions', { model: 'queen', messages });
        expect(completion.json.choices[0].message.content).toBe(whole);
      }),
      { numRuns: 12 },
    );
  });
});

const isStep = ({ type }: Frame) => !/^streaming_(start|token)$/.test(type);

/** Everything but text, as it was sent. */
function steps(frames: readonly Frame[]): readonly Frame[] {
  return frames.filter(isStep);
}

/** The steps at or behind a position of the text. */
function stepsFrom(frames: readonly Frame[], position: number): readonly Frame[] {
  let at = 0;
  const result: Frame[] = [];
  for (const frame of frames) {
    if (frame.type === 'streaming_token') at += (frame.content as string).length;
    else if (isStep(frame) && at >= position) result.push(frame);
  }
  return result;
}
