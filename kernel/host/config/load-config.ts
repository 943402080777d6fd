import { type ConfigEnvironment, environmentOf } from './env-file.js';
import { layersOf } from './layers.js';
import { type Config, readConfig } from './read-config.js';

/** Options of every command that reads a config. */
export interface ConfigOptions {
  readonly config?: string;
  readonly profile?: string;
}

/** A config with the places that it was read from. */
export interface LoadedConfig extends Config {
  readonly files: readonly string[];
  readonly environment: ConfigEnvironment;
}

/** Reads the files that the options of a command name, with the environment. Never throws: every error is in `issues`. */
export async function loadConfig(options: ConfigOptions): Promise<LoadedConfig> {
  const issues: string[] = [];
  const environment = environmentOf(options.config, issues);
  const files = layersOf(options, environment.values, issues);
  const config = await readConfig(files, environment.values);
  return { ...config, files, environment, issues: [...issues, ...config.issues] };
}
