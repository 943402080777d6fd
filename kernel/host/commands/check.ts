import { type ConfigOptions, prepareWhole } from '../prepare.js';

/** `waggle check`: prints the plugins in start order. */
export async function check(options: ConfigOptions): Promise<void> {
  const { kernel } = await prepareWhole(options);
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
