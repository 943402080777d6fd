import {
  type ServerFrame,
  type Socket,
  type SubmitOptions,
  type TaskRun,
  type TaskUpdate,
  toClientError,
  WaggleError,
} from '#kernel';
import { errorFrame, isJsonObject } from '#sdk';
import type { Asker, MessageFrame, TaskFrame } from './frames.js';
import type { SessionHost } from './session.js';

const portionChars = 32 * 1024;

interface About {
  readonly taskId: string;
  readonly requestId?: string;
}

/** Format of the frames about one run. */
interface Wording {
  update(update: TaskUpdate): object;
  output(output: unknown): object;
}

/** Task runs watched by one connection. A run continues without it, and is found by its id or the same `requestId`. */
export class SessionTasks {
  /** Dropped on close, so that a long-running task does not retain the connection. */
  #socket: Socket | undefined;
  readonly #asker: Asker;
  readonly #host: SessionHost;
  readonly #watched = new Map<string, AsyncIterableIterator<readonly TaskUpdate[]>>();
  /** Runs that are being submitted. */
  #pending = 0;

  constructor(socket: Socket, asker: Asker, host: SessionHost) {
    this.#socket = socket;
    this.#asker = asker;
    this.#host = host;
  }

  get size(): number {
    return this.#pending + this.#watched.size;
  }

  /** A `task` frame. @throws TASK_UNKNOWN, and errors of the engine */
  async run({ task, input, ...options }: TaskFrame): Promise<void> {
    if (!this.#host.tasks.find(task)?.exposed) throw new WaggleError('TASK_UNKNOWN', { task });
    const run = await this.#submit(task, input, options, (about) =>
      this.#send({ type: 'task_accepted', ...about }),
    );
    const about = aboutOf(run, options.requestId);
    await this.#watch(run, about, {
      update: ({ type, value }) => ({
        type: 'task_progress',
        ...about,
        progress: value,
        ...(type === 'partial' && { partial: true }),
      }),
      output: (output) => ({ type: 'task_result', ...about, output }),
    });
  }

  /** A frame whose type is the name of a task; the response frames have that type, too. */
  async answer({ name, input, requestId }: MessageFrame): Promise<void> {
    const run = await this.#submit(name, input, { requestId });
    const responseOf = (value: unknown) => ({
      type: name,
      ...(isJsonObject(value) ? value : { output: value }),
      ...(requestId !== undefined && { requestId }),
    });
    const wording = { update: ({ value }: TaskUpdate) => responseOf(value), output: responseOf };
    await this.#watch(run, aboutOf(run, requestId), wording);
  }

  /** @throws TASK_UNKNOWN when the run does not exist or has ended */
  async cancel(taskId: string): Promise<void> {
    const run = await this.#host.engine?.find(taskId, this.#asker.principal);
    if (!run || run.ended || !(await run.cancel())) throw new WaggleError('TASK_UNKNOWN', { task: taskId });
    // A watched run reports it itself.
    if (!this.#watched.has(taskId) && run.error) this.#send(errorFrame(run.error, { taskId }));
  }

  /** Called when the connection is closed. */
  leave(): void {
    for (const updates of this.#watched.values()) void updates.return?.();
    this.#socket = undefined;
  }

  /** The run is pending until it is watched. */
  async #submit(
    name: string,
    input: unknown,
    { requestId, ...options }: SubmitOptions & { readonly requestId?: string | undefined },
    accepted: (about: About) => void = () => {},
  ): Promise<TaskRun> {
    const { engine } = this.#host;
    if (!engine) throw new WaggleError('TASK_UNKNOWN', { task: name });
    let about: About | undefined;
    /** Told before its id was known. */
    let aheadAtFirst: number | undefined;
    const onQueued = (ahead: number) => {
      if (about) this.#send({ type: 'queue_update', ...about, ahead });
      else aheadAtFirst = ahead;
    };
    this.#pending++;
    try {
      const run = await engine.submit(name, input, {
        ...options,
        owner: this.#asker.userId,
        connection: this.#asker.connection,
        idempotencyKey: requestId,
        onQueued,
      });
      about = aboutOf(run, requestId);
      accepted(about);
      if (aheadAtFirst !== undefined) onQueued(aheadAtFirst);
      return run;
    } catch (error) {
      this.#pending--;
      this.#host.onDelivered();
      throw error;
    }
  }

  async #watch(run: TaskRun, about: About, wording: Wording): Promise<void> {
    this.#pending--;
    // It has closed meanwhile; or, a repeated request on the same connection, the run is already watched.
    if (!this.#socket || this.#watched.has(run.id)) return this.#host.onDelivered();
    const updates = run.updates();
    this.#watched.set(run.id, updates);
    try {
      for await (const batch of updates) {
        for (const frames of portions(batch.map((update) => JSON.stringify(wording.update(update)))))
          if (!this.#socket?.send(frames) && !(await this.#socket?.drained())) return;
      }
      if (!this.#socket || this.#socket.closed) return;
      if (run.error) this.#send(errorFrame(run.error, about));
      else this.#socket.send(JSON.stringify(wording.output(run.output)));
    } catch (err) {
      // Output of a task may not be serializable.
      this.#host.logger.error({ err, task: run.name }, 'the output of a task cannot be sent');
      this.#send(errorFrame(toClientError(err), about));
    } finally {
      this.#watched.delete(run.id);
      this.#host.onDelivered();
    }
  }

  #send(frame: ServerFrame): void {
    this.#socket?.send(JSON.stringify(frame));
  }
}

/** Frames in portions that fit the buffer of a connection: a long history of a run must not look like a slow reader. */
function* portions(frames: readonly string[]): Iterable<readonly string[]> {
  let portion: string[] = [];
  let chars = 0;
  for (const frame of frames) {
    if (portion.length > 0 && chars + frame.length > portionChars) {
      yield portion;
      portion = [];
      chars = 0;
    }
    portion.push(frame);
    chars += frame.length;
  }
  if (portion.length > 0) yield portion;
}

function aboutOf(run: TaskRun, requestId: string | undefined): About {
  return { taskId: run.id, ...(requestId !== undefined && { requestId }) };
}
