import { Access, definePlugin } from '#kernel';
import { config } from './config.js';
import { fetchText } from './fetch-text.js';
import { KeySet } from './key-set.js';
import { type FindKey, TokenUsers } from './token-users.js';
import { publicKeyIn, secretKey, type VerificationKey } from './verification-key.js';

const refreshMs = 600_000;
const download = { timeoutMs: 5000, limitBytes: 256 * 1024 };

/** Accepts JSON Web Tokens. */
export default definePlugin({
  name: 'access-jwt',
  apiVersion: 1,
  config,
  requires: { access: Access },
  setup(ctx, { access }) {
    const { jwksUrl, secret, publicKey, issuer, audience } = ctx.config;
    let find: FindKey;
    if (jwksUrl === undefined) {
      const only = secret === undefined ? publicKeyIn(publicKey as string) : secretKey(secret);
      find = () => only as VerificationKey;
    } else {
      const keys = new KeySet({
        download: () => fetchText(jwksUrl, { ...download, signal: ctx.signal }),
        gone: (gone) => access.revoke(users.drop(gone)),
        trouble: (err) => {
          if (err === undefined) ctx.logger.info({ jwksUrl }, 'the keys of the issuer are there again');
          else if (!ctx.signal.aborted)
            ctx.logger.error({ err, jwksUrl }, 'the keys of the issuer cannot be fetched; known ones stay');
        },
      });
      find = (name) => keys.find(name);
      // Not awaited: the server starts while the issuer is away.
      void keys.load();
      ctx.every('keys of the issuer', refreshMs, () => void keys.load());
    }
    const users = new TokenUsers(ctx.config, find);
    access.add({
      name: ctx.id,
      authenticate: ({ token }) => (token === undefined ? undefined : users.authenticate(token)),
    });
    if (audience === undefined)
      ctx.logger.warn('without "audience", tokens that the issuer made for other services are accepted, too');
    ctx.logger.info({ issuer, audience }, 'tokens are needed');
  },
});
