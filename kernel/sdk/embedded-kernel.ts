import type { KernelOptions } from '../contracts/kernel-options.js';
import type { KernelReport } from '../contracts/report.js';
import { Kernel as BareKernel } from '../kernel.js';
import { createLogger } from './logger.js';

/** The kernel for a program that embeds it: logs to standard output unless it is given a logger. */
export class Kernel extends BareKernel {
  constructor(options: KernelOptions = {}) {
    super({ logger: createLogger(), ...options });
  }

  /** @deprecated The same as `dryRun`. */
  rehearse(): Promise<KernelReport> {
    return this.dryRun();
  }
}
