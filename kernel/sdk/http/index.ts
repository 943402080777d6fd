// The door `#sdk/http`: the parts that every transport is built from.
export * from './address.js';
export * from './base-transport.js';
export * from './certificate.js';
export * from './config.js';
export * from './connection.js';
export * from './lingering.js';
export { isCrossOrigin } from './origin.js';
export * from './query.js';
export * from './reply.js';
export * from './request.js';
export * from './tcp-limit.js';
export { TrustedProxies, whyNoNetwork } from './trusted-proxies.js';
