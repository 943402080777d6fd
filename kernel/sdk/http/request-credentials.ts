import type { Credentials } from '../../contracts/access.js';
import { isCrossOrigin } from './origin.js';
import type { Request } from './request.js';

/** The credentials of a request. */
export class RequestCredentials implements Credentials {
  readonly #request: Request;

  constructor(request: Request) {
    this.#request = request;
  }

  get token(): string | undefined {
    // Whatever follows the scheme is a token, so that a malformed one is refused and not passed over.
    const [, bearer = ''] = /^bearer +(.*)$/i.exec(this.header('authorization') ?? '') ?? [];
    return bearer.trim() || this.header('x-api-key')?.trim() || undefined;
  }

  get isCrossOrigin(): boolean {
    return isCrossOrigin((name) => this.header(name), this.#request.host);
  }

  get peerAddress(): string {
    return this.#request.peerAddress;
  }

  header(name: string): string | undefined {
    return this.#request.header(name);
  }
}

/** The credentials of an `auth` frame. */
export class FrameCredentials implements Credentials {
  readonly token: string;
  readonly peerAddress: string;
  readonly isCrossOrigin = false;

  constructor(token: string, peerAddress: string) {
    this.token = token;
    this.peerAddress = peerAddress;
  }

  header(): undefined {
    return undefined;
  }
}
