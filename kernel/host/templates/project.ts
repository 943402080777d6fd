import type { Files } from '../commands/new.js';

export function projectFiles(kind: string, name: string, version: string, source: string): Files {
  const manifest = {
    name,
    version: '0.1.0',
    description: `${/^[aeiou]/.test(kind) ? 'An' : 'A'} ${kind} for Waggle`,
    type: 'module',
    exports: {
      '.': { types: './dist/index.d.ts', source: './index.ts', default: './dist/index.js' },
    },
    files: ['dist', '!dist/*.test.*'],
    scripts: {
      build: 'tsc',
      test: 'node --import waggle-server/register --test index.test.ts',
    },
    peerDependencies: { 'waggle-server': `^${version}` },
    devDependencies: { '@types/node': '^20.19.43', typescript: '^7.0.2', 'waggle-server': source },
  };
  const compiler = {
    compilerOptions: {
      target: 'ES2023',
      lib: ['ES2023', 'ESNext.Disposable'],
      module: 'NodeNext',
      types: ['node'],
      strict: true,
      noUncheckedIndexedAccess: true,
      verbatimModuleSyntax: true,
      isolatedModules: true,
      experimentalDecorators: true,
      skipLibCheck: true,
      rootDir: '.',
      outDir: 'dist',
      declaration: true,
      sourceMap: true,
    },
    include: ['*.ts'],
  };
  return {
    'package.json': json(manifest),
    'tsconfig.json': json(compiler),
    '.gitignore': 'node_modules/\ndist/\n',
    'README.md': readme(kind, name),
  };
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

function readme(kind: string, name: string): string {
  return `# ${name}

${/^[aeiou]/.test(kind) ? 'An' : 'A'} ${kind} for [Waggle](https://www.npmjs.com/package/waggle-server).

\`\`\`sh
npm install
npm test           # runs index.test.ts
npm run build      # only to publish it: a server runs index.ts as it is
\`\`\`

To use it, move this folder into the folder \`extensions\` of a server, or name it in the server's config:

\`\`\`yaml
plugins:
  ${name}:
    use: ./${name}
\`\`\`

\`waggle start --watch --config my.yaml\` takes every change while clients stay connected.
`;
}
