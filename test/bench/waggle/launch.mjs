import { benchRoot, nodeFlags, repoRoot } from '../rig/process.mjs';
import { writeTemporary } from '../rig/temp-folder.mjs';

/**
 * Waggle as its users start it, with limits for so many connections and the agent of this bench. `WAGGLE_ROOT` is the
 * root of another checkout to take `dist` from, with a slash at its end.
 */
export function launchWaggle(port, { OLLAMA_PORT, REDIS_PORT } = {}) {
  const settings = {
    server: { logLevel: 'warn', drainTimeoutMs: 500 },
    plugins: {
      'transport-uws': { config: { host: '127.0.0.1', port, maxConnections: 12_000 } },
      ...streams(REDIS_PORT),
      'tasks-tinypool': { config: { workers: 2, mainConcurrency: 6000 } },
      'agent-ollama': OLLAMA_PORT
        ? { config: { baseUrl: `http://127.0.0.1:${OLLAMA_PORT}`, model: 'bench' } }
        : { enabled: false },
      'agent-queen': { config: { candidates: [OLLAMA_PORT ? 'ollama' : 'bench'] } },
      'bench-agent': { use: `${benchRoot}waggle/bench-agent.mjs` },
      'monitor-console': { enabled: false },
    },
  };
  // JSON is YAML, too.
  const file = writeTemporary(`${port}.yaml`, settings);
  const command = [
    process.execPath,
    ...nodeFlags,
    `${process.env.WAGGLE_ROOT ?? repoRoot}dist/kernel/cli.js`,
    'start',
    '--config',
    file,
  ];
  return { command, env: { HOST: '127.0.0.1', PORT: String(port), LOG_LEVEL: 'warn' } };
}

/** In memory, or shared over this Redis. */
function streams(redisPort) {
  const limits = { maxRunning: 6000, maxWaiting: 4000 };
  if (!redisPort) return { 'streams-memory': { config: limits } };
  const redis = { url: `redis://127.0.0.1:${redisPort}` };
  return {
    'cluster-redis': { config: redis },
    'streams-memory': { use: 'streams-redis', config: { ...limits, ...redis } },
  };
}
