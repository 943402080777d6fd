import { register } from 'node:module';

// By its name in package.json, as only what is built can be loaded by Node alone. Each thread has hooks of its own.
register('#module-hooks', import.meta.url);
process.setSourceMapsEnabled(true);
