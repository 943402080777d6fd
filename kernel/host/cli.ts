import type { WaggleError } from '../errors.js';
import type { Kernel } from '../kernel.js';
import type { Logger, LogLevel } from '../logger.js';
import type { ChatSettings } from './commands/chat.js';
import type { PluginKind } from './commands/new.js';
import type { Config } from './config/read-config.js';
import { leftOpen, openHandles, ResourceLedger } from './resources.js';
import { StopSignals } from './stop-signals.js';

// First of all: everything below takes a while to load, and a signal that comes meanwhile is not to be lost.
const signals = process.argv[2] === 'start' ? new StopSignals() : undefined;
// Those two open when they are first asked for.
void [process.stdout, process.stderr];
const handlesBefore = openHandles();

const { Argument, Command } = await import('commander');
const { guardExit } = await import('./exit-guard.js');
const { layersOf } = await import('./config/layers.js');
const { loadPlugins } = await import('./loader/load-plugins.js');
const { readConfig } = await import('./config/read-config.js');
const errors = await import('../errors.js');
const kernels = await import('../kernel.js');
const { createLogger } = await import('../logger.js');
const { createPlugin, pluginKinds } = await import('./commands/new.js');
const { pluginTable } = await import('./commands/plugin-table.js');
const { version } = await import('../sdk/version.js');
const { messageOf } = errors;

interface Options {
  readonly config?: string;
  readonly profile?: string;
}

interface Prepared {
  readonly kernel: Kernel;
  readonly config: Config;
  readonly logger: Logger;
  readonly failures: readonly WaggleError[];
}

const exitCodes = { clean: 0, failed: 1, badConfig: 78, forced: 130 } as const;

const resources = new ResourceLedger();

let allowExit = () => {};

const program = new Command('waggle')
  .description('A server for AI agents that stream chat tokens')
  .version(version);
const command = (name: string, description: string) =>
  program
    .command(name)
    .description(description)
    .option('--config <file>', 'a YAML file over the defaults')
    .option('--profile <name>', 'a profile of the config folder', process.env.WAGGLE_PROFILE);
command('start', 'start the server')
  .option('--watch', 'reload plugins whose files change, while connections stay open')
  .action(start);
command('check', 'check the configuration and print the plugins in start order').action(checkOnly);
command('plugins', 'set up every plugin, open nothing, and print what each of them brings').action(list);
command('backup', 'copy what is kept to a new file, also while a server runs')
  .argument('<file>', 'the copy')
  .action(copy);
program
  .command('new')
  .description('write a new plugin, with a test that passes, into a folder')
  .addArgument(new Argument('<kind>', 'what it adds').choices(pluginKinds))
  .argument('<name>', 'its name, and that of the folder')
  .action(create);
program
  .command('chat')
  .description('talk to a running server')
  .argument('[url]', 'where it runs', 'ws://localhost:9797')
  .option('--agent <name>', 'who is to answer')
  .option('--model <name>', 'the model that is to answer')
  .option('--user <name>', 'who asks; a random name when absent')
  .action(talk);
await program.parseAsync();

async function start(options: Options & { readonly watch?: boolean }): Promise<void> {
  const { kernel, config, logger } = await prepare(options);
  exitOnCrash(kernel, logger);
  try {
    await kernel.start();
    // From here on the log says so when something ends the process.
    allowExit();
    if (options.watch) {
      const { PluginWatch } = await import('./loader/watch.js');
      // A stop may have come meanwhile.
      if (kernel.isRunning) new PluginWatch(kernel, config, logger);
    }
    logger.info({ version, state: kernel.state, node: process.version }, 'started');
  } catch (err) {
    // A stop during the start is a clean one; whoever stopped it ends the process.
    if (errors.WaggleError.is(err, 'KERNEL_START_ABORTED')) return;
    logger.fatal({ err }, 'the server did not start');
    process.stderr.write(`waggle: ${messageOf(err)}\n`);
    process.exit(exitCodes.failed);
  }
}

async function talk(url: string, settings: ChatSettings): Promise<void> {
  // Only here: a server must not pay for it.
  const { chat } = await import('./commands/chat.js');
  process.exitCode = await chat(url, settings);
}

async function copy(file: string, options: Options): Promise<void> {
  const { backUp } = await import('./commands/backup.js');
  const issues: string[] = [];
  const config = await readConfig(layersOf(options, issues));
  process.exitCode = await backUp({ ...config, issues: [...issues, ...config.issues] }, file);
}

function create(kind: PluginKind, name: string): void {
  try {
    const files = createPlugin(kind, name);
    process.stdout.write(
      `${files.map((file) => `${name}/${file}\n`).join('')}\nNext: cd ${name} && npm install && npm test\n`,
    );
  } catch (error) {
    process.stderr.write(`waggle: ${messageOf(error)}\n`);
    process.exitCode = exitCodes.failed;
  }
}

