import { createHash } from 'node:crypto';

/** A Lua script, which is sent by its hash once the server knows it. */
export class RedisScript {
  readonly sha: string;

  constructor(readonly text: string) {
    this.sha = createHash('sha1').update(text).digest('hex');
  }

  /** Runs it on a connection; `send` sends one command. The server may forget a script at any time. */
  async run(
    send: (args: readonly string[]) => Promise<unknown>,
    keys: readonly string[],
    args: readonly string[],
  ): Promise<unknown> {
    const rest = [String(keys.length), ...keys, ...args];
    try {
      return await send(['EVALSHA', this.sha, ...rest]);
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
      return send(['EVAL', this.text, ...rest]);
    }
  }
}
