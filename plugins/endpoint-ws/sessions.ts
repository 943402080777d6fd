import {
  closeCode,
  type EndpointDocs,
  type Socket,
  type TaskDefinition,
  WaggleError,
  type WebSocketEndpoint,
} from '#kernel';
import { clientParams, docsOf, ownTypes } from './docs.js';
import { Session, type SessionHost } from './session.js';
import { Takeovers } from './takeovers.js';

/** Extra time after the deadline for terminal frames to reach slow readers. */
const farewellMs = 1000;

export type SessionSettings = Omit<SessionHost, 'onClosed' | 'onDelivered'>;

/** All connections by user and client id. A client has one: the newest. */
export class Sessions implements WebSocketEndpoint {
  readonly path = '/ws/{client_id}';
  readonly protocol = 'waggle.v1';
  readonly #host: SessionHost;
  readonly #current = new Map<string, Session>();
  readonly #open = new Set<Session>();
  readonly #takeovers: Takeovers;
  /** Sessions that were taken over and will be closed soon, by client id. */
  readonly #leaving = new Map<string, { readonly session: Session; readonly timer: NodeJS.Timeout }>();
  #drainEndsAt: number | undefined;
  /** The session that the drain waits for. */
  #awaited: { readonly session: Session; readonly resolve: () => void } | undefined;

  constructor(settings: SessionSettings) {
    this.#takeovers = new Takeovers(settings.logger);
    this.#host = {
      ...settings,
      onClosed: (session) => this.#closed(session),
      onDelivered: () => this.#delivered(),
    };
  }

  get docs(): EndpointDocs {
    return docsOf(this.#host.tasks);
  }

  /** Called for each registered task. @throws when its name is a built-in frame type */
  added({ name, message }: TaskDefinition): void {
    if (message && ownTypes.has(name)) throw new Error(`"${name}" is one of the server's own frame types`);
  }

  removed(): void {}

  /** @throws INVALID_REQUEST */
  accept({ params }: { readonly params: Readonly<Record<string, string>> }): void {
    if (!clientParams.safeParse(params).success)
      throw new WaggleError('INVALID_REQUEST', {
        issues: ['client_id: expected 1 to 128 characters of A-Z a-z 0-9 . _ ~ -'],
      });
  }

  open(socket: Socket): Session {
    const clientId = socket.params.client_id as string;
    const session = new Session(socket, clientId, this.#host);
    const older = this.#current.get(session.key);
    if (older) this.#replace(older);
    this.#current.set(session.key, session);
    this.#open.add(session);
    if (this.#drainEndsAt !== undefined) this.#announceDrain(session, this.#drainEndsAt);
    return session;
  }

  #closed(session: Session): void {
    this.#open.delete(session);
    // A late close of an old connection must not remove its successor.
    if (this.#current.get(session.key) === session) this.#current.delete(session.key);
    if (this.#leaving.get(session.key)?.session === session) this.#stopLeaving(session.key);
    this.#delivered();
  }

  #delivered(): void {
    const { session, resolve } = this.#awaited ?? {};
    if (session && (session.idle || !this.#open.has(session))) resolve?.();
  }

  /** Resolves when all replies are delivered, or soon after the deadline. */
  async drain(deadline: AbortSignal, timeoutMs: number): Promise<void> {
    this.#drainEndsAt = performance.now() + timeoutMs;
    for (const session of this.#open) this.#announceDrain(session, this.#drainEndsAt);
    let late: NodeJS.Timeout | undefined;
    const over = new Promise<void>((resolve) => {
      const wait = () => {
        late = setTimeout(resolve, farewellMs);
      };
      if (deadline.aborted) wait();
      else deadline.addEventListener('abort', wait, { once: true });
    });
    await Promise.race([this.#allIdle(), over]);
    clearTimeout(late);
    this.#awaited = undefined;
  }

  /** Waits for one session at a time: checking all of them on each delivery would be quadratic. */
  async #allIdle(): Promise<void> {
    let waited: boolean;
    do {
      waited = false;
      for (const session of this.#open) {
        if (session.idle) continue;
        await new Promise<void>((resolve) => {
          this.#awaited = { session, resolve };
        });
        waited = true;
      }
      // Earlier sessions may have resumed a reply meanwhile.
    } while (waited);
  }

  /** Closes the older connection of a client, after a delay when takeovers repeat. */
  #replace(session: Session): void {
    const { key } = session;
    const leave = (each: Session) => each.close(closeCode.takenOver, 'taken over by a newer connection');
    const before = this.#leaving.get(key);
    this.#stopLeaving(key);
    if (before) leave(before.session);
    const delayMs = this.#takeovers.next(key, performance.now());
    if (delayMs === 0) leave(session);
    else {
      const timer = setTimeout(() => {
        this.#leaving.delete(key);
        leave(session);
      }, delayMs);
      this.#leaving.set(key, { session, timer });
    }
  }

  #stopLeaving(key: string): void {
    clearTimeout(this.#leaving.get(key)?.timer);
    this.#leaving.delete(key);
  }

  #announceDrain(session: Session, endsAt: number): void {
    session.announceDrain(Math.max(0, Math.round(endsAt - performance.now())));
  }
}
