import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

/** The API of OpenTelemetry. */
export type Api = typeof import('@opentelemetry/api');

/** The API where an SDK is registered, perhaps only by now. Without one it is not even loaded: no start has to wait for it. */
export function registeredApi(): Api | undefined {
  // Where all copies of the API find what is registered (`global-utils` of @opentelemetry/api 1).
  return Symbol.for('opentelemetry.js.api.1') in globalThis
    ? (require('@opentelemetry/api') as Api)
    : undefined;
}
