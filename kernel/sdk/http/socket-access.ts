import type { Principal } from '../../contracts/access.js';
import { closeCode } from '../../contracts/close-codes.js';
import { toClientError, WaggleError } from '../../errors.js';
import { isJsonObject, parseJson } from '../json.js';
import type { Gate, SocketEntry } from './gate.js';
import { FrameCredentials } from './request-credentials.js';

/** Frames that are held until the user is known. */
const heldFrames = 32;
const heldChars = 64 * 1024;
/** The warning precedes the end of the credentials by this time. */
const warningMs = 30_000;

/** The connection of a `SocketAccess`. */
export interface AccessedSocket {
  readonly remoteAddress: string;
  readonly closed: boolean;
  send(frame: string): boolean;
  close(code: number, reason: string): void;
  /** The user is known; the frames came meanwhile. */
  admitted(held: readonly string[]): void;
}

/** The user of one WebSocket, from its upgrade to its close. */
export class SocketAccess {
  principal: Principal | undefined;
  isAdmitted = false;
  readonly #socket: AccessedSocket;
  readonly #gate: Gate;
  readonly #needsAdmin: boolean;
  readonly #timeoutMs: number;
  #peerAddress = '';
  #isJudging = false;
  #timer: NodeJS.Timeout | undefined;
  #held: string[] = [];
  #heldChars = 0;
  #isWarned = false;

  /** `timeoutMs`: for the first frame, and for newer credentials once the old ones have expired. */
  constructor(socket: AccessedSocket, gate: Gate, needsAdmin: boolean, timeoutMs: number) {
    this.#socket = socket;
    this.#gate = gate;
    this.#needsAdmin = needsAdmin;
    this.#timeoutMs = timeoutMs;
  }

  begin({ principal, judging, needsUser, peerAddress }: SocketEntry): void {
    this.#peerAddress = peerAddress;
    if (principal) return void this.#admit(principal);
    this.#timer = setTimeout(() => this.end('no credentials in time'), this.#timeoutMs);
    if (!judging) return;
    this.#isJudging = true;
    judging.then(
      (found) => {
        if (found || !needsUser) this.#admit(found);
        else this.#awaitFrame();
      },
      (error: unknown) => this.#refuse(error),
    );
  }

  /** Nothing has proven the user so far: the first frame has to. */
  #awaitFrame(): void {
    this.#isJudging = false;
    const held = this.#held;
    this.#held = [];
    for (const text of held) this.receive(text);
  }

  /** Takes a frame of a user who is not known yet. */
  receive(text: string): void {
    if (this.#isJudging) return void this.#hold(text);
    const token = tokenIn(text);
    if (token === undefined) return void this.end('the first frame must be {"type":"auth","token":"…"}');
    this.#isJudging = true;
    this.#identify(token).then(
      (principal) => {
        if (this.#socket.closed) return;
        this.#socket.send(JSON.stringify(welcome(principal)));
        this.#admit(principal);
      },
      (error: unknown) => this.#refuse(error),
    );
  }

  /** @throws UNAUTHORIZED, FORBIDDEN, after the connection was closed with 4401 or 4403 */
  async refresh(token: string): Promise<Principal> {
    let principal: Principal;
    try {
      principal = await this.#identify(token);
    } catch (error) {
      this.#refuse(error);
      throw error;
    }
    if (principal.id !== this.principal?.id) {
      const error = new WaggleError('FORBIDDEN', { why: 'these are the credentials of another user' });
      this.#refuse(error);
      throw error;
    }
    this.principal = principal;
    this.#isWarned = false;
    this.check(Date.now());
    return principal;
  }

  /** Warns before the end of the credentials, and closes after it. */
  check(now: number): void {
    const { expiresAt } = this.principal ?? {};
    if (expiresAt === undefined) return;
    if (now >= expiresAt + this.#timeoutMs) return void this.end('the credentials have expired');
    if (this.#isWarned || now < expiresAt - warningMs) return;
    this.#isWarned = true;
    this.#socket.send(JSON.stringify({ type: 'auth_expiring', expiresAt }));
  }

  end(reason: string): void {
    this.#socket.close(closeCode.unauthorized, reason);
  }

  /** Called when the connection has closed. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#held = [];
    this.#gate.unwatch(this);
  }

  async #identify(token: string): Promise<Principal> {
    const { remoteAddress } = this.#socket;
    try {
      const principal = await this.#gate.authenticate(new FrameCredentials(token, this.#peerAddress));
      if (this.#needsAdmin && !principal.scopes.includes('admin'))
        throw new WaggleError('FORBIDDEN', { why: 'this needs the scope "admin"' });
      return principal;
    } catch (error) {
      this.#gate.audit({
        action: 'refused',
        what: 'auth frame',
        remoteAddress,
        why: toClientError(error).code,
      });
      throw error;
    }
  }

  #admit(principal: Principal | undefined): void {
    clearTimeout(this.#timer);
    if (this.#socket.closed) return;
    this.principal = principal;
    this.isAdmitted = true;
    if (principal) this.#gate.watch(this, principal);
    const held = this.#held;
    this.#held = [];
    this.#socket.admitted(held);
    this.check(Date.now());
  }

  #refuse(error: unknown): void {
    const isForbidden = toClientError(error).code === 'FORBIDDEN';
    const code = isForbidden ? closeCode.forbidden : closeCode.unauthorized;
    this.#socket.close(code, 'the credentials were refused');
  }

  #hold(text: string): void {
    this.#held.push(text);
    this.#heldChars += text.length;
    if (this.#held.length > heldFrames || this.#heldChars > heldChars)
      this.#socket.close(closeCode.policyViolation, 'too many frames before the user is known');
  }
}

/** The response to an `auth` frame. */
function welcome(principal: Principal): object {
  const { id: userId, scopes, expiresAt } = principal;
  return { type: 'auth_ok', userId, scopes, ...(expiresAt !== undefined && { expiresAt }) };
}

function tokenIn(text: string): string | undefined {
  try {
    const frame = parseJson(text);
    if (!isJsonObject(frame) || frame.type !== 'auth') return undefined;
    return typeof frame.token === 'string' && frame.token !== '' ? frame.token : undefined;
  } catch {
    return undefined;
  }
}
