import { describe, expect, it } from 'vitest';
import { config as ollamaConfig } from '../../../plugins/agent-ollama/config.js';
import { OllamaAgent } from '../../../plugins/agent-ollama/ollama-agent.js';
import { config as openaiConfig } from '../../../plugins/agent-openai/config.js';
import { OpenAiAgent } from '../../../plugins/agent-openai/openai-agent.js';
import { startByteServer } from '../../support/byte-server.js';
import { events, lines } from '../../support/scripted-server.js';
import { hello, wholeAnswer } from '../../support/whole-answer.js';

const agents = {
  'agent-ollama': {
    create: (baseUrl: string, options: object) =>
      new OllamaAgent(ollamaConfig.parse({ baseUrl, ...options })),
    body: lines({ message: { content: 'Hi' }, done: true, done_reason: 'stop' }),
  },
  'agent-openai': {
    create: (baseUrl: string, options: object) =>
      new OpenAiAgent('a', openaiConfig.parse({ baseUrl, ...options })),
    body: events({ choices: [{ delta: { content: 'Hi' }, finish_reason: 'stop' }] }),
  },
};

describe.each(Object.entries(agents))('%s', (_name, { create, body }) => {
  // The order of the headers tells the clients apart.
  it.each([
    ['sockets by default', {}, true],
    ["Node's HTTP client with `upstream: node`", { upstream: 'node' }, false],
  ])('asks over %s', async (_, options, isHostFirst) => {
    const server = await startByteServer((socket) => socket.end(`HTTP/1.1 200 OK\r\n\r\n${body}`));
    const agent = create(server.url.origin, options);
    expect(await wholeAnswer(agent, hello('m'))).toMatchObject({ text: 'Hi', error: undefined });
    expect(/^POST .*\r\nHost: /.test(server.requests[0]?.text ?? '')).toBe(isHostFirst);
    agent.close();
    await server.close();
  });
});
