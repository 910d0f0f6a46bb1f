#!/usr/bin/env node
// Plain JavaScript that every Node can parse, so that an old Node prints a message instead of a syntax error.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const built = new URL('../dist/main.js', import.meta.url);
const source = new URL('../src/main.ts', import.meta.url);
// Only a checkout has this script. It downloads Node 24, and runs this file again.
const launcher = new URL('../scripts/with-node.js', import.meta.url);

if (Number(process.versions.node.split('.')[0]) >= 24) {
  // A package contains the built review page. A checkout builds the page when its sources have changed.
  if (existsSync(source) && process.argv[2] === 'serve')
    await (await import('../scripts/build/page.ts')).ensurePage();
  await import(existsSync(source) ? source.href : built.href);
} else if (existsSync(launcher)) {
  process.argv.splice(2, 0, fileURLToPath(import.meta.url));
  await import(launcher.href);
} else {
  console.error(`secretbridge needs Node 24 or newer; this is ${process.versions.node}.`);
  console.error('  Install Node 24 LTS, and put it first on PATH.');
  process.exitCode = 64;
}
