import { definePlugin } from '#kernel';
import { Traces } from './traces.js';

export default definePlugin({
  name: 'trace-otel',
  apiVersion: 1,
  setup(ctx) {
    const traces = new Traces();
    ctx.effect('running traces', () => () => traces.close());
    traces.listen(ctx.bus);
  },
});
