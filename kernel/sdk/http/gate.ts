import type { EventBus } from '../../bus.js';
import type {
  Access,
  AuditEntry,
  Authenticator,
  Credentials,
  Limits,
  Principal,
} from '../../contracts/access.js';
import type { Guard, GuardedRequest, RouteAccess } from '../../contracts/transport.js';
import { toClientError, WaggleError } from '../../errors.js';
import { every } from '../../every.js';
import type { Logger } from '../../logger.js';
import type { Undo } from '../../scope.js';
import { AuditLog } from './audit-log.js';
import type { Request } from './request.js';
import { RequestCredentials } from './request-credentials.js';
import type { SocketAccess } from './socket-access.js';
import { Tally } from './tally.js';

/** As of all ids that clients choose: a longer one is refused, never cut. */
const idLimitChars = 128;

/** Interval of the checks for expired credentials of open WebSockets. */
const sweepMs = 1000;

/** A request for a route, or for an upgrade. */
export interface Entrance {
  readonly request: Request;
  readonly access: RouteAccess;
  /** As routes spell it. */
  readonly path: string;
  readonly isCrossOrigin: boolean;
}

/** The user of an upgrade: known, still to be found out, or to be told by the first frame. */
export interface SocketEntry {
  readonly principal?: Principal | undefined;
  /** Rejects with the refusal. */
  readonly judging?: Promise<Principal | undefined>;
  readonly needsUser: boolean;
  /** The address of the connection itself. */
  readonly peerAddress: string;
}

/** The one place that every request and every upgrade passes before its handler. */
export class Gate implements Access {
  /** Counts requests, where a plugin does. */
  limits: Limits | undefined;
  readonly #bus: EventBus;
  readonly #logger: Logger;
  readonly #audit: AuditLog;
  readonly #authenticators: Authenticator[] = [];
  readonly #guards = new Set<Guard>();
  /** The authenticator of each user. */
  readonly #acceptedBy = new WeakMap<Principal, Authenticator>();
  /** WebSockets of known users. */
  readonly #sockets = new Set<SocketAccess>();
  readonly #socketsOf = new Tally();
  /** Cuts the open responses of users. */
  readonly #cut: (isRevoked: (principal: Principal) => boolean) => void;
  #isRequired = false;
  #isDeclaredOpen = false;
  #isLeaving = false;
  #stopSweep: Undo | undefined;

  constructor(
    bus: EventBus,
    logger: Logger,
    cutResponses: (isRevoked: (principal: Principal) => boolean) => void,
  ) {
    this.#bus = bus;
    this.#logger = logger;
    this.#audit = new AuditLog(logger);
    this.#cut = cutResponses;
  }

  get isRequired(): boolean {
    return this.#isRequired;
  }

  /** Whether a plugin has decided who may call. */
  get isDecided(): boolean {
    return this.#isRequired || this.#isDeclaredOpen;
  }

