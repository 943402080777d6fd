import { definePlugin } from '#kernel';
import { config } from './config.js';
import { OpenAiAgent } from './openai-agent.js';

export default definePlugin({
  name: 'agent-openai',
  apiVersion: 1,
  config,
  setup(ctx) {
    const agent = new OpenAiAgent(ctx.config.name ?? ctx.id.replace(/^agent-/, ''), ctx.config);
    ctx.effect('connections to the model server', () => () => agent.close());
    ctx.addAgent(agent);
  },
});
