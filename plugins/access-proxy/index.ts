import { Access, definePlugin, Transport } from '#kernel';
import { config } from './config.js';
import { OncePerMinute } from './once-per-minute.js';
import { ProxyUsers } from './proxy-users.js';

/** Takes the user from a header of a proxy that has authenticated him. */
export default definePlugin({
  name: 'access-proxy',
  apiVersion: 1,
  config,
  requires: { access: Access, transport: Transport },
  setup(ctx, { access, transport }) {
    const { userHeader, trustedProxies } = ctx.config;
    const perMinute = new OncePerMinute();
    const users = new ProxyUsers(ctx.config, (address) => {
      if (!perMinute.allows(address)) return;
      ctx.logger.warn(
        { address, userHeader },
        'an address that is no trusted proxy names a user; it is ignored',
      );
    });
    transport.trustProxies(trustedProxies);
    access.add({ name: ctx.id, authenticate: (credentials) => users.authenticate(credentials) });
    ctx.logger.info({ userHeader, trustedProxies }, 'users are named by a proxy');
  },
});
