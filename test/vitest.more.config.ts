// `npm run test:more`, beside `npm test`: the suites that last or need programs of this machine, and some others in full.
process.env.WAGGLE_THOROUGH = '1';
const { default: config } = await import('./vitest.config.js');

export default config;
