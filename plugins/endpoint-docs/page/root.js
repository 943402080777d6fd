/** The root of this server, which a proxy may serve below a path. */
export const root = new URL('../../', import.meta.url);
