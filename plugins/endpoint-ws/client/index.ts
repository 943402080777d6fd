export { connect, type WaggleClient } from './client.js';
export { type ClientErrorCode, WaggleClientError } from './error.js';
export type * from './types.js';
