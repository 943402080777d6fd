import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Agent,
  type ChatChunk,
  type ChatMessage,
  type ChatOptions,
  type ChatRequest,
  type ContextReport,
  type ContextWindow,
  type StreamChunk,
  WaggleError,
} from '#kernel';
import { Bus } from '../../../kernel/kernel-bus.js';
import { Registry } from '../../../kernel/registry.js';
import { config as queenConfig } from '../../../plugins/agent-queen/config.js';
import { Queen } from '../../../plugins/agent-queen/queen.js';
import { config as storeConfig } from '../../../plugins/store-memory/config.js';
import { MemoryStore } from '../../../plugins/store-memory/memory-store.js';
import { call } from '../../support/agents.js';
import { times } from '../../support/thorough.js';

/** How a model server counts, and what it does with a prompt that is too long. */
interface Nature {
  readonly window: number;
  readonly bytesPerToken: number;
  readonly perMessage: number;
  readonly perRequest: number;
  /** Whether Waggle is told of the window. */
  readonly tells: boolean;
  /** `messages`: leaves out the oldest ones; `half`: what is left of the middle; `refuses`: with its numbers. */
  readonly cut: 'messages' | 'half' | 'refuses';
  /** Whether it refuses where it is asked to, as Ollama does. */
  readonly obeys: boolean;
}

/** A model server that cuts its prompt without a word, as Ollama does, and tells of it by its count alone. */
class Model implements Agent {
  readonly name = 'model';
  readonly nature: Nature;
  readonly requests: ChatRequest[] = [];
  /** The messages that were read last. */
  read: readonly ChatMessage[] = [];
  asked = 0;

  constructor(nature: Nature) {
    this.nature = nature;
  }

  contextWindow(): ContextWindow | undefined {
    return this.nature.tells ? { tokens: this.nature.window } : undefined;
  }

  tokensOf(messages: readonly ChatMessage[]): number {
    const { bytesPerToken, perMessage, perRequest } = this.nature;
    let tokens = perRequest;
    for (const { content } of messages)
      tokens += Math.ceil(Buffer.byteLength(content) / bytesPerToken) + perMessage;
    return tokens;
  }

  async *generateResponseStream(request: ChatRequest): AsyncGenerator<StreamChunk> {
    this.requests.push(request);
    this.asked++;
    const { window, cut, obeys } = this.nature;
    let read = request.messages;
    let tokens = this.tokensOf(read);
    if (tokens > window) {
      if (cut === 'refuses' || (obeys && request.options?.truncate === false))
        throw new WaggleError('CONTEXT_TOO_LONG', { agent: 'model', why: 'too long', tokens, window });
      if (cut === 'messages') while (read.length > 1 && this.tokensOf(read) > window) read = read.slice(1);
      else {
        const last = read.at(-1) as ChatMessage;
        read = [{ ...last, content: last.content.slice(-Math.floor(window)) }];
      }
      tokens = Math.min(this.tokensOf(read), cut === 'half' ? Math.floor(window / 2) : window);
    }
    this.read = read;
    yield { type: 'text', content: `ok ${request.messages.length}` };
    yield { type: 'done', reason: 'stop', usage: { inputTokens: tokens, outputTokens: 5 } };
  }
}

interface Told {
  context: ContextReport | undefined;
  truncated: boolean;
  error: unknown;
}

function court(nature: Partial<Nature> = {}, config: object = {}) {
  const model = new Model({
    ...{
      window: 4096,
      bytesPerToken: 4,
      perMessage: 4,
      perRequest: 12,
      tells: true,
      cut: 'messages',
      obeys: false,
    },
    ...nature,
  } as Nature);
  const agents = new Registry<Agent>('agent');
  agents.add(model, 'test');
  const store = new MemoryStore(storeConfig.parse({}));
  const bus = new Bus((error) => {
    throw error;
  });
  const queen = new Queen(queenConfig.parse({ candidates: ['model'], ...config }), agents, store, bus);
  let replies = 0;
  const ask = async (
    content: string,
    more: { options?: ChatOptions; messages?: readonly ChatMessage[] } = {},
  ) => {
    const told: Told = { context: undefined, truncated: false, error: undefined };
    const sink = {
      text: '',
      write(batch: readonly ChatChunk[]) {
        for (const chunk of batch)
          if (chunk.type === 'text') this.text += chunk.content;
          else if (chunk.type === 'agent') told.context = chunk.context;
          else if (chunk.type === 'done') told.truncated = chunk.truncated === true;
      },
    };
    const command = { id: `r${++replies}`, userId: 'ann', conversationId: 'c', content, ...more };
    await queen.reply(command, call(), sink).catch((error: unknown) => {
      told.error = error;
    });
    return told;
  };
  return { model, queen, store, ask };
}

