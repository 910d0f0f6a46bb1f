/** A license requires its file to be distributed, under any file name. */
const LICENSE = /^(licen[cs]e|notice|copying|authors)/i;
/**
 * TypeScript, which Node does not run below `node_modules`; source maps; texts for people; files for other runtimes.
 */
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
  // For bundlers, browsers and other runtimes. No condition of Node's `exports` selects them.
  ...['dist-es', 'dist-browser', 'react-native', 'workerd'],
]);

/** Packages that only types or excluded files refer to. */
const PACKAGES = /^node_modules\/(?:.+\/node_modules\/)?(?:@types\/[^/]+|undici-types|@azure\/msal-browser)$/;

/** Whether the image can omit a file. The path is relative to its package, such as `dist/browser/index.js`. */
export function isLeftOut(path: string): boolean {
  const names = path.split('/');
  const file = names.at(-1) ?? '';
  if (names.some((name) => name.startsWith('.'))) return true;
  if (names.some((name, depth) => FOLDERS.has(name) || (name === 'browser' && names[depth - 1] === 'dist')))
    return true;
  return FILES.test(file) && !LICENSE.test(file);
}

/** The same for a whole package, by its install path, such as `node_modules/@types/node`. */
export function isPackageLeftOut(path: string): boolean {
  return PACKAGES.test(path);
}
