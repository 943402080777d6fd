import type { Principal } from '../../contracts/access.js';
import { closeCode } from '../../contracts/close-codes.js';
import { authOkFrame } from '../auth-ok-frame.js';
import { isJsonObject, parseJson } from '../json.js';
import type { Gate, SocketEntry, Visit } from './gate.js';

/** Frames that are held until the user is known. */
const heldFrames = 32;
const heldChars = 64 * 1024;
/** Of a frame with credentials. */
const tokenFrameChars = 256 * 1024;
/** The warning precedes the end of the credentials by this time. */
const warningMs = 30_000;

/** The connection of a `SocketAccess`. */
export interface AccessedSocket {
  readonly closed: boolean;
  send(frame: string): boolean;
  close(code: number, reason: string): void;
  /** The user is known, or does not matter. `held` came meanwhile. */
  admitted(held: readonly string[]): void;
  /** The user may not come in, or could not be judged. */
  refused(error: unknown): void;
}

/** The user of one WebSocket, from its upgrade to its close. */
export class SocketAccess {
  principal: Principal | undefined;
  isAdmitted = false;
  readonly #socket: AccessedSocket;
  readonly #gate: Gate;
  /** Until the user is known. */
  #entry: SocketEntry | undefined;
  /** Afterwards. */
  #visit: Visit | undefined;
  readonly #timeoutMs: number;
  #isJudging = false;
  readonly #heldLimitChars: number;
  #timer: NodeJS.Timeout | undefined;
  #held: string[] = [];
  #heldChars = 0;
  #isWarned: boolean;

  /** `timeoutMs`: for the first frame, and for newer credentials once the old ones have expired. */
  constructor(
    socket: AccessedSocket,
    gate: Gate,
    entry: SocketEntry,
    timeoutMs: number,
    frameLimitBytes: number,
  ) {
    this.#socket = socket;
    this.#gate = gate;
    this.#entry = entry;
    // Where no frame can bring newer credentials, a warning would be a frame that its client does not know.
    this.#isWarned = entry.entrance.inHandshake ?? false;
    this.#timeoutMs = timeoutMs;
    this.#heldLimitChars = Math.max(heldChars, frameLimitBytes);
  }

  begin(): void {
    const { principal, judging, needsUser } = this.#entry as SocketEntry;
    if (principal) return void this.#admit(principal);
    this.#timer = setTimeout(() => this.end('no credentials in time'), this.#timeoutMs);
    if (!judging) return;
    this.#isJudging = true;
    judging.then(
      (found) => {
        if (found || !needsUser) this.#admit(found);
        else this.#awaitFrame();
      },
      (error: unknown) => this.#socket.refused(error),
    );
  }

  /** Takes a frame of a user who is not known yet. */
  receive(text: string): void {
    if (this.#isJudging) return void this.#hold(text);
    const token = tokenIn(text);
    if (token === undefined) return void this.end('the first frame must be {"type":"auth","token":"…"}');
    this.#isJudging = true;
    this.#gate.identify(token, (this.#entry as SocketEntry).entrance).then(
      (principal) => {
        this.#socket.send(JSON.stringify(authOkFrame(principal)));
        this.#admit(principal);
      },
      (error: unknown) => this.#socket.refused(error),
    );
  }

  /** @throws UNAUTHORIZED, FORBIDDEN, after the connection was closed with 4401 or 4403 */
  async refresh(token: string): Promise<Principal> {
    try {
      const principal = await this.#gate.renew(token, this.#visit as Visit);
      this.principal = principal;
      this.#isWarned = false;
      this.check(Date.now());
      return principal;
    } catch (error) {
      this.#socket.refused(error);
      throw error;
    }
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
    this.#gate.sockets.remove(this);
  }

  /** Nothing has proven the user so far: the first frame has to. */
  #awaitFrame(): void {
    this.#isJudging = false;
    const held = this.#held;
    this.#held = [];
    for (const text of held) this.receive(text);
  }

  #admit(principal: Principal | undefined): void {
    clearTimeout(this.#timer);
    if (this.#socket.closed) return;
    this.principal = principal;
    this.isAdmitted = true;
    if (principal) this.#gate.sockets.add(this, principal);
    if (this.#entry) this.#visit = visitOf(this.#entry);
    this.#entry = undefined;
    const held = this.#held;
    this.#held = [];
    this.#socket.admitted(held);
    this.check(Date.now());
  }

  #hold(text: string): void {
    this.#held.push(text);
    this.#heldChars += text.length;
    if (this.#held.length > heldFrames || this.#heldChars > this.#heldLimitChars)
      this.#socket.close(closeCode.policyViolation, 'too many frames before the user is known');
  }
}

/** An open connection does not keep the headers of its upgrade. */
function visitOf({ entrance: { request, access, path } }: SocketEntry): Visit {
  const { id, method, remoteAddress, peerAddress, principal } = request;
  return { request: { id, method, remoteAddress, peerAddress, principal }, access, path };
}

function tokenIn(text: string): string | undefined {
  // Only frames of a known user may be large.
  if (text.length > tokenFrameChars) return undefined;
  try {
    const frame = parseJson(text);
    if (!isJsonObject(frame) || frame.type !== 'auth') return undefined;
    return typeof frame.token === 'string' && frame.token !== '' ? frame.token : undefined;
  } catch {
    return undefined;
  }
}