const alphabets = [
  'plain words of a text ',
  'Äpfel und Übermut über alles ',
  'これは日本語の文章です。',
  '0123456789 ',
  '{"a": [1, 2]}\n',
];
const texts = fc
  .tuple(fc.constantFrom(...alphabets), fc.oneof(fc.nat(60), fc.nat(900)))
  .map(([alphabet, length]) => alphabet.repeat(Math.ceil(length / alphabet.length)).slice(0, length) || 'x');
const natures = fc.record({
  window: fc.constantFrom(512, 1024, 2048),
  bytesPerToken: fc.constantFrom(2.5, 3, 3.7, 4.5),
  perMessage: fc.constantFrom(3, 5, 9),
  perRequest: fc.constantFrom(0, 10, 40),
  tells: fc.boolean(),
  cut: fc.constantFrom('messages', 'half', 'refuses'),
  obeys: fc.boolean(),
}) as fc.Arbitrary<Nature>;

describe('a conversation that outgrows the window of its model', () => {
  it('begins with a fact that is read, or declared as dropped', async () => {
    let dropped = 0;
    let cut = 0;
    let [answers, alarms] = [0, 0];
    await fc.assert(
      fc.asyncProperty(
        natures,
        fc.array(texts, { minLength: 3, maxLength: 20 }),
        async (nature, questions) => {
          // A server that neither tells its window nor refuses is known by its counts alone.
          const { model, ask } = court({
            ...nature,
            tells: nature.tells || !(nature.obeys || nature.cut === 'refuses'),
          });
          await ask('The fact: 42.');
          for (const [at, question] of questions.entries()) {
            const { context, truncated, error } = await ask(`${at} ${question}`);
            if (error) {
              // Only the question itself is too long for a server that refuses.
              expect(error).toMatchObject({ code: 'CONTEXT_TOO_LONG' });
              expect(model.requests.at(-1)?.messages).toHaveLength(1);
              return;
            }
            const sent = model.requests.at(-1)?.messages ?? [];
            expect(sent[0]?.role).toBe('user');
            expect(sent.at(-1)?.content).toBe(`${at} ${question}`);
            const isRead = model.read.some(({ content }) => content.includes('The fact'));
            if ((context?.droppedMessages ?? 0) > 0) dropped++;
            if (truncated) cut++;
            const isDeclared = truncated || (context?.droppedMessages ?? 0) > 0;
            expect(isRead || isDeclared).toBe(true);
            if (isRead && isDeclared) alarms++;
            answers++;
          }
        },
      ),
      { numRuns: times(1000) },
    );
    expect(dropped).toBeGreaterThan(20);
    expect(cut).toBeGreaterThan(0);
    expect(alarms / answers).toBeLessThan(0.01);
  });

  it('has as many tokens as estimated, give or take a tenth, after three turns', async () => {
    // Apart from requests of more than one and a half times the bytes that a count was ever told for: of those texts nothing is known.
    const known: number[] = [];
    const unknown: number[] = [];
    await fc.assert(
      fc.asyncProperty(
        natures,
        fc.array(texts, { minLength: 6, maxLength: 10 }),
        async (nature, questions) => {
          const { model, ask } = court({ ...nature, window: 100_000, tells: true });
          let counted = 0;
          for (const [at, question] of questions.entries()) {
            const { context } = await ask(question);
            const tokens = model.tokensOf(model.read);
            const bytes = Buffer.byteLength(model.read.map(({ content }) => content).join(''));
            const error = Math.abs((context?.tokens ?? 0) - tokens) / tokens;
            if (at >= 3) (bytes <= 1.5 * counted ? known : unknown).push(error);
            counted = Math.max(counted, bytes);
          }
        },
      ),
      { numRuns: times(250) },
    );
    expect(known.length).toBeGreaterThan(2 * unknown.length);
    expect(known.filter((error) => error > 0.1)).toEqual([]);
    expect(unknown.filter((error) => error > 0.1).length / unknown.length).toBeLessThan(0.4);
  });

  const long = (name: string) => `${name} ${'words of a text '.repeat(40)}`;
  const contents = ({ messages }: ChatRequest) => messages.map(({ content }) => content.split(' ')[0]);

  it('keeps the system prompt and its question, and begins with a question', async () => {
    const { model, ask } = court({ window: 1024 }, { systemPrompt: 'Rules' });
    for (let turn = 0; turn < 12; turn++) {
      await ask(long(`q${turn}`));
      const sent = model.requests.at(-1) as ChatRequest;
      expect(contents(sent)[0]).toBe('Rules');
      expect(sent.messages[1]?.role).toBe('user');
      expect(contents(sent).at(-1)).toBe(`q${turn}`);
      expect(model.tokensOf(sent.messages)).toBeLessThanOrEqual(768);
    }
    const { context } = await ask('q12');
    expect(context).toMatchObject({ window: 1024, droppedMessages: expect.any(Number) });
    const sent = model.requests.at(-1)?.messages.length ?? 0;
    // 12 questions with their answers, the last question, and the system prompt.
    expect((context?.droppedMessages ?? 0) + sent).toBe(26);
  });

  it('begins at the same turn for a while, so that the cache of its model server is of use', async () => {
    const { model, ask } = court({ window: 2048 });
    const begins: (string | undefined)[] = [];
    for (let turn = 0; turn < 40; turn++) {
      await ask(`q${turn} ${'words '.repeat(20)}`);
      begins.push(contents(model.requests.at(-1) as ChatRequest)[0]);
    }
    const cuts = begins.filter((begin, at) => at > 0 && begin !== begins[at - 1]).length;
    expect(begins.at(-1)).not.toBe('q0');
    expect(cuts).toBeLessThan(6);
  });

  it('is refused where its client asks for that, and then nothing is left out', async () => {
    const { model, ask } = court({ window: 1024 });
    const options = { truncate: false };
    for (let turn = 0; turn < 3; turn++)
      expect((await ask(long(`q${turn}`), { options })).error).toBeUndefined();
    const before = model.asked;
    let refused: Told | undefined;
    for (let turn = 3; turn < 12 && !refused?.error; turn++)
      refused = await ask(long(`q${turn}`), { options });
    expect(refused?.error).toMatchObject({ code: 'CONTEXT_TOO_LONG', details: { window: 1024 } });
    expect(model.asked).toBeGreaterThan(before);
    for (const { messages } of model.requests) expect(contents({ id: '', messages })[0]).toBe('q0');
    // It goes on without them where the client allows it.
    expect(await ask('q')).toMatchObject({
      error: undefined,
      context: { droppedMessages: expect.any(Number) },
    });
  });

  it('leaves room for as long an answer as was asked for', async () => {
    const { model, ask } = court({ window: 1024 });
    for (let turn = 0; turn < 6; turn++) await ask(long(`q${turn}`), { options: { maxTokens: 500 } });
    const sent = model.requests.at(-1) as ChatRequest;
    expect(model.tokensOf(sent.messages)).toBeLessThanOrEqual(524);
  });

  it('is cut by messages, and says so, for an agent whose window is unknown', async () => {
    const { model, ask } = court({ tells: false, window: 1_000_000 }, { contextMessages: 4 });
    for (const content of ['a', 'b', 'c']) await ask(content);
    const { context } = await ask('d');
    expect(contents(model.requests.at(-1) as ChatRequest)).toEqual(['c', 'ok', 'd']);
    expect(context).toEqual({ tokens: expect.any(Number), droppedMessages: 4 });
  });

  it('takes counts of a cached prompt neither for cut ones nor for its length', async () => {
    const { model, ask } = court({ window: 100_000 });
    for (let turn = 0; turn < 5; turn++) await ask(long(`q${turn}`));
    const { nature } = model;
    const whole = model.tokensOf.bind(model);
    // Only the new part.
    model.tokensOf = (messages) => whole(messages.slice(-1));
    expect(nature.window).toBe(100_000);
    for (let turn = 5; turn < 10; turn++) expect((await ask(long(`q${turn}`))).truncated).toBe(false);
    const { context } = await ask('q');
    const tokens = whole(model.requests.at(-1)?.messages ?? []);
    expect(Math.abs((context?.tokens ?? 0) - tokens) / tokens).toBeLessThan(0.1);
  });
});

