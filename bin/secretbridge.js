#!/usr/bin/env node
// Plain JavaScript that every Node can parse, so that an old Node prints a message instead of a syntax error.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const built = new URL('../dist/main.js', import.meta.url);
const source = new URL('../src/main.ts', import.meta.url);
const launcher = fileURLToPath(new URL('./secretbridge', import.meta.url));

if (Number(process.versions.node.split('.')[0]) < 24) {
  console.error(`secretbridge needs Node 24 or newer; this is ${process.versions.node}.`);
  console.error(
    existsSync(launcher)
      ? `  Run ${launcher} instead: it downloads and uses its own Node 24.`
      : '  Install Node 24 LTS, and put it first on PATH.',
  );
  process.exitCode = 64;
} else {
  await import(existsSync(source) ? source.href : built.href);
}
