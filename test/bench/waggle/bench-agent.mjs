import { answer } from '../answers/answer.mjs';

/** The agent loop and the task that all contenders share, as a plugin of a user. */
export default {
  name: 'bench-agent',
  apiVersion: 1,
  setup(ctx) {
    ctx.addAgent({
      name: 'bench',
      generateResponseStream: ({ messages }) => answer(messages.at(-1).content),
    });
    ctx.registerTask({
      name: 'bench:spin',
      lane: 'worker',
      module: new URL('../tasks/spin.mjs', import.meta.url),
      exposed: true,
    });
  },
};
