import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { PluginContext } from './contracts/plugin-context.js';
import type { ServicesOf, Token, TokenRecord } from './services.js';

/** A plugin is the object you write; `definePlugin` only types it. */
export interface Plugin<
  // biome-ignore-start lint/suspicious/noExplicitAny: a list of plugins holds any config and any services
  Config = any,
  Input = any,
  R extends TokenRecord = any,
  O extends TokenRecord = any,
  P extends Token<unknown> = any,
  // biome-ignore-end lint/suspicious/noExplicitAny: as above
> {
  readonly name: string;
  /** The version of this interface. */
  readonly apiVersion: 1;
  /** For reports; that of the package when absent. */
  readonly version?: string;
  /** Checks the plugin's part of the config file and fills in defaults. */
  readonly config?: StandardSchemaV1<Input, Config>;
  /** Keys whose change needs no restart: `ctx.config` has the new values, then hooks of `ctx.onConfig` run. `true`: all. */
  readonly live?: true | readonly (keyof NoInfer<Config> & string)[];
  /** Required services, by the names under which `setup` gets them. */
  readonly requires?: R;
  /** Services to be used where they exist. */
  readonly optional?: O;
  /** Tokens that `setup` provides. */
  readonly provides?: readonly P[];
  /** Several processes may use the plugin with the same config, and its services show the same in each. */
  readonly shared?: true;
  /** For `waggle backup`: copies all that the plugin keeps to a new file, also while a server runs. @throws BACKUP_FAILED */
  backup?(config: Config, file: string): Promise<void>;
  setup(
    ctx: PluginContext<Config, P>,
    services: ServicesOf<R> & Partial<ServicesOf<O>>,
  ): void | Promise<void>;
}

/** Types a plugin: `setup` gets the config and the services that the plugin declares. */
export function definePlugin<
  Config = undefined,
  Input = Config,
  const R extends TokenRecord = Record<never, never>,
  const O extends TokenRecord = Record<never, never>,
  P extends Token<unknown> = never,
>(plugin: Plugin<Config, Input, R, O, P>): Plugin<Config, Input, R, O, P> {
  return plugin;
}

/** The config of a plugin before defaults are filled in. */
// biome-ignore lint/suspicious/noExplicitAny: only Input matters here
export type ConfigInput<T> = T extends Plugin<any, infer Input, any, any, any> ? Input : never;