describe('pictures of a conversation', () => {
  const photo = `data:image/png;base64,${'A'.repeat(200)}`;
  const shows = (model: Model) => model.requests.at(-1)?.messages.map(({ images }) => images?.length ?? 0);
  const shown = { content: '', messages: [{ role: 'user' as const, content: 'Look', images: [photo] }] };

  it('are kept, and read with every later question', async () => {
    const { model, ask, store } = court();
    await ask('Look', shown);
    await ask('What was it?');
    expect(shows(model)).toEqual([1, 0, 0]);
    const kept = await store.read({ userId: 'ann', conversationId: 'c' });
    expect(kept[0]).toMatchObject({ role: 'user', content: 'Look', images: [photo] });
  });

  it('are kept as a word where they are too large', async () => {
    const { model, ask } = court({}, { keptImagesLimitChars: 100 });
    await ask('', { ...shown, messages: [{ role: 'user', content: '', images: [photo] }] });
    await ask('What was it?');
    expect(shows(model)).toEqual([0, 0, 0]);
    expect(model.requests.at(-1)?.messages[0]?.content).toBe('[image]');
  });

  it('are not for a model that does not see, which answers questions without them', async () => {
    const { model, ask } = court();
    await ask('Look', shown);
    const see = model.generateResponseStream.bind(model);
    model.generateResponseStream = async function* (request: ChatRequest) {
      if (request.messages.some(({ images }) => images))
        throw new WaggleError('AGENT_FAILED', { agent: 'model', why: 'no', refused: 400, lacks: 'images' });
      yield* see(request);
    };
    expect((await ask('And now?')).error).toBeUndefined();
    expect(shows(model)).toEqual([0, 0, 0]);
    // A new one is refused as ever.
    expect((await ask('Look', shown)).error).toMatchObject({ code: 'AGENT_FAILED' });
  });
});
