/** A licence asks to be handed on, whatever its file is called. */
const LICENCE = /^(licen[cs]e|notice|copying|authors)/i;
/** TypeScript, which Node does not run below `node_modules`; maps for debuggers; texts for people; other runtimes. */
const FILES =
  /\.[cm]?tsx?$|\.map$|\.tsbuildinfo$|\.flow$|\.md$|\.bare$|(^|[._])test\.[cm]?js$|\.min\.[cm]?js$/;
const FOLDERS = new Set([
  ...[
    'test',
    'tests',
    '__tests__',
    'specs',
    'bench',
    'benchmark',
    'benchmarks',
    'example',
    'examples',
    'docs',
  ],
  // For bundlers, browsers and other runtimes: no condition of Node's `exports` chooses them.
  ...['dist-es', 'dist-browser', 'react-native', 'workerd'],
]);

/** Packages that only types, or only files that are left out, refer to. */
const PACKAGES = /^node_modules\/(?:.+\/node_modules\/)?(?:@types\/[^/]+|undici-types|@azure\/msal-browser)$/;

/** Whether the image can do without a file, by its path within its package: such as `dist/browser/index.js`. */
export function isLeftOut(path: string): boolean {
  const names = path.split('/');
  const file = names.at(-1) ?? '';
  if (names.some((name) => name.startsWith('.'))) return true;
  if (names.some((name, depth) => FOLDERS.has(name) || (name === 'browser' && names[depth - 1] === 'dist')))
    return true;
  return FILES.test(file) && !LICENCE.test(file);
}

/** The same of a whole package, by where it is installed: such as `node_modules/@types/node`. */
export function isPackageLeftOut(path: string): boolean {
  return PACKAGES.test(path);
}
