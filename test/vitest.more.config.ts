// `npm run test:more`: all that `npm test` runs, thoroughly, and the suites that last or need programs of this machine.
process.env.WAGGLE_THOROUGH = '1';
const { default: config } = await import('./vitest.config.js');

export default config;
