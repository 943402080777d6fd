import { Access, definePlugin } from '#kernel';

/** Says that the server is open on purpose. */
export default definePlugin({
  name: 'access-open',
  apiVersion: 1,
  requires: { access: Access },
  setup(ctx, { access }) {
    access.declareOpen();
    ctx.logger.warn('there is no access control: anyone who reaches the port may ask, under any name');
  },
});
