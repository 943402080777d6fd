import { register } from 'node:module';

// By its name in package.json, because Node can only load the compiled file. Each thread has its own hooks.
register('#module-hooks', import.meta.url);
process.setSourceMapsEnabled(true);
