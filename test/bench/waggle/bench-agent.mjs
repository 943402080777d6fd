import { answer } from '../answers/answer.mjs';

/** The agent loop that all servers share, as a plugin of a user. */
export default {
  name: 'bench-agent',
  apiVersion: 1,
  setup(ctx) {
    ctx.addAgent({
      name: 'bench',
      generateResponseStream: ({ messages }) => answer(messages.at(-1).content),
    });
  },
};
