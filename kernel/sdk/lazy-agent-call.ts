import type { CallContext } from '../contracts/agent.js';
import type { Logger } from '../logger.js';
import { LazySignal, lazyProperty, type SignalSource } from './lazy-signal.js';

/** The origin of a `LazyAgentCall`. */
export interface AgentCallSource extends SignalSource {
  readonly logger: Logger;
}

const lazyLogger = lazyProperty(({ logger }: AgentCallSource) => logger);

/** The rest of a `CallContext`. */
type Context = {
  readonly [Key in 'headers' | 'timeoutMs' | 'userId' | 'connection']?: CallContext[Key] | undefined;
};

/** A `CallContext` whose signal and logger are created when an agent reads them: both are expensive, and most agents read neither. */
export class LazyAgentCall extends LazySignal<AgentCallSource> implements CallContext {
  declare readonly logger: Logger;
  readonly headers?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
  readonly userId?: string;
  readonly connection?: string;

  constructor(source: AgentCallSource, { headers, timeoutMs, userId, connection }: Context = {}) {
    super(source);
    if (headers) this.headers = headers;
    if (timeoutMs !== undefined) this.timeoutMs = timeoutMs;
    if (userId !== undefined) this.userId = userId;
    if (connection !== undefined) this.connection = connection;
    Object.defineProperty(this, 'logger', lazyLogger);
  }
}
