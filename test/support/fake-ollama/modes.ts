import type { ModeName } from './mode-name.js';
import { brokenModes } from './modes-broken.js';
import { healthyModes } from './modes-healthy.js';
import { httpModes } from './modes-http.js';
import type { Mode } from './run.js';

/** The behaviour of every mode. */
export const modes: Readonly<Record<ModeName, Mode>> = { ...healthyModes, ...brokenModes, ...httpModes };
