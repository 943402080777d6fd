import cluster from 'node:cluster';
import { version } from '../../sdk/version.js';
import type { ConfigOptions, LoadedConfig } from '../config/load-config.js';
import { openControlSocket } from '../live/control-socket.js';
import { loggerOf } from '../server-log.js';
import { exitCodes, type StopSignals } from '../stop-signals.js';
import { Supervisor } from './supervisor.js';

/** Limits of a plugin that a shard may use up after its drain, before it counts as one that does not end. */
const spareSteps = 3;

/** Runs a server with several processes until a signal. */
export async function supervise(
  options: ConfigOptions,
  { server }: LoadedConfig,
  count: number,
  signals: StopSignals | undefined,
): Promise<void> {
  if (!cluster.isPrimary) {
    process.stderr.write(
      'server.shards: this process is one of a cluster of another program, such as pm2, which cannot have processes of its own: start it by itself\n',
    );
    process.exit(exitCodes.badConfig);
  }
  const logger = loggerOf(server);
  const stopTimeoutMs = server.drainTimeoutMs + spareSteps * server.pluginTimeoutMs;
  let control: { close(): void } | undefined;
  const supervisor = new Supervisor(count, stopTimeoutMs, logger, (exitCode) => {
    control?.close();
    logger.info({ exitCode }, 'all shards have ended');
    process.exit(exitCode);
  });
  signals?.onStop((signal) => {
    logger.info({ signal }, 'stopping; a second signal ends all shards at once');
    control?.close();
    supervisor.stop(signal);
  });
  signals?.onReload(() => supervisor.reload());
  const crash = (err: unknown) => {
    logger.fatal({ err }, 'uncaught error; the server stops');
    supervisor.stop('an error of the supervisor', exitCodes.failed);
  };
  process.on('uncaughtException', crash);
  process.on('unhandledRejection', crash);
  process.on('exit', (code) => {
    if (code === exitCodes.forced) supervisor.kill();
  });
  // Ignore EPIPE: losing the reader of the log must not stop the server.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
  logger.info({ version, shards: count, node: process.version }, 'starting shards');
  supervisor.start();
  control = await openControlSocket((command) => supervisor.control(command), options, logger).catch(
    (err: unknown) => {
      logger.warn({ err }, 'waggle plan and waggle apply cannot reach this server');
      return undefined;
    },
  );
}
