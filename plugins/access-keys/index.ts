import { Access, definePlugin } from '#kernel';
import { type Config, config } from './config.js';
import { KeyFile } from './key-file.js';
import { KeyRing } from './key-ring.js';

/** Well within the 5 s after which a key that was taken out of the file is refused. */
const checkMs = 1000;

/** Accepts API keys. */
export default definePlugin({
  name: 'access-keys',
  apiVersion: 1,
  config,
  live: true,
  requires: { access: Access },
  async setup(ctx, { access }) {
    const fileOf = ({ keys, file }: Config) => (file === undefined ? undefined : new KeyFile(file, keys));
    const ring = new KeyRing(ctx.config.keys, fileOf(ctx.config), {
      revoked: (gone) => access.revoke((principal) => gone.has(principal)),
      logger: ctx.logger,
    });
    await ring.load();
    access.add({
      name: ctx.id,
      authenticate: ({ token }) => (token === undefined ? undefined : ring.keys.find(token)),
    });
    ctx.every('keys file', checkMs, () => ring.reload());
    const report = () => {
      const { file } = ctx.config;
      if (ring.keys.size === 0) ctx.logger.warn({ file }, 'there are no keys: nobody is let in');
      else ctx.logger.info({ keys: ring.keys.size, file }, 'keys are needed');
    };
    report();
    ctx.onConfig(async () => {
      await ring.change(ctx.config.keys, fileOf(ctx.config));
      report();
    });
  },
});
