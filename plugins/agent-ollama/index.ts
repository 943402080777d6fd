import { definePlugin } from '#kernel';
import { config } from './config.js';
import { OllamaAgent } from './ollama-agent.js';

export default definePlugin({
  name: 'agent-ollama',
  apiVersion: 1,
  config,
  setup(ctx) {
    const agent = new OllamaAgent(ctx.config);
    ctx.effect('connections to Ollama', () => () => agent.close());
    ctx.addAgent(agent);
  },
});
