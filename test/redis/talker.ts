import { type RunningServer, startServer } from '../support/server.js';
import { wrongClock } from '../support/wrong-clock.js';
import { later } from './node.js';

/** An agent that is told how many numbered words to say, and at which interval; with `wait` it says none where it is silent. */
const plugin = `
  import { setTimeout as sleep } from 'node:timers/promises';
  export default {
    name: 'talker',
    apiVersion: 1,
    setup(ctx) {
      ctx.addAgent({
        name: 'talker',
        async *generateResponseStream({ messages }, { signal }) {
          const [verb, count, everyMs] = messages.at(-1).content.split(' ');
          if (verb === 'wait' && process.env.SILENT) await sleep(600_000, undefined, { signal });
          for (let at = 0; at < Number(count); at++) {
            yield { type: 'text', content: at + ' 🐝 ' };
            if (Number(everyMs) > 0) await sleep(Number(everyMs), undefined, { signal });
          }
          yield { type: 'done', reason: 'stop' };
        },
      });
    },
  };`;

/** The answer of so many words. */
export function words(count: number): string {
  return Array.from({ length: count }, (_, at) => `${at} 🐝 `).join('');
}

export interface TalkerOptions {
  readonly isSilent?: boolean;
  readonly skewMs?: number;
  readonly drainTimeoutMs?: number;
  /** More of its config of streams. */
  readonly streams?: object;
  /** Its config of conversations. */
  readonly store?: object;
}

/** A server of its own process with this agent, which shares replies over this Redis and is killed in the end. */
export async function startTalker(url: string, options: TalkerOptions = {}): Promise<RunningServer> {
  const { isSilent = false, skewMs = 0, drainTimeoutMs = 10_000, streams = {}, store = {} } = options;
  const { env, files } = wrongClock(skewMs);
  const config = {
    server: { drainTimeoutMs },
    plugins: {
      'cluster-redis': { config: { url } },
      'streams-memory': { use: 'streams-redis', config: { url, ...streams } },
      'store-memory': { config: store },
    },
  };
  const running = await startServer({
    ...{ config, alone: true, env: { ...env, ...(isSilent && { SILENT: '1' }) } },
    files: { ...files, 'extensions/talker.js': plugin },
  });
  later(() => running.stop('SIGKILL'));
  return running;
}
