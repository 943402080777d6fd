import { refuseBusy } from './modes-http.js';
import { answer, endlessTokens, type Mode, say } from './run.js';
import { pause } from './time.js';

/** Modes about when the server stops, queues or goes away. */
export const serverModes = {
  endless: {
    counts: 'n',
    stage: 'tokens',
    async play(run) {
      if (!run.reply.streams) await run.reply.hang();
      for (const content of endlessTokens(run)) {
        await run.reply.line({ content });
        await run.reply.pause(run.params.number('ms', 0));
      }
    },
  },

  deaf: {
    counts: 'n',
    stage: 'tokens',
    async play(run) {
      const { reply, params, server } = run;
      let left = params.number('k', 5);
      for (const content of endlessTokens(run)) {
        if (!reply.gone.aborted) {
          await reply.line({ content }).catch((error: unknown) => {
            if (!reply.gone.aborted) throw error;
          });
        } else if (left > 0) {
          left -= 1;
          reply.lineAfterClose({ content });
        } else return;
        await pause(params.number('ms', 0), server.stopped);
      }
    },
  },

  busy: {
    counts: 'n',
    stage: 'headers',
    async play(run) {
      const { request, params, server, reply } = run;
      const leave = await server.enter(
        request.model,
        params.number('p', 1),
        params.number('q', 2),
        reply.gone,
      );
      if (leave === 'full') {
        await refuseBusy(run);
        return;
      }
      try {
        await answer(run);
      } finally {
        leave();
      }
    },
  },

  restart: {
    counts: 'k',
    stage: 'tokens',
    async play(run) {
      await say(run, run.tokens);
      await run.server.restart(run.params.number('t', 100));
    },
  },
} as const satisfies Record<string, Mode>;