  add(authenticator: Authenticator): Undo {
    this.#authenticators.push(authenticator);
    // For good: a server must not open because a plugin stops.
    if (!authenticator.isAdditional) this.#isRequired = true;
    return () => {
      const at = this.#authenticators.indexOf(authenticator);
      if (at < 0) return;
      this.#authenticators.splice(at, 1);
      // A server that stops takes nobody's credentials away: its clients come back.
      if (!this.#isLeaving) this.revoke((principal) => this.#acceptedBy.get(principal) === authenticator);
    };
  }

  /** The server stops. */
  leave(): void {
    this.#isLeaving = true;
  }

  declareOpen(): Undo {
    this.#isDeclaredOpen = true;
    return () => {
      this.#isDeclaredOpen = false;
    };
  }

  guard(guard: Guard): Undo {
    this.#guards.add(guard);
    return () => void this.#guards.delete(guard);
  }

  authenticate(credentials: Credentials): Principal | Promise<Principal> {
    const found = this.#known(credentials);
    const missing = () => (credentials.token === undefined ? none() : unknown());
    if (found instanceof Promise) return found.then((principal) => principal ?? missing());
    return found ?? missing();
  }

  revoke(isRevoked: (principal: Principal) => boolean): void {
    const isOut = (each: Principal) =>
      isRevoked(each) || (each.parent !== undefined && isRevoked(each.parent));
    for (const socket of [...this.#sockets])
      if (socket.principal && isOut(socket.principal)) socket.end('the credentials were revoked');
    this.#cut(isOut);
  }

  audit(entry: AuditEntry): void {
    this.#audit.write(entry);
    this.#bus.emit('access:audited', entry);
  }

  /** Lets a request in, at once where it can. @throws UNAUTHORIZED, FORBIDDEN, RATE_LIMITED, and what a guard throws */
  enter(entrance: Entrance): void | Promise<void> {
    try {
      const entered = this.#enter(entrance);
      return entered?.catch((error: unknown) => this.#refuse(entrance, error));
    } catch (error) {
      this.#refuse(entrance, error);
    }
  }

  /** Lets an upgrade in; undefined where no user is asked for. @throws UNAUTHORIZED, FORBIDDEN, and what a guard throws */
  enterSocket(entrance: Entrance): SocketEntry | undefined {
    const { request, access } = entrance;
    const { peerAddress } = request;
    try {
      if (access === 'public' || !this.#isRequired) {
        const ruled = this.#ruled(entrance, 'upgrade');
        return ruled ? { needsUser: false, peerAddress, judging: ruled.then(() => undefined) } : undefined;
      }
      const credentials = new RequestCredentials(request, entrance.isCrossOrigin);
      const found = this.#known(credentials);
      if (found instanceof Promise)
        return { needsUser: true, peerAddress, judging: this.#judge(found, credentials, entrance) };
      if (found) this.#admit(found, entrance);
      else if (credentials.token !== undefined) unknown();
      const ruled = this.#ruled(entrance, 'upgrade');
      if (!ruled) return { needsUser: true, peerAddress, principal: found };
      return { needsUser: true, peerAddress, judging: ruled.then(() => found) };
    } catch (error) {
      this.#refuse(entrance, error);
    }
  }

  /** Follows the credentials of a WebSocket until `unwatch`. */
  watch(socket: SocketAccess, { id }: Principal): void {
    this.#sockets.add(socket);
    this.#socketsOf.add(id);
    this.#stopSweep ??= every(
      sweepMs,
      () => this.#sweep(),
      (err) => this.#logger.error({ err }, 'the check for expired credentials failed'),
    );
  }

  unwatch(socket: SocketAccess): void {
    if (this.#sockets.delete(socket) && socket.principal) this.#socketsOf.remove(socket.principal.id);
    if (this.#sockets.size > 0) return;
    void this.#stopSweep?.();
    this.#stopSweep = undefined;
  }

  /** The number of WebSockets of a user. */
  openOf(userId: string): number {
    return this.#socketsOf.of(userId);
  }

  #enter(entrance: Entrance): void | Promise<void> {
    const { request, access } = entrance;
    if (access === 'public' || !this.#isRequired) return this.#ruled(entrance, 'request');
    const found = this.authenticate(new RequestCredentials(request, entrance.isCrossOrigin));
    if (found instanceof Promise) return found.then((principal) => this.#enterAs(principal, entrance));
    return this.#enterAs(found, entrance);
  }

  #enterAs(principal: Principal, entrance: Entrance): void | Promise<void> {
    const { request, access, path } = entrance;
    this.#admit(principal, entrance);
    if (access === 'admin')
      this.audit({
        action: 'admin',
        what: `${request.method} ${path}`,
        userId: principal.id,
        remoteAddress: request.remoteAddress,
        requestId: request.id,
      });
    const counted = this.limits?.request(principal);
    return counted ? counted.then(() => this.#ruled(entrance, 'request')) : this.#ruled(entrance, 'request');
  }

  #admit(principal: Principal, { request, access }: Entrance): void {
    request.principal = principal;
    if (access === 'admin' && !principal.scopes.includes('admin'))
      throw new WaggleError('FORBIDDEN', { why: 'this needs the scope "admin"' });
  }

  /** Asks the guards. */
  #ruled({ request, access, path }: Entrance, kind: GuardedRequest['kind']): void | Promise<void> {
    let waiting: Promise<void> | undefined;
    for (const guard of this.#guards) {
      const verdict = guard({ request, access, path, kind });
      if (verdict instanceof Promise) waiting = waiting ? waiting.then(() => verdict) : verdict;
    }
    return waiting;
  }

  async #judge(
    asked: Promise<Principal | undefined>,
    credentials: Credentials,
    entrance: Entrance,
  ): Promise<Principal | undefined> {
    try {
      const found = await asked;
      if (found) this.#admit(found, entrance);
      else if (credentials.token !== undefined) unknown();
      await this.#ruled(entrance, 'upgrade');
      return found;
    } catch (error) {
      return this.#refuse(entrance, error);
    }
  }

  /** The user by the first authenticator that knows the credentials. */
  #known(credentials: Credentials, from = 0): Principal | undefined | Promise<Principal | undefined> {
    for (let at = from; at < this.#authenticators.length; at++) {
      const authenticator = this.#authenticators[at] as Authenticator;
      const found = authenticator.authenticate(credentials);
      if (found instanceof Promise)
        return found.then((principal) =>
          principal ? this.#accept(principal, authenticator) : this.#known(credentials, at + 1),
        );
      if (found) return this.#accept(found, authenticator);
    }
    return undefined;
  }

  #accept(principal: Principal, authenticator: Authenticator): Principal {
    if (!isPrincipal(principal))
      throw new TypeError(
        `the authenticator "${authenticator.name}" gave a user without an id of 1-128 characters, or without scopes`,
      );
    if (principal.expiresAt !== undefined && principal.expiresAt <= Date.now())
      throw new WaggleError('UNAUTHORIZED', { why: 'they have expired' });
    if (!this.#acceptedBy.has(principal)) this.#acceptedBy.set(principal, authenticator);
    return principal;
  }

  #refuse({ request, path }: Entrance, error: unknown): never {
    const { code } = toClientError(error);
    this.audit({
      action: 'refused',
      what: `${request.method} ${path}`,
      userId: request.principal?.id,
      remoteAddress: request.remoteAddress,
      requestId: request.id,
      why: code,
    });
    throw error;
  }

  #sweep(): void {
    const now = Date.now();
    for (const socket of [...this.#sockets]) socket.check(now);
  }
}

/** A mistake of an authenticator must not open the server. */
function isPrincipal({ id, scopes }: { readonly id?: unknown; readonly scopes?: unknown }): boolean {
  return typeof id === 'string' && id !== '' && id.length <= idLimitChars && Array.isArray(scopes);
}

function none(): never {
  throw new WaggleError('UNAUTHORIZED', {
    why: 'send "Authorization: Bearer …" or "X-API-Key: …"',
  });
}

function unknown(): never {
  throw new WaggleError('UNAUTHORIZED', { why: 'these are unknown' });
}
