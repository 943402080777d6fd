import { type ChatStreams, type Logger, type Socket, WaggleError, type WebSocketEndpoint } from '#kernel';
import { Session } from './session.js';

const clientIds = /^[A-Za-z0-9._~-]{1,128}$/;
/** How long terminal frames may take to reach slow readers once everything else is over. */
const farewellMs = 1000;

/** All connections by client id; a client has one, and the newest wins. */
export class Sessions implements WebSocketEndpoint {
  readonly path = '/ws/{client_id}';
  readonly #current = new Map<string, Session>();
  readonly #open = new Set<Session>();
  readonly #streams: ChatStreams;
  readonly #maxStreams: number;
  readonly #logger: Logger;
  #onDelivered: (() => void) | undefined;

  constructor(streams: ChatStreams, maxStreams: number, logger: Logger) {
    this.#streams = streams;
    this.#maxStreams = maxStreams;
    this.#logger = logger;
  }

  /** @throws INVALID_REQUEST */
  accept({ params }: { readonly params: Readonly<Record<string, string>> }): void {
    if (!clientIds.test(params.client_id ?? ''))
      throw new WaggleError('INVALID_REQUEST', {
        mistakes: ['client_id: expected 1 to 128 characters of A-Z a-z 0-9 . _ ~ -'],
      });
  }

  open(socket: Socket): Session {
    const clientId = socket.params.client_id as string;
    const session = new Session(socket, clientId, this.#streams, this.#maxStreams, this.#logger, this);
    this.#current.get(clientId)?.close(4409, 'taken over by a newer connection');
    this.#current.set(clientId, session);
    this.#open.add(session);
    return session;
  }

  onClosed(session: Session): void {
    this.#open.delete(session);
    // A late close of the old connection must not remove the one that took over.
    if (this.#current.get(session.clientId) === session) this.#current.delete(session.clientId);
    this.onDelivered();
  }

  onDelivered(): void {
    this.#onDelivered?.();
  }

  /** Resolves when every reply was delivered, or soon after the deadline. */
  async drain(deadline: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#onDelivered = () => {
        if ([...this.#open].every((session) => session.idle)) resolve();
      };
      const late = () => setTimeout(resolve, farewellMs).unref();
      if (deadline.aborted) late();
      else deadline.addEventListener('abort', late, { once: true });
      this.onDelivered();
    });
    this.#onDelivered = undefined;
  }
}
