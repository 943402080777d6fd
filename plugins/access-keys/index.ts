import { Access, definePlugin } from '#kernel';
import { config } from './config.js';
import { KeyFile } from './key-file.js';
import { KeyRing } from './key-ring.js';

/** Well within the 5 s after which a key that was taken out of the file is refused. */
const checkMs = 1000;

/** Accepts API keys. */
export default definePlugin({
  name: 'access-keys',
  apiVersion: 1,
  config,
  requires: { access: Access },
  async setup(ctx, { access }) {
    const { keys, file } = ctx.config;
    const ring = new KeyRing(keys, file === undefined ? undefined : new KeyFile(file, keys), {
      revoked: (gone) => access.revoke((principal) => gone.has(principal)),
      logger: ctx.logger,
    });
    await ring.load();
    access.add({
      name: ctx.id,
      authenticate: ({ token }) => (token === undefined ? undefined : ring.keys.find(token)),
    });
    if (file !== undefined) ctx.every('keys file', checkMs, () => ring.reload());
    if (ring.keys.size === 0) ctx.logger.warn({ file }, 'there are no keys: nobody is let in');
    else ctx.logger.info({ keys: ring.keys.size, file }, 'keys are needed');
  },
});
