import { globSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Plugin, UserConfig } from 'vite';
import { PAGE_PACKAGES } from '../scripts/build/page-packages.ts';

const UI = import.meta.dirname;
/** Vite resolves links, so the paths of the modules begin with the real path. */
const PACKAGES = `${realpathSync(join(UI, '../node_modules'))}/`;

/** Writes the licenses of the packages in the page, and refuses other packages. */
function licenses(): Plugin {
  return {
    name: 'licenses',
    generateBundle(_, bundle) {
      const paths = Object.values(bundle).flatMap((file) => (file.type === 'chunk' ? file.moduleIds : []));
      const names = new Set(paths.filter((path) => path.startsWith(PACKAGES)).map(packageOf));
      for (const name of names)
        if (!PAGE_PACKAGES.some((known) => known === name))
          this.error(`the page contains ${name}: add it to scripts/build/page-packages.ts`);
      const texts = [...names].toSorted().map((name) => `${name}\n\n${licenseOf(name)}`);
      this.emitFile({ type: 'asset', fileName: 'licenses.txt', source: texts.join('\n\n----\n\n') });
    },
  };
}

function packageOf(path: string): string {
  const [first = '', second = ''] = path.slice(PACKAGES.length).split('/');
  return first.startsWith('@') ? `${first}/${second}` : first;
}

function licenseOf(name: string): string {
  const [file] = globSync('LICENSE*', { cwd: join(PACKAGES, name) });
  if (file === undefined) throw new Error(`${name} has no license file in ${dirname(PACKAGES)}`);
  return readFileSync(join(PACKAGES, name, file), 'utf8').trim();
}

/**
 * Builds the review page. The names of the files are fixed, because the service serves each file under its name, and
 * `public/index.html` names them.
 */
const config: UserConfig = {
  root: UI,
  base: './',
  logLevel: 'warn',
  // In development, the page would contain the paths of its source files. NODE_ENV must not decide that.
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact', development: false } },
  plugins: [licenses()],
  build: {
    emptyOutDir: true,
    target: 'es2022',
    modulePreload: false,
    cssCodeSplit: false,
    rollupOptions: {
      input: { app: join(UI, 'src/main.tsx') },
      output: {
        entryFileNames: '[name].js',
        chunkFileNames: '[name].js',
        assetFileNames: 'app[extname]',
      },
    },
  },
};

export default config;
