import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

export type Api = typeof import('@opentelemetry/api');

/** The API, once an SDK is registered, which may happen late. Without one it is not loaded, to keep the start fast. */
export function registeredApi(): Api | undefined {
  // The key under which all copies of @opentelemetry/api 1 find the registered SDK (`global-utils`).
  return Symbol.for('opentelemetry.js.api.1') in globalThis
    ? (require('@opentelemetry/api') as Api)
    : undefined;
}
