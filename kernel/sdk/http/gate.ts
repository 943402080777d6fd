import type {
  Access,
  AuditEntry,
  Authenticator,
  Credentials,
  Limits,
  Principal,
  UsageLimits,
} from '../../contracts/access.js';
import type { EventBus } from '../../contracts/bus.js';
import type { Undo } from '../../contracts/effect.js';
import type { Guard, GuardedRequest, RouteAccess } from '../../contracts/transport.js';
import { toClientError, WaggleError } from '../../errors.js';
import type { Logger } from '../../logger.js';
import { AuditLog } from './audit-log.js';
import { Authenticators } from './authenticators.js';
import { Guards } from './guards.js';
import { IdentifiedSockets } from './identified-sockets.js';
import type { Request } from './request.js';
import { FrameCredentials, RequestCredentials } from './request-credentials.js';

/** The part of a request that a connection keeps after its upgrade. */
export type Visitor = Pick<Request, 'id' | 'method' | 'remoteAddress' | 'peerAddress' | 'principal'>;

/** The way of a request to a route or an endpoint. */
export interface Visit {
  readonly request: Visitor;
  readonly access: RouteAccess;
  /** As routes spell it. */
  readonly path: string;
}

/** A request for a route, or for an upgrade. */
export interface Entrance extends Visit {
  readonly request: Request;
  /** An upgrade whose first frame cannot name the user. */
  readonly inHandshake?: boolean;
}

/** An upgrade that is let in: its user is known, still to be found out, or to be told by the first frame. */
export interface SocketEntry {
  readonly entrance: Entrance;
  readonly principal?: Principal | undefined;
  /** Rejects with the refusal. */
  readonly judging?: Promise<Principal | undefined>;
  readonly needsUser: boolean;
}

/** The one place that every request and every upgrade passes before its handler. */
export class Gate implements Access {
  /** Counts requests, where a plugin does. */
  limits: Limits | undefined;
  readonly sockets: IdentifiedSockets;
  readonly #bus: EventBus;
  readonly #audit: AuditLog;
  readonly #authenticators = new Authenticators();
  readonly #guards = new Guards();
  /** Cuts the open responses of users. */
  readonly #cut: (isRevoked: (principal: Principal) => boolean) => void;
  #isDeclaredOpen = false;
  #isLeaving = false;

  constructor(
    bus: EventBus,
    logger: Logger,
    cutResponses: (isRevoked: (principal: Principal) => boolean) => void,
  ) {
    this.#bus = bus;
    this.#audit = new AuditLog(logger);
    this.sockets = new IdentifiedSockets((err) =>
      logger.error({ err }, 'the check for expired credentials failed'),
    );
    this.#cut = cutResponses;
  }

  get isRequired(): boolean {
    return this.#authenticators.isRequired;
  }

  /** Whether a plugin has decided who may call. */
  get isDecided(): boolean {
    return this.isRequired || this.#isDeclaredOpen;
  }

