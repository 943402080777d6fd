import type { PluginKind } from './commands/new.js';
import { openHandles } from './resources.js';
import { StopSignals } from './stop-signals.js';

// Before everything else, which takes a while to load: a signal that comes meanwhile must not be lost.
const signals = process.argv[2] === 'start' ? new StopSignals() : undefined;
// These two open on first access.
void [process.stdout, process.stderr];
const handles = openHandles();

const { Argument, Command } = await import('commander');
const { version } = await import('../sdk/version.js');

const pluginKinds: readonly PluginKind[] = ['agent', 'task', 'endpoint'];

// Each command imports its own module: one does not pay for the others.
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
  .action(async (options) => (await import('./commands/start.js')).start(options, { signals, handles }));
command('check', 'check the configuration and print the plugins in start order').action(async (options) =>
  (await import('./commands/check.js')).check(options),
);
command('plugins', 'set up every plugin, open nothing, and print what each of them brings').action(
  async (options) => (await import('./commands/plugins.js')).plugins(options),
);
command('backup', 'copy what is kept to a new file, also while a server runs')
  .argument('<file>', 'the copy')
  .action(async (file, options) => (await import('./commands/backup.js')).backUp(options, file));
program
  .command('new')
  .description('write a new plugin, with a test that passes, into a folder')
  .addArgument(new Argument('<kind>', 'what it adds').choices(pluginKinds))
  .argument('<name>', 'its name, and that of the folder')
  .action(async (kind, name) => (await import('./commands/new.js')).newPlugin(kind, name));
program
  .command('chat')
  .description('talk to a running server')
  .argument('[url]', 'where it runs', 'ws://localhost:9797')
  .option('--agent <name>', 'who is to answer')
  .option('--model <name>', 'the model that is to answer')
  .option('--user <name>', 'who asks; a random name when absent')
  .action(async (url, settings) => (await import('./commands/chat.js')).chat(url, settings));
await program.parseAsync();
