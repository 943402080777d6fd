import {
  type EndpointDocs,
  type Socket,
  type TaskDefinition,
  WaggleError,
  type WebSocketEndpoint,
} from '#kernel';
import { clientParams, docsOf, ownTypes } from './docs.js';
import { Session, type SessionHost } from './session.js';

/** How long terminal frames may take to reach slow readers once everything else is over. */
const farewellMs = 1000;

/** What sessions need. */
export type SessionSettings = Pick<SessionHost, 'streams' | 'engine' | 'tasks' | 'config' | 'bus' | 'logger'>;

/** All connections by client id; a client has one, and the newest wins. */
export class Sessions implements WebSocketEndpoint, SessionHost {
  readonly path = '/ws/{client_id}';
  readonly streams: SessionHost['streams'];
  readonly engine: SessionHost['engine'];
  readonly tasks: SessionHost['tasks'];
  readonly config: SessionHost['config'];
  readonly bus: SessionHost['bus'];
  readonly logger: SessionHost['logger'];
  readonly #current = new Map<string, Session>();
  readonly #open = new Set<Session>();
  #drainEndsAt: number | undefined;
  #whenDelivered: (() => void) | undefined;

  constructor({ streams, engine, tasks, config, bus, logger }: SessionSettings) {
    this.streams = streams;
    this.engine = engine;
    this.tasks = tasks;
    this.config = config;
    this.bus = bus;
    this.logger = logger;
  }

  get docs(): EndpointDocs {
    return docsOf(this.tasks);
  }

  /** Looks at a task that was registered. @throws when its name is a type of frames that are ours */
  added({ name, message }: TaskDefinition): void {
    if (message && ownTypes.has(name)) throw new Error(`frames of the type "${name}" are the server's own`);
  }

  removed(): void {}

  /** @throws INVALID_REQUEST */
  accept({ params }: { readonly params: Readonly<Record<string, string>> }): void {
    if (!clientParams.safeParse(params).success)
      throw new WaggleError('INVALID_REQUEST', {
        mistakes: ['client_id: expected 1 to 128 characters of A-Z a-z 0-9 . _ ~ -'],
      });
  }

  open(socket: Socket): Session {
    const clientId = socket.params.client_id as string;
    const session = new Session(socket, clientId, this);
    this.#current.get(clientId)?.close(4409, 'taken over by a newer connection');
    this.#current.set(clientId, session);
    this.#open.add(session);
    if (this.#drainEndsAt !== undefined) this.#announceDrain(session, this.#drainEndsAt);
    return session;
  }

  onClosed(session: Session): void {
    this.#open.delete(session);
    // A late close of the old connection must not remove the one that took over.
    if (this.#current.get(session.clientId) === session) this.#current.delete(session.clientId);
    this.onDelivered();
  }

  onDelivered(): void {
    this.#whenDelivered?.();
  }

  /** Resolves when every answer was delivered, or soon after the deadline. */
  async drain(deadline: AbortSignal, timeoutMs: number): Promise<void> {
    this.#drainEndsAt = performance.now() + timeoutMs;
    for (const session of this.#open) this.#announceDrain(session, this.#drainEndsAt);
    let late: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#whenDelivered = () => {
        if ([...this.#open].every((session) => session.idle)) resolve();
      };
      const wait = () => {
        late = setTimeout(resolve, farewellMs);
      };
      if (deadline.aborted) wait();
      else deadline.addEventListener('abort', wait, { once: true });
      this.onDelivered();
    });
    clearTimeout(late);
    this.#whenDelivered = undefined;
  }

  #announceDrain(session: Session, endsAt: number): void {
    session.announceDrain(Math.max(0, Math.round(endsAt - performance.now())));
  }
}
