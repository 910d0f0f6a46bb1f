/** Matches license files with any extension. Licenses require these files in every distribution. */
const LICENSE = /^(licen[cs]e|notice|copying|authors)/i;
/**
 * Files that the image omits: TypeScript, which Node does not run below `node_modules`; source maps; documentation;
 * builds for other runtimes.
 */
const FILES = /\.[cm]?tsx?$|\.map$|\.tsbuildinfo$|\.flow$|\.md$|\.bare$|(^|[._])test\.[cm]?js$/;
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
  // Builds for bundlers, browsers and other runtimes. Node's `exports` conditions never select them.
  ...['dist-es', 'dist-browser', 'react-native', 'workerd'],
]);

/**
 * Packages that no included file loads, and the optional native code of msgpackr. Only type definitions or excluded
 * files refer to the former. Without native code, the files are the same for every platform.
 */
const PACKAGES =
  /^node_modules\/(?:.+\/node_modules\/)?(?:@types\/[^/]+|undici-types|@azure\/msal-browser|(?:@msgpackr-extract\/)?msgpackr-extract[^/]*|node-gyp-build-optional-packages)$/;

/**
 * Whether the image omits a file. The path is relative to the package of the file. Example: `dist/browser/index.js`.
 */
export function isLeftOut(path: string): boolean {
  const names = path.split('/');
  const file = names.at(-1) ?? '';
  if (names.some((name) => name.startsWith('.'))) return true;
  if (names.some((name, depth) => FOLDERS.has(name) || (name === 'browser' && names[depth - 1] === 'dist')))
    return true;
  return FILES.test(file) && !LICENSE.test(file);
}

/** Whether the image omits a whole package. The path is the install path. Example: `node_modules/@types/node`. */
export function isPackageLeftOut(path: string): boolean {
  return PACKAGES.test(path);
}
