// The door `waggle-server`: that of the kernel, and for one more release the names that have moved to `waggle-server/sdk…`.
export * from '../index.js';
/** @deprecated Import them from `waggle-server/sdk`, `waggle-server/sdk/http` and `waggle-server/sdk/upstream`. */
export * from './http/index.js';
export * from './index.js';
export * from './upstream/index.js';
