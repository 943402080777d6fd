import 'reflect-metadata';
import { type DependencyContainer, container as globalContainer } from 'tsyringe';
import { WaggleError } from './errors.js';
import type { EffectScope, Undo } from './scope.js';

declare const serviceType: unique symbol;

/** The name of a service, with its type. A plain symbol at run time, so tsyringe's `@inject()` takes it. */
export type Token<T> = symbol & { readonly [serviceType]?: T };
/** The service behind a token. */
export type ServiceOf<K> = K extends Token<infer T> ? T : never;
/** Tokens by the names that a plugin gives them. */
export type TokenRecord = Readonly<Record<string, Token<unknown>>>;
/** The services behind a record of tokens. */
export type ServicesOf<R> = { readonly [K in keyof R]: ServiceOf<R[K]> };

/** Makes the token of a service. The same id gives the same token, also across two copies of this package. */
export function createToken<T>(id: string): Token<T> {
  return Symbol.for(`waggle:${id}`) as Token<T>;
}

/** The id that a token was made with. */
export function tokenId(token: symbol): string {
  return token.description?.replace(/^waggle:/, '') ?? 'anonymous';
}

/** `ctx.effect` of one plugin. */
export type StartEffect = EffectScope['effect'];

/** The method that makes a service's view for one plugin; one symbol across copies of this package. */
export const forPlugin: unique symbol = Symbol.for('waggle:forPlugin');

/** A service whose registrations end with the plugin that made them: each plugin gets a view that makes them by `effect`. */
export interface PerPlugin<T> {
  [forPlugin](effect: StartEffect): T;
}

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
    return Object.fromEntries(present.map(([key, token]) => [key, viewOf(this.get(token), effect)]));
  }

  /** A container for the classes of one plugin, which resolves shared services, too. */
  createContainer(): DependencyContainer {
    return this.#root.createChildContainer();
  }
}

function viewOf(service: unknown, effect: StartEffect): unknown {
  const view = (service as Partial<PerPlugin<unknown>> | null | undefined)?.[forPlugin];
  return typeof view === 'function' ? view.call(service, effect) : service;
}
