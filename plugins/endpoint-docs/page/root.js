/** Where this server begins: a proxy may have put it below a path. */
export const root = new URL('../../', import.meta.url);