  add(authenticator: Authenticator): Undo {
    return this.#authenticators.add(authenticator, (isTheirs) => {
      // A server that stops takes nobody's credentials away: its clients come back.
      if (!this.#isLeaving) this.revoke(isTheirs);
    });
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
    return this.#guards.add(guard);
  }

  authenticate(credentials: Credentials): Principal | Promise<Principal> {
    return this.#authenticators.authenticate(credentials);
  }

  revoke(isRevoked: (principal: Principal) => boolean): void {
    const isOut = (each: Principal) =>
      isRevoked(each) || (each.parent !== undefined && isRevoked(each.parent));
    this.sockets.revoke(isOut);
    this.#cut(isOut);
  }

  audit(entry: AuditEntry): void {
    this.#audit.write(entry);
    this.#bus.emit('access:audited', entry);
  }

  /** The limits of a user: those of the credentials, or of the config. */
  limitsOf(principal: Principal): UsageLimits | undefined {
    return this.limits ? this.limits.of(principal) : principal.limits;
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
    const needsUser = this.#asksForUser(entrance);
    try {
      const judged = this.#judge(entrance, needsUser);
      if (!(judged instanceof Promise))
        return needsUser ? { entrance, needsUser, principal: judged } : undefined;
      const judging = judged.catch((error: unknown) => this.#refuse(entrance, error));
      // The connection may end before it hears of it.
      judging.catch(() => {});
      return { entrance, needsUser, judging };
    } catch (error) {
      this.#refuse(entrance, error);
    }
  }

  /** The user of an `auth` frame, the first one of its connection. @throws UNAUTHORIZED, FORBIDDEN, and what a guard throws */
  async identify(token: string, entrance: Entrance): Promise<Principal> {
    try {
      const principal = this.#admit(await this.#byFrame(token, entrance), entrance);
      await this.#ask(entrance, 'upgrade');
      return principal;
    } catch (error) {
      return this.#refuse(entrance, error);
    }
  }

  /** The newer credentials of the same user, of a later frame. @throws UNAUTHORIZED, FORBIDDEN */
  async renew(token: string, visit: Visit): Promise<Principal> {
    try {
      const principal = await this.#byFrame(token, visit);
      if (principal.id !== visit.request.principal?.id)
        throw new WaggleError('FORBIDDEN', { why: 'these are the credentials of another user' });
      return this.#admit(principal, visit);
    } catch (error) {
      return this.#refuse(visit, error);
    }
  }

  async #byFrame(token: string, { request }: Visit): Promise<Principal> {
    return this.authenticate(new FrameCredentials(token, request.peerAddress));
  }

  #asksForUser({ access }: Visit): boolean {
    return access !== 'public' && this.isRequired;
  }

  #enter(entrance: Entrance): void | Promise<void> {
    if (!this.#asksForUser(entrance)) return this.#ask(entrance, 'request');
    const found = this.authenticate(new RequestCredentials(entrance.request));
    if (found instanceof Promise) return found.then((principal) => this.#enterAs(principal, entrance));
    return this.#enterAs(found, entrance);
  }

  #enterAs(principal: Principal, entrance: Entrance): void | Promise<void> {
    this.#admit(principal, entrance);
    if (entrance.access === 'admin') this.audit({ action: 'admin', ...aboutOf(entrance) });
    const counted = this.limits?.request(principal);
    return counted ? counted.then(() => this.#ask(entrance, 'request')) : this.#ask(entrance, 'request');
  }

  /** The user of an upgrade, once its guards agree; they are asked later where the first frame has to name the user. */
  #judge(entrance: Entrance, needsUser: boolean): Principal | undefined | Promise<Principal | undefined> {
    const agreed = (principal: Principal | undefined) => {
      if (principal) this.#admit(principal, entrance);
      else if (needsUser) return undefined;
      const asked = this.#ask(entrance, 'upgrade');
      return asked ? asked.then(() => principal) : principal;
    };
    if (!needsUser) return agreed(undefined);
    const credentials = new RequestCredentials(entrance.request);
    const found = entrance.inHandshake
      ? this.authenticate(credentials)
      : this.#authenticators.find(credentials);
    return found instanceof Promise ? found.then(agreed) : agreed(found);
  }

  #admit(principal: Principal, { request, access }: Visit): Principal {
    request.principal = principal;
    if (access === 'admin' && !principal.scopes.includes('admin'))
      throw new WaggleError('FORBIDDEN', { why: 'this needs the scope "admin"' });
    return principal;
  }

  #ask({ request, access, path }: Entrance, kind: GuardedRequest['kind']): void | Promise<void> {
    return this.#guards.ask({ request, access, path, kind });
  }

  #refuse(visit: Visit, error: unknown): never {
    this.audit({ action: 'refused', ...aboutOf(visit), why: toClientError(error).code });
    throw error;
  }
}

function aboutOf({ request, path }: Visit): Omit<AuditEntry, 'action'> {
  const { method, principal, remoteAddress, id: requestId } = request;
  return { what: `${method} ${path}`, userId: principal?.id, remoteAddress, requestId };
}
