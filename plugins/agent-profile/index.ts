import { definePlugin } from '#kernel';
import { config } from './config.js';
import { Profile } from './profile.js';

export default definePlugin({
  name: 'agent-profile',
  apiVersion: 1,
  config,
  setup(ctx) {
    const { agent, name = ctx.id.replace(/^agent-/, '') } = ctx.config;
    ctx.addAgent(new Profile(name, ctx.config, () => ctx.agents.find(agent)));
  },
});
