import { messageOf, WaggleError } from '../../errors.js';
import type { Kernel } from '../../kernel.js';
import type { Logger } from '../../logger.js';
import { version } from '../../sdk/version.js';
import { type ConfigOptions, loadConfig } from '../config/load-config.js';
import { type Following, followConfig } from '../live/live-server.js';
import { prepareWhole } from '../prepare.js';
import { leftOpen, type openHandles, ResourceLedger } from '../resources.js';
import type { Shard } from '../shards/shard.js';
import { shardCount, shardVariable } from '../shards/shard-count.js';
import { exitCodes, type StopSignals } from '../stop-signals.js';

/** The process as it was before anything else was loaded. */
interface Early {
  readonly signals: StopSignals | undefined;
  readonly handles: ReturnType<typeof openHandles>;
}

/** `waggle start`: runs until a signal or a crash. */
export async function start(
  options: ConfigOptions & { readonly watch?: boolean },
  { signals, handles }: Early,
): Promise<void> {
  const config = await loadConfig(options);
  const shard = await shardOf(signals);
  const count = shardCount(config.server);
  if (!shard && count > 1 && config.issues.length === 0) {
    const { supervise } = await import('../shards/supervise.js');
    return supervise(options, config, count, signals);
  }
  const resources = new ResourceLedger();
  const stop = (kernel: Kernel, logger: Logger, code: number) =>
    void exitAfterStop(kernel, logger, code, resources, handles);
  let following: Following | undefined;
  const { kernel, logger, logLevels, files, allowExit } = await prepareWhole({
    ...options,
    ...{ loaded: config, shard },
    onPhase: resources.onPhase,
    onKernel: (kernel, logger) => {
      signals?.onStop((signal) => {
        logger.info({ signal }, 'stopping; a second signal ends the process at once');
        stop(kernel, logger, exitCodes.clean);
      });
      signals?.onReload(() => {
        logger.info('SIGHUP: certificates and the config are read again');
        kernel.bus.emit('server:reload', {});
        void following?.reload('SIGHUP');
      });
    },
  });
  exitOnCrash(kernel, logger, () => stop(kernel, logger, exitCodes.failed));
  try {
    await kernel.start();
    // From here on `exitOnCrash` logs an exit.
    allowExit();
    const server = { options, kernel, config, logger, logLevels, files, shard };
    if (kernel.isRunning) following = await followConfig(server, options.watch ?? false);
    logger.info({ version, state: kernel.state, node: process.version }, 'started');
    shard?.started();
  } catch (err) {
    // A stop during the start is a clean one, and ends the process itself.
    if (WaggleError.is(err, 'KERNEL_START_ABORTED')) return;
    logger.fatal({ err }, 'the server did not start');
    process.stderr.write(`waggle: ${messageOf(err)}\n`);
    process.exit(exitCodes.failed);
  }
}

/** This process as one of several of a server, where it is. */
async function shardOf(signals: StopSignals | undefined): Promise<Shard | undefined> {
  if (!signals || process.env[shardVariable] === undefined) return undefined;
  const { Shard } = await import('../shards/shard.js');
  return Shard.ofProcess(signals);
}

/** On an uncaught error: log, drain, exit 1. */
function exitOnCrash(kernel: Kernel, logger: Logger, stop: () => void): void {
  let crashed = false;
  const crash = (err: unknown) => {
    logger.fatal({ err, plugin: kernel.pluginOf(err) }, 'uncaught error; the server stops');
    if (crashed) return;
    crashed = true;
    stop();
  };
  process.on('uncaughtException', crash);
  process.on('unhandledRejection', crash);
  process.on('exit', (code) => {
    if (kernel.isRunning)
      logger.fatal({ code }, 'something called process.exit while the server was running');
  });
  // Ignore EPIPE: losing the reader of the log must not stop the server.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
}

/** Stops the kernel and exits with `code`, or with 1 instead of 0 where something was left behind. */
async function exitAfterStop(
  kernel: Kernel,
  logger: Logger,
  code: number,
  resources: ResourceLedger,
  handlesBefore: Early['handles'],
): Promise<void> {
  let exitCode = code;
  try {
    await kernel.stop();
  } catch (err) {
    logger.error({ err }, 'the stop was not complete');
  }
  if (kernel.leftBehind.length > 0) exitCode ||= exitCodes.failed;
  // A timer that outlives its plugin runs code that is no longer there.
  for (const [plugin, timers] of resources.leftTimers()) {
    logger.warn({ plugin, timers }, 'a plugin left timers running; use ctx.effect');
    exitCode ||= exitCodes.failed;
  }
  for (const [kind, count] of await leftOpen(handlesBefore)) {
    const plugins = resources.openersOf(kind);
    logger.error({ kind, count, plugins }, 'handles were left open; use ctx.effect');
    exitCode ||= exitCodes.failed;
  }
  logger.info({ exitCode }, 'shutdown complete');
  process.exit(exitCode);
}
