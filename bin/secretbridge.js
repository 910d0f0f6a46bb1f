#!/usr/bin/env node
// Plain JavaScript that every Node can parse, so that an old Node prints a message instead of a syntax error.
import { existsSync } from 'node:fs';

const built = new URL('../dist/main.js', import.meta.url);
const source = new URL('../src/main.ts', import.meta.url);

if (Number(process.versions.node.split('.')[0]) < 24) {
  console.error(`secretbridge needs Node 24 or newer; this is ${process.versions.node}.`);
  console.error(
    '  In a checkout, `npm run secretbridge -- …` uses its own Node. Otherwise install Node 24 LTS.',
  );
  process.exitCode = 64;
} else {
  await import(existsSync(source) ? source.href : built.href);
}
