import 'reflect-metadata';
import { type DependencyContainer, container as globalContainer } from 'tsyringe';
import type { EffectName, Undo } from './contracts/effect.js';
import { WaggleError } from './errors.js';
import type { EffectScope } from './scope.js';

declare const serviceType: unique symbol;

/** The name of a service, with its type. A plain symbol at run time, so tsyringe's `@inject()` takes it. */
export type Token<T> = symbol & { readonly [serviceType]?: T };
/** The service behind a token. */
export type ServiceOf<K> = K extends Token<infer T> ? T : never;
/** Tokens by the names that a plugin gives them. */
export type TokenRecord = Readonly<Record<string, Token<unknown>>>;
/** The services behind a record of tokens. */
export type ServicesOf<R> = { readonly [K in keyof R]: ServiceOf<R[K]> };

/** The methods of a service that return an undo, each with the name of the effect that a call has. */
export type Registrations<T> = {
  readonly [K in keyof T]?: T[K] extends (...args: infer Args) => Undo
    ? (...args: Args) => EffectName
    : never;
};

/** By token, and by method. */
const registrationsOf = new Map<symbol, ReadonlyMap<PropertyKey, (...args: unknown[]) => EffectName>>();

/**
 * Makes the token of a service. The same id gives the same token, also across two copies of this package. A call of one of
 * the `registrations` is undone when the plugin that made it stops: `createToken<Bell>('bell', { add: (name) => `bell ${name}` })`.
 */
export function createToken<T>(id: string, registrations?: Registrations<T>): Token<T> {
  const token = Symbol.for(`waggle:${id}`) as Token<T>;
  if (registrations) registrationsOf.set(token, new Map(Object.entries(registrations)));
  return token;
}

/** The id that a token was made with. */
export function tokenId(token: symbol): string {
  return token.description?.replace(/^waggle:/, '') ?? 'anonymous';
}

/** `ctx.effect` of one plugin. */
export type StartEffect = EffectScope['effect'];

/**
 * The services that plugins share. tsyringe cannot unregister, so its container holds factories that read a slot here;
 * undoing `provide` empties the slot.
 */
export class ServiceTable {
  readonly #root: DependencyContainer = globalContainer.createChildContainer();
  readonly #slots = new Map<symbol, { readonly owner: string; readonly value: unknown }>();

  /** @throws KERNEL_SERVICE_CONFLICT when another plugin provides the token. */
  provide<T>(token: Token<T>, value: T, owner: string): Undo {
    const taken = this.#slots.get(token);
    if (taken) {
      const details = { service: tokenId(token), owner: taken.owner, plugin: owner };
      throw new WaggleError('KERNEL_SERVICE_CONFLICT', details);
    }
    if (!this.#root.isRegistered(token)) this.#root.register(token, { useFactory: () => this.get(token) });
    const slot = { owner, value };
    this.#slots.set(token, slot);
    return () => {
      if (this.#slots.get(token) === slot) this.#slots.delete(token);
    };
  }

  has(token: symbol): boolean {
    return this.#slots.has(token);
  }

  /** @throws KERNEL_SERVICE_MISSING when no running plugin provides the token. */
  get<T>(token: Token<T>): T {
    const slot = this.#slots.get(token);
    if (!slot) throw new WaggleError('KERNEL_SERVICE_MISSING', { service: tokenId(token) });
    return slot.value as T;
  }

  /** The available services, as one plugin gets them. */
  viewsOf(tokens: TokenRecord, effect: StartEffect): Readonly<Record<string, unknown>> {
    const present = Object.entries(tokens).filter(([, token]) => this.has(token));
    return Object.fromEntries(present.map(([key, token]) => [key, viewOf(token, this.get(token), effect)]));
  }

  /** A container for the classes of one plugin, which resolves shared services, too. */
  createContainer(): DependencyContainer {
    return this.#root.createChildContainer();
  }
}

/** A service for one plugin, with which its registrations end. Derived from the service, which may be frozen. */
function viewOf(token: symbol, service: unknown, effect: StartEffect): unknown {
  const registrations = registrationsOf.get(token);
  if (!registrations || typeof service !== 'object' || service === null) return service;
  return new Proxy(Object.create(service), {
    get(_, key) {
      const value: unknown = Reflect.get(service, key);
      if (typeof value !== 'function') return value;
      const nameOf = registrations.get(key);
      if (!nameOf) return value.bind(service);
      return (...args: unknown[]) => effect(nameOf(...args), () => value.apply(service, args));
    },
  });
}
