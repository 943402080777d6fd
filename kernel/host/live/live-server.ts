import { PluginWatch } from '../loader/watch.js';
import { ConfigWatch } from './config-watch.js';
import { control } from './control.js';
import { openControlSocket, type TakeCommand } from './control-socket.js';
import { differenceText } from './difference-text.js';
import { isStopping, LiveConfig, type LiveServer } from './live-config.js';
import { touchedBy } from './touched.js';

/** A server that follows its config until it drains. */
export interface Following {
  /** Applies the config, and logs the outcome. */
  reload(why: string): Promise<void>;
}

/** Lets a running server follow its config: on command, and where it is asked to, when files change. */
export async function followConfig(server: LiveServer, watchPlugins: boolean): Promise<Following> {
  const { kernel, logger, options, shard } = server;
  const live = new LiveConfig(server);
  const applyAndLog = async (why: string) => {
    waiting = undefined;
    const touched = touchedBy(kernel);
    try {
      const change = differenceText(await live.apply(), touched)
        .trim()
        .split('\n');
      logger.info({ why, change }, 'the config was applied');
    } catch (err) {
      if (!isStopping(err))
        logger.error({ err, why }, 'the config was not applied; the server goes on as it was');
    }
  };

  let last = Promise.resolve();
  let waiting: Promise<void> | undefined;
  // One that waits reads all that has changed until it begins.
  const reload = (why: string) => {
    waiting ??= last = last.then(() => applyAndLog(why));
    return waiting;
  };

  const plugins = watchPlugins ? new PluginWatch(live) : undefined;
  plugins?.start();
  let files: ConfigWatch | undefined;
  const watchFiles = () => {
    const isOn = kernel.isRunning && (watchPlugins || live.config.server.reload);
    // A file may have changed again meanwhile, which a new watch would not know.
    if (isOn && files?.isOf(live.config)) return;
    files?.close();
    files = isOn
      ? new ConfigWatch(options, live.config, logger, () => void reload('a file has changed'))
      : undefined;
  };
  watchFiles();
  live.onApplied(() => {
    plugins?.follow();
    watchFiles();
  });

  const take: TakeCommand = (command) => control(live, command);
  const commands =
    shard?.takeCommands(take) ??
    (await openControlSocket(take, options, logger).catch((err: unknown) => {
      logger.warn({ err }, 'waggle plan and waggle apply cannot reach this server');
    }));
  const close = () => {
    files?.close();
    plugins?.close();
    commands?.close();
  };
  kernel.bus.on('kernel:state', ({ to }) => {
    if (to === 'draining') close();
  });
  // A stop may have come meanwhile.
  if (!kernel.isRunning) close();
  return { reload };
}
