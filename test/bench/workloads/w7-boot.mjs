import { waggle } from '../rig/contender.mjs';
import { residentKb } from '../rig/proc-files.mjs';
import { freePort, launch, serverCore, stop, untilHealthy } from '../rig/process.mjs';
import { push } from '../rig/servers.mjs';

export default {
  id: 'W7',
  title: 'Boot: from the start of the process to the first answer of /health',
  unit: 'ms',
  reference: 'uws-limit',
  ours: 'waggle',
  contenders: [{ ...waggle(), ours: true }, push.uwsLimit, push.ws, push.fastify, push.fastapi],
  gates: [
    { text: 'at most 250 ms more than uws-limit', ours: 'waggle', theirs: 'uws-limit', factor: 1, plus: 250 },
  ],
  notes: [
    'Nearly all of it is loading modules: 470 files at about half a millisecond each, of which zod takes 38 ms in all, the parser of YAML 27, pino 18, tsyringe 8, tinypool 5, the command line 4, and our own 210 files more than 100. Plugins are loaded side by side; model clients, threads, pages, and the API of OpenTelemetry where an SDK is registered come after the first answer of /health; of prom-client only a quarter is loaded. Twelve starts each, interleaved: 417 ms in the middle, 433 with all of prom-client, 429 with none of these.',
    'A bundle was measured: dist/ as 73 files by esbuild, with shared parts in chunks, starts 110 to 120 ms sooner, and 120 to 145 ms with pino, prom-client, tinypool, ollama and ws inside. Not taken: plugins would no longer be files that one can read and replace, an error could no longer be traced to its plugin by its file, and both for less than 150 ms.',
    'Looked at, and not done: the smaller entry point of zod, which saves four milliseconds; another parser of YAML, because this one reports every mistake of a file at once; a larger young generation at the start (no difference).',
  ],
  async measure(contender, { quick }) {
    const times = [];
    let readyKb = 0;
    for (let run = 0; run < (quick ? 2 : 4); run++) {
      const port = await freePort();
      const { command, env } = contender.launch(port, {});
      const since = performance.now();
      const child = launch(command, {
        onCore: serverCore,
        env: { HOST: '127.0.0.1', PORT: String(port), ...env },
      });
      times.push(await untilHealthy(child, port, { since, everyMs: 2 }));
      readyKb = residentKb(child.pid);
      await stop(child);
    }
    // The first of them may read from the disk.
    return {
      metrics: { value: Math.min(...times), 'slowest ms': Math.max(...times), 'RSS MB': readyKb / 1024 },
    };
  },
};
