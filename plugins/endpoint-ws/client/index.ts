export type { WaggleClient } from './client.js';
export { connect } from './connect.js';
export { type ClientErrorCode, WaggleClientError } from './error.js';
export type * from './types.js';
