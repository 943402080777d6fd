import type { Files } from '../commands/new.js';

/** Files of an echo agent, with a test. */
export function agentFiles(name: string): Files {
  return {
    'index.ts': `import { type AgentCall, BaseAgent, type ChatRequest, definePlugin, type StreamChunk } from 'waggle-server';

/** Says everything back, word by word. */
class Echo extends BaseAgent {
  readonly name = '${name}';
  readonly description = 'Says everything back';

  async *generateResponseStream({ messages }: ChatRequest, { signal }: AgentCall): AsyncIterable<StreamChunk> {
    const words = messages.at(-1)?.content.split(' ') ?? [];
    for (const word of words) {
      signal.throwIfAborted(); // A cancel arrives here; pass the signal on to everything you await.
      yield { type: 'text', content: \`\${word} \` };
    }
    yield { type: 'done', reason: 'stop' };
  }
}

export default definePlugin({
  name: '${name}',
  apiVersion: 1,
  setup(ctx) {
    ctx.addAgent(new Echo());
  },
});
`,
    'index.test.ts': `import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Chat, createLogger, Kernel } from 'waggle-server';
import queen from 'waggle-server/plugins/agent-queen';
import store from 'waggle-server/plugins/store-memory';
import plugin from './index.js';

test('${name} says everything back', async () => {
  const logger = createLogger('silent');
  await using kernel = new Kernel({ logger });
  kernel.use(store).use(queen, { config: { candidates: ['${name}'] } }).use(plugin);
  await kernel.start();
  const question = { id: '1', userId: 'me', conversationId: '1', content: 'good morning' };
  const { signal } = new AbortController();
  let text = '';
  await kernel.get(Chat).reply(question, { signal, logger }, {
    write(chunks) {
      for (const chunk of chunks) if (chunk.type === 'text') text += chunk.content;
    },
    get text() {
      return text;
    },
  });
  assert.equal(text, 'good morning ');
});
`,
  };
}
