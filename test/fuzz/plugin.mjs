import { setImmediate as nextTurn } from 'node:timers/promises';

const transport = Symbol.for('waggle:transport');

/** What a fuzzed server needs beside its own plugins: an agent and tasks that answer at once, and a look at its memory. */
export default {
  name: 'fuzz',
  apiVersion: 1,
  requires: { transport },
  setup(ctx, { transport }) {
    ctx.addAgent({
      name: 'fuzz',
      async *generateResponseStream({ messages }, { signal }) {
        const text = String(messages.at(-1)?.content);
        for (let from = 0; from < Math.min(text.length, 50); from += 5) {
          await nextTurn();
          signal.throwIfAborted();
          yield { type: 'text', content: text.slice(from, from + 5) };
        }
        yield { type: 'done', reason: 'stop' };
      },
    });
    ctx.registerTask({
      name: 'fuzz:echo',
      lane: 'main',
      message: true,
      exposed: true,
      run: (input) => input,
    });
    ctx.registerTask({
      name: 'fuzz:spin',
      lane: 'worker',
      module: new URL('../bench/tasks/spin.mjs', import.meta.url),
      exposed: true,
    });
    ctx.effect('GET /fuzz/memory', () =>
      transport.route({
        method: 'GET',
        path: '/fuzz/memory',
        async handler(_, reply) {
          for (let round = 0; round < 3; round++) {
            globalThis.gc();
            await nextTurn();
          }
          reply.json(200, { ...process.memoryUsage(), open: transport.connections.open });
        },
      }),
    );
  },
};
