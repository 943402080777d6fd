import type { EndpointDocs, Limits, Logger, Socket, WebSocketEndpoint } from '#kernel';
import { Idleness } from '#sdk';
import type { Models } from '#sdk/dialect';
import type { Config } from './config.js';
import { socketDocs } from './docs.js';
import type { Responses } from './responses.js';
import { ResponseSession } from './session.js';

/** Services that all connections share. */
export interface SessionServices {
  readonly responses: Responses;
  readonly models: Models;
  readonly limits: Limits | undefined;
  readonly logger: Logger;
  readonly config: Config;
}

/** The same, with callbacks of sessions. */
export interface SessionHost extends SessionServices {
  onClosed(session: ResponseSession): void;
  /** A response was delivered or given up. */
  onDelivered(): void;
}

/** The WebSockets at `/v1/responses`. */
export class ResponseSockets implements WebSocketEndpoint {
  readonly path: string;
  readonly credentials = 'handshake';
  readonly frameLimitBytes: number;
  readonly limitedBy: string;
  readonly docs: EndpointDocs = socketDocs;
  readonly #host: SessionHost;
  readonly #open = new Set<ResponseSession>();
  readonly #idleness = new Idleness(this.#open);

  /** `limitedBy` is the plugin whose config sets the limit of frames. */
  constructor(path: string, limitedBy: string, services: SessionServices) {
    this.path = path;
    this.limitedBy = limitedBy;
    this.frameLimitBytes = services.config.frameLimitBytes;
    this.#host = {
      ...services,
      onClosed: (session) => {
        this.#open.delete(session);
        this.#idleness.changed();
      },
      onDelivered: () => this.#idleness.changed(),
    };
  }

  open(socket: Socket): ResponseSession {
    const session = new ResponseSession(socket, this.#host);
    this.#open.add(session);
    return session;
  }

  /** Resolves when all responses are delivered, or soon after the deadline. */
  drain(deadline: AbortSignal): Promise<void> {
    return this.#idleness.wait(deadline);
  }
}
