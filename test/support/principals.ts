import { Access, definePlugin, type Principal, WaggleError } from '#kernel';

/** A plugin that accepts these tokens, each of one user. */
export const principals = (users: Readonly<Record<string, Principal>>) =>
  definePlugin({
    name: 'principals',
    apiVersion: 1,
    requires: { access: Access },
    setup(_ctx, { access }) {
      access.add({
        name: 'principals',
        authenticate({ token }) {
          if (token === undefined) return undefined;
          const principal = users[token];
          if (principal) return principal;
          throw new WaggleError('UNAUTHORIZED', { why: 'these are unknown' });
        },
      });
    },
  });

/** The headers of a request with this token. */
export const as = (token: string) => ({ authorization: `Bearer ${token}` });