async function checkOnly(options: Options): Promise<void> {
  const { kernel } = await prepare(options);
  const { plugins } = kernel.inspect();
  const rows = (await kernel.check()).map((id, index) => {
    const { name, provides, optional } = plugins.find((plugin) => plugin.id === id) ?? {};
    const facts = [
      id === name ? '' : `(${name})`,
      optional ? 'optional' : '',
      provides?.length ? `provides ${provides.join(', ')}` : '',
    ];
    return [`${String(index + 1).padStart(3)}  ${id}`, ...facts.filter(Boolean)].join('  ');
  });
  process.stdout.write(`${rows.join('\n')}\nThe configuration is good.\n`);
}

async function list(options: Options): Promise<void> {
  const { kernel, failures } = await load(options, 'silent');
  const [missing] = failures;
  try {
    const report = await kernel.dryRun();
    const failed = report.plugins.some(({ state }) => state === 'failed');
    process.exitCode = failed ? exitCodes.failed : exitCodes.clean;
    // A plugin that left something behind must not hold up the end.
    process.stdout.write(pluginTable(report), () => process.exit());
  } catch (error) {
    // With a plugin missing, what others miss of it says nothing new.
    process.stderr.write(`waggle: ${messageOf(missing ?? error)}\n`);
    process.exit(exitCodes.failed);
  }
}

/** As `load`; ends the process with 1 as well, when a plugin could not be imported. */
async function prepare(options: Options): Promise<Prepared> {
  const prepared = await load(options);
  const { failures, logger } = prepared;
  const [failure] = failures;
  if (failure) {
    for (const err of failures) logger.fatal({ err }, 'a plugin could not be imported');
    process.stderr.write(`waggle: ${failure.message}\n`);
    process.exit(exitCodes.failed);
  }
  return prepared;
}

/** Reads the config, imports the plugins and checks all of it; ends the process with 78 and every mistake there is. */
async function load(options: Options, logLevel?: LogLevel): Promise<Prepared> {
  const issues: string[] = [];
  const config = await readConfig(layersOf(options, issues));
  const logger = createLogger(logLevel ?? config.server.logLevel);
  const { drainTimeoutMs, pluginTimeoutMs } = config.server;
  const { onPhase } = resources;
  const kernel = new kernels.Kernel({ drainTimeoutMs, pluginTimeoutMs, logger, onPhase });
  exitOnSignals(kernel, logger);
  // Until a server runs, no plugin ends the process.
  allowExit = guardExit();
  const loaded = await loadPlugins(kernel, config, logger);
  process.exitCode = undefined; // Whatever a plugin thinks of it.
  issues.push(...config.issues, ...loaded.issues);
  const found = await kernel.check().catch((error: WaggleError) => error);
  if (errors.WaggleError.is(found, 'KERNEL_CONFIG_INVALID')) issues.push(...found.details.issues);
  // With a plugin missing, what others miss of it says nothing new.
  else if (found instanceof errors.WaggleError && issues.length + loaded.failures.length === 0)
    issues.push(found.message);
  if (issues.length > 0) {
    process.stderr.write(`${issues.join('\n')}\n`);
    process.exit(exitCodes.badConfig);
  }
  return { kernel, config, logger, failures: loaded.failures };
}

/** From now on there is something to stop: plugins have effects from their import on. */
function exitOnSignals(kernel: Kernel, logger: Logger): void {
  signals?.onStop((signal) => {
    logger.info({ signal }, 'stopping; a second signal ends the process at once');
    void stop(kernel, logger, exitCodes.clean);
  });
}

/** Whatever nobody caught leaves the process in an unknown state: it says so, lets running replies end, and exits. */
function exitOnCrash(kernel: Kernel, logger: Logger): void {
  let crashed = false;
  const crash = (err: unknown) => {
    logger.fatal({ err, plugin: kernel.pluginOf(err) }, 'nobody caught this error; the server stops');
    if (crashed) return;
    crashed = true;
    void stop(kernel, logger, exitCodes.failed);
  };
  process.on('uncaughtException', crash);
  process.on('unhandledRejection', crash);
  process.on('exit', (code) => {
    if (kernel.isRunning)
      logger.fatal({ code }, 'something called process.exit while the server was running');
  });
  // Nobody reads the log any more; that is no reason to end, or to say so there.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
}

/** Stops everything and ends the process: not with 0 where something was left behind. */
async function stop(kernel: Kernel, logger: Logger, code: number): Promise<void> {
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
    logger.error(
      { kind, count, plugins: resources.openersOf(kind) },
      'handles were left open; use ctx.effect',
    );
    exitCode ||= exitCodes.failed;
  }
  logger.info({ exitCode }, 'shutdown complete');
  process.exit(exitCode);
}
