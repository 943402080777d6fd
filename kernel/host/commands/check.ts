import type { ConfigOptions } from '../config/load-config.js';
import { prepareWhole } from '../prepare.js';
import { printedConfig } from './print-config.js';

/** `waggle check`: prints the plugins in start order, or the whole config. */
export async function check(options: ConfigOptions & { readonly print?: boolean }): Promise<void> {
  const { kernel, config, logger } = await prepareWhole(options);
  if (options.print) {
    process.stdout.write(await printedConfig(config, logger));
    return;
  }
  const { plugins } = kernel.inspect();
  const rows = (await kernel.check()).map((id, index) => {
    const { name, provides, optional } = plugins.find((plugin) => plugin.id === id) ?? {};
    const facts = [
      id === name ? '' : `(${name})`,
      optional ? 'optional' : '',
      provides?.length ? `provides ${provides.join(', ')}` : '',
    ];
    return [`${String(index + 1).padStart(3)}  ${id}`, ...facts.filter(Boolean)].join('  ');
  });
  process.stdout.write(`${rows.join('\n')}\nThe configuration is good.\n`);
}
