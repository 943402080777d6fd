import { definePlugin } from '#kernel';
import { config } from './config.js';
import { Eliza } from './eliza.js';

export default definePlugin({
  name: 'agent-eliza',
  apiVersion: 1,
  config,
  setup(ctx) {
    ctx.addAgent(new Eliza(ctx.config));
  },
});
