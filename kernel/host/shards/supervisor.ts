import cluster, { type Worker } from 'node:cluster';
import type { ShardAnswer } from '../../contracts/shards.js';
import type { Logger } from '../../logger.js';
import { BackOff } from '../../sdk/back-off.js';
import type { ControlAnswer, ControlCommand } from '../live/control-socket.js';
import { exitCodes } from '../stop-signals.js';
import { Calls, type Channel } from './calls.js';
import { PortLocks } from './port-locks.js';
import { shardVariable } from './shard-count.js';

const answerTimeoutMs = 1000;
const controlTimeoutMs = 10 * 60_000;
/** A shard that has run for so long starts at once after a crash, however many it had before. */
const calmMs = 30_000;

interface Child {
  readonly index: number;
  readonly backOff: BackOff;
  running: Running | undefined;
  restart: NodeJS.Timeout | undefined;
}

interface Running {
  readonly worker: Worker;
  readonly calls: Calls;
  readonly bornAtMs: number;
  hasStarted: boolean;
}

interface Address {
  readonly host: string;
  readonly port: number;
}

interface Question {
  readonly topic: string;
  readonly body: unknown;
}

/** Starts the processes of a server, starts those that crash again, and ends with them. It has no plugins. */
export class Supervisor {
  readonly #children: readonly Child[];
  readonly #stopTimeoutMs: number;
  readonly #logger: Logger;
  readonly #ports = new PortLocks();
  readonly #end: (exitCode: number) => void;
  #exitCode: number = exitCodes.clean;
  /** Once the first shard has started: until then, its failure is that of the server. */
  #hasStarted = false;
  #stopTimer: NodeJS.Timeout | undefined;
  /** Why all of them stop, once they do. */
  #why: string | undefined;

  /** `end` is called once, when all have ended after a stop, or where the server cannot start. */
  constructor(count: number, stopTimeoutMs: number, logger: Logger, end: (exitCode: number) => void) {
    this.#children = Array.from({ length: count }, (_, index) => ({
      ...{ index, backOff: new BackOff(), running: undefined, restart: undefined },
    }));
    this.#stopTimeoutMs = stopTimeoutMs;
    this.#logger = logger;
    this.#end = end;
  }

  /** Starts the first shard, which shows whether the config is good, and the others when it has started. */
  start(): void {
    this.#start(this.#children[0] as Child);
  }

  /** Lets all of them drain. Those that do not end in time are killed. */
  stop(why: string, exitCode: number = exitCodes.clean): void {
    this.#exitCode ||= exitCode;
    if (this.#isStopping) return;
    this.#why = why;
    for (const { restart, running } of this.#children) {
      clearTimeout(restart);
      running?.calls.tell('stop', why);
    }
    this.#stopTimer = setTimeout(() => this.#killLate(), this.#stopTimeoutMs);
    this.#endIfDone();
  }

  reload(): void {
    for (const { running } of this.#children) running?.calls.tell('reload');
  }

  /** Ends all of them at once. */
  kill(): void {
    for (const { running } of this.#children) running?.worker.process.kill('SIGKILL');
  }

  /** The outcome of a command for all shards, one after the other: a change that one refuses does not reach the next. */
  async control(command: ControlCommand): Promise<ControlAnswer> {
    const texts: string[] = [];
    let code: number = exitCodes.clean;
    for (const { index, running } of this.#children) {
      if (!running?.hasStarted) continue;
      const answer = (await running.calls
        .call('control', command, controlTimeoutMs)
        .catch((error: Error) => ({
          text: `waggle: ${error.message}\n`,
          code: exitCodes.failed,
        }))) as ControlAnswer;
      texts.push(`shard ${index}:\n${answer.text}`);
      code = answer.code;
      if (code !== exitCodes.clean) break;
    }
    if (texts.length === 0)
      return { text: 'waggle: the server is starting or stopping\n', code: exitCodes.failed };
    const bare = new Set(texts.map((text) => text.slice(text.indexOf('\n') + 1)));
    return { text: bare.size === 1 ? [...bare].join('') : texts.join(''), code };
  }

  get #isStopping(): boolean {
    return this.#why !== undefined;
  }

  #start(child: Child): void {
    const { index } = child;
    const worker = cluster.fork({ [shardVariable]: `${index}/${this.#children.length}` });
    const calls: Calls = new Calls(worker as Channel, {
      // What was sent before is lost.
      listening: () => this.#isStopping && calls.tell('stop', this.#why),
      started: () => this.#onStarted(child),
      reserve: ({ host, port }: Address) => this.#ports.reserve(index, host, port),
      release: ({ host, port }: Address) => this.#ports.release(index, host, port),
      ask: (question: Question) => this.#ask(index, question),
    });
    child.running = { worker, calls, bornAtMs: performance.now(), hasStarted: false };
    worker.once('exit', (code, signal) => this.#onExit(child, code, signal));
    worker.on('error', (err) => {
      this.#logger.error({ err, shard: index }, 'the channel to a shard failed');
      // One that could not be started at all has no other end.
      if (worker.process.pid === undefined) this.#onExit(child, exitCodes.failed, null);
    });
  }

  #onStarted({ index, running }: Child): void {
    if (running) running.hasStarted = true;
    this.#logger.info({ shard: index, pid: running?.worker.process.pid }, 'a shard has started');
    if (this.#hasStarted) return;
    this.#hasStarted = true;
    for (const child of this.#children) if (!child.running && !this.#isStopping) this.#start(child);
  }

  #onExit(child: Child, code: number | null, signal: string | null): void {
    const { index, running, backOff } = child;
    if (!running) return;
    child.running = undefined;
    running.calls.close();
    const isBad = code === exitCodes.badConfig || !this.#hasStarted;
    const ended = { shard: index, pid: running.worker.process.pid, exitCode: code, signal };
    if (this.#isStopping || isBad) {
      // A signal for all processes may come to one that has no handler yet.
      const isStopped = this.#isStopping && (signal === 'SIGTERM' || signal === 'SIGINT');
      this.#exitCode ||= isStopped ? exitCodes.clean : (code ?? exitCodes.failed);
      if (this.#hasStarted && !this.#isStopping)
        this.#logger.fatal(ended, 'a shard refuses the config; all of them stop');
      this.stop('the config');
      this.#endIfDone();
      return;
    }
    if (performance.now() - running.bornAtMs > calmMs) backOff.succeeded();
    backOff.failed();
    const restartInMs = Math.round(backOff.leftMs);
    this.#logger.error({ ...ended, restartInMs }, 'a shard has ended; another one takes its place');
    child.restart = setTimeout(() => this.#start(child), restartInMs);
  }

  async #ask(from: number, question: Question): Promise<readonly ShardAnswer[]> {
    const others = this.#children.filter(({ index }) => index !== from);
    return Promise.all(
      others.map(async ({ index, running }): Promise<ShardAnswer> => {
        if (!running?.hasStarted) return { shard: index };
        return running.calls.call('asked', question, answerTimeoutMs).then(
          (body) => ({ shard: index, body }),
          () => ({ shard: index }),
        );
      }),
    );
  }

  #killLate(): void {
    const shards = this.#children.filter(({ running }) => running).map(({ index }) => index);
    this.#logger.error({ shards }, 'shards did not end in time, and are killed');
    this.#exitCode ||= exitCodes.failed;
    this.kill();
  }

  #endIfDone(): void {
    if (!this.#isStopping || this.#children.some(({ running }) => running)) return;
    clearTimeout(this.#stopTimer);
    this.#ports.close();
    this.#end(this.#exitCode);
  }
}
