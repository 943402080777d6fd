import { WaggleError } from '../../errors.js';

/** A client of the package `@redis/client`, as far as it is used here. */
export interface RedisClient {
  connect(): Promise<unknown>;
  destroy(): void;
  sendCommand(args: readonly (string | Buffer)[]): Promise<unknown>;
  subscribe(
    channels: readonly string[],
    listener: (message: string, channel: string) => void,
  ): Promise<unknown>;
  on(event: string, listener: (error: Error) => void): unknown;
}

/** The package `@redis/client`, as far as it is used here. */
export interface RedisLibrary {
  createClient(options: object): RedisClient;
}

/** A text to the compiler, which does not find it where it is not installed. */
const name: string = '@redis/client';
/** The version that the tests run with. */
const version = '6.3.1';

/** Loads `@redis/client`, which is not installed with this package. @throws ENGINE_UNUSABLE */
export async function loadRedis(load: () => Promise<unknown> = () => import(name)): Promise<RedisLibrary> {
  try {
    return (await load()) as RedisLibrary;
  } catch (cause) {
    const isMissing = (cause as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND';
    const why = isMissing
      ? `the package ${name} is not installed: npm install ${name}@${version}`
      : `the package ${name} cannot be loaded: npm install ${name}@${version} may mend it`;
    throw new WaggleError('ENGINE_UNUSABLE', { engine: 'Redis', why }, { cause });
  }
}
