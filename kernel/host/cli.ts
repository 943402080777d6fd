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
    .option('--config <file>', 'YAML file that overrides the defaults')
    .option('--profile <name>', 'profile in the config folder; WAGGLE_PROFILE when absent');
command('start', 'start the server')
  .option(
    '--watch',
    'reload plugins and the configuration when their files change, while connections stay open',
  )
  .action(async (options) => (await import('./commands/start.js')).start(options, { signals, handles }));
command('check', 'check the configuration and print the plugins in start order')
  .option('--print', 'print the whole configuration, and where each value was set')
  .action(async (options) => (await import('./commands/check.js')).check(options));
const ofServer = (name: string, description: string) =>
  command(name, description).option('--pid <pid>', 'process of the server, where several run');
ofServer('plan', 'print what a changed configuration changes in the running server').action(async (options) =>
  (await import('./commands/live.js')).plan(options),
);
ofServer('apply', 'apply a changed configuration to the running server').action(async (options) =>
  (await import('./commands/live.js')).apply(options),
);
command('plugins', 'set up every plugin without listening, and print what each one registers').action(
  async (options) => (await import('./commands/plugins.js')).plugins(options),
);
command('backup', 'copy the stored conversations to a new file, even while a server is running')
  .argument('<file>', 'path of the copy')
  .action(async (file, options) => (await import('./commands/backup.js')).backUp(options, file));
program
  .command('import')
  .description('send exported conversations to a running server')
  .argument('<file>', 'file of JSON lines from GET /conversations/export; - for standard input')
  .argument('[url]', 'address of the server', 'http://localhost:9797')
  .option('--user <name>', 'user who will have them; required by an open server')
  .action(async (file, url, settings) =>
    (await import('./commands/import.js')).importFile(file, url, settings),
  );
program
  .command('new')
  .description('create a folder with a new plugin and a passing test')
  .addArgument(new Argument('<kind>', 'kind of plugin').choices(pluginKinds))
  .argument('<name>', 'name of the plugin and of its folder')
  .action(async (kind, name) => (await import('./commands/new.js')).newPlugin(kind, name));
program
  .command('key')
  .description('make a key for access-keys, and show it once')
  .addArgument(new Argument('<action>', 'what to do').choices(['new']))
  .argument('<user>', 'the user who will have it')
  .option('--file <file>', 'file of keys that its entry is added to')
  .action(async (_action, user, options) => (await import('./commands/key.js')).newKey(user, options));
program
  .command('chat')
  .description('talk to a running server')
  .argument('[url]', 'address of the server', 'ws://localhost:9797')
  .option('--agent <name>', 'agent to ask')
  .option('--model <name>', 'model to use')
  .option('--user <name>', 'user name; random by default')
  .action(async (url, settings) => (await import('./commands/chat.js')).chat(url, settings));
await program.parseAsync();
