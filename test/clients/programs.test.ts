import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Scrape } from '../support/prometheus.js';
import { type RunningServer, startServer } from '../support/server.js';
import { type Model, type ModelDialect, startModel } from './model.js';
import { casesOf } from './program.js';

const answer = (questions: number, pictures = 0) =>
  `Grüße, 世界 🐝! ${questions} questions, ${pictures} pictures`;
const seen = 'It said: 20 °C in Köln';
const streamed = [`I look. ${seen}`, seen];
const city = { city: 'Köln' };

/** What each provider of the AI SDK has got. */
const provided = {
  text: [answer(1), 'stop', 12],
  streamed: [answer(1), 'stop', 12],
  'a tool by generateText': [seen, 2],
  'a tool by streamText': [seen, 2],
  'reasoning, twice': ['Hm', 'Hm', answer(2)],
  'a picture': answer(1, 1),
  'an object': city,
  'an unknown model': ['AI_APICallError', 404, expect.stringContaining("model 'nobody' not found")],
};

/** What LangChain has got with each API. */
const chained = {
  text: [answer(1), 12],
  streamed: answer(1),
  'a tool': [seen, true],
  'a picture': answer(1, 1),
  'an object': city,
  'an unknown model': [404, 'model_not_found'],
};

/** The same cases under several names. */
const each = (names: readonly string[], cases: object) =>
  Object.fromEntries(
    names.flatMap((name) => Object.entries(cases).map(([what, got]) => [`${name}: ${what}`, got])),
  );

/** What each case of a program has got. */
const programs: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  'agents-sdk': {
    'a tool': seen,
    'a tool, streamed': streamed,
    'a handoff': ['Expert', seen],
    'a previous response': [answer(1), answer(2)],
    'a conversation of the server': [answer(1), answer(2)],
    'a conversation of the client': answer(2),
    'an answer of a shape': city,
    'over a WebSocket': [streamed, answer(2)],
    'over Chat Completions': streamed,
  },
  'ai-sdk': each(['open-responses', 'openai', 'openai-compatible'], provided),
  langchain: each(['Chat Completions', 'Responses'], chained),
};

describe.each<ModelDialect>(['ollama', 'openai'])('clients for JavaScript, with a model of %s', (dialect) => {
  let model: Model;
  let server: RunningServer;
  beforeAll(async () => {
    model = await startModel(dialect);
    server = await startServer({ config: { plugins: model.plugins } });
  });
  afterAll(async () => {
    expect(await server.stop()).toBe(0);
    await model.server.close();
  });

  describe.each(Object.entries(programs))('%s', (program, wanted) => {
    let got: ReadonlyMap<string, unknown>;
    beforeAll(async () => {
      got = await casesOf(program, [server.url, model.name]);
    });

    it.each(Object.entries(wanted))('%s', (name, value) => {
      expect(got.get(name)).toEqual(value);
    });

    it('has opened a WebSocket where it says so', async () => {
      const opened = (await Scrape.of(server.url)).value('waggle_connections_opened_total');
      if ('over a WebSocket' in wanted) expect(opened).toBe(1);
    });

    it('has no other case', () => {
      expect([...got.keys()].sort()).toEqual(Object.keys(wanted).sort());
    });
  });
});
