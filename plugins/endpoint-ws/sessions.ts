import { type ChatStreams, type Logger, type Socket, WaggleError, type WebSocketEndpoint } from '#kernel';
import type { Config } from './config.js';
import { clientParams, endpointDocs } from './docs.js';
import { Session, type SessionHost } from './session.js';

/** How long terminal frames may take to reach slow readers once everything else is over. */
const farewellMs = 1000;

/** All connections by client id; a client has one, and the newest wins. */
export class Sessions implements WebSocketEndpoint, SessionHost {
  readonly path = '/ws/{client_id}';
  readonly docs = endpointDocs;
  readonly streams: ChatStreams;
  readonly config: Config;
  readonly logger: Logger;
  readonly #current = new Map<string, Session>();
  readonly #open = new Set<Session>();
  #drainEndsAt: number | undefined;
  #whenDelivered: (() => void) | undefined;

  constructor(streams: ChatStreams, config: Config, logger: Logger) {
    this.streams = streams;
    this.config = config;
    this.logger = logger;
  }

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
